"""The STAF network one frame at a time, each frame computed once, for many people at once."""

from staf_backend.staf.streaming.ready import ReadyNetwork, make_ready
from staf_backend.staf.streaming.settings import StreamConfig, StreamEdges
from staf_backend.staf.streaming.stream import Arrival, Recovered, StafStream, TrackStream

__all__ = [
    "Arrival",
    "ReadyNetwork",
    "Recovered",
    "StafStream",
    "StreamConfig",
    "StreamEdges",
    "TrackStream",
    "make_ready",
]

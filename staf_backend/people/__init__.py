"""Who is in a video and where: detection, following from frame to frame, joining the pieces."""

from staf_backend.people.appearance import AppearanceNetwork
from staf_backend.people.detect import PersonDetector
from staf_backend.people.follow import find_people
from staf_backend.people.likeness import ClipScale, CosineScale
from staf_backend.people.summary import TrackSummary, summarise
from staf_backend.people.track import NobodyError, Track, choose, within
from staf_backend.people.tracks_error import TracksError
from staf_backend.people.tracks_file import read_tracks, write_tracks

__all__ = [
    "AppearanceNetwork",
    "ClipScale",
    "CosineScale",
    "NobodyError",
    "PersonDetector",
    "Track",
    "TrackSummary",
    "TracksError",
    "choose",
    "find_people",
    "read_tracks",
    "summarise",
    "within",
    "write_tracks",
]

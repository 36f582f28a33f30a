"""What a file's packets tell on their way to the decoder."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from staf_backend.video.container import whole_packets

_log = logging.getLogger(__name__)


class PacketLog:
    """The packets of one stream, passed on while their stamps are noted.

    Attributes:
        pts: of every packet; None where it has none.
        dts: of every packet that has one.
        keys: pts at which decoding can start.
        whole: number of packets that are not marked as broken.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.pts: list[int | None] = []
        self.dts: list[int] = []
        self.keys: list[int] = []
        self.whole = 0

    def __iter__(self) -> Iterator[Any]:
        for packet in whole_packets(self._container, self._stream):
            self.whole += not packet.is_corrupt
            self.pts.append(packet.pts)
            if packet.dts is not None:
                self.dts.append(packet.dts)
            if packet.is_keyframe and packet.pts is not None:
                self.keys.append(packet.pts)
            yield packet

    def warn_if_cut(self, path: Path) -> None:
        """Say where the file's own index promises more than there is."""
        promised = self._stream.frames
        found = self.whole
        if self._container.format.name == "avi":  # its length counts chunks left empty, too
            found = max(self.dts, default=-1) + 1
        elif "mp4" not in self._container.format.name.split(","):
            return
        if found < promised:
            _log.warning("%s ends early: %d of %d frames", path.name, found, promised)

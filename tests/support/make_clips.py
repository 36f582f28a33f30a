"""Small clips made on the spot, whose every frame tells its own number.

+-----------+-----------+
|    red    |   green   |     the strip in the middle holds the frame number in 8 bits,
+--0-1-0-1-1-0-0-1------+     white for 1, the highest bit left
|   blue    |   white   |
+-----------+-----------+
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

CORNERS = {
    "red": (200, 30, 30),
    "green": (30, 180, 40),
    "blue": (40, 50, 190),
    "white": (220, 220, 220),
}


def picture(number: int, width: int = 128, height: int = 96) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    halves = [slice(0, height // 2), slice(height // 2, height)]
    sides = [slice(0, width // 2), slice(width // 2, width)]
    for color, (row, col) in zip(CORNERS.values(), np.ndindex(2, 2), strict=True):
        image[halves[row], sides[col]] = color
    for bit in range(8):
        left, right = width * bit // 8, width * (bit + 1) // 8
        image[height * 3 // 8 : height * 5 // 8, left:right] = 255 * (number >> (7 - bit) & 1)
    return image


def number(image: np.ndarray) -> int:
    """The number that a picture holds; also when it was compressed."""
    height, width = image.shape[:2]
    row = height // 2
    bits = [image[row, (2 * bit + 1) * width // 16].mean() > 127 for bit in range(8)]
    return sum(int(on) << (7 - bit) for bit, on in enumerate(bits))


def corner_names(image: np.ndarray) -> list[str]:
    """Which colours the four corners have: top left, top right, bottom left, bottom right."""
    height, width = image.shape[:2]
    found = []
    for y, x in ((0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9)):
        color = image[int(y * height), int(x * width)].astype(int)
        found.append(min(CORNERS, key=lambda name: np.abs(color - CORNERS[name]).sum()))
    return found


def write_clip(
    path: Path,
    *,
    ticks: Sequence[int] = tuple(range(30)),
    time_base: Fraction = Fraction(1, 30),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (128, 96),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    color_range: int | None = None,
    sound: bool = False,
) -> Path:
    """Write a clip whose frame i shows number i and is presented at ticks[i] * time_base."""
    with av.open(str(path), "w", options=container_options or {}) as out:
        out.metadata.update(metadata or {})
        stream: Any = out.add_stream(codec, rate=round(1 / time_base), options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if sound:
            _write_sound(out)
        for i, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24")
            if color_range is not None:
                frame = frame.reformat(format=pix_fmt, dst_color_range=color_range)
            frame.pts, frame.time_base = tick, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def _write_sound(out: Any) -> None:
    stream = out.add_stream("aac", rate=16_000, layout="mono")
    for block in range(10):
        wave = np.sin(np.arange(1024) * 0.2).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, block * 1024
        out.mux(stream.encode(frame))
    out.mux(stream.encode())


def write_sound_only(path: Path) -> Path:
    """A file with a sound track and no picture."""
    with av.open(str(path), "w") as out:
        _write_sound(out)
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Patch the track header of an MP4: a stored (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    entries = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in entries)
    path.write_bytes(data)


def delay_edit(path: Path, ticks: int) -> None:
    """Patch the edit list of an MP4 so that the presentation starts `ticks` media units later."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4 + 4 + 4 + 4
    start = int.from_bytes(data[at : at + 4], "big", signed=True)
    data[at : at + 4] = (start + ticks).to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def packets(path: Path) -> list[tuple[Any, int, Any, bool]]:
    """Place in the file, size, pts and whether a key frame, of every video packet."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts, p.is_keyframe) for p in container.demux(video=0) if p.size]

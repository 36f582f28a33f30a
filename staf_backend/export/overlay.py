"""The animated body and its skeleton drawn over the footage, so that one sees whether it fits.

The view from the side and the strip of contacts, which show whether it stands, are `overlay_sheet`.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from staf_backend.body import Body
from staf_backend.choices import OverlayView
from staf_backend.export.overlay_sheet import DrawnBody, Sheet
from staf_backend.export.raster import nearest_faces, shading
from staf_backend.export.sound import Sound
from staf_backend.files import OutputError, replace_atomically
from staf_backend.geometry import from_quaternions
from staf_backend.motion import Motion, joints_m
from staf_backend.video import Video, ffmpeg_name

if TYPE_CHECKING:
    from staf_backend.reporting import Report

_CLOCK = 90_000  # ticks a second: any frame rate's times fit
_ENCODER = {"crf": "20", "preset": "veryfast"}
_OPACITY = 0.7
"""Of the body.  Chosen: clothes and limbs stay visible below it."""
_COLOURS = np.array(
    [[255, 190, 150], [150, 200, 255], [180, 235, 150], [240, 175, 240], [255, 230, 140]]
)
"""RGB of people in turn.  Chosen: told apart by their lightness, too."""
_LARGEST_DOT = 0.2
"""Radius of a joint's dot over its shortest bone's length.  Chosen: fingers stay visible."""
_CHUNK = 16
"""Frames whose meshes are made together.  Chosen: few megabytes."""
_UNSEEN_GREY = 0.5
"""Share of grey in the colour of a person whom nothing was seen of.  Chosen."""


def write_overlay(
    path: Path,
    video: Video,
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    report: "Report",
    view: OverlayView = "plain",
) -> None:
    """Write a video of the footage with every motion drawn over it; the sound is kept.

    A person whose pose was filled in, not seen, is drawn in grey.

    Args:
        path: .mp4, .mov or .mkv.
        video: the footage the motions came from.
        motions: of this video.
        bodies: by name.
        report: told about progress.
        view: "side" puts a view from the side beside the footage, and when which part of the body
            stands below both.

    Raises:
        OutputError: the file cannot be written.
    """
    first = min(int(motion.frames[0]) for motion in motions)
    last = max(int(motion.frames[-1]) for motion in motions) + 1
    drawings = [_Drawing(motion, bodies[motion.body], i) for i, motion in enumerate(motions)]
    start_s = float(video.times_s[first])
    sheet = Sheet(motions, video, range(first, last)) if view == "side" else None
    size = sheet.size_px if sheet else (video.width_px, video.height_px)
    writer = functools.partial(_writer, path=path, video=video, frames=(first, last), size_px=size)
    with replace_atomically(path) as temporary, writer(temporary) as add:
        for index, image in enumerate(video.frames(first, last), first):
            picture = np.array(image)
            for drawing in sorted(drawings, key=lambda d: -d.depth_m(index)):
                drawing.draw(picture, index)
            if sheet:
                picture = sheet.drawn(picture, [d.body_at(index) for d in drawings], index)
            add(picture, float(video.times_s[index]) - start_s)
            report("overlay", index + 1 - first, last - first, "drawing the overlay")


class _Drawing:
    """One motion, its mesh posed a few frames at a time."""

    def __init__(self, motion: Motion, body: Body, number: int) -> None:
        self._motion, self._body = motion, body
        self._colour = _COLOURS[number % len(_COLOURS)]
        self._joints = motion.to_camera_axes(joints_m(motion))
        self._chunk = range(0)
        self._vertices = self._seen = np.zeros((0, 0, 3))

    def depth_m(self, index: int) -> float:
        row = self._row(index)
        return 0.0 if row is None else float(self._joints[row, 0, 2])

    def draw(self, picture: np.ndarray, index: int) -> None:
        row = self._row(index)
        if row is None:
            return
        grey = 1.0 if self._motion.observed[row] else _UNSEEN_GREY
        self._pose(row)
        self._draw_body(picture, self._seen[row - self._chunk.start], grey)
        self._draw_bones(picture, self._joints[row])

    def _row(self, index: int) -> int | None:
        row = index - int(self._motion.frames[0])
        return row if 0 <= row < len(self._motion.frames) else None

    def body_at(self, index: int) -> DrawnBody | None:
        """The body on a frame, in the motion's axes; None where it is not there."""
        row = self._row(index)
        if row is None:
            return None
        self._pose(row)
        colour = self._colour_of(1.0 if self._motion.observed[row] else _UNSEEN_GREY)
        return DrawnBody(self._vertices[row - self._chunk.start], self._body.faces, colour)

    def _pose(self, row: int) -> None:
        """Pose the chunk of a row: vertices in the motion's axes, and as its camera sees them."""
        if row not in self._chunk:
            self._chunk = range(row, min(row + _CHUNK, len(self._motion.frames)))
            part = slice(self._chunk.start, self._chunk.stop)
            self._vertices = self._body.vertices_m(
                from_quaternions(self._motion.rotations_wxyz[part].astype(float)),
                self._motion.betas,
                self._motion.root_m[part],
            )
            path = self._motion.camera_path
            camera = self._motion.camera if path is None else path[part]
            self._seen = camera.to_camera_axes(self._vertices)

    def _colour_of(self, grey: float) -> np.ndarray:
        """(3,) RGB: the person's own, or a share of it."""
        return self._colour * grey + (1 - grey) * self._colour.mean()

    def _draw_body(self, picture: np.ndarray, vertices_m: np.ndarray, grey: float) -> None:
        height, width = picture.shape[:2]
        depth = np.maximum(vertices_m[:, 2], 1e-3)
        points = self._motion.camera.project(np.column_stack([vertices_m[:, :2], depth]))
        faces = self._body.faces
        owner = nearest_faces(points, vertices_m[:, 2], faces, (width, height))
        rows, columns = np.nonzero(owner >= 0)
        if not len(rows):
            return
        shade = shading(vertices_m, faces)[owner[rows, columns], None]
        painted = shade * self._colour_of(grey)
        mixed = _OPACITY * painted + (1 - _OPACITY) * picture[rows, columns]
        picture[rows, columns] = mixed.clip(0, 255)

    def _draw_bones(self, picture: np.ndarray, joints_m: np.ndarray) -> None:
        import cv2

        if joints_m[:, 2].min() < 0.1:
            return
        height, width = picture.shape[:2]
        points = self._motion.camera.project(joints_m)
        points = np.round(points.clip(-1e4, 1e4)).astype(int)
        thick = max(1, round(max(width, height) / 900))
        radii = np.full(len(points), 2 * thick)
        for joint, parent in enumerate(self._motion.skeleton.parents):
            if parent >= 0:
                ends = points[parent].tolist(), points[joint].tolist()
                cv2.line(picture, *ends, (255, 255, 255), thick, cv2.LINE_AA)
                largest = round(_LARGEST_DOT * math.dist(*ends))
                radii[[joint, parent]] = np.minimum(radii[[joint, parent]], largest)
        for (x, y), radius in zip(points.tolist(), radii.tolist(), strict=True):
            cv2.circle(picture, (x, y), radius, (255, 90, 40), -1, cv2.LINE_AA)


@contextlib.contextmanager
def _writer(
    temporary: Path, *, path: Path, video: Video, frames: tuple[int, int], size_px: tuple[int, int]
) -> Iterator[Any]:
    """A function that adds one picture at a time in seconds; sound is written at the end."""
    import av
    from av.error import FFmpegError

    even = (size_px[0] - size_px[0] % 2, size_px[1] - size_px[1] % 2)
    if min(even) < 2:
        raise OutputError(f"cannot write {path}: the picture is too small for a video.")
    pts = -1

    def add(picture: np.ndarray, time_s: float) -> None:
        nonlocal pts
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture[: even[1], : even[0]]), format="rgb24"
        )
        pts = max(round(time_s * _CLOCK), pts + 1)
        frame.pts, frame.time_base = pts, Fraction(1, _CLOCK)
        container.mux(stream.encode(frame))

    try:
        with av.open(ffmpeg_name(temporary), "w") as container:
            stream: Any = container.add_stream("libx264", options=dict(_ENCODER))
            stream.width, stream.height = even
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK)
            with contextlib.closing(Sound(container, video, *frames)) as sound:
                yield add
                container.mux(stream.encode(None))
                sound.write()
    except FFmpegError as error:
        raise OutputError.from_os(path, OSError(error.errno, error.strerror)) from error

"""The overlay's sheet: footage, a view from the side, and when which part of the body stands.

    +-----------+---------+
    |  footage  |  side   |
    +-----------+---------+
    |  left heel  ==== == |
    +---------------------+

From the side one sees what the camera cannot: whether a character leans, floats or sinks.  The
viewer stands at the camera's right hand; the camera is on the left of the view.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from staf_backend.export.raster import nearest_faces, shading
from staf_backend.geometry import from_quaternions
from staf_backend.motion import PARTS, Motion
from staf_backend.video import Video

_SHARE = 0.75
"""Of the footage's height that the side view is wide, at most its width.  Chosen."""
_WINDOW_M, _MOST_WINDOW_M = 2.6, 9.0
"""Height of the side view: a person with raised arms, and what it grows to where somebody is higher
above the floor or people are far from each other.  Chosen."""
_REACH_M = 1.35
"""From the pelvis to a raised hand.  Chosen."""
_ASIDE_M = 0.8
"""Beside whoever is farthest left or right.  Chosen: most of an arm."""
_BELOW_M = 0.25
"""Of it, below the floor.  Chosen."""
_FAR_M = 100.0
"""Where the side view's camera stands: so far that nothing looks nearer.  Chosen."""
_MOST_PX = 720
"""Height in which the side view is drawn, before it is made as high as the footage.  Chosen: it
costs no more than the overlay then."""
_CALM_S = 0.5
"""Deviation of the smoothing of where the side view looks.  Chosen."""
_PAPER, _LINES, _FLOOR, _INK = (
    np.array(c, float) for c in ((38, 40, 44), (66, 70, 76), (150, 155, 165), (225, 225, 225))
)
_COLOURS = {"left": (110, 190, 255), "right": (255, 160, 90), "seat": (190, 220, 120)}
_ROW_SHARE = 1 / 48
"""Of the footage's shorter side that a row of the strip is high.  Chosen: its words can be read."""
_LEAST_ROW_PX = 12
_LABEL_ROWS = 9
"""Width of the strip's words, in rows' heights."""


class DrawnBody(NamedTuple):
    """A body to draw: vertices_m (V, 3) in the motion's axes, faces (F, 3), colour (3,) RGB."""

    vertices_m: np.ndarray
    faces: np.ndarray
    colour: np.ndarray


class Sheet:
    """Everything beside and below the footage.

    Args:
        motions: of one video.
        video: the footage.
        frames: numbers of those that are drawn.
    """

    def __init__(self, motions: Sequence[Motion], video: Video, frames: range) -> None:
        self._footage_px = video.width_px, video.height_px
        width = min(video.width_px, round(_SHARE * video.height_px))
        self._side = _SideView(motions, (width, video.height_px), frames)
        times_s = video.times_s[frames.start : frames.stop]
        row_px = max(_LEAST_ROW_PX, round(_ROW_SHARE * min(self._footage_px)))
        self._strip = _Strip(motions, times_s, self._footage_px[0] + width, row_px)
        self._first = frames.start

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the whole."""
        width, height = self._footage_px
        return width + self._side.size_px[0], height + self._strip.height_px

    def drawn(
        self, footage: np.ndarray, bodies: Sequence[DrawnBody | None], frame: int
    ) -> np.ndarray:
        """The sheet (H, W, 3) uint8 of one frame.

        Args:
            footage: its picture, with the overlay.
            bodies: who is there.
            frame: its number.
        """
        width, height = self._footage_px
        sheet = np.empty((self.size_px[1], self.size_px[0], 3), np.uint8)
        sheet[:height, :width] = footage
        there = [body for body in bodies if body is not None]
        sheet[:height, width:] = self._side.drawn(there, frame - self._first)
        sheet[height:] = self._strip.at(frame - self._first)
        return sheet


class _SideView:
    """A view without perspective from the camera's right hand; the ground's height is y = 0 there
    where the motions stand on it."""

    def __init__(self, motions: Sequence[Motion], size_px: tuple[int, int], frames: range) -> None:
        self.size_px = size_px
        share = min(1.0, _MOST_PX / size_px[1])
        self._drawn_px = max(2, round(share * size_px[0])), max(2, round(share * size_px[1]))
        self._axes = _side_axes(from_quaternions(motions[0].camera.rotation_wxyz))
        grounded = any(motion.contacts for motion in motions)
        self._floor_m = 0.0 if grounded else None
        highest_m = max(float(motion.root_m[:, 1].max()) for motion in motions)
        needed_m = highest_m + _REACH_M + _BELOW_M if grounded else _WINDOW_M
        across = [(motion.root_m @ self._axes.T)[:, 0] for motion in motions]
        span_m = max(a.max() for a in across) - min(a.min() for a in across) + 2 * _ASIDE_M
        if len(motions) > 1:
            needed_m = max(needed_m, span_m * size_px[1] / size_px[0])
        self._window_m = float(np.clip(needed_m, _WINDOW_M, _MOST_WINDOW_M))
        self._from_floor = grounded and needed_m <= _MOST_WINDOW_M
        self._px_per_m = self._drawn_px[1] / self._window_m
        fits = needed_m <= _MOST_WINDOW_M
        self._middles_m = self._looks_at(motions if fits else motions[:1], frames)

    def _looks_at(self, motions: Sequence[Motion], frames: range) -> np.ndarray:
        """(T, 2) what is in the middle, metres across and down; it follows who walks away."""
        from scipy.ndimage import gaussian_filter1d

        sums, counts = np.zeros((len(frames), 2)), np.zeros((len(frames), 1))
        for motion in motions:
            rows = motion.frames - frames.start
            sums[rows] += (motion.root_m @ self._axes.T)[:, :2]
            counts[rows] += 1
        known = np.flatnonzero(counts[:, 0])
        means = sums[known] / counts[known]
        filled = np.stack([np.interp(np.arange(len(frames)), known, m) for m in means.T], 1)
        rate_hz = 1 / float(np.median(np.diff(motions[0].times_s))) if len(known) > 1 else 1.0
        calm = gaussian_filter1d(filled, max(_CALM_S * rate_hz, 1e-3), axis=0, mode="nearest")
        room_m = np.array(self._drawn_px) / self._px_per_m - [1.0, 2.0]
        for axis in range(2):
            if np.ptp(calm[:, axis]) <= max(room_m[axis], 0.0):
                calm[:, axis] = (calm[:, axis].max() + calm[:, axis].min()) / 2
        if self._from_floor:
            calm[:, 1] = -(self._window_m / 2 - _BELOW_M)
        return calm

    def drawn(self, bodies: Sequence[DrawnBody], row: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        import cv2

        width, height = self._drawn_px
        picture = np.full((height, width, 3), _PAPER)
        middle = self._middles_m[row]
        self._draw_lines(picture, middle)
        turned = [(body, body.vertices_m @ self._axes.T) for body in bodies]
        for body, seen in sorted(turned, key=lambda pair: -pair[1][:, 2].mean()):  # far ones first
            points = (seen[:, :2] - middle) * self._px_per_m + np.array(self._drawn_px) / 2
            owner = nearest_faces(points, seen[:, 2] + _FAR_M, body.faces, self._drawn_px)
            rows, columns = np.nonzero(owner >= 0)
            if len(rows):
                shade = shading(seen, body.faces)[owner[rows, columns], None]
                picture[rows, columns] = shade * body.colour
        small = picture.clip(0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(small, self.size_px), np.uint8)

    def _draw_lines(self, picture: np.ndarray, middle: np.ndarray) -> None:
        """Half metres, and the floor."""
        for axis in range(2):
            count = self._drawn_px[axis]
            low_m = middle[axis] - count / 2 / self._px_per_m
            for line_m in np.arange(np.ceil(low_m * 2) / 2, low_m + count / self._px_per_m, 0.5):
                at = round((line_m - low_m) * self._px_per_m)
                if 0 <= at < count:
                    picture[(slice(None), at) if axis == 0 else (at,)] = _LINES
        if self._floor_m is None:
            return
        at = round((self._floor_m - middle[1]) * self._px_per_m + self._drawn_px[1] / 2)
        thick = max(2, self._drawn_px[1] // 400)
        if 0 <= at < self._drawn_px[1]:
            picture[at : at + thick] = _FLOOR


def _side_axes(camera: np.ndarray) -> np.ndarray:
    """(3, 3) the motion's axes -> those of the side view: x away from the camera, y down, z away.

    Args:
        camera: (3, 3) of the camera, which looks along its own -z.
    """
    ahead = camera @ [0.0, 0.0, -1.0]
    ahead = ahead * [1, 0, 1]
    length = np.linalg.norm(ahead)
    ahead = (
        ahead / length if length > 1e-6 else np.array([0.0, 0.0, -1.0])
    )  # it looks straight down
    down = np.array([0.0, -1.0, 0.0])
    return np.stack([ahead, down, np.cross(ahead, down)])


class _Strip:
    """When each part stands, over time; the present is a line."""

    def __init__(
        self, motions: Sequence[Motion], times_s: np.ndarray, width_px: int, row_px: int
    ) -> None:
        names = [(motion, part) for motion in motions for part in _parts(motion)]
        self.height_px = (len(names) + 1) * row_px
        self.height_px += self.height_px % 2
        self._left = min(_LABEL_ROWS * row_px, width_px // 3)
        self._times_s, self._width_px = times_s, width_px
        self._picture = np.full((self.height_px, width_px, 3), _PAPER, np.uint8)
        several = len({motion.person for motion in motions}) > 1
        for number, (motion, part) in enumerate(names):
            top = round((number + 0.5) * row_px)
            whose = f"{motion.person}: " if several else ""
            self._write(f"{whose}{part.replace('_', ' ')}", top, row_px)
            self._picture[top + row_px // 2, self._left :] = _LINES
            for span in motion.contacts:
                if span.part == part:
                    begin, end = self._column(span.start_s), self._column(span.end_s) + 1
                    inner = slice(top + 1, top + row_px - 1)
                    self._picture[inner, begin:end] = _COLOURS[part.split("_")[0]]

    def at(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8 of a frame."""
        picture = self._picture.copy()
        at = self._column(float(self._times_s[row]))
        picture[:, at : at + max(2, self._width_px // 800)] = _INK
        return picture

    def _column(self, time_s: float) -> int:
        first, last = self._times_s[0], self._times_s[-1]
        share = (time_s - first) / max(last - first, 1e-9)
        return self._left + round(float(share) * (self._width_px - self._left - 3))

    def _write(self, words: str, top: int, row_px: int) -> None:
        import cv2

        scale, ink = row_px / 30, (225, 225, 225)
        place = (row_px // 2, top + round(0.8 * row_px))
        cv2.putText(
            self._picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA
        )


def _parts(motion: Motion) -> list[str]:
    """Heels and toes of who stands at all, and whatever else touches."""
    touching = {span.part for span in motion.contacts}
    return [part for part in PARTS if part in touching or (touching and part in PARTS[:4])]

"""One person through a clip: the type `Track`, and choosing among the people that were found.

How tracks are made is in `follow` (the drive through a video), `tracker` (who is who from frame to
frame) and `join` (finished tracks).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from staf_backend import StafError
from staf_backend.people.keypoints import COUNT

LONGEST_GAP_S, LONGEST_GAP_FRAMES = 1.0, 1.5
"""Out of sight for longer than both, and a track ends.  Chosen: longer gaps cannot be filled in
well; at a frame a second or less, no gap is shorter than from one frame to the next."""
SHORTEST_S, SHORTEST_FRAMES = 0.4, 3
"""Of a track.  Chosen: less shows no motion."""


def longest_gap_s(times_s: np.ndarray) -> float:
    """For how long somebody may be out of sight within a track, at the clip's frame rate.

    Args:
        times_s: (F,) of consecutive frames.
    """
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return max(LONGEST_GAP_S, LONGEST_GAP_FRAMES * step_s)


class NobodyError(StafError):
    """Nobody was found, nobody long enough, or not the person who was asked for."""

    kind = "nobody"
    exit_code = 4


@dataclass(frozen=True)
class Track:
    """One person on consecutive frames, without a gap longer than a second.

    Attributes:
        person: number from 1; person 1 is the main one (size times time on the screen).
        part: number from 1 of this stretch of the person.  Who is away for longer than a
            second and comes back has one track for each stretch, with the same `person`.
        frames: (T,) int64 frame numbers of the video, each one more than the one before.
        times_s: (T,) presentation times of these frames.
        boxes_px: (T, 3) centre x, y and side of the square around the person, not enlarged, in
            continuous image coordinates, smoothed without lag.
        keypoints_px: (T, 17, 3) x, y and score in COCO's order (see `keypoints.NAMES`).
        observed: (T,) bool; False where the person was not seen and the values are filled in.
        name: what the user calls the person; empty where nobody said.
    """

    person: int
    part: int
    frames: np.ndarray
    times_s: np.ndarray
    boxes_px: np.ndarray
    keypoints_px: np.ndarray
    observed: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        length = len(self.frames)
        shapes = (
            ("times_s", (length,)),
            ("boxes_px", (length, 3)),
            ("keypoints_px", (length, COUNT, 3)),
            ("observed", (length,)),
        )
        for name, shape in shapes:
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, not {getattr(self, name).shape}")
        if length < 1 or self.person < 1 or self.part < 1:
            raise ValueError("a track needs a frame, and person and part count from 1")
        if self.frames.dtype != np.int64 or np.any(np.diff(self.frames) != 1):
            raise ValueError("frames must be consecutive int64 numbers")
        if np.any(np.diff(self.times_s) <= 0):
            raise ValueError("times_s must be strictly increasing")
        if self.observed.dtype != bool:
            raise ValueError("observed must be bool")
        if not (np.isfinite(self.boxes_px).all() and np.isfinite(self.keypoints_px).all()):
            raise ValueError("boxes_px and keypoints_px must be finite")
        if np.any(self.boxes_px[:, 2] <= 0):
            raise ValueError("boxes_px must have positive sides")

    def __len__(self) -> int:
        return len(self.frames)


def within(tracks: Sequence[Track], span: range) -> list[Track]:
    """The tracks on a span's frames alone.

    Raises:
        NobodyError: nobody is left.
    """
    kept = []
    for track in tracks:
        rows = slice(max(span.start - int(track.frames[0]), 0), span.stop - int(track.frames[0]))
        if rows.stop > rows.start and len(track.frames[rows]) >= SHORTEST_FRAMES:
            names = ("frames", "times_s", "boxes_px", "keypoints_px", "observed")
            kept.append(replace(track, **{name: getattr(track, name)[rows] for name in names}))
    if not kept:
        raise NobodyError("Nobody of the tracks file is seen in this part of the clip.", "")
    return kept


def people(tracks: Sequence[Track]) -> dict[int, list[Track]]:
    """The tracks of each person, by rising person number."""
    numbers = sorted({track.person for track in tracks})
    return {n: [track for track in tracks if track.person == n] for n in numbers}


def choose(tracks: Sequence[Track], which: str) -> list[Track]:
    """The tracks of the people that `which` names.

    Args:
        tracks: what `follow.find_people` returned.
        which: "all", "largest" (person 1), or person numbers such as "2" or "1,3".

    Raises:
        NobodyError: no such person; the advice lists who was found.
        ValueError: `which` is none of these forms.
    """
    found = people(tracks)
    if which == "all":
        wanted = set(found)
    elif which == "largest":
        wanted = set(list(found)[:1])
    else:
        wanted = _numbers(which)
    missing = sorted(wanted - set(found))
    if missing or not wanted:
        names = ", ".join(map(str, missing))
        message = f"There is no person {names}." if missing else "Nobody was found."
        raise NobodyError(message, _who_was_found(found))
    return [track for track in tracks if track.person in wanted]


def _numbers(which: str) -> set[int]:
    parts = [part.strip() for part in which.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f'people are chosen by "all", "largest" or numbers as "1,3", not {which!r}'
        )
    return {int(part) for part in parts}


def _who_was_found(found: dict[int, list[Track]]) -> str:
    if not found:
        return "Choose footage in which a person is seen."
    lines = []
    for number, tracks in found.items():
        start_s, end_s = tracks[0].times_s[0], tracks[-1].times_s[-1]
        lines.append(f"person {number} ({start_s:.1f} to {end_s:.1f} s)")
    return f"Found: {', '.join(lines)}."

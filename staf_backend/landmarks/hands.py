"""The hands of tracked people, in one pass through a video.

    pose ─► square ─► the frame before's, where it is near, else re-crop ─► 21 points ─► gates

Two hands a person; all hands of a frame go through the networks together.  A hand that no gate
doubts is `usable`; what is unclear stays unused rather than wrong.  Whether it is the hand of its
arm is decided over the whole track.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from staf_backend.landmarks.hands_network import HandNetworks, Looks, log_odds
from staf_backend.landmarks.hands_regions import (
    KNUCKLE,
    POINTS,
    WRIST,
    are_near,
    are_within,
    from_hand,
    from_pose,
)
from staf_backend.landmarks.hands_sides import own_hand
from staf_backend.runtime import Workers
from staf_backend.video import Video

SIDES = ("left", "right")

_PRESENT = 0.5
"""Presence from which the next frame may look where this one found the hand.  Of the graph."""
_SURE = 0.8
"""Presence of a usable hand.  Of 54 frames above it 49 looked right (shared measurements)."""
_RIGHT_SIDE = 0.5
"""Probability that it is the hand of its side, from which no second look is needed."""
_NOT_CONTRARY = 0.2
"""The same, below which a look is not used.  Chosen: hands seen from their edge are often taken for
the other one in single frames; the track decides (`hands_sides`)."""
_HOME_SIDE, _HOME_PALM = 0.15, 0.25
"""How far the wrist may be from the pose's: shares of the square's side and of the palm's length.
From the same measurements."""
_SMALLEST_PX = 40.0
"""Side of the smallest usable square.  From the same measurements: below, a third of the looks
err."""
_OUTSIDE = 3
"""Points beside the picture that make a hand unusable.  Chosen: a finger may leave it."""
_SAME_HAND = 0.5
"""Mean distance of two hands' points, over the palm's length, below which both looks found one
hand.  Chosen: clasped hands are farther apart."""


@dataclass(frozen=True)
class Wanted:
    """Whose hands to look for.

    Attributes:
        frames: (T,) consecutive frame numbers.
        points_px: (T, 2, 3, 2) wrist, pinky and index of left and right hand; NaN where unknown.
    """

    frames: np.ndarray
    points_px: np.ndarray


@dataclass(frozen=True)
class SeenHands:
    """What was seen of one person's two hands over T frames; NaN where nothing was looked at.

    Attributes:
        points_px: (T, 2, 21, 2) image pixels, left hand first.
        world_m: (T, 2, 21, 3) metres about the hand's middle, axes of the frame's camera.
        presence: (T, 2) probability that there is a hand; 0 where nothing was looked at.
        usable: (T, 2) bool.
    """

    points_px: np.ndarray
    world_m: np.ndarray
    presence: np.ndarray
    usable: np.ndarray


@dataclass
class _Reading:
    """One person on the way through the video."""

    wanted: Wanted
    points_px: np.ndarray = field(init=False)
    world_m: np.ndarray = field(init=False)
    presence: np.ndarray = field(init=False)
    usable: np.ndarray = field(init=False)
    side_odds: np.ndarray = field(init=False)
    """(T, 2) log odds that it is the hand of its side, by the look alone; NaN where none is."""
    next_px: np.ndarray = field(init=False)
    """(2, 4) where the last frame's hands will be; NaN where they were not seen."""

    def __post_init__(self) -> None:
        count = len(self.wanted.frames)
        self.points_px = np.full((count, 2, POINTS, 2), np.nan, np.float32)
        self.world_m = np.full((count, 2, POINTS, 3), np.nan, np.float32)
        self.presence = np.zeros((count, 2), np.float32)
        self.usable = np.zeros((count, 2), bool)
        self.side_odds = np.full((count, 2), np.nan)
        self.next_px = np.full((2, 4), np.nan)


def hands_of(
    video: Video,
    people: Sequence[Wanted],
    networks: HandNetworks,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 1,
) -> list[SeenHands]:
    """The hands of people, in one pass through the video.

    Args:
        video: the footage.
        people: whose.
        networks: that read hands.
        progress: called with frames done and frames in all.
        threads: processors to use for all but the networks; they change no result.

    Returns:
        one per person.

    Raises:
        VideoError: the footage is damaged.
    """
    readings = [_Reading(person) for person in people]
    first = min(int(person.frames[0]) for person in people)
    last = max(int(person.frames[-1]) for person in people) + 1
    with Workers(threads) as workers:
        rgb = lambda _, picture: picture.rgb()
        with closing(video.in_advance(first, last, workers, rgb)) as images:
            for index, image in enumerate(images, first):
                _read_frame(image, index, readings, networks)
                if progress:
                    progress(index + 1 - first, last - first)
    return [_decided(one, video.times_s[one.wanted.frames]) for one in readings]


def _decided(one: _Reading, times_s: np.ndarray) -> SeenHands:
    """With only those hands usable that are their arms' own."""
    usable = one.usable & own_hand(one.side_odds, times_s)
    return SeenHands(one.points_px, one.world_m, one.presence, usable)


def _read_frame(
    image: np.ndarray, index: int, readings: Sequence[_Reading], networks: HandNetworks
) -> None:
    known: list[tuple[_Reading, int, int]] = []
    for one in readings:
        row = index - int(one.wanted.frames[0])
        if 0 <= row < len(one.wanted.frames):
            there = np.isfinite(one.wanted.points_px[row]).all((1, 2))
            one.next_px[~there] = np.nan
            known += [(one, row, side) for side in np.flatnonzero(there).tolist()]
    if not known:
        return
    pose = np.array([one.wanted.points_px[row, side] for one, row, side in known], float)
    left = np.array([side == 0 for _, _, side in known])
    expected = np.array([one.next_px[side] for one, _, side in known])
    squares = _where_to_look(image, from_pose(pose), expected, left, networks)
    looks, usable, odds = _look(image, squares, left, pose[:, 0], networks)
    following = from_hand(looks.points_px)
    following[looks.presence <= _PRESENT] = np.nan
    for n, (one, row, side) in enumerate(known):
        one.points_px[row, side], one.world_m[row, side] = looks.points_px[n], looks.world_m[n]
        one.presence[row, side], one.usable[row, side] = looks.presence[n], usable[n]
        one.side_odds[row, side] = odds[n]
        one.next_px[side] = following[n]
    for one, row, side in known:
        if side == 1 and _is_one_hand(one, row):
            one.usable[row, np.argmin(one.presence[row])] = False


def _where_to_look(
    image: np.ndarray,
    pose_px: np.ndarray,
    expected_px: np.ndarray,
    left: np.ndarray,
    networks: HandNetworks,
) -> np.ndarray:
    """Squares (N, 4): the frame before's (NaN: none) where it is about that of the pose, or about
    what the re-crop network makes of the pose's, else the latter."""
    squares = expected_px.copy()
    asked = np.flatnonzero(~are_within(expected_px, pose_px))  # NaN is never within, nor near
    if len(asked):
        found = networks.find(image, pose_px[asked], left[asked])
        kept = are_near(expected_px[asked], found)
        squares[asked] = np.where(kept[:, None], expected_px[asked], found)
    return squares


def _look(
    image: np.ndarray,
    squares_px: np.ndarray,
    left: np.ndarray,
    wrists_px: np.ndarray,
    networks: HandNetworks,
) -> tuple[Looks, np.ndarray, np.ndarray]:
    """Looks at N squares, (N,) which are usable, and (N,) their log odds of the side, NaN where no
    hand is; what is there but doubtful is looked at again in the other mirror."""
    looks = networks.look(image, squares_px, left)
    odds = np.where(looks.presence > _PRESENT, log_odds(looks.right_side), np.nan)
    placed = _well_placed(looks, wrists_px, image.shape)
    doubtful = np.flatnonzero(placed & (looks.presence > _PRESENT) & ~_sure(looks, _RIGHT_SIDE))
    if len(doubtful):
        again = networks.look(image, squares_px[doubtful], left[doubtful], other=True)
        better = usable_looks(again, wrists_px[doubtful], image.shape)
        seen = again.presence > _PRESENT
        odds[doubtful[seen]] = (odds[doubtful] + log_odds(again.right_side))[seen] / 2
        for name in ("points_px", "world_m", "presence", "right_side"):
            getattr(looks, name)[doubtful[better]] = getattr(again, name)[better]
        placed[doubtful[better]] = True
    return looks, placed & _sure(looks, _NOT_CONTRARY), odds


def usable_looks(looks: Looks, wrists_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N,) which looks may move fingers, if the track does not say otherwise.

    Args:
        looks: at N hands.
        wrists_px: (N, 2) where the pose has their wrists.
        shape: (H, W, 3) of the picture.
    """
    return _well_placed(looks, wrists_px, shape) & _sure(looks, _RIGHT_SIDE)


def _well_placed(looks: Looks, wrists_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N,) which looks are large enough, at their wrist and inside the picture; arguments as for
    `usable_looks`."""
    points, side = looks.points_px, looks.squares_px[:, 2]
    palm = np.linalg.norm(points[:, KNUCKLE] - points[:, WRIST], axis=-1)
    away = np.linalg.norm(points[:, WRIST] - wrists_px, axis=-1)
    outside = ((points < 0) | (points > np.array(shape[1::-1]))).any(-1).sum(-1)
    near = away < _HOME_SIDE * side + _HOME_PALM * palm
    return near & (side > _SMALLEST_PX) & (outside < _OUTSIDE)


def _sure(looks: Looks, right_side: float) -> np.ndarray:
    """(N,) which looks are at a hand, and at the one that was asked for."""
    return (looks.presence > _SURE) & (looks.right_side > right_side)


def _is_one_hand(one: _Reading, row: int) -> bool:
    """Whether both of a person's looks found the same hand."""
    left, right = one.points_px[row]
    if not one.usable[row].all():
        return False
    palms = [np.linalg.norm(hand[KNUCKLE] - hand[WRIST]) for hand in (left, right)]
    apart = np.linalg.norm(left - right, axis=-1).mean()
    return bool(apart < _SAME_HAND * max(palms))

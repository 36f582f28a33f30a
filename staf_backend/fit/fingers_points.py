"""Where the hand network's points of a posed hand lie, and how they move with its angles."""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.fingers_hand import ANGLES, TWIST, Hand
from staf_backend.geometry import from_axis_angle

UNKNOWNS = 3 + ANGLES
"""A turn of the palm in its own axes, then the angles."""
CHAINS = np.array([(5, 6, 7, 8), (9, 10, 11, 12), (17, 18, 19, 20), (13, 14, 15, 16), (1, 2, 3, 4)])
"""(5, 4) the network's points of index, middle, little and ring finger and thumb."""
ORDER = np.array([0, *CHAINS.ravel()])
"""(21,) all of the network's points, the wrist first, finger by finger."""


@dataclass(frozen=True)
class Points:
    """Of N posed hands, from the wrist joint, in the axes that the palm is turned into.

    Attributes:
        places_m: (N, 21, 3) in `ORDER`; `places_by` (N, 21, 3, 24) how they change.
        bones: (N, 20, 3) unit directions from each point of a finger to the next, the wrist first;
            `bones_by` (N, 20, 3, 24) how they change.
    """

    places_m: np.ndarray
    places_by: np.ndarray
    bones: np.ndarray
    bones_by: np.ndarray


def points_of(hand: Hand, palm: np.ndarray, angles: np.ndarray) -> Points:
    """The points of N hands.

    Args:
        hand: whose bones.
        palm: (N, 3, 3) rotations of the palm.
        angles: (N, 21) radians.
    """
    joints, markers, turns = _posed(hand, angles)
    changes = np.zeros((*markers.shape, UNKNOWNS), np.float32)
    for finger, axes in enumerate(_axes(hand, angles, turns)):
        for place, first, axis in axes:
            arms = markers[:, finger, first:] - joints[:, finger, first - 1, None]
            changes[:, finger, first:, :, 3 + place] = np.cross(axis[:, None], arms)
    count = len(angles)
    places = np.concatenate(
        [np.tile(hand.wrist_marker_m, (count, 1, 1)), markers.reshape(count, 20, 3)], 1
    )
    changes = np.concatenate(
        [np.zeros((count, 1, 3, UNKNOWNS), np.float32), changes.reshape(count, 20, 3, -1)], 1
    )
    for k in range(3):  # P (1 + [d]x) p
        changes[..., k] = np.cross(np.eye(3)[k], places)
    places = places @ palm.swapaxes(1, 2)
    changes = palm.astype(np.float32)[:, None] @ changes
    return Points(places, changes, *_directions(places, changes))


def tips_of(hand: Hand, angles: np.ndarray) -> np.ndarray:
    """Finger tips (N, 5, 3) from the wrist, in the palm's axes, metres, of angles (N, 21)."""
    return _posed(hand, angles)[0][:, :, 3]


def bones_of(points: np.ndarray) -> np.ndarray:
    """Unit directions (N, 20, 3) between the network's points (N, 21, 3), as `Points.bones`."""
    return _unit(_steps(points[:, ORDER]))


def _posed(hand: Hand, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints and tips (N, 5, 4, 3), markers (N, 5, 4, 3), and turns (N, 5, 3, 3, 3)."""
    turns = hand.turns(angles)
    place = np.broadcast_to(hand.bones_m[:, 0], (len(angles), 5, 3))
    joints, markers, frame = [place], [place + hand.markers_m[:, 0]], np.eye(3)
    for joint in range(3):
        frame = frame @ turns[:, :, joint]
        place = place + (frame @ hand.bones_m[:, joint + 1, :, None])[..., 0]
        joints.append(place)
        markers.append(place + (frame @ hand.markers_m[:, joint + 1, :, None])[..., 0])
    return np.stack(joints, 2), np.stack(markers, 2), turns


def _axes(
    hand: Hand, angles: np.ndarray, turns: np.ndarray
) -> list[list[tuple[int, int, np.ndarray]]]:
    """For each finger: place of an angle, first point it moves, and its axis (N, 3) in the palm."""
    spread = from_axis_angle(angles[:, :TWIST].reshape(-1, 5, 4)[..., 3, None] * hand.spread_axes)
    first = (spread @ hand.flexion_axes[:, 0, :, None])[..., 0]
    second = (turns[:, :, 0] @ hand.flexion_axes[:, 1, :, None])[..., 0]
    third = (turns[:, :, 0] @ turns[:, :, 1] @ hand.flexion_axes[:, 2, :, None])[..., 0]
    aside = np.broadcast_to(hand.spread_axes, first.shape)
    found = [
        [
            (4 * f, 1, first[:, f]),
            (4 * f + 1, 2, second[:, f]),
            (4 * f + 2, 3, third[:, f]),
            (4 * f + 3, 1, aside[:, f]),
        ]
        for f in range(5)
    ]
    found[4].append((TWIST, 1, turns[:, 4, 0] @ _unit(hand.bones_m[4, 1])))
    return found


def _directions(places: np.ndarray, changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bones, bones_by = _steps(places), _steps(changes)
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    bones = bones / length
    single = bones[..., None].astype(bones_by.dtype)
    bones_by = bones_by - single * (single.swapaxes(-1, -2) @ bones_by)
    bones_by /= length[..., None]
    return bones, bones_by


def _steps(points: np.ndarray) -> np.ndarray:
    """(N, 20, ...) from each point of a finger to the next, of (N, 21, ...) in `ORDER`."""
    before = points[:, [p for f in range(5) for p in (0, 4 * f + 1, 4 * f + 2, 4 * f + 3)]]
    return points[:, 1:] - before


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)

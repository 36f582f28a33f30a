"""What the network of foot contacts is taught by: estimated feet, and which of them truly stand.

    python -m training.contacts.lessons CLIPS MOTIONS lessons.npz

CLIPS holds NAME.npz, the truth of drawn scenes (`training/scoring/world_truth.py`), MOTIONS what
`staf convert CLIPS/NAME.mp4 -o MOTIONS/NAME.npz --largest` made of them.  Read is the layer before
grounding, in the level view.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend.body import load_body
from staf_backend.files import read_arrays, write_arrays
from staf_backend.geometry import from_quaternions
from staf_backend.motion import Motion, load_motion
from staf_backend.world.foot_features import FootTracks, foot_tracks
from staf_backend.world.movement import FEET, Movement
from training.command import command_line
from training.scoring import EvaluationError, read_truth

_TRACKS = ("times_s", "joints_m", "points_m", "eye_m")
"""Of `FootTracks`, those that have a row a time."""


@dataclass(frozen=True)
class Lesson:
    """One scene.

    Attributes:
        tracks: N times of somebody's feet, as estimated.
        contact: (N, 4) bool, which of `FEET` truly stand.
    """

    tracks: FootTracks
    contact: np.ndarray

    def __post_init__(self) -> None:
        if self.contact.shape != (len(self.tracks), len(FEET)):
            raise ValueError(f"contact must be {(len(self.tracks), len(FEET))}")


def lesson_of(movement: Movement, contact: np.ndarray) -> Lesson:
    """A lesson.

    Args:
        movement: as estimated.
        contact: (T, 4) bool, which of `FEET` truly stand at its times.
    """
    tracks = foot_tracks(movement)
    nearest = np.interp(tracks.times_s, movement.times_s, np.arange(len(movement)))
    return Lesson(tracks, contact[np.rint(nearest).astype(int)])


def estimated(motion: Motion) -> Movement:
    """The layer of a motion before it was grounded."""
    keys, root_m = motion.rotations_wxyz, motion.root_m
    if motion.raw_rotations_wxyz is not None and motion.raw_root_m is not None:
        keys, root_m = motion.raw_rotations_wxyz, motion.raw_root_m
    if motion.camera_path is None:
        eye_m = np.broadcast_to(motion.camera.position_m, root_m.shape)
    else:
        eye_m = motion.camera_path.positions_m
    seen = np.ones((len(keys), 2), bool)
    turns, body = from_quaternions(keys.astype(float)), load_body(motion.body)
    return Movement(motion.times_s, turns, root_m, motion.betas, body, eye_m, seen)


def write_lessons(path: Path, lessons: Sequence[Lesson]) -> None:
    """One .npz of all: rows of the scenes one after the other, `frames` of each."""
    tracks = [lesson.tracks for lesson in lessons]
    arrays = {name: np.concatenate([getattr(one, name) for one in tracks]) for name in _TRACKS}
    arrays["contact"] = np.concatenate([lesson.contact for lesson in lessons])
    arrays["rest_m"] = np.stack([one.rest_m for one in tracks])
    arrays["leg_m"] = np.array([one.leg_m for one in tracks])
    arrays["frames"] = np.array([len(one) for one in tracks])
    write_arrays(path, arrays)


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of a file.

    Raises:
        EvaluationError: it is none.
    """
    kinds = {**dict.fromkeys((*_TRACKS, "rest_m", "leg_m"), "f"), "contact": "b", "frames": "iu"}
    try:
        arrays = read_arrays(path, kinds)
        ends = np.cumsum(arrays["frames"])[:-1]
        rows = [np.split(arrays[name], ends) for name in (*_TRACKS, "contact")]
        bodies = zip(arrays["rest_m"], arrays["leg_m"].tolist(), strict=True)
        return [
            Lesson(FootTracks(times_s, joints_m, points_m, eye_m, *body), contact)
            for times_s, joints_m, points_m, eye_m, contact, body in zip(*rows, bodies, strict=True)
        ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        advice = "training/contacts/lessons.py says what makes one."
        raise EvaluationError(f"{path} holds no lessons: {error}", advice) from None


def join_lessons(clips: Path, motions: Path) -> list[Lesson]:
    """Those of all scenes that have a truth and a motion.

    Raises:
        EvaluationError: there is none, or one is damaged.
        StafError: a motion that cannot be read.
    """
    lessons = []
    for path in sorted(motions.glob("*.npz")):
        if (clips / path.name).is_file():
            motion, truth = load_motion(path), read_truth(clips / path.name)
            lessons.append(lesson_of(estimated(motion), truth.contact[motion.frames]))
    if not lessons:
        message = f"No scene has both its truth in {clips} and its motion in {motions}."
        raise EvaluationError(message, "Draw scenes and convert them first.")
    return lessons


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, help="folder of NAME.npz, the truth")
    parser.add_argument("motions", type=Path, help="folder of NAME.npz, motion files")
    parser.add_argument("out", type=Path, help="the .npz file to write")
    return parser


def main() -> None:
    """Read scenes and write what they teach."""
    given = arguments().parse_args()
    write_lessons(given.out, join_lessons(given.clips, given.motions))


if __name__ == "__main__":
    sys.exit(command_line(main))

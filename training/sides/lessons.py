"""What the network of sides is taught by: people as they are read, and where their joints are.

    python -m training.sides.lessons SCENES lessons.npz

SCENES holds NAME.mp4 and NAME.npz, the truth (`training.filming.scenes`).  Read is what detector
and landmark network say, before sides are decided.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.files import read_arrays, write_arrays
from staf_backend.landmarks import LandmarkNetwork, Landmarks, landmarks_of
from staf_backend.people import NobodyError, PersonDetector, Track, find_people
from staf_backend.runtime import open_network
from staf_backend.video import open_video
from training.command import command_line
from training.scoring import EvaluationError, WorldTruth, read_truth

_TORSO = (1, 2, 16, 17)
"""SMPL's hips and shoulders."""
_NEAR_PX, _FEWEST = 60.0, 20
"""How far a track's middle may be from the trunk's, and least frames of one.  Chosen: a torso is
60 to 120 pixels long in these scenes."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """One person over T frames.

    Attributes:
        points_px, world_m, visibility, person: of `Landmarks`.
        keypoints_px: (T, 17, 3) of the detector.
        times_s: (T,).
        joints_px: (T, 24, 2) where SMPL's joints truly are in the picture.
        joints_m: (T, 24, 3) and in camera axes.
    """

    points_px: np.ndarray
    world_m: np.ndarray
    visibility: np.ndarray
    person: np.ndarray
    keypoints_px: np.ndarray
    times_s: np.ndarray
    joints_px: np.ndarray
    joints_m: np.ndarray

    def __post_init__(self) -> None:
        if self.joints_m.shape != (len(self.times_s), 24, 3):
            raise ValueError(f"joints_m must be {(len(self.times_s), 24, 3)}")

    @property
    def landmarks(self) -> Landmarks:
        """As the landmark network gives them."""
        return Landmarks(self.points_px, self.world_m, self.visibility, self.person)


def write_lessons(path: Path, lessons: Sequence[Lesson]) -> None:
    """One .npz of all: rows of the lessons one after the other, `frames` of each."""
    names = [one.name for one in fields(Lesson)]
    arrays = {name: np.concatenate([getattr(one, name) for one in lessons]) for name in names}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays["frames"] = np.array([len(one.times_s) for one in lessons])
    write_arrays(path, arrays)


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of a file.

    Raises:
        EvaluationError: it is none.
    """
    names = [one.name for one in fields(Lesson)]
    try:
        arrays = read_arrays(path, {**dict.fromkeys(names, "f"), "frames": "iu"})
        ends = np.cumsum(arrays["frames"])[:-1]
        rows = [np.split(arrays[name], ends) for name in names]
        return [Lesson(*row) for row in zip(*rows, strict=True)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        advice = "training/sides/lessons.py says what makes one."
        raise EvaluationError(f"{path} holds no lessons: {error}", advice) from None


class Reader:
    """Reads scenes as the product does, by its own networks."""

    def __init__(self) -> None:
        detector, landmarks = (
            open_network(asset_path(name), device="cpu", threads=1)
            for name in ("movenet_multipose.onnx", "pose_landmark_heavy.onnx")
        )
        self._detector, self._network = PersonDetector(detector), LandmarkNetwork(landmarks)

    def lesson(self, clip: Path, truth: WorldTruth) -> Lesson | None:
        """A scene's person; None where nobody is followed there."""
        seen_m = truth.seen_m()
        joints_px = truth.focal_px * seen_m[..., :2] / seen_m[..., 2:] + truth.size_px / 2
        video = open_video(clip)
        try:
            track = _nearest(find_people(video, self._detector), joints_px)
        except NobodyError:
            return None
        if track is None:
            return None
        (read,) = landmarks_of(video, [track], self._network)
        known = (read.points_px, read.world_m, read.visibility, read.person)
        rows = track.frames
        return Lesson(*known, track.keypoints_px, track.times_s, joints_px[rows], seen_m[rows])


def _nearest(tracks: Sequence[Track], joints_px: np.ndarray) -> Track | None:
    """The track that follows the person, whose joints (T, 24, 2) are known."""
    middle = joints_px[:, _TORSO].mean(1)
    away = [
        np.median(np.linalg.norm(track.boxes_px[:, :2] - middle[track.frames], axis=-1))
        for track in tracks
    ]
    track = tracks[int(np.argmin(away))]
    return track if min(away) <= _NEAR_PX and len(track) >= _FEWEST else None


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("scenes", type=Path, help="folder of clips and their truth")
    parser.add_argument("out", type=Path, help="the .npz file to write")
    return parser


def main() -> None:
    """Read all scenes of a folder."""
    given = arguments().parse_args()
    known = sorted(given.scenes.glob("*.npz"))
    if not known:
        advice = "Draw some: python -m training.filming.scenes SCENES --mocap MOTION.npz"
        raise EvaluationError(f"{given.scenes} holds no scene.", advice)
    reader, lessons = Reader(), list[Lesson]()
    for path in known:
        lesson = reader.lesson(path.with_suffix(".mp4"), read_truth(path))
        _log.info("%s: %s", path.stem, "nobody" if lesson is None else len(lesson.times_s))
        lessons += [] if lesson is None else [lesson]
    write_lessons(given.out, lessons)


if __name__ == "__main__":
    sys.exit(command_line(main))

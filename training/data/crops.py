"""Crops and targets of a prepared set: single images for stage 1, whole videos for stage 2.

Crops are cut exactly as the estimator cuts them, at `CROP_SCALE` times the person's box.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from staf_backend.geometry import from_quaternions
from staf_backend.video import Video, open_video
from training.data.augment import NO_CHANGE, Augment, Change, changed_crop, changed_targets
from training.datasets import GENDERS, PreparedSet, SetError, open_set
from training.datasets.pictures import frame_of, stored_picture
from training.targets import CROP_SCALE, CropSequence, Targets

PART_FRAMES = 64
"""Most frames of a sequence in memory at once."""
SKIPPED_FRAMES = 16
"""Most frames of a video that are decoded and dropped before it is sought anew.

Seeking decodes from the key frame before, on average half of a dozen to hundreds of frames.
"""


def targets_of(labels: PreparedSet, rows: slice) -> Targets:
    """Targets (T, ...) of rows on crops at `CROP_SCALE` about their boxes."""
    boxes_px = labels.boxes_px[rows].astype(np.float64)
    keypoints = np.array(labels.keypoints_px[rows], np.float32)
    half_px = boxes_px[:, None, 2:] * CROP_SCALE / 2
    keypoints[..., :2] = (keypoints[..., :2] - boxes_px[:, None, :2]) / half_px
    keypoints[keypoints[..., 2] == 0] = 0
    joints_m = np.array(labels.joints_m[rows], np.float32)
    joints_m[joints_m[..., 3] == 0] = 0
    has_pose, has_betas = (
        np.array(f[rows], np.float32) for f in (labels.has_pose, labels.has_betas)
    )
    rotations = from_quaternions(np.array(labels.quaternions_wxyz[rows], np.float64))
    return Targets(
        keypoints,
        joints_m,
        (rotations * has_pose[:, None, None, None]).astype(np.float32),
        np.array(labels.betas[rows], np.float32) * has_betas[:, None],
        has_pose,
        has_betas,
    )


class PreparedImages:
    """Every row of a prepared set as a crop of its own, changed anew at every draw."""

    def __init__(self, prepared: PreparedSet, augment: Augment | None = None) -> None:
        """`augment` None changes nothing."""
        self.name, self.body = f"{prepared.name}-{prepared.split}", prepared.body
        self._set, self._augment = prepared, augment

    def __len__(self) -> int:
        return len(self._set)

    def __reduce__(self) -> tuple:
        """Other processes open the set anew instead of getting copies of its maps."""
        return _images_again, (self._set.folder, self._set.root, self._augment)

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        """Crop (224, 224, 3) uint8 RGB and its targets without leading axes.

        Raises:
            SetError: the picture is missing or broken.
        """
        change = self._augment.draw(rng) if self._augment is not None else NO_CHANGE
        picture = next(_pictures(self._set, index, index + 1))
        targets = targets_of(self._set, slice(index, index + 1))
        crop = changed_crop(picture, _square_px(self._set, index), change)
        return crop, changed_targets(targets.map(lambda field: field[0]), change)


def _images_again(folder: Path, root: Path, augment: Augment | None) -> PreparedImages:
    return PreparedImages(open_set(folder, root), augment)


class PreparedSequences:
    """The unbroken runs of frames of one person each, as they are."""

    def __init__(self, prepared: PreparedSet) -> None:
        """A run ends where a frame is missing: windows must not reach across."""
        self.name, self.body = f"{prepared.name}-{prepared.split}", prepared.body
        self._set = prepared
        self._runs = _unbroken(prepared)

    def __len__(self) -> int:
        return len(self._runs)

    def gender(self, index: int) -> str:
        """Of the person of run `index`: "male", "female", or "neutral" where it is not known."""
        return GENDERS[int(self._set.gender[int(self._runs[index, 0])])]

    def parts(self, index: int) -> Iterator[CropSequence]:
        """Run `index` in parts of at most `PART_FRAMES` frames.

        Raises:
            SetError: a picture is missing or broken.
        """
        start, stop = (int(row) for row in self._runs[index])
        name = f"{self.name}/{index:06d} {_place(self._set.image_of(start))}".rstrip()
        pictures = _pictures(self._set, start, stop)
        for first in range(start, stop, PART_FRAMES):
            rows = slice(first, min(first + PART_FRAMES, stop))
            images = [
                changed_crop(next(pictures), _square_px(self._set, row), Change())
                for row in range(rows.start, rows.stop)
            ]
            frames = np.asarray(self._set.frame[rows], np.float64)
            yield CropSequence(
                name,
                np.stack(images),
                targets_of(self._set, rows),
                (frames - self._set.frame[start]) / self._set.fps,
                np.array(self._set.valid[rows]),
            )


def _place(image: str) -> str:
    """The video that an image is of, or its folder: what people know a sequence by."""
    video, number = frame_of(image)
    return image.rpartition("/")[0] if number is None else video


def _unbroken(prepared: PreparedSet) -> np.ndarray:
    """(S, 2) first row of each run of consecutive frames, and the row after its last.

    Sets are labelled at a fixed step (every frame, or every fifth); the step is the shortest.
    """
    sequence, frame = np.asarray(prepared.sequence), np.asarray(prepared.frame, np.int64)
    follows = np.diff(sequence) == 0
    gaps = np.diff(frame)
    step = gaps[follows].min() if follows.any() else 1
    breaks = np.flatnonzero(~follows | (gaps != step)) + 1
    edges = np.concatenate([[0], breaks, [len(frame)]])
    return np.stack([edges[:-1], edges[1:]], 1)


def _square_px(prepared: PreparedSet, row: int) -> np.ndarray:
    return prepared.boxes_px[row].astype(np.float64) * [1, 1, CROP_SCALE]


def _pictures(prepared: PreparedSet, start: int, stop: int) -> Iterator[np.ndarray]:
    """RGB pictures of rows, in order; frames of one video that are near each other in one pass."""
    try:
        names = [prepared.images[int(index)] for index in prepared.image[start:stop]]
    except (IndexError, UnicodeDecodeError) as error:
        raise SetError(
            f"{prepared.folder} names no picture of a row.", "Prepare it again."
        ) from error
    row = 0
    while row < len(names):
        path, numbers = _pass(names, row)
        if numbers:
            yield from _video_frames(prepared.root / path, numbers)
        else:
            yield stored_picture(prepared.root / path)
        row += max(1, len(numbers))


def _pass(names: list[str], row: int) -> tuple[str, list[int]]:
    """The file that a row is in, and the frames of it that are read in one pass from there on.

    A picture's file has no frames.
    """
    path, number = frame_of(names[row])
    if number is None:
        return names[row], []
    numbers = [number]
    for name in names[row + 1 :]:
        other, number = frame_of(name)
        if number is None or other != path or not 1 <= number - numbers[-1] <= SKIPPED_FRAMES + 1:
            break
        numbers.append(number)
    return path, numbers


@lru_cache(maxsize=8)
def _opened(path: Path) -> Video:
    """A video whose clock has been read; single frames of it are asked for again and again."""
    return open_video(path)


def _video_frames(path: Path, numbers: list[int]) -> Iterator[np.ndarray]:
    """Upright RGB frames of a video by their increasing numbers; those between are dropped."""
    if not path.is_file():
        raise SetError(f"The video {path} is missing.", "Finish the download.")
    video = _opened(path)
    first, last = numbers[0], numbers[-1]
    if last >= len(video.times_s):
        raise SetError(
            f"{path} has {len(video.times_s)} frames, the labels want frame {last}.",
            "Video and labels are of different versions, or one is cut short: fetch both again.",
        )
    wanted = set(numbers)
    for number, frame in enumerate(video.frames(first, last + 1), first):
        if number in wanted:
            yield frame

"""Changes of a training crop, and the same change of what is known about it.

    crop ─ turn ─ scale ─ mirror ─ colours          keypoints, joints, root rotation: turned
                                                    keypoints: scaled; all: mirrored, sides swapped

A turn is about the optical axis through the crop's middle, so that joints in camera axes and the
root's rotation turn with the picture.  Values are SPIN's (Kolotouros et al. 2019), which PyMAF and
the paper keep.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import SMPL
from staf_backend.staf import CROP_PX
from training.joints import MIRROR
from training.targets import Targets

_TO_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Change:
    """One drawn change.

    Attributes:
        turn_rad: positive turns the picture clockwise on the screen.
        scale: side of the square that is cut over what it would be; above 1 the person is smaller.
        mirrored: left and right, after the turn.
        gains: (3,) factors of red, green and blue.
    """

    turn_rad: float = 0.0
    scale: float = 1.0
    mirrored: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if not (self.scale > 0 and np.isfinite(self.turn_rad) and min(self.gains) >= 0):
            raise ValueError(f"scale must be above 0 and gains not below, not {self}")

    def on_screen(self) -> np.ndarray:
        """Matrix (2, 2) of directions in the picture: turned, then mirrored; not scaled."""
        cosine, sine = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turned = np.array([[cosine, -sine], [sine, cosine]])
        return np.diag([-1.0 if self.mirrored else 1.0, 1.0]) @ turned


NO_CHANGE = Change()


@dataclass(frozen=True)
class Augment:
    """How changes are drawn.

    Attributes:
        flip: chance of mirroring.
        noise: each colour's gain is even within 1 - noise .. 1 + noise.
        scale: standard deviation of the scale, which is clipped at one of them.
        turn_deg: standard deviation of the turn, which is clipped at two of them.
        upright: chance of no turn.
    """

    flip: float = 0.5
    noise: float = 0.4
    scale: float = 0.25
    turn_deg: float = 30.0
    upright: float = 0.6

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 <= self.upright <= 1):
            raise ValueError("flip and upright are chances")
        if not (0 <= self.noise <= 1 and 0 <= self.scale < 1 and self.turn_deg >= 0):
            raise ValueError("noise and scale must be within 0..1 and turn_deg not below 0")

    def draw(self, rng: np.random.Generator) -> Change:
        """A change by chance; takes as many numbers from `rng` whatever comes."""
        mirrored = bool(rng.random() < self.flip)
        gains = rng.uniform(1 - self.noise, 1 + self.noise, 3)
        scale = 1 + self.scale * float(np.clip(rng.normal(), -1, 1))
        turn = np.radians(self.turn_deg) * float(np.clip(rng.normal(), -2, 2))
        upright = rng.random() < self.upright
        red, green, blue = map(float, gains)
        return Change(0.0 if upright else turn, scale, mirrored, (red, green, blue))


def changed_crop(image: np.ndarray, square_px: np.ndarray, change: Change) -> np.ndarray:
    """Crop (224, 224, 3) uint8 of an RGB image (H, W, 3): bilinear, black outside the image.

    Without a change it equals `staf.crop.cut`, which is what the trained network will see.

    Args:
        image: RGB.
        square_px: (3,) centre x, y and side before the change.
        change: to make.
    """
    import cv2

    linear = change.on_screen() * (CROP_PX / (square_px[2] * change.scale))
    # As in `staf.crop.cut`: the square's centre on the centre of pixel 112
    shift = CROP_PX / 2 - linear @ (np.asarray(square_px[:2]) - 0.5)
    matrix = np.column_stack([linear, shift])
    crop = cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
    if change.gains == NO_CHANGE.gains:
        return crop
    return np.clip(crop * np.asarray(change.gains, np.float32), 0, 255).astype(np.uint8)


def changed_targets(targets: Targets, change: Change) -> Targets:
    """What is known, after the change; new arrays, any leading axes."""
    screen = change.on_screen()
    keypoints, joints_m = targets.keypoints.copy(), targets.joints_m.copy()
    keypoints[..., :2] = targets.keypoints[..., :2] @ screen.T / change.scale
    joints_m[..., :2] = targets.joints_m[..., :2] @ screen.T
    rotations = _changed_rotations(targets.rotations, change)
    if change.mirrored:
        keypoints, joints_m = keypoints[..., MIRROR, :], joints_m[..., MIRROR, :]
    keypoints[keypoints[..., 2] == 0] = 0
    joints_m[joints_m[..., 3] == 0] = 0
    rotations = np.where(targets.has_pose[..., None, None, None] > 0, rotations, targets.rotations)
    return targets._replace(
        keypoints=keypoints, joints_m=joints_m, rotations=rotations.astype(np.float32)
    )


def _changed_rotations(rotations: np.ndarray, change: Change) -> np.ndarray:
    """Root turned about the optical axis; mirrored M R M with the sides swapped."""
    about_axis = np.eye(3)
    about_axis[:2, :2] = Change(change.turn_rad).on_screen()
    changed = rotations.astype(np.float64)
    changed[..., 0, :, :] = about_axis @ changed[..., 0, :, :]
    if change.mirrored:
        changed = (_TO_MIRROR @ changed @ _TO_MIRROR)[..., SMPL.mirror, :, :]
    return changed

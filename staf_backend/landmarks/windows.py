"""What the lifting network sees: landmarks on a steady clock, in windows, made comparable.

    landmarks of a clip ─► 30 Hz grid ─► windows of 32 frames ─► features
                           (`grid`)                              (`features`)

The product and the training both come through here, so that the network meets in use exactly what
it was trained on.  Camera axes are x right, y down, z away.  numpy only.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import markers

GRID_HZ = 30.0
"""Frames a second that the network was trained on."""
WINDOW = 32
"""Frames of a window, about one second."""
MIRROR_X = np.array([-1.0, 1.0, 1.0], np.float32)
"""What a mirror does to a vector whose x axis crosses the body."""


@dataclass(frozen=True)
class Windows:
    """Landmarks of N windows, W frames each, K = 27 markers; no NaN anywhere.

    Attributes:
        rays: (N, W, K, 2) x/z and y/z in the camera.
        world_m: (N, W, K, 3) BlazePose's world points, x right, y down, z away, metres.
        visibility: (N, W, K) 0..1; 0 where not observed.
        observed: (N, W, K) False where `rays` was filled in.
        world_observed: (N, W, K) False where `world_m` was filled in.
    """

    rays: np.ndarray
    world_m: np.ndarray
    visibility: np.ndarray
    observed: np.ndarray
    world_observed: np.ndarray

    def __post_init__(self) -> None:
        shape = self.rays.shape[:-1]
        for name, width in (("rays", 2), ("world_m", 3)):
            if getattr(self, name).shape != (*shape, width):
                got = getattr(self, name).shape
                raise ValueError(f"{name} must be (N, W, {markers.COUNT}, {width}), got {got}")
        for name in ("visibility", "observed", "world_observed"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    def __getitem__(self, index) -> "Windows":
        """The same along the first axes: a choice of windows, or windows out of one long run."""
        return Windows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def mirrored(self) -> "Windows":
        """The same windows seen in a mirror, left and right exchanged."""
        return Windows(
            self.rays[..., markers.MIRROR, :] * MIRROR_X[:2],
            self.world_m[..., markers.MIRROR, :] * MIRROR_X,
            self.visibility[..., markers.MIRROR],
            self.observed[..., markers.MIRROR],
            self.world_observed[..., markers.MIRROR],
        )


def starts(frames: int, stride: int) -> np.ndarray:
    """First frames of windows that cover a run: every `stride`, and one that ends at the end."""
    last = max(frames - WINDOW, 0)
    return np.unique(np.append(np.arange(0, last + 1, stride), last))


def windows_at(run: Windows, first: np.ndarray) -> Windows:
    """Windows (N, 32, ...) of a run; beyond its end the last frame is held and marked unobserved.

    Args:
        run: one run of G frames.
        first: (N,) first frame of each window.
    """
    frames = first[:, None] + np.arange(WINDOW)
    count = len(run.observed)
    windows = run[np.minimum(frames, count - 1)]
    inside = (frames < count)[..., None]
    return Windows(
        windows.rays,
        windows.world_m,
        windows.visibility * inside,
        windows.observed & inside,
        windows.world_observed & inside,
    )

"""Which STAF is built: the configuration, apart so that reading it does not load torch."""

from dataclasses import dataclass
from typing import Literal

RESNET50 = "resnet50"
"""Name of the paper's encoder."""

CROP_PX = 224
"""Side of the crops that every encoder sees."""

MAP_PX = 7
"""Side of the maps that it makes of them."""

MAP_CHANNELS = 2048
"""Channels of its maps."""

GRID_SIDE = 21
"""Points along a side of the grid that stage 1 samples."""

POINT_WIDTHS = (128, 64, 5)
"""Widths of the three layers of a point MLP."""

GROUP = 3
"""Frames that SAFM fuses at a time."""

Batching = Literal["per_sample", "authors"]


def check_groups(frames: int) -> None:
    """Refuses window lengths that groups of three do not divide down to one.

    Raises:
        ValueError: frames is not a positive power of three.
    """
    rest = frames
    while rest > 1 and rest % GROUP == 0:
        rest //= GROUP
    if frames < GROUP or rest != 1:
        raise ValueError(f"SAFM fuses 3, 9 or 27 frames, not {frames}")


@dataclass(frozen=True)
class StafConfig:
    """What is built; the defaults are the paper's.  `map_channels` is the encoder's width.

    Stages count from 1.  Every combination of `tcfm_stage` and `safm_stage` is defined: all frames
    are carried as long as a later fusion reads them, and SAFM at a stage before TCFM replaces the
    target's feature only.
    """

    frames: int = 9
    channels: int = 256
    average_target: bool = True
    tcfm_stage: int | None = 1
    safm_stage: int | None = 2
    tcfm_batching: Batching = "per_sample"
    mesh_points: int = 431
    map_channels: int = MAP_CHANNELS

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, so that a middle exists, not {self.frames}")
        if min(self.channels, self.mesh_points, self.map_channels) < 1:
            raise ValueError("channels, mesh_points and map_channels must be positive")
        for name in ("tcfm_stage", "safm_stage"):
            if getattr(self, name) not in (None, 1, 2, 3):
                raise ValueError(f"{name} must be 1, 2, 3 or None, not {getattr(self, name)!r}")
        if self.safm_stage is not None:
            check_groups(self.frames)
        if self.tcfm_batching not in ("per_sample", "authors"):
            raise ValueError(
                f"tcfm_batching must be 'per_sample' or 'authors', not {self.tcfm_batching!r}"
            )

    @property
    def middle(self) -> int:
        """Index of the target frame."""
        return self.frames // 2

    def features(self, stage: int) -> int:
        """Length of a frame's feature at a stage (1 to 3)."""
        points = GRID_SIDE**2 if stage == 1 else self.mesh_points
        return POINT_WIDTHS[-1] * points

    @property
    def streams(self) -> bool:
        """Whether frames can come one at a time, each computed once: with the paper's fusions."""
        return (self.tcfm_stage, self.safm_stage) == (1, 2) and self.tcfm_batching == "per_sample"

    def carries_all(self, stage: int) -> bool:
        """Whether all frames, not only the target, enter a stage."""
        return max(self.tcfm_stage or 0, self.safm_stage or 0) >= stage

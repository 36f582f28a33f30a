"""Which STAF is built: its sizes and its configuration.  Reading it does not load torch.

The network has SMPL's 24 joints, whose rotations it gives as six numbers each (144), with ten
betas and three numbers for its camera; it sees crops of 224 x 224 pixels as maps of 7 x 7 cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

JOINTS = 24
"""SMPL's, whatever other skeletons the software knows: the network has no others."""

BETAS = 10
"""Shape parameters (SMPL's first ten)."""

POSE_6D = 6 * JOINTS
"""Numbers of a pose: six a joint (Zhou et al. 2019)."""

CAMERA = 3
"""Numbers of the network's camera: scale s, shift x and y in metres."""

RESNET50 = "resnet50"
"""Name of the paper's encoder."""

CROP_PX = 224
"""Side of the crops that every encoder sees (ResNet-50's; the authors' code)."""

FOCAL_PX = 5000.0
"""Focal length of the network's own camera, in pixels of the crop (HMR, SPIN, the authors).

A point (x, y, z) in metres, root rotation included, is seen at 5000 / 112 (x + tx) / (z + depth),
depth = 2 * 5000 / (224 s), and so for y; the crop spans -1..1.
"""

MAP_PX = 7
"""Side of the maps that an encoder makes of crops; deconvolutions take them to 14, 28 and 56."""

MAP_CHANNELS = 2048
"""Channels of its maps."""

STAGES = 3
"""Regressions of the body, each from a finer map (STAF section III)."""

GRID_SIDE = 21
"""Points along a side of the grid that stage 1 samples (the authors' code)."""

POINT_WIDTHS = (128, 64, 5)
"""Widths of the three layers of a point MLP (PyMAF)."""

GROUP = 3
"""Frames that SAFM fuses at a time (STAF section III-D)."""

_LARGEST = {"frames": 243, "channels": 4096, "mesh_points": 20_000, "map_channels": 16_384}
"""What a description from elsewhere may ask for.  Chosen: nine times the longest window that SAFM
was made for, eight times PyMAF's and ResNet-50's channels and more, twice SMPL-X's vertices."""

Batching = Literal["per_sample", "authors"]
Integration = Literal["target", "APM", "HAFI"]
"""How `PooledConfig` makes one feature of a window's."""


def check_size(name: str, value: object, least: int, largest: int) -> None:
    """Refuses what is no whole number from `least` to `largest`, before anything is built of it.

    Raises:
        ValueError: with the name.
    """
    if type(value) is not int or not least <= value <= largest:
        raise ValueError(f"{name} must be a whole number from {least} to {largest}, not {value!r}")


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
        for name, largest in _LARGEST.items():
            check_size(name, getattr(self, name), 1, largest)
        if self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, so that a middle exists, not {self.frames}")
        for name in ("tcfm_stage", "safm_stage"):
            stage = getattr(self, name)
            if stage is not None and (type(stage) is not int or not 1 <= stage <= STAGES):
                raise ValueError(f"{name} must be 1, 2, 3 or None, not {stage!r}")
        if type(self.average_target) is not bool:
            raise ValueError(f"average_target must be true or false, not {self.average_target!r}")
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

    @property
    def windows_apart(self) -> bool:
        """Whether a window's result does not depend on who shares its batch."""
        return self.tcfm_stage is None or self.tcfm_batching == "per_sample"

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


@dataclass(frozen=True)
class PooledConfig:
    """A network of Table V: how frames become the target's one feature, with or without MoCA."""

    integration: Integration = "target"
    moca: bool = False
    frames: int = 9
    map_channels: int = MAP_CHANNELS

    streams: ClassVar[bool] = False
    """It is run window by window."""
    windows_apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.integration not in get_args(Integration):
            raise ValueError(f"integration must be target, APM or HAFI, not {self.integration!r}")
        if type(self.moca) is not bool:
            raise ValueError(f"moca must be true or false, not {self.moca!r}")
        for name in ("frames", "map_channels"):
            check_size(name, getattr(self, name), 1, _LARGEST[name])
        if self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, so that a middle exists, not {self.frames}")
        if self.integration == "HAFI":
            check_groups(self.frames)


AnyConfig = StafConfig | PooledConfig
"""Of every network that the paper has numbers for."""


def read_config(content: Mapping[str, Any]) -> AnyConfig:
    """A configuration from its fields, as `dataclasses.asdict` gives them.

    Raises:
        ValueError, TypeError: they are no configuration's.
    """
    return PooledConfig(**content) if "integration" in content else StafConfig(**content)

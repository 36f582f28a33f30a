"""What synthetic people are made from: everything a rendering depends on beside seed and index."""

import dataclasses
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from staf_backend import StafError
from staf_backend.body import OPEN_BODIES
from staf_backend.files import open_file, read_json_text, shown
from staf_backend.staf import CROP_PX
from training.moves import BODY, Clip, Variety, check_chances, figure_of, open_clips, split

PARTS = ("train", "held-out", "all")
"""Whose motion, and which appearances; the places in this tuple are parts of the seeds."""
_BODIES = ((BODY, 0.5), ("open-male", 0.25), ("open-female", 0.25))
_PIXELS, _CELL_M = (CROP_PX, 8 * CROP_PX), (0.0, 0.05)
"""Least and most; chosen: no coarser than the crop, no finer than helps; hands stay hands."""
_MOST_BYTES = 1_000_000
"""Of a recipe's file, cut off there.  Chosen: the default one has 2 kB."""
_LONGEST_REASON = 300
"""Characters of what is wrong with one.  Chosen: a few lines of a terminal."""


class SyntheticError(StafError):
    """Synthetic data cannot be made: no renderer, no photographs, or an unusable recipe."""

    kind = "synthetic"
    exit_code = 6


@dataclass(frozen=True)
class Views:
    """Cameras.

    Attributes:
        distance_m: nearest and farthest, drawn evenly in the logarithm.
        focal: shortest and longest focal length over the picture's height.
        pitch_deg: deviation of the elevation of most cameras; the rest spread to `steep_deg`.
        steep, steep_deg: chance of a camera from far above or below, and from how far.
        roll_deg: deviation.
        moving: chance that the camera travels; `shaken`: that a hand holds it.
        truncated: chance that the crop shows only a part of the person.
        box_jitter: deviation of the box's centre, over its side; half as much in the logarithm of
            its side.  Videos get a hundredth of it anew each frame and the rest as a slow drift.
    """

    distance_m: tuple[float, float] = (2.0, 9.0)
    focal: tuple[float, float] = (0.8, 2.5)
    pitch_deg: float = 8.0
    steep: float = 0.25
    steep_deg: float = 40.0
    roll_deg: float = 3.0
    moving: float = 0.4
    shaken: float = 0.5
    truncated: float = 0.15
    box_jitter: float = 0.04

    def __post_init__(self) -> None:
        _growing("distance_m", self.distance_m)
        _growing("focal", self.focal)
        check_chances(self, ("steep", "moving", "shaken", "truncated"))


@dataclass(frozen=True)
class Looks:
    """Appearance: chances, unless noted otherwise.

    Attributes:
        skirt: a skirt or a coat's tail over the legs.
        long_hair: hair down to the shoulders; `bald`: none at all.
        logo: a print on the shirt.
        shadows: the first light throws shadows.
        room: a room with walls and a floor; else a backdrop with, mostly, a floor.
        photo: a photograph as the backdrop where the recipe names a folder of them.
        occluders: mean number of things in front of the person.
        other_person: somebody else in the picture.
    """

    skirt: float = 0.12
    long_hair: float = 0.3
    bald: float = 0.06
    logo: float = 0.3
    shadows: float = 0.6
    room: float = 0.4
    photo: float = 0.7
    occluders: float = 0.6
    other_person: float = 0.12

    def __post_init__(self) -> None:
        check_chances(self, (name for name in vars(self) if name != "occluders"))
        if self.occluders < 0:
            raise ValueError(f"occluders must not be negative, got {self.occluders}")


@dataclass(frozen=True)
class Degradation:
    """What the lens, the sensor and the codec do to a picture: chances and deviations.

    Attributes:
        motion_blur: chance; the shutter is then open for up to the whole frame time.
        motion_steps: sub-frames that are averaged.
        defocus: chance; `coarse`: chance that the crop was enlarged from fewer pixels.
        noise: largest deviation of sensor noise, over white.
        white_balance: deviation of the logarithm of red and blue.
        gamma: deviation of the logarithm.
        jpeg: chance; qualities are drawn from `jpeg_quality`.
    """

    motion_blur: float = 0.2
    motion_steps: int = 3
    defocus: float = 0.2
    coarse: float = 0.4
    noise: float = 0.04
    white_balance: float = 0.08
    gamma: float = 0.15
    jpeg: float = 0.7
    jpeg_quality: tuple[float, float] = (25, 95)

    def __post_init__(self) -> None:
        check_chances(self, ("motion_blur", "defocus", "coarse", "jpeg"))
        if self.motion_steps < 1:
            raise ValueError(f"motion_steps must be 1 or more, got {self.motion_steps}")
        _growing("jpeg_quality", self.jpeg_quality)


@dataclass(frozen=True)
class SyntheticRecipe:
    """Everything that synthetic sequences and images depend on, beside seed and index.

    Attributes:
        mocap: motion capture file that `mocap` reads; empty for sampled motion only.
        part: "train", "held-out" or "all": whose motion, and which appearances.
        held_out: subjects of the motion that are held out.
        bodies: body names and shares.  The first is the source's body; of the others rotations
            and joints are given, and betas as unknown.
        photos: folder of photographs for backdrops; empty for procedural ones.
        sampled: share of sampled motion where there is captured motion too.
        frames: shortest and longest sequence; `rate_hz`: lowest and highest frames a second.
        part_frames: most frames that `SyntheticSequences.parts` holds at once.
        pixels: the renderer's side before it is averaged down to 224.
        cell_m: how coarse the drawn mesh may be (targets are of the whole one); 0 draws all of it.
    """

    mocap: str = ""
    part: str = "train"
    held_out: tuple[str, ...] = ("03", "07", "10", "12")
    bodies: tuple[tuple[str, float], ...] = _BODIES
    photos: str = ""
    sampled: float = 0.15
    frames: tuple[int, int] = (27, 150)
    rate_hz: tuple[float, float] = (25.0, 30.0)
    part_frames: int = 32
    pixels: int = 336
    cell_m: float = 0.018
    variety: Variety = field(default_factory=Variety)
    views: Views = field(default_factory=Views)
    looks: Looks = field(default_factory=Looks)
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ValueError(f"part must be one of {', '.join(PARTS)}, got {self.part!r}")
        if not self.bodies or any(share <= 0 for _, share in self.bodies):
            raise ValueError(f"bodies must be names and shares above 0, got {self.bodies}")
        for name, _ in self.bodies:
            if name not in OPEN_BODIES:
                raise ValueError(f"bodies must be among {', '.join(OPEN_BODIES)}, got {name!r}")
        check_chances(self, ("sampled",))
        _growing("frames", self.frames)
        _growing("rate_hz", self.rate_hz)
        if self.part_frames < 1:
            raise ValueError(f"part_frames must be 1 or more, got {self.part_frames}")
        if not _PIXELS[0] <= self.pixels <= _PIXELS[1]:
            raise ValueError(f"pixels must be {_PIXELS[0]} to {_PIXELS[1]}, got {self.pixels}")
        if not _CELL_M[0] <= self.cell_m <= _CELL_M[1]:
            raise ValueError(f"cell_m must be 0 to {_CELL_M[1]} metres, got {self.cell_m}")

    def to_json(self) -> str:
        """The recipe as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "SyntheticRecipe":
        """A recipe from JSON; what is left out keeps its default.

        Raises:
            SyntheticError: not JSON, an unknown name, or a value that makes no sense.
        """
        try:
            return _from_dict(cls, read_json_text(text))
        except (ValueError, TypeError, OverflowError) as error:
            advice = "SyntheticRecipe().to_json() shows all names and defaults."
            reason = shown(str(error), _LONGEST_REASON)
            raise SyntheticError(f"The recipe cannot be used: {reason}.", advice) from error

    @classmethod
    def read(cls, path: Path) -> "SyntheticRecipe":
        """A recipe from a JSON file.

        Raises:
            SyntheticError: the file cannot be read or is no recipe.
        """
        try:
            with open_file(path) as file:
                text = file.read(_MOST_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SyntheticError(f"The recipe {path} cannot be read: {error}.") from error
        return cls.from_json(text)


def _from_dict(kind: Any, values: Any) -> Any:
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} must be an object with names")
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}")
    return kind(**{name: _value(known[name], value) for name, value in values.items()})


def _value(entry: "dataclasses.Field[Any]", value: Any) -> Any:
    """A field's value from JSON: lists become tuples, objects the dataclass that is the default."""
    if dataclasses.is_dataclass(entry.default_factory):
        return _from_dict(entry.default_factory, value)
    if isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value


def clips_of(recipe: SyntheticRecipe) -> list[Clip]:
    """The captured motion of the recipe's part; none where it names no file.

    Raises:
        MocapError: the file cannot be read, or one side of the split is empty.
    """
    return list(_clips(recipe.mocap, recipe.part, recipe.held_out))


@cache
def _clips(path: str, part: str, held_out: tuple[str, ...]) -> tuple[Clip, ...]:
    if not path:
        return ()
    clips = open_clips([Path(path)], figure_of(BODY))
    if part == "all":
        return tuple(clips)
    kept, held = split(clips, held_out)
    return tuple(kept if part == "train" else held)


def _growing(name: str, pair: tuple[float, float]) -> None:
    if len(pair) != 2 or not 0 < pair[0] <= pair[1]:
        raise ValueError(f"{name} must be two numbers above 0, growing, got {pair}")

"""What a user's own appearance network is: how it takes its crops, and what its answers mean.

It lies beside the sets of weights, `<data folder>/weights/NAME/`, as `appearance.onnx` and
`appearance.json`.  The one that comes with this software is called `staf-appearance`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from staf_backend import __version__
from staf_backend.files import shown
from staf_backend.people import CosineScale
from staf_backend.people.appearance import CropFormat
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import check_name, read_text, weights_folder

OWN_APPEARANCE = "staf-appearance"
"""The one that comes with this software."""
NETWORK_FILE, INFO_FILE = "appearance.onnx", "appearance.json"
ADD_AGAIN = "Add the network again with: staf weights add FILE.onnx"
"""What a user does about a damaged one."""
_FORMAT = 1
SMALLEST_PX, LARGEST_PX = 16, 1024
"""Of a crop's sides.  Chosen: less shows nobody, and more is no crop of a person."""
_MOST_DIMENSIONS = 8192
"""Of an answer.  Chosen: four times what published networks have."""
LARGEST = 1e6
"""Of a mean or a deviation.  Chosen: pixels are 0 to 255."""
Colours = tuple[float, float, float]


@dataclass(frozen=True)
class AppearanceInfo:
    """The content of `appearance.json`.

    Attributes:
        name: what it is called here.
        source: the name of the file it was added from.
        sha256: of the network.
        width_px, height_px: of its crops.
        dimensions: of its answers.
        mean, deviation, bgr: see `CropFormat`.
        cosines: of other people and of one person (`CosineScale`); None: each clip tells.
        software: the version that added it.
    """

    name: str
    source: str
    sha256: str
    width_px: int
    height_px: int
    dimensions: int
    mean: Colours = (0.0, 0.0, 0.0)
    deviation: Colours = (1.0, 1.0, 1.0)
    bgr: bool = False
    cosines: tuple[float, float] | None = None
    software: str = __version__

    def __post_init__(self) -> None:
        check_name(self.name)
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError("it has no SHA-256")
        for side in (self.width_px, self.height_px):
            if type(side) is not int or not SMALLEST_PX <= side <= LARGEST_PX:
                raise ValueError(f"crops must be {SMALLEST_PX} to {LARGEST_PX} pixels a side")
        if type(self.dimensions) is not int or not 2 <= self.dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"answers must be 2 to {_MOST_DIMENSIONS} numbers")
        for word in ("mean", "deviation"):
            object.__setattr__(self, word, _colours(word, getattr(self, word)))
        if min(self.deviation) <= 0:
            raise ValueError("deviation must be above 0")
        if not isinstance(self.bgr, bool):
            raise ValueError("bgr must be true or false")
        if self.cosines is not None:
            scale = CosineScale(*self.cosines)
            object.__setattr__(self, "cosines", (scale.other, scale.same))

    @property
    def crops(self) -> CropFormat:
        """How it wants its crops."""
        return CropFormat(self.width_px, self.height_px, self.mean, self.deviation, self.bgr)

    @property
    def scale(self) -> CosineScale | None:
        """What its cosines mean, where that is known."""
        return CosineScale(*self.cosines) if self.cosines else None

    @property
    def ability(self) -> str:
        """What it is, for the user."""
        of_each = "its own cosines" if self.cosines else "cosines as each clip shows them"
        return (
            f"tells people apart by crops of {self.width_px} x {self.height_px} pixels, "
            f"{self.dimensions} numbers each, {of_each}"
        )

    def to_json(self) -> str:
        """The text of its `appearance.json`."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n"


def appearance_names() -> tuple[str, ...]:
    """Names of the networks that the user added, in order; a damaged one has one, too."""
    return tuple(sorted(file.parent.name for file in weights_folder().glob(f"[!.]*/{INFO_FILE}")))


def appearance_folder(name: str) -> Path:
    """Where one is kept; raises WeightsError where the name cannot be a folder's."""
    check_name(name)
    return weights_folder() / name


def read_appearance(name: str) -> AppearanceInfo:
    """The description of one.

    Raises:
        WeightsError: there is no such network, or its description is damaged.
    """
    path = appearance_folder(name) / INFO_FILE
    try:
        content = json.loads(read_text(path))
        if content.pop("format") != _FORMAT:
            raise ValueError("another version of this software wrote it")
        return AppearanceInfo(**content)
    except FileNotFoundError:
        reason = f"There is no appearance network called {name}."
        raise WeightsError(reason, "See: staf weights list") from None
    except RecursionError:
        raise WeightsError(f"{path} cannot be read: it is nested too deeply.", ADD_AGAIN) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read: {shown(str(error))}.", ADD_AGAIN) from error


def _colours(word: str, values: Sequence[float]) -> Colours:
    """Three numbers, of red, green and blue."""
    numbers = isinstance(values, list | tuple) and len(values) == 3
    if not numbers or not all(type(v) in (int, float) and abs(v) <= LARGEST for v in values):
        raise ValueError(f"{word} must be three numbers, of red, green and blue")
    red, green, blue = (float(value) for value in values)
    return red, green, blue

"""What a stored set of network weights is, and where sets are kept."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from staf_backend import __version__
from staf_backend.assets import OPEN_WEIGHTS, open_weights_folder
from staf_backend.assets import folder as assets_folder
from staf_backend.body import data_folder
from staf_backend.files import open_file, shown
from staf_backend.staf import CROP_FACTOR, RESNET50, AnyConfig, configuration_name, read_config
from staf_backend.weights.error import WeightsError

ENCODER_FILE, NETWORK_FILE = "encoder.safetensors", "network.safetensors"
PLAN_FILE, BODY_FILE, INFO_FILE = "encoder.json", "body.npz", "weights.json"
_FILES = {ENCODER_FILE, NETWORK_FILE, PLAN_FILE, BODY_FILE}
"""All that a set may hold: a name that a set brings along never becomes a path."""
OWN, OPEN = "staf", OPEN_WEIGHTS
"""The set that a user adds, and the open one, of our own training."""
FORMAT = 3
"""Of `weights.json`."""
_READABLE = (1, 2, FORMAT)
"""1 had no encoder but ResNet-50, 2 no name of the configuration and no pooled network."""
_LARGEST_TEXT_BYTES = 4_000_000
"""Of a set's JSON files.  Chosen: seventy times the open set's largest."""
_MOST_NOTES, _LONGEST_NOTE = 100, 1000
"""Sentences, and letters of one.  Chosen: ten times what is written."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""Of a set, whose folder has it.  Chosen: plain on every file system."""
ADD_AGAIN = "Add the weights again with: staf weights add"
"""What a user does about a damaged set."""
GET_OPEN = (
    'Install them with: pip install "staf-backend[staf]" (in a clone: pip install '
    "staf_backend/assets/staf-open); or add others with: staf weights add"
)
"""What a user does where the open set is not installed."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a set of weights is: the content of its `weights.json`.

    `encoder` names its kind; any but ResNet-50 has a plan among the files.  `files` maps each file
    to its SHA-256, `sources` the files it was made from to theirs, `notes` are sentences for the
    user (what was found out about the weights, whose licence applies).  `crop_factor` is the side
    of the crop over the side of the person's box, `body` the name of the body whose betas the
    network gives where none came with it.
    """

    name: str
    config: AnyConfig
    files: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    software: str = __version__
    encoder: str = RESNET50
    crop_factor: float = CROP_FACTOR
    body: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.body:
            check_name(self.body)
        for file, digest in {**self.files, **self.sources}.items():
            if not re.fullmatch("[0-9a-f]{64}", digest):
                raise ValueError(f"{file!r} has no SHA-256")
        if not {ENCODER_FILE, NETWORK_FILE} <= set(self.files):
            raise ValueError("files must name the encoder and the network")
        if foreign := sorted(set(self.files) - _FILES):
            raise ValueError(f"no set of weights has a file {foreign[0][:100]!r}")
        if not isinstance(self.crop_factor, int | float) or not 0.5 < self.crop_factor < 3:
            raise ValueError(f"crop_factor must be between 0.5 and 3, not {self.crop_factor!r}")
        if len(self.notes) > _MOST_NOTES or not all(map(_is_line, (*self.notes, self.encoder))):
            raise ValueError("notes and the encoder's name must be plain sentences")
        if (self.encoder != RESNET50) != (PLAN_FILE in self.files):
            raise ValueError("an encoder that is not ResNet-50 needs a plan, and only that")

    @property
    def has_body(self) -> bool:
        """Whether a body came with the weights."""
        return BODY_FILE in self.files

    @property
    def configuration(self) -> str:
        """What its network is called, by the paper's names."""
        return configuration_name(self.config)

    @property
    def converts(self) -> bool:
        """Whether `staf convert` can run videos through it."""
        return self.config.windows_apart

    @property
    def ability(self) -> str:
        """What the network is and what it can do, for the user."""
        if not self.converts:
            return f"{self.configuration}, to evaluate; not for staf convert"
        bodiless = "" if self.has_body or self.body else ", with a --body, for it has none"
        way = "frame by frame" if self.config.streams else "window by window"
        if self.config.frames == 1:
            way = "on each frame alone"
        return f"{self.configuration}, which staf convert runs {way}{bodiless}"

    def to_json(self) -> str:
        """The text of its `weights.json`."""
        content = {"format": FORMAT, "configuration": self.configuration, **asdict(self)}
        return json.dumps(content, indent=1) + "\n"


def installed_names(root: Path | None = None) -> tuple[str, ...]:
    """Names of the sets that the user added, in order; a damaged set has one, too."""
    names = sorted(file.parent.name for file in weights_folder(root).glob(f"*/{INFO_FILE}"))
    return tuple(name for name in names if _NAME.fullmatch(name))


def set_folder(name: str, root: Path | None = None) -> Path:
    """The folder of a set; a user's set of the open one's name goes before it."""
    folder = weights_folder(root) / name
    embedded = root is None and name == OPEN and not (folder / INFO_FILE).exists()
    return (open_weights_folder() or assets_folder() / OPEN) if embedded else folder


def read_info(name: str, root: Path | None = None) -> WeightsInfo:
    """The description of one stored set.

    Raises:
        WeightsError: there is no such set, or its description is damaged.
    """
    check_name(name)
    path = set_folder(name, root) / INFO_FILE
    try:
        content = json.loads(read_text(path))
        if content.pop("format") not in _READABLE:
            raise ValueError("another version of this software wrote it")
        said = content.pop("configuration", None)
        config = read_config(content.pop("config"))
        if said not in (None, configuration_name(config)):
            raise ValueError(f"it names the configuration {said!r}, but describes another")
        return WeightsInfo(config=config, notes=tuple(content.pop("notes")), **content)
    except FileNotFoundError as error:
        if name == OPEN and root is None:
            raise WeightsError("The open STAF weights are not installed.", GET_OPEN) from error
        raise WeightsError(
            f"There are no STAF weights called {name}.",
            "Add them with: staf weights add base_model.pt 3dpw_model_best.pth.tar",
        ) from error
    except RecursionError:
        raise WeightsError(f"{path} cannot be read: it is nested too deeply.", ADD_AGAIN) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read: {shown(str(error))}.", ADD_AGAIN) from error


def read_text(path: Path) -> str:
    """A set's JSON file.

    Raises:
        ValueError: it is larger than any set's, or no text.
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        content = file.read(_LARGEST_TEXT_BYTES + 1)
    if len(content) > _LARGEST_TEXT_BYTES:
        raise ValueError("it is larger than any set's")
    return content.decode("utf-8")


def _is_line(words: object) -> bool:
    return isinstance(words, str) and words.isprintable() and len(words) <= _LONGEST_NOTE


def weights_folder(root: Path | None = None) -> Path:
    """Where sets of weights are kept."""
    return root if root is not None else data_folder() / "weights"


def check_name(name: str) -> None:
    """Refuses names that are no plain folder names.

    Raises:
        WeightsError: anything but letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name):
        message = f"'{shown(name)}' cannot name weights."
        raise WeightsError(message, "Use letters, digits, '-' and '_'.")

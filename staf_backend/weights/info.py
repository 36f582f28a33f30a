"""What a stored set of network weights is, and where sets are kept."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from staf_backend import __version__
from staf_backend.assets import folder as assets_folder
from staf_backend.body.registry import data_folder
from staf_backend.staf.config import RESNET50, StafConfig
from staf_backend.staf.crop import CROP_FACTOR
from staf_backend.weights.error import WeightsError

ENCODER_FILE, NETWORK_FILE = "encoder.safetensors", "network.safetensors"
PLAN_FILE, BODY_FILE, INFO_FILE = "encoder.json", "body.npz", "weights.json"
_FILES = {ENCODER_FILE, NETWORK_FILE, PLAN_FILE, BODY_FILE}
"""All that a set may hold: a name that a set brings along never becomes a path."""
OWN, OPEN = "staf", "staf-open"
"""The set that a user adds, and the one that comes with this software, of our own training."""
FORMAT = 2
_READABLE = (1, FORMAT)  # 1 had no encoder but ResNet-50


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
    config: StafConfig
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
        if not 0.5 < self.crop_factor < 3:
            raise ValueError(f"crop_factor must be between 0.5 and 3, not {self.crop_factor!r}")
        if (self.encoder != RESNET50) != (PLAN_FILE in self.files):
            raise ValueError("an encoder that is not ResNet-50 needs a plan, and only that")

    @property
    def has_body(self) -> bool:
        """Whether a body came with the weights."""
        return BODY_FILE in self.files


def installed_weights(root: Path | None = None) -> tuple[WeightsInfo, ...]:
    """The sets that the user added, in order of name.

    Raises:
        WeightsError: the description of a set cannot be read.
    """
    files = sorted(weights_folder(root).glob(f"*/{INFO_FILE}"))
    return tuple(read_info(file.parent.name, root) for file in files)


def default_weights() -> str:
    """The set that videos are run through unless one is named: the user's, else the open one.

    Raises:
        WeightsError: the description of a set cannot be read.
    """
    return OWN if any(info.name == OWN for info in installed_weights()) else OPEN


def set_folder(name: str, root: Path | None = None) -> Path:
    """The folder of a set; a user's set of the open one's name goes before it."""
    folder = weights_folder(root) / name
    embedded = root is None and name == OPEN and not (folder / INFO_FILE).exists()
    return assets_folder() / OPEN if embedded else folder


def read_info(name: str, root: Path | None = None) -> WeightsInfo:
    """The description of one stored set.

    Raises:
        WeightsError: there is no such set, or its description is damaged.
    """
    check_name(name)
    path = set_folder(name, root) / INFO_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") not in _READABLE:
            raise ValueError("another version of this software wrote it")
        config = StafConfig(**content.pop("config"))
        return WeightsInfo(config=config, notes=tuple(content.pop("notes")), **content)
    except FileNotFoundError as error:
        raise WeightsError(
            f"There are no STAF weights called {name}.",
            "Add them with: staf weights add base_model.pt 3dpw_model_best.pth.tar",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read: {error}.", "Add the weights again with: staf weights add"
        ) from error


def weights_folder(root: Path | None = None) -> Path:
    """Where sets of weights are kept."""
    return root if root is not None else data_folder() / "weights"


def check_name(name: str) -> None:
    """Refuses names that are no plain folder names.

    Raises:
        WeightsError: anything but letters, digits, dot, dash and underscore.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name, re.ASCII):
        raise WeightsError(f"{name!r} cannot name weights.", "Use letters, digits, '-' and '_'.")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

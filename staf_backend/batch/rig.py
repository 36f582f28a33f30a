"""A rig of the user's own, onto which motions are put: its files, and what of them matters."""

from dataclasses import dataclass
from pathlib import Path

from staf_backend import StafError
from staf_backend.files import sha256


class RigError(StafError):
    """The file of a rig, or of its bone map, cannot be taken."""

    kind = "usage"
    exit_code = 2


@dataclass(frozen=True)
class Rig:
    """Where a rig lies.

    Attributes:
        path: of its .blend.
        name: of the rig in it; "" for the only one.
        bone_map: path of its map; "" for the one that the add-on kept, or a guess.
    """

    path: str
    name: str
    bone_map: str

    @property
    def ending(self) -> str:
        """What is put behind a clip's name."""
        return f"-{Path(self.path).stem}.blend"

    def key(self) -> dict[str, str]:
        """What of it changes results.

        Raises:
            RigError: one of its files cannot be read.
        """
        sums = {"rig": _sum(self.path), "map": _sum(self.bone_map) if self.bone_map else ""}
        return {"stem": Path(self.path).stem, "name": self.name, **sums}


def find_rig(path: Path, name: str, bone_map: Path | None) -> Rig:
    """A rig by its files.

    Raises:
        RigError: one of them is not there.
    """
    for word, file in (("--onto", path), ("--bone-map", bone_map)):
        if file is not None and not file.is_file():
            raise RigError(f"{word} {file}: there is no such file.", "Check the path.")
    return Rig(str(path.absolute()), name, str(bone_map.absolute()) if bone_map else "")


def _sum(path: str) -> str:
    try:
        return sha256(Path(path))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise RigError(message, "Check its permissions.") from error

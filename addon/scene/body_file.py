# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies: read one, shape it.  A body file is a NumPy archive without pickles, as
`staf body export NAME -o body.npz` writes it; the open bodies lie in the add-on's `bodies/`.

V vertices, F triangles, J joints, B shape numbers, U texture coordinates; y up, metres, T-pose.
Where the body has fingers, the file holds the arrays of its 52 joints beside those of its 24, under
names that begin with `fingers_`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..archive import ArchiveError, read_arrays
from ..user_error import UserError
from .motion_file import MotionClip

OPEN_BODIES = ("open-neutral", "open-male", "open-female")
LOOKS = ("TEXTURED", "CLAY")
"""How a body can look, by what its file says; see `skin_look`."""
_SAME_M = 1e-3
_LONGEST_REASON = 200
"""Characters of another library's words.  Chosen: what a pop-up can show."""
_FINGERS = "fingers_"
"""Before the names of arrays of a body with fingers."""
_FIELDS = (
    *("template_m", "faces", "shape_directions", "joint_template_m", "joint_shape_directions"),
    *("skin_joints", "skin_weights"),
    *("skin_colours", "skin_roughness", "clay_colour", "clay_roughness"),
)
_KINDS = {
    start + field: "U" if field == "joint_names" else "biuf"
    for start in ("", _FINGERS)
    for field in (*_FIELDS, "joint_names", "uvs", "uv_faces")
}
"""NumPy's letters for the types that an array may have, by its name."""


class BodyFileError(UserError):
    """A body file is missing, damaged, or not the one that a motion was made with."""


@dataclass(frozen=True, eq=False)
class BodyShape:
    """A body at rest."""

    name: str
    template_m: np.ndarray
    """(V, 3)"""
    faces: np.ndarray
    """(F, 3) counter-clockwise from outside"""
    shape_directions: np.ndarray
    """(V, 3, B) metres for one unit of each shape number"""
    joint_template_m: np.ndarray
    """(J, 3)"""
    joint_shape_directions: np.ndarray
    """(J, 3, B)"""
    skin_joints: np.ndarray
    """(V, 4)"""
    skin_weights: np.ndarray
    """(V, 4) rows sum to 1"""
    joint_names: tuple[str, ...]
    skin_colours: np.ndarray
    """(V, 3) encoded as sRGB, 0 to 1"""
    skin_roughness: np.ndarray
    """()"""
    clay_colour: np.ndarray
    """(3,) linear red, green and blue"""
    clay_roughness: np.ndarray
    """()"""
    uvs: np.ndarray | None = None
    """(U, 2) origin at the lower left"""
    uv_faces: np.ndarray | None = None
    """(F, 3) into `uvs`"""

    def __post_init__(self) -> None:
        vertices, joints = len(self.template_m), len(self.joint_names)
        shapes = self.shape_directions.shape[-1]
        expected = {
            "template_m": (vertices, 3),
            "faces": (len(self.faces), 3),
            "shape_directions": (vertices, 3, shapes),
            "joint_template_m": (joints, 3),
            "joint_shape_directions": (joints, 3, shapes),
            "skin_joints": (vertices, 4),
            "skin_weights": (vertices, 4),
            "skin_colours": (vertices, 3),
            "skin_roughness": (),
            "clay_colour": (3,),
            "clay_roughness": (),
        }
        for field, shape in expected.items():
            array = getattr(self, field)
            if array.shape != shape or not np.isfinite(array).all():
                reason = f"{field} must be {shape} and finite, got {array.shape}"
                raise BodyFileError(f"body {self.name}: {reason}.")
        if vertices == 0 or self.faces.min() < 0 or self.faces.max() >= vertices:
            raise BodyFileError(f"body {self.name}: faces name vertices that do not exist.")
        if self.skin_joints.min() < 0 or self.skin_joints.max() >= joints:
            raise BodyFileError(f"body {self.name}: skin_joints name joints that do not exist.")

    def rest_vertices_m(self, betas: np.ndarray) -> np.ndarray:
        """Vertices (V, 3) of shape `betas` (B,)."""
        return self.template_m + self.shape_directions @ betas

    def rest_joints_m(self, betas: np.ndarray) -> np.ndarray:
        """Joints (J, 3) of shape `betas` (B,)."""
        return self.joint_template_m + self.joint_shape_directions @ betas

    def check_fits(self, clip: MotionClip) -> None:
        """Refuse a body whose joints are not those the motion was made with.

        Raises:
            BodyFileError: other joints, another count of shape numbers, or over a millimetre off.
        """
        advice = "Import the skeleton only, or convert the video again with this body."
        shapes = self.shape_directions.shape[-1]
        if clip.joint_names != self.joint_names or clip.betas.shape != (shapes,):
            raise BodyFileError(f"body {self.name} has another skeleton than {clip.name}.", advice)
        off_m = np.abs(self.rest_joints_m(clip.betas) - clip.rest_joints_m).max()
        if off_m > _SAME_M:
            raise BodyFileError(
                f"body {self.name} does not fit {clip.name}: joints are {off_m * 1e3:.0f} mm off.",
                advice,
            )


def open_body_path(name: str) -> Path:
    """Where an open body lies in the add-on."""
    return Path(__file__).parents[1] / "bodies" / f"{name}.npz"


def read_body(path: str | Path, name: str, fingers: bool = False) -> BodyShape:
    """Read and check a body file.

    Args:
        path: the file.
        name: of the body.
        fingers: with the joints of its fingers.

    Raises:
        BodyFileError: there is no such file, it is not a sound body, or it has no fingers.
    """
    path = Path(path)
    try:
        found = read_arrays(path, _KINDS)
        if fingers and _FINGERS + "joint_names" not in found:
            advice = "Add the body again with this version, or import the skeleton only."
            raise BodyFileError(f"the body {name} at hand has no fingers.", advice)
        names = (*_FIELDS, "joint_names", *({"uvs", "uv_faces"} & set(found)))
        own = {f: _FINGERS + f for f in names if fingers and _FINGERS + f in found}
        arrays = {field: found[own.get(field, field)] for field in names}
    except BodyFileError:
        raise
    except FileNotFoundError:
        raise BodyFileError(f"body {name} is not at {path}.") from None
    except KeyError as error:
        advice = "If it is a body of your own, add it again in Preferences."
        reason = f"{path.name} is not a body file of this version: {error} is missing."
        raise BodyFileError(reason, advice) from None
    except (OSError, ArchiveError) as error:
        raise BodyFileError(f"{path.name} is not a body file: {_plain(error)}.") from None
    joints = tuple(str(word) for word in np.ravel(arrays.pop("joint_names")))
    for field, array in arrays.items():
        whole = field in ("faces", "skin_joints", "uv_faces")
        arrays[field] = array.astype(np.int32 if whole else np.float64)
    arrays["skin_colours"] /= 255
    return BodyShape(name=name, joint_names=joints, **arrays)


def _plain(error: Exception) -> str:
    """One line that can be shown, whatever the file wrote into it."""
    return "".join(letter for letter in str(error)[:_LONGEST_REASON] if letter.isprintable())

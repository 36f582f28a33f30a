# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone of a rig stands for which joint, and its file: JSON, strict and versioned.

{"kind": "staf-bone-map", "format": 1, "rig": "Hero",
 "bones": {"Pelvis": "Hips", "L_Hip": "LeftUpLeg", ...},
 "switches": [{"bone": "thigh_parent.L", "property": "IK_FK", "value": 1.0}]}
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..archive import TooLargeError, read_bytes
from ..json_text import read_json_text
from ..names import in_a_line
from .joints import JOINTS, REQUIRED
from .shape import RetargetError

KIND, FORMAT = "staf-bone-map", 1
_LARGEST_BYTES = 1_000_000
"""Chosen: a map of every joint has about 4,000."""


@dataclass(frozen=True)
class Switch:
    """A rig's own property that must have a value for its mapped bones to be free."""

    bone: str
    property: str
    value: float


@dataclass(frozen=True)
class BoneMap:
    """Bones by joint.

    Raises:
        RetargetError: a joint that there is not, one that nobody can walk without is missing, or a
            bone that stands for two.
    """

    bones: Mapping[str, str]
    switches: tuple[Switch, ...] = ()
    label: str = field(default="", compare=False)
    """Where it comes from, in the user's words."""

    def __post_init__(self) -> None:
        strange = [joint for joint in self.bones if joint not in JOINTS]
        if strange:
            raise RetargetError(f"the bone map names {strange[0]}, which is no joint.")
        missing = [joint for joint in REQUIRED if joint not in self.bones]
        if missing:
            words = ", ".join(missing)
            raise RetargetError(f"the bone map has no bone for {words}.", "Name them in the list.")
        bone, uses = Counter(self.bones.values()).most_common(1)[0]
        if uses > 1:
            twice = " and ".join(joint for joint, one in self.bones.items() if one == bone)
            raise RetargetError(f"the bone map has {bone} for {twice}.", "A bone has one joint.")

    def check_fits(self, bones: Collection[str], rig: str) -> None:
        """Refuse a map of another rig.

        Raises:
            RetargetError: the rig lacks bones that the map names.
        """
        named = (*self.bones.values(), *(switch.bone for switch in self.switches))
        missing = list(dict.fromkeys(bone for bone in named if bone not in bones))
        if missing:
            words = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
            share = f"{len(missing)} of its {len(set(named))} bones"
            message = f"the bone map is of another rig: {rig} lacks {share} ({words})."
            advice = "Use a map of this rig, or none to have one guessed."
            raise RetargetError(in_a_line(message), advice)


def read_map(path: Path) -> BoneMap:
    """Read and check a map.

    Raises:
        RetargetError: there is none, it is no map or of a newer format, or it breaks a rule.
    """
    document = _document(path)
    try:
        return _map(document, path.stem)
    except RetargetError as error:
        raise RetargetError(in_a_line(f"{path.name}: {error.message}"), error.advice) from None


def write_map(path: Path, bone_map: BoneMap, rig: str) -> None:
    """Write a map, whole or not at all.

    Args:
        path: a .json.
        bone_map: what to keep.
        rig: the rig's name, for people who read the file.

    Raises:
        RetargetError: it cannot be written there.
    """
    switches = [vars(switch) for switch in bone_map.switches]
    ordered = {joint: bone_map.bones[joint] for joint in JOINTS if joint in bone_map.bones}
    document = {"kind": KIND, "format": FORMAT, "rig": rig, "bones": ordered, "switches": switches}
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise RetargetError(f"the bone map cannot be written to {path}: {reason}.") from None


def _document(path: Path) -> Any:
    try:
        return read_json_text(read_bytes(path, _LARGEST_BYTES).decode(), _once)
    except FileNotFoundError:
        raise RetargetError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise RetargetError(f"{path.name} cannot be read: {reason}.") from None
    except TooLargeError:
        raise RetargetError(f"{path.name} is too large for a bone map.") from None
    except ValueError as error:
        raise RetargetError(in_a_line(f"{path.name} is not JSON: {str(error)[:200]}.")) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a word stands twice in an object")
    return found


def _map(document: Any, label: str) -> BoneMap:
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise RetargetError("it is not a STAF bone map.", f'Its "kind" must be "{KIND}".')
    number = document.get("format")
    if type(number) is not int or number < 1:
        raise RetargetError("its format must be a whole number, 1 or more.")
    if number > FORMAT:
        message = f"it has format {number}, and this add-on reads up to {FORMAT}."
        raise RetargetError(message, "Update the add-on.")
    strange = sorted(set(document) - {"kind", "format", "rig", "bones", "switches"})
    if strange:
        raise RetargetError(f"it has the unknown word {strange[0]!r}.")
    bones: Any = document.get("bones")
    texts = isinstance(bones, dict) and all(isinstance(b, str) and b for b in bones.values())
    if not texts or not isinstance(document.get("rig", ""), str):
        raise RetargetError('"bones" must be an object of joints and names of bones.')
    switches = document.get("switches", [])
    if not isinstance(switches, list):
        raise RetargetError('"switches" must be a list.')
    return BoneMap(bones, tuple(_switch(one) for one in switches), label)


def _switch(value: Any) -> Switch:
    words = {"bone": str, "property": str, "value": (int, float)}
    good = isinstance(value, dict) and set(value) == set(words)
    good = good and all(isinstance(value[word], kind) for word, kind in words.items())
    if not good or isinstance(value["value"], bool) or not math.isfinite(value["value"]):
        raise RetargetError("a switch must have a bone, a property and a value, a number.")
    return Switch(value["bone"], value["property"], float(value["value"]))

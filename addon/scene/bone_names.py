# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs call SMPL's joints and SMPL-H's fingers.

Sources: smplx's joint_names.py; Mixamo's skeleton; VRM 1.0 humanoid bones; Unreal's mannequin.
Blender's mirror tools pair all of them: SMPL's, SMPL-X's and Unreal's by a letter or word at one
end, Mixamo's and VRM's by the words Left and Right at the beginning.  That is why Mixamo's names
lack the `mixamorig:` here that the backend's .glb has: before it no word of a side is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ROOT_BONE = "root"

_CENTRE: tuple[str, ...] = ("Pelvis", "Spine1", "Spine2", "Spine3", "Neck", "Head")
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_PAIRED = ("Hip", "Knee", "Ankle", "Foot", "Collar", "Shoulder", "Elbow", "Wrist", "Hand")


@dataclass(frozen=True)
class _Scheme:
    """How one program calls the joints.  `*` stands for the word of the side."""

    label: str
    """What the user reads."""
    sides: tuple[str, str] = ("L", "R")
    centre: str = " ".join(_CENTRE)
    """The six bones in the middle."""
    paired: str = " ".join(f"*_{joint}" for joint in _PAIRED)
    """The nine pairs."""
    fingers: tuple[str, ...] = ()
    """Three patterns of a finger's joints, `@` for the finger; none: they keep their own names."""
    finger_words: str = "Index Middle Pinky Ring Thumb"
    thumb: tuple[str, ...] = ()
    """The thumb's patterns, where it has others."""

    def names(self) -> dict[str, str]:
        """Name by SMPL's joint name."""
        table = dict(zip(_CENTRE, self.centre.split(), strict=True))
        for joint, pattern in zip(_PAIRED, self.paired.split(), strict=True):
            for side, word in zip("LR", self.sides, strict=True):
                table[f"{side}_{joint}"] = pattern.replace("*", word)
        return table | self._finger_names()

    def _finger_names(self) -> dict[str, str]:
        table = {}
        for side, word in zip(("left", "right"), self.sides, strict=True):
            for finger, said in zip(_FINGERS, self.finger_words.split(), strict=True):
                patterns = self.thumb if finger == "thumb" and self.thumb else self.fingers
                for number, pattern in enumerate(patterns, 1):
                    name = pattern.replace("@", said).replace("*", word)
                    table[f"{side}_{finger}{number}"] = name
        return table


_SCHEMES = {
    "smpl": _Scheme("SMPL"),
    "smplx": _Scheme(
        "SMPL-X",
        ("left", "right"),
        "pelvis spine1 spine2 spine3 neck head",
        "*_hip *_knee *_ankle *_foot *_collar *_shoulder *_elbow *_wrist *_hand",
    ),
    "mixamo": _Scheme(
        "Mixamo",
        ("Left", "Right"),
        "Hips Spine Spine1 Spine2 Neck Head",
        "*UpLeg *Leg *Foot *ToeBase *Shoulder *Arm *ForeArm *Hand *HandMiddle1",
        ("*Hand@1", "*Hand@2", "*Hand@3"),
    ),
    "vrm": _Scheme(
        "VRM",
        ("left", "right"),
        "hips spine chest upperChest neck head",
        "*UpperLeg *LowerLeg *Foot *Toes *Shoulder *UpperArm *LowerArm *Hand *MiddleProximal",
        ("*@Proximal", "*@Intermediate", "*@Distal"),
        "Index Middle Little Ring Thumb",
        ("*@Metacarpal", "*@Proximal", "*@Distal"),
    ),
    "unreal": _Scheme(
        "Unreal",
        ("_l", "_r"),
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh* calf* foot* ball* clavicle* upperarm* lowerarm* hand* middle_01*",
        ("@_01*", "@_02*", "@_03*"),
        "index middle pinky ring thumb",
    ),
}
SCHEMES = tuple(_SCHEMES)


def bone_names(joint_names: Sequence[str], scheme: str) -> tuple[str, ...]:
    """A bone name for each joint.  Joints that a scheme does not know keep their own name.

    Args:
        joint_names: of the motion file; SMPL's names are translated.
        scheme: one of `SCHEMES`.

    Raises:
        ValueError: no such scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    table = _SCHEMES[scheme].names()
    return tuple(table.get(name, name) for name in joint_names)


def scheme_items() -> list[tuple[str, str, str]]:
    """Each scheme's name, label, and first bones as an example: what a menu shows."""
    first = ("Pelvis", "L_Hip", "R_Hip")
    return [
        (name, scheme.label, f"{', '.join(bone_names(first, name))}, ...")
        for name, scheme in _SCHEMES.items()
    ]

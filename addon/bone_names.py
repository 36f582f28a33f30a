# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs call SMPL's joints.

Sources: smplx's joint_names.py; Mixamo's skeleton; VRM 1.0 humanoid bones; Unreal's mannequin.
Blender's mirror tools pair all of them but Mixamo's and VRM's by prefix or suffix, and those two
by the words Left and Right.
"""

from collections.abc import Sequence

ROOT_BONE = "root"

_CENTRE: tuple[str, ...] = ("Pelvis", "Spine1", "Spine2", "Spine3", "Neck", "Head")
_PAIRED = ("Hip", "Knee", "Ankle", "Foot", "Collar", "Shoulder", "Elbow", "Wrist", "Hand")

# scheme: words for left and right, the six centre bones, the nine paired ones (* is the side)
_SCHEMES = {
    "smplx": (
        ("left", "right"),
        "pelvis spine1 spine2 spine3 neck head",
        "*_hip *_knee *_ankle *_foot *_collar *_shoulder *_elbow *_wrist *_hand",
    ),
    "mixamo": (
        ("mixamorig:Left", "mixamorig:Right"),
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck "
        "mixamorig:Head",
        "*UpLeg *Leg *Foot *ToeBase *Shoulder *Arm *ForeArm *Hand *HandMiddle1",
    ),
    "vrm": (
        ("left", "right"),
        "hips spine chest upperChest neck head",
        "*UpperLeg *LowerLeg *Foot *Toes *Shoulder *UpperArm *LowerArm *Hand *MiddleProximal",
    ),
    "unreal": (
        ("_l", "_r"),
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh* calf* foot* ball* clavicle* upperarm* lowerarm* hand* middle_01*",
    ),
}
SCHEMES = ("smpl", *_SCHEMES)


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
    table = {} if scheme == "smpl" else _table(*_SCHEMES[scheme])
    return tuple(table.get(name, name) for name in joint_names)


def _table(sides: tuple[str, str], centre: str, paired: str) -> dict[str, str]:
    table = dict(zip(_CENTRE, centre.split(), strict=True))
    for joint, pattern in zip(_PAIRED, paired.split(), strict=True):
        for side, word in zip("LR", sides, strict=True):
            table[f"{side}_{joint}"] = pattern.replace("*", word)
    return table

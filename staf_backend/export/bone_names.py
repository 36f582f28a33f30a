"""What programs call SMPL's 24 joints and SMPL-H's fingers, and the name of the root bone.

Sources: smplx's joint_names.py; Mixamo's exported skeleton; VRM 1.0 humanoid bones; the Unreal
Engine mannequin.  Where a scheme has no bone at the knuckles, SMPL's hand joint takes the name of
its first middle finger bone, which is the same place.
"""

from collections.abc import Mapping

from staf_backend.body import WITH_FINGERS, finger_joints
from staf_backend.geometry import SMPL, Skeleton

ROOT_BONE = "root"


def _sided(left: str, right: str, pattern: str) -> list[str]:
    return [pattern.replace("*", left), pattern.replace("*", right)]


def _smpl_order(sides: tuple[str, str], centre: str, paired: str) -> tuple[str, ...]:
    """Joint names from 6 centre words and 9 paired words (`*` is the side), joint by joint."""
    pelvis, spine1, spine2, spine3, neck, head = centre.split()
    pairs = [_sided(*sides, pattern) for pattern in paired.split()]
    hip, knee, ankle, foot, collar, shoulder, elbow, wrist, hand = pairs
    before = [pelvis, *hip, spine1, *knee, spine2, *ankle, spine3, *foot]
    return (*before, neck, *collar, head, *shoulder, *elbow, *wrist, *hand)


BONE_NAMES: Mapping[str, tuple[str, ...]] = {
    "smpl": SMPL.names,
    "smplx": _smpl_order(
        ("left", "right"),
        "pelvis spine1 spine2 spine3 neck head",
        "*_hip *_knee *_ankle *_foot *_collar *_shoulder *_elbow *_wrist *_hand",
    ),
    "mixamo": _smpl_order(
        ("mixamorig:Left", "mixamorig:Right"),
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck "
        "mixamorig:Head",
        "*UpLeg *Leg *Foot *ToeBase *Shoulder *Arm *ForeArm *Hand *HandMiddle1",
    ),
    "vrm": _smpl_order(
        ("left", "right"),
        "hips spine chest upperChest neck head",
        "*UpperLeg *LowerLeg *Foot *Toes *Shoulder *UpperArm *LowerArm *Hand *MiddleProximal",
    ),
    "unreal": _smpl_order(
        ("_l", "_r"),
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh* calf* foot* ball* clavicle* upperarm* lowerarm* hand* middle_01*",
    ),
}
"""By scheme: SMPL's 24 joints, in order."""

_FINGER_NAMES: Mapping[str, tuple[tuple[str, str], str, str]] = {
    "smpl": (("left", "right"), "index middle pinky ring thumb", "*_@1 *_@2 *_@3"),
    "smplx": (("left", "right"), "index middle pinky ring thumb", "*_@1 *_@2 *_@3"),
    "mixamo": (
        ("mixamorig:Left", "mixamorig:Right"),
        "Index Middle Pinky Ring Thumb",
        "*Hand@1 *Hand@2 *Hand@3",
    ),
    "vrm": (
        ("left", "right"),
        "Index Middle Little Ring Thumb",
        "*@Proximal *@Intermediate *@Distal",
    ),
    "unreal": (("_l", "_r"), "index middle pinky ring thumb", "@_01* @_02* @_03*"),
}
"""By scheme: the words of the sides and the fingers, and the patterns of three joints."""
_VRM_THUMB = {
    "ThumbIntermediate": "ThumbProximal",
    "ThumbProximal": "ThumbMetacarpal",
}
"""VRM 1.0 counts the thumb's bones from the metacarpal."""


def bone_names_of(scheme: str, skeleton: Skeleton) -> tuple[str, ...]:
    """A scheme's names for a skeleton of 24 joints, or of 52 with fingers.

    Raises:
        ValueError: another skeleton.
    """
    if skeleton.names == SMPL.names:
        return BONE_NAMES[scheme]
    if skeleton.names != WITH_FINGERS.names:
        raise ValueError("the skeleton must be SMPL's 24 joints or SMPL-H's 52")
    fingers = [*_fingers(scheme, 0), *_fingers(scheme, 1)]
    return (*BONE_NAMES[scheme][: finger_joints("left")[0]], *fingers)


def _fingers(scheme: str, side: int) -> list[str]:
    """The 15 names of a hand, 0 the left one, in SMPL-H's order."""
    sides, words, patterns = _FINGER_NAMES[scheme]
    names = [
        pattern.replace("*", sides[side]).replace("@", word)
        for word in words.split()
        for pattern in patterns.split()
    ]
    if scheme != "vrm":
        return names
    bare = [name.removeprefix(sides[side]) for name in names]
    return [sides[side] + _VRM_THUMB.get(name, name) for name in bare]

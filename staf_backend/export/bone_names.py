"""What programs call SMPL's 24 joints, in SMPL order, with the name of the root bone before them.

Sources: smplx's joint_names.py; Mixamo's exported skeleton; VRM 1.0 humanoid bones; the Unreal
Engine mannequin.  Where a scheme has no bone at the knuckles, SMPL's hand joint takes the name of
its first middle finger bone, which is the same place.
"""

from staf_backend.choices import BoneScheme
from staf_backend.geometry.skeleton import SMPL

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


BONE_NAMES: dict[BoneScheme, tuple[str, ...]] = {
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

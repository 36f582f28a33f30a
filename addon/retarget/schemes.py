# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs call the bones of their rigs.  `*` is the word of the side, `|` parts choices.

Sources: Blender's Rigify (metarigs and rigs/); Mixamo's skeleton; VRM 1.0 and 0.x humanoid bones;
VRoid Studio's export; Unreal's UE4 and UE5 mannequins; Auto-Rig Pro's control rig; MakeHuman's
default rig; smplx's joint_names.py; Meta's Momentum Human Rig.
"""

from dataclasses import dataclass

from ..scene.bone_names import bone_names
from .joints import CENTRE, JOINTS, PAIRED, SIDES

_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_SAID = " ".join(_FINGERS)
_LITTLE = "Thumb Index Middle Ring Little"
_RIGIFY = "thumb f_index f_middle f_ring f_pinky"


@dataclass(frozen=True)
class Scheme:
    """How one program calls the bones."""

    label: str
    sides: tuple[str, str]
    centre: str
    """Root, then `CENTRE`; "-" for none."""
    paired: str
    """`PAIRED`; "-" for none."""
    fingers: str = ""
    """Pattern of a finger's bone: `@` is the finger, `#` its number."""
    finger_words: str = _SAID
    finger_numbers: str = "1 2 3"
    switches: tuple[tuple[str, str, float], ...] = ()
    """Bone, property, value; see `map_file.Switch`."""

    last: bool = False
    """Only where no other scheme fits: names that stand beside those of a control rig."""

    def names(self) -> dict[str, tuple[str, ...]]:
        """Names to look for, by joint."""
        table: dict[str, str] = dict(zip(("Root", *CENTRE), self.centre.split(), strict=True))
        for joint, pattern in zip(PAIRED, self.paired.split(), strict=True):
            for side, word in zip(SIDES, self.sides, strict=True):
                table[f"{side}_{joint}"] = pattern.replace("*", word)
        table |= self._finger_names()
        return {joint: tuple(name.split("|")) for joint, name in table.items() if name != "-"}

    def _finger_names(self) -> dict[str, str]:
        table = {}
        for finger, said in zip(_FINGERS, self.finger_words.split(), strict=True):
            for number, digit in zip((1, 2, 3), self.finger_numbers.split(), strict=True):
                for side, word in zip(SIDES, self.sides, strict=True):
                    name = self.fingers.replace("@", said).replace("#", digit)
                    if self.fingers:
                        table[f"{side}_{finger}{number}"] = name.replace("*", word)
        return table

    def side_switches(self) -> list[tuple[str, str, float]]:
        """The switches, with one of each side where a bone's name has a `*`."""
        both = [
            (bone.replace("*", word), name, value)
            for bone, name, value in self.switches
            for word in self.sides
        ]
        return list(dict.fromkeys(both))


def _of_exports(
    scheme: str,
    label: str,
    fingers: str,
    finger_words: str = _SAID,
    numbers: str = "1 2 3",
    prefix: str = "",
) -> Scheme:
    """A scheme of which `scene.bone_names` has the body, but for a prefix."""
    joints = [*CENTRE, *(f"{side}_{joint}" for joint in PAIRED for side in SIDES)]
    names = [prefix + name for name in bone_names(joints, scheme)]
    table = dict(zip(joints, names, strict=True))
    left, right = table["L_Knee"], table["R_Knee"]
    sides = {"smplx": ("left", "right"), "vrm": ("left", "right"), "unreal": ("_l", "_r")}
    pair = sides.get(scheme, ("Left", "Right") if "Left" in left else ("L", "R"))
    assert left.replace(pair[0], pair[1]) == right, f"{scheme} has other words for its sides"
    centre = " ".join(["root", *(table[joint] for joint in CENTRE)])
    paired = " ".join(table[f"L_{joint}"].replace(pair[0], "*") for joint in PAIRED)
    return Scheme(label, pair, centre, paired, fingers, finger_words, numbers)


SCHEMES = (
    Scheme(
        "Rigify",
        (".L", ".R"),
        "root torso - spine_fk.002 spine_fk.003 neck head",
        "thigh_fk* shin_fk* foot_fk* toe_fk*|toe* shoulder* upper_arm_fk* forearm_fk* hand_fk*",
        "@.#*",
        _RIGIFY,
        "01 02 03",
        (
            *(("upper_arm_parent*", "IK_FK", 1.0), ("thigh_parent*", "IK_FK", 1.0)),
            *(("torso", "neck_follow", 1.0), ("torso", "head_follow", 1.0)),
        ),
    ),
    Scheme(
        "Rigify meta-rig",
        (".L", ".R"),
        "- spine spine.001 spine.002 spine.003 spine.004 spine.006|spine.005",
        "thigh* shin* foot* toe* shoulder* upper_arm* forearm* hand*",
        "@.#*",
        _RIGIFY,
        "01 02 03",
    ),
    Scheme(
        "Auto-Rig Pro",
        (".l", ".r"),
        "c_traj c_root_master.x c_spine_01.x c_spine_02.x c_spine_03.x c_neck.x c_head.x",
        "c_thigh_fk* c_leg_fk* c_foot_fk* c_toes_fk* c_shoulder* c_arm_fk* c_forearm_fk* "
        "c_hand_fk*",
        "c_@#*",
        _SAID.lower(),
        switches=(("c_hand_ik*", "ik_fk_switch", 1.0), ("c_foot_ik*", "ik_fk_switch", 1.0)),
    ),
    _of_exports("mixamo", "Mixamo", "mixamorig:*Hand@#", prefix="mixamorig:"),
    Scheme(
        "VRoid",
        ("_L_", "_R_"),
        "Root J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck "
        "J_Bip_C_Head",
        "J_Bip*UpperLeg J_Bip*LowerLeg J_Bip*Foot J_Bip*ToeBase J_Bip*Shoulder J_Bip*UpperArm "
        "J_Bip*LowerArm J_Bip*Hand",
        "J_Bip*@#",
        _LITTLE,
    ),
    _of_exports("vrm", "VRM", "*@#", _LITTLE, "Proximal Intermediate Distal"),
    Scheme(
        "Unreal 5",
        ("_l", "_r"),
        "root pelvis spine_01 spine_03 spine_05 neck_01 head",
        "thigh* calf* foot* ball* clavicle* upperarm* lowerarm* hand*",
        "@_#*",
        _SAID.lower(),
        "01 02 03",
    ),
    Scheme(
        "MakeHuman",
        (".L", ".R"),
        "- root spine05 spine03 spine01 neck01 head",
        "upperleg01* lowerleg01* foot* toe1-1* clavicle* upperarm01* lowerarm01* wrist*",
        "finger@-#*",
        "1 2 3 4 5",
    ),
    _of_exports("unreal", "Unreal", "@_#*", _SAID.lower(), "01 02 03"),
    _of_exports("smplx", "SMPL-X", "*_@#", _SAID.lower()),
    _of_exports("smpl", "SMPL", "*_@#"),
    Scheme(
        "Meta",
        ("l_", "r_"),
        "body_world root c_spine1 c_spine2 c_spine3 c_neck c_head",
        "*upleg *lowleg *foot *ball *clavicle *uparm *lowarm *wrist",
        "*@#",
        _SAID.lower(),
    ),
    Scheme(
        "Rigify deform bones",
        (".L", ".R"),
        "root DEF-spine DEF-spine.001 DEF-spine.002 DEF-spine.003 DEF-spine.004 DEF-spine.006",
        "DEF-thigh* DEF-shin* DEF-foot* DEF-toe* DEF-shoulder* DEF-upper_arm* DEF-forearm* "
        "DEF-hand*",
        "DEF-@.#*",
        _RIGIFY,
        "01 02 03",
        last=True,
    ),
)
"""Those that name more come first: of two that fit as well, the first counts."""
assert all(set(scheme.names()) <= set(JOINTS) for scheme in SCHEMES)

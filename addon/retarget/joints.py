# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints that a bone map may name, and what each is to the others.

They are SMPL's (`L_Hip`), and for fingers SMPL-X's in the same spelling (`L_Index1`).  `Root` is
no joint: it is the bone on the ground that carries a rig's travel.
"""

ROOT = "Root"
CENTRE = ("Pelvis", "Spine1", "Spine2", "Spine3", "Neck", "Head")
PAIRED = ("Hip", "Knee", "Ankle", "Foot", "Collar", "Shoulder", "Elbow", "Wrist")
FINGERS = tuple(
    f"{finger}{number}"
    for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky")
    for number in (1, 2, 3)
)
SIDES = ("L", "R")
JOINTS = (
    ROOT,
    *CENTRE,
    *(f"{side}_{joint}" for joint in (*PAIRED, *FINGERS) for side in SIDES),
)
"""Every word that a map may use, in the order of the list that users see."""
REQUIRED = ("Pelvis", *(f"{side}_{joint}" for joint in ("Hip", "Knee", "Ankle") for side in SIDES))
"""Without these nobody walks."""

PARENTS = {
    **{"Spine1": "Pelvis", "Spine2": "Spine1", "Spine3": "Spine2", "Neck": "Spine3"},
    **{"Head": "Neck", "Pelvis": ROOT},
    **{f"{s}_Hip": "Pelvis" for s in SIDES},
    **{f"{s}_Collar": "Spine3" for s in SIDES},
    **{f"{s}_Shoulder": f"{s}_Collar" for s in SIDES},
    **{
        f"{s}_{child}": f"{s}_{parent}"
        for s in SIDES
        for parent, child in (
            *(("Hip", "Knee"), ("Knee", "Ankle"), ("Ankle", "Foot")),
            *(("Shoulder", "Elbow"), ("Elbow", "Wrist")),
            *((f"{f}{n}", f"{f}{n + 1}") for f in ("Thumb", "Index", "Middle") for n in (1, 2)),
            *((f"{f}{n}", f"{f}{n + 1}") for f in ("Ring", "Pinky") for n in (1, 2)),
            *(("Wrist", f"{f}1") for f in ("Thumb", "Index", "Middle", "Ring", "Pinky")),
        )
    },
}
"""The joint that carries each."""

LIMBS = {
    f"{s}_{joint}": f"{s}_{follower}"
    for s in SIDES
    for joint, follower in (
        *(("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist")),
        *(("Wrist", "Middle1"), ("Ankle", "Foot")),
        *((f"{f}{n}", f"{f}{n + 1}") for f in ("Thumb", "Index", "Middle") for n in (1, 2)),
        *((f"{f}{n}", f"{f}{n + 1}") for f in ("Ring", "Pinky") for n in (1, 2)),
    )
}
"""Joints whose bone points to the next one, in the motion and on the rig alike."""


def canonical(name: str) -> str:
    """A joint's name as a map spells it: L_Hip for left_hip, Pelvis for pelvis."""
    side, _, rest = name.partition("_")
    if side in ("left", "right") and rest:
        return f"{side[0].upper()}_{rest.capitalize()}"
    return name.capitalize() if name.islower() else name


def carrier(joint: str, known: set[str]) -> str | None:
    """The nearest joint above that is among the known ones."""
    above = PARENTS.get(joint)
    while above is not None and above not in known:
        above = PARENTS.get(above)
    return above

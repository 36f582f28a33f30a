# SPDX-License-Identifier: GPL-3.0-or-later
"""Which joints make a limb, and what its controls are called.  No Blender."""

from dataclasses import dataclass

MASTER = "Master"
"""The bone that carries all controls; never keyed."""


@dataclass(frozen=True)
class Limb:
    """An arm or a leg."""

    label: str
    """What the user reads."""
    joints: tuple[str, str, str]
    """Where it starts, bends, and ends."""
    control: str
    """Bone that holds the end."""
    pole: str
    """Bone that says which way it bends."""
    ahead: float
    """1: it bends to the front, and its pole is there; -1: to the back."""


def _limbs(side: str, word: str) -> tuple[Limb, Limb]:
    arm = (f"{side}_Shoulder", f"{side}_Elbow", f"{side}_Wrist")
    leg = (f"{side}_Hip", f"{side}_Knee", f"{side}_Ankle")
    return (
        Limb(f"{word} Arm", arm, f"Hand IK.{side}", f"Elbow Pole.{side}", -1.0),
        Limb(f"{word} Leg", leg, f"Foot IK.{side}", f"Knee Pole.{side}", 1.0),
    )


LIMBS = (*_limbs("L", "Left"), *_limbs("R", "Right"))


def limb_of(label: str) -> Limb:
    """The limb of a label.

    Raises:
        KeyError: there is none.
    """
    return {limb.label: limb for limb in LIMBS}[label]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A bone map of a rig that nobody described: from known names, from words, from its structure."""

import re
from collections.abc import Callable

from .joints import REQUIRED, ROOT
from .map_file import BoneMap, Switch
from .schemes import SCHEMES, Scheme
from .shape import RetargetError, RigShape
from .structure import by_structure, meeting

_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}
_NOT_BODY = re.compile(
    "twist|roll|ik|pole|target|end|nub|helper|mch|org|tweak|ctrl|control|jiggle|share|corrective"
)
_PAIRED = {
    "Hip": "thigh upleg upperleg legupper femur hip hipjoint thighbend",
    "Knee": "shin calf lowerleg lowleg leglower leg knee",
    "Ankle": "foot ankle",
    "Foot": "toe toes toebase ball",
    "Collar": "clavicle collar shoulder",
    "Shoulder": "upperarm uparm armupper arm shoulder shldr shldrbend",
    "Elbow": "forearm lowerarm lowarm armlower elbow forearmbend",
    "Wrist": "hand wrist",
}
_RATHER_ABOVE = {"Hip": "hip hipjoint", "Shoulder": "shoulder"}
"""Words that mean the bone above it where there is another one."""
_FINGERS = {
    "thumb": "Thumb",
    "index": "Index",
    "middle": "Middle",
    "mid": "Middle",
    "ring": "Ring",
    "pinky": "Pinky",
    "little": "Pinky",
}
_PELVIS = ("hips", "pelvis", "hip", "cog", "torso")
_SPINE = ("spine", "chest", "upperchest", "abdomen", "torso", "belly", "waist", "back")


def guess_map(shape: RigShape, rig: str) -> BoneMap:
    """The likeliest map.

    Args:
        shape: the rig at rest.
        rig: its name, for messages.

    Raises:
        RetargetError: no legs can be found, or there are two skeletons.
    """
    ways: tuple[Callable[[RigShape], BoneMap | None], ...] = (by_scheme, by_words, _by_structure)
    for way in ways:
        found = way(shape)
        if found is not None:
            _refuse_two(shape, found, rig)
            return found
    if len(shape.names) < len(REQUIRED):
        raise RetargetError(f"{rig} has {len(shape.names)} bones: too few for a body.")
    message = f"no hips with two legs were found on {rig}."
    raise RetargetError(message, "Name its bones in the list, or give a bone map.")


def by_scheme(shape: RigShape) -> BoneMap | None:
    """A map by the names of a known program; None where no program's names have legs."""
    best: tuple[dict[str, str], Scheme] | None = None
    plain = _plain_names(shape)
    for scheme in SCHEMES:
        if best is not None and scheme.last:
            continue
        found = {}
        for joint, choices in scheme.names().items():
            names = [plain[_plain(name)] for name in choices if _plain(name) in plain]
            if names:
                found[joint] = names[0]
        whole = set(REQUIRED) <= set(found)
        if whole and (best is None or len(found) > len(best[0])):
            best = found, scheme
    if best is None:
        return None
    bones, scheme = best
    switches = [Switch(*one) for one in scheme.side_switches() if one[0] in shape.places]
    return BoneMap(_chest_up(bones), tuple(switches), scheme.label)


def by_words(shape: RigShape) -> BoneMap | None:
    """A map by the words that names are made of; None where they do not tell of legs."""
    found: dict[str, list[str]] = {}
    spine: list[str] = []
    for place in _breadth_first(shape):
        name = shape.names[place]
        side, word = _words(name)
        for joint in _joints_of(side, word):
            found.setdefault(joint, []).append(name)
        if not side and word.rstrip("0123456789") in _SPINE:
            spine.append(name)
    bones = _with_pelvis(shape, _pick(found))
    if not set(REQUIRED) <= set(bones):
        return None
    return BoneMap(_chest_up(bones | _spread(spine, bones)), label="names")


def _by_structure(shape: RigShape) -> BoneMap | None:
    bones = by_structure(shape)
    return BoneMap(bones, label="structure") if bones else None


def _plain(name: str) -> str:
    """Without a program's prefix ("mixamorig:") and in small letters."""
    return name.rpartition(":")[2].lower()


def _plain_names(shape: RigShape) -> dict[str, str]:
    """Names by their plain form; of two, the one nearer to the root."""
    found: dict[str, str] = {}
    for place in _breadth_first(shape):
        found.setdefault(_plain(shape.names[place]), shape.names[place])
    return found


def _breadth_first(shape: RigShape) -> list[int]:
    return sorted(range(len(shape.names)), key=lambda place: len(shape.above(place)))


def _words(name: str) -> tuple[str, str]:
    """The side ("L", "R" or nothing) and the other words of a bone's name, joined."""
    bare = name.rpartition(":")[2]
    words = [word.lower() for word in _CAMEL.findall(bare)]
    if words and len(words[0]) > 2 and words[0][0] in "lr" and bare[:1].islower():
        camel = re.match(r"^([lr])([A-Z].*)$", bare)  # Daz: lThigh
        words = [camel[1], *_words(camel[2])[1].split()] if camel else words
    sides = [_SIDES[word] for word in words if word in _SIDES]
    rest = [word for word in words if word not in _SIDES and word not in ("cc", "base", "bip")]
    joined = "".join(rest)
    if any(_NOT_BODY.fullmatch(word) for word in rest) or "twist" in joined:
        return "", ""
    return (sides[0] if sides else ""), re.sub(r"^(bip)?0+\d+|^def", "", joined)


def _joints_of(side: str, word: str) -> list[str]:
    """What a bone of these words may be."""
    bare = word.rstrip("0123456789")
    if side:
        finger = next((said for key, said in _FINGERS.items() if key in bare), None)
        digit = word[len(bare) :].lstrip("0")
        if finger:
            return [f"{side}_{finger}{digit}"] if digit in ("1", "2", "3") else []
        return [f"{side}_{joint}" for joint, words in _PAIRED.items() if bare in words.split()]
    if bare in _PELVIS:
        return ["Pelvis"]
    return {"neck": ["Neck"], "head": ["Head"], "root": [ROOT]}.get(bare, [])


def _pick(found: dict[str, list[str]]) -> dict[str, str]:
    """One bone a joint; "arm" is the shoulder where "shoulder" is the collar, else both."""
    bones: dict[str, str] = {}
    taken: set[str] = set()
    for joint in sorted(found, key=lambda joint: len(found[joint])):
        free = [name for name in found[joint] if name not in taken]
        free.sort(key=lambda name: _is_rather_above(joint[2:], name))
        if free:
            bones[joint] = free[0]
            taken.add(free[0])
    for side in "LR":
        if f"{side}_Shoulder" not in bones and f"{side}_Collar" in bones:
            bones[f"{side}_Shoulder"] = bones.pop(f"{side}_Collar")
    return bones


def _is_rather_above(joint: str, name: str) -> bool:
    word = _words(name)[1].rstrip("0123456789")
    return word in _RATHER_ABOVE.get(joint, "").split()


def _with_pelvis(shape: RigShape, bones: dict[str, str]) -> dict[str, str]:
    """The same; what carries both thighs is the pelvis where none is called so."""
    if "Pelvis" in bones or not {"L_Hip", "R_Hip"} <= set(bones):
        return bones
    thighs = (shape.places[bones[f"{side}_Hip"]] for side in "LR")
    carrier = meeting(shape, *thighs)
    if carrier is None:
        return bones
    name = shape.names[carrier]
    return {joint: bone for joint, bone in bones.items() if bone != name} | {"Pelvis": name}


def _spread(spine: list[str], bones: dict[str, str]) -> dict[str, str]:
    """Bones of the spine for its three joints: the lowest, the middle one, the highest."""
    free = [name for name in spine if name not in bones.values()]
    if len(free) < 3:
        return dict(zip(("Spine1", "Spine3"), free, strict=False))
    return {"Spine1": free[0], "Spine2": free[len(free) // 2], "Spine3": free[-1]}


def _chest_up(bones: dict[str, str]) -> dict[str, str]:
    """The same with the highest bone of a short spine as the chest, which carries the arms."""
    for joint in ("Spine2", "Spine1"):
        if "Spine3" not in bones and joint in bones:
            bones["Spine3"] = bones.pop(joint)
    return bones


def _refuse_two(shape: RigShape, found: BoneMap, rig: str) -> None:
    """Refuse a rig of which another tree has a pelvis with legs, too."""
    own = shape.root_of(shape.places[found.bones["Pelvis"]])
    legs = {_bare(found.bones[joint]) for joint in REQUIRED}
    for root in {shape.root_of(place) for place in range(len(shape.names))} - {own}:
        tree = {_bare(n) for p, n in enumerate(shape.names) if shape.root_of(p) == root}
        if legs <= tree:
            words = f"{shape.names[own]} and {shape.names[root]}"
            message = f"{rig} has two skeletons, under the roots {words}."
            raise RetargetError(message, "Give a bone map that says which one is meant.")


def _bare(name: str) -> str:
    """A name without the number that Blender gives to a second one."""
    return re.sub(r"\.\d{3}$", "", name)

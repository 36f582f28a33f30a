# SPDX-License-Identifier: GPL-3.0-or-later
"""A body in a tree of bones, found by where the bones lie: names tell nothing.

two lowest ends, one each side ─► where they meet: the pelvis ─► thigh, shin, foot, toe
two ends furthest out          ─► where they meet: the chest  ─► collar, arm, forearm, hand
highest end of the rest        ─► spine, neck, head
"""

import itertools

import numpy as np

from .shape import RigShape

_OUT = 0.04
"""Of the height: how far from the middle an end of a leg or arm is at least.  Chosen: feet that
touch each other have their middles 10 cm apart."""
_HIPS, _SHORT = 0.3, 0.04
"""Of the height: how high a pelvis is at least, and the shortest bone of a leg.  Chosen: half of a
person's."""
_TOGETHER = 0.01
"""Of the height: bones of both sides that begin so near to each other are no thighs.  Chosen."""


def by_structure(shape: RigShape) -> dict[str, str]:
    """Bones by joint; empty where no legs are found.  Which side is left is told by the feet."""
    x, y, z = np.eye(3)
    for up, left in ((z, x), (z, y), (y, x), (y, z)):
        found = _body(shape, up, left)
        if found and _faces_back(shape, found, np.cross(left, up)):
            found = _body(shape, up, -left)
        if found:
            return {joint: shape.names[place] for joint, place in found.items()}
    return {}


def _faces_back(shape: RigShape, found: dict[str, int], front: np.ndarray) -> bool:
    """Whether the feet point away from the front."""
    feet = [
        found[joint]
        for side in "LR"
        for joint in (f"{side}_Ankle", f"{side}_Foot")
        if joint in found
    ]
    return float((shape.tails[feet] - shape.heads[feet]).sum(0) @ front) < 0


def _body(shape: RigShape, up: np.ndarray, left: np.ndarray) -> dict[str, int]:
    ends = [place for place, children in enumerate(shape.children) if not children]
    heights, out = shape.tails @ up, shape.tails @ left
    tall = float(np.ptp(np.concatenate([heights, shape.heads @ up])))
    out = out - float(np.median(out))
    sides = {"L": 1.0, "R": -1.0}
    aside = {side: [p for p in ends if sign * out[p] > _OUT * tall] for side, sign in sides.items()}
    if tall <= 0 or not all(aside.values()):
        return {}
    low = {side: min(places, key=lambda p: heights[p]) for side, places in aside.items()}
    pelvis = meeting(shape, low["L"], low["R"])
    ground = min(heights[list(low.values())])
    if pelvis is None or shape.heads[pelvis] @ up - ground < _HIPS * tall:
        return {}
    found = {"Pelvis": pelvis}
    legs = [_long(shape, _path(shape, pelvis, low[side]), _SHORT * tall) for side in sides]
    for side, leg in zip(sides, _apart(shape, legs, _TOGETHER * tall), strict=True):
        if len(leg) < 3:
            return {}
        joints = [f"{side}_{joint}" for joint in ("Hip", "Knee", "Ankle", "Foot")]
        found |= dict(zip(joints, leg, strict=False))
    thighs = {found["L_Hip"], found["R_Hip"]}
    free = {
        s: [p for p in places if not thighs & {p, *shape.above(p)}] for s, places in aside.items()
    }
    return found | _upper(shape, pelvis, free, out, heights)


def _apart(shape: RigShape, legs: list[list[int]], least: float) -> list[list[int]]:
    """Without the bones with which both begin in one place: halves of the pelvis."""
    while all(legs):
        first, second = (shape.heads[leg[0]] for leg in legs)
        if np.linalg.norm(first - second) >= least:
            break
        legs = [leg[1:] for leg in legs]
    return legs


def _upper(
    shape: RigShape,
    pelvis: int,
    aside: dict[str, list[int]],
    out: np.ndarray,
    heights: np.ndarray,
) -> dict[str, int]:
    """Arms, spine and head, as far as they are there."""
    far = {}
    for side, places in aside.items():
        high = [p for p in places if pelvis in shape.above(p)]
        if high:
            far[side] = max(high, key=lambda p: abs(out[p]))
    if len(far) < 2:
        return {}
    chest = meeting(shape, far["L"], far["R"])
    if chest is None or chest == pelvis:
        return {}
    found: dict[str, int] = {}
    for side, end in far.items():
        found |= _arm(shape, side, _path(shape, chest, end))
    spine = [*reversed([p for p in shape.above(chest) if pelvis in shape.above(p)]), chest]
    names = {1: ("Spine3",), 2: ("Spine1", "Spine3")}.get(
        len(spine), ("Spine1", "Spine2", "Spine3")
    )
    chosen = spine if len(spine) < 3 else [spine[0], spine[len(spine) // 2], spine[-1]]
    found |= dict(zip(names, chosen, strict=True))
    return found | _head(shape, chest, set(found.values()), heights)


def _arm(shape: RigShape, side: str, path: list[int]) -> dict[str, int]:
    """The two longest bones in a row are the upper arm and the forearm."""
    if len(path) < 2:
        return {}
    reach = [
        float(np.linalg.norm(shape.heads[b] - shape.heads[a])) for a, b in itertools.pairwise(path)
    ]
    reach.append(float(np.linalg.norm(shape.tails[path[-1]] - shape.heads[path[-1]])))
    first = max(range(len(path) - 1), key=lambda place: min(reach[place], reach[place + 1]))
    names = {first - 1: "Collar", first: "Shoulder", first + 1: "Elbow", first + 2: "Wrist"}
    return {
        f"{side}_{name}": path[place] for place, name in names.items() if 0 <= place < len(path)
    }


def _head(shape: RigShape, chest: int, taken: set[int], heights: np.ndarray) -> dict[str, int]:
    ends = [p for p, c in enumerate(shape.children) if not c and chest in shape.above(p)]
    free = [p for p in ends if not taken & {p, *shape.above(p)} - {chest, *shape.above(chest)}]
    if not free:
        return {}
    path = _path(shape, chest, max(free, key=lambda p: heights[p]))
    return {"Neck": path[0], "Head": path[1]} if len(path) > 1 else {"Head": path[0]}


def meeting(shape: RigShape, one: int, other: int) -> int | None:
    """The nearest bone that carries both."""
    above = shape.above(one)
    return next((place for place in shape.above(other) if place in above), None)


def _path(shape: RigShape, top: int, end: int) -> list[int]:
    """From below `top` down to `end`."""
    between = [p for p in shape.above(end) if top in shape.above(p)]
    return [*reversed(between), end]


def _long(shape: RigShape, path: list[int], least: float) -> list[int]:
    """Without bones so short that they are helpers; the last is kept."""
    return [
        p for p in path if np.linalg.norm(shape.tails[p] - shape.heads[p]) >= least or p == path[-1]
    ]

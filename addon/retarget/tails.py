# SPDX-License-Identifier: GPL-3.0-or-later
"""Where bones end, on rigs whose tails say nothing.

Only heads are joints.  Blender's importers keep the axes that other programs gave to joints, so
tails of an imported rig may all point up (VRM as glTF), aside (Unreal's as FBX), or lie a hundred
times too far (glTF whose armature is scaled to centimetres).  N bones, parents first.
"""

from collections.abc import Sequence

import numpy as np

from .rotations import angles_deg

_ASTRAY_DEG = 30.0
"""Half of the bones miss the next joint by more than this: tails point anywhere.  Chosen."""
_OFF = 4.0
"""Half of the bones are so many times longer or shorter than the way to the next joint.  Chosen."""
_ALIKE = 1e-3
"""Relative: a last bone that is just as long as the one above was made so by an importer."""
_APART = 1e-3
"""Of the rig's size: joints that are nearer share one place."""
_LAST = 0.5
"""Of the bone above: a last bone whose tail is not believed.  Chosen: toes are half a foot."""


def believed_tails(parents: Sequence[int], heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """(N, 3) where bones end: their tails, or the joints that follow where tails say nothing.

    Args:
        parents: (N,) -1 for a bone without.
        heads: (N, 3)
        tails: (N, 3)
    """
    least = _APART * float(np.ptp(heads, axis=0).max(initial=0.0))
    ahead = _ahead(parents, heads, least)
    chains = [place for place, ends in enumerate(ahead) if len(ends) == 1]
    if not chains:
        return tails
    ways = np.array([ahead[place][0] for place in chains]) - heads[chains]
    bones = (tails - heads)[chains]
    longer = np.median(np.linalg.norm(bones, axis=1) / np.linalg.norm(ways, axis=1))
    straight = np.median(angles_deg(bones, ways)) < _ASTRAY_DEG
    sized = 1 / _OFF < longer < _OFF
    out = tails.copy()
    for place, ends in enumerate(ahead):
        if not len(ends):
            above = _way_here(place, parents, heads, least)
            own = tails[place] - heads[place]
            out[place] = heads[place] + _last(own, above, straight, sized)
        elif not (straight and sized):
            out[place] = ends.mean(0)
    return out


def _last(own: np.ndarray, above: np.ndarray, straight: bool, sized: bool) -> np.ndarray:
    """(3,) a last bone, from its tail and the way (3,) to it: as it is where it can be believed."""
    along = own if straight else above
    size, length = float(np.linalg.norm(along)), float(np.linalg.norm(above))
    guessed = abs(np.linalg.norm(own) - length) < _ALIKE * length
    if straight and sized and not guessed:
        return own
    return _LAST * length / size * along if size > 0 else np.zeros(3)


def _ahead(parents: Sequence[int], heads: np.ndarray, least: float) -> list[np.ndarray]:
    """For each bone the heads (M, 3) of children that are about as far as the farthest."""
    children: list[list[int]] = [[] for _ in parents]
    for place, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(place)
    found = []
    for place, own in enumerate(children):
        ends = heads[own]
        far = np.linalg.norm(ends - heads[place], axis=1)
        found.append(ends[(far > least) & (far >= 0.75 * far.max(initial=0.0))])
    return found


def _way_here(place: int, parents: Sequence[int], heads: np.ndarray, least: float) -> np.ndarray:
    """(3,) from the nearest bone above that is somewhere else."""
    above = parents[place]
    while above >= 0:
        way = heads[place] - heads[above]
        if np.linalg.norm(way) > least:
            return way
        above = parents[above]
    return np.zeros(3)

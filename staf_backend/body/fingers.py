"""Bodies with fingers: their skeletons, and SMPL-H and SMPL-X as bodies of SMPL's 24 joints.

    fingers but the thumb -> left_hand / right_hand (at the first joint of the middle finger)
    thumb -> wrist          jaw and eyes -> head

Those extra joints then stay as they are in the rest pose, relative to what they hang on.  With
fingers, SMPL-H's 52 joints stay, and only the face is folded.
"""

import numpy as np

from staf_backend.geometry import SMPL, Skeleton

_SHARED = SMPL.index("left_hand")
"""SMPL's joints that all of the family have, first: all but its hands."""
FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""Of a hand, in the order of SMPL-H's joints."""


def _with_fingers(face: tuple[str, ...]) -> Skeleton:
    """SMPL's body, then joints of the face, then three joints a finger, left hand first."""
    names = [*SMPL.names[:_SHARED], *face]
    parents = [*SMPL.parents[:_SHARED], *[SMPL.index("head")] * len(face)]
    for side in ("left", "right"):
        for finger in FINGERS:
            parents += [SMPL.index(f"{side}_wrist"), len(names), len(names) + 1]
            names += [f"{side}_{finger}{k}" for k in (1, 2, 3)]
    return Skeleton(tuple(names), tuple(parents))


SKELETONS = {
    "smpl": SMPL,
    "smplh": _with_fingers(()),
    "smplx": _with_fingers(("jaw", "left_eye_smplhf", "right_eye_smplhf")),
}
"""By kind: 24, 52 and 55 joints, in the files' order and with the names of smplx's
`joint_names.py` beyond SMPL's own."""


WITH_FINGERS = SKELETONS["smplh"]
"""The 52 joints of every body with fingers: SMPL's first 22, then three joints a finger."""


def finger_joints(side: str) -> tuple[int, ...]:
    """The 15 joints of a hand in `WITH_FINGERS`, finger by finger, from the knuckle on.

    Args:
        side: "left" or "right".
    """
    names = [f"{side}_{finger}{k}" for finger in FINGERS for k in (1, 2, 3)]
    return WITH_FINGERS.indices(*names)


def shared_joints(kind: str) -> int:
    """How many joints, from the first, a kind of body has in common with SMPL."""
    return _SHARED if kind in ("smplh", "smplx") else len(SMPL)


def fold(
    kind: str, weights: np.ndarray, regressor: np.ndarray, poses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a body with fingers for SMPL's 24 joints.

    Args:
        kind: "smplh" or "smplx", K joints.
        weights: (V, K) skin weights.
        regressor: (K, V).
        poses: (V, 3, 9 (K - 1)) pose directions.

    Returns:
        Weights (V, 24), regressor (24, V) and pose directions (V, 3, 207).
    """
    skeleton = SKELETONS[kind]
    folded = np.zeros((len(weights), len(SMPL)))
    np.add.at(folded.T, [_target(name) for name in skeleton.names], weights.T)
    hands = skeleton.indices("left_middle1", "right_middle1")
    kept = regressor[[*range(_SHARED), *hands]]
    by_joint = poses.reshape(len(poses), 3, len(skeleton) - 1, 9)
    knuckles = [_hand_directions(side, skeleton, by_joint) for side in ("left", "right")]
    merged = np.concatenate([by_joint[:, :, : _SHARED - 1], *knuckles], 2)
    return folded, kept, merged.reshape(len(poses), 3, -1)


def _target(name: str) -> int:
    """SMPL's joint that carries what a joint of this name carries."""
    if name in SMPL:
        return SMPL.index(name)
    side, _, part = name.partition("_")
    if part.startswith("thumb"):
        return SMPL.index(f"{side}_wrist")
    return SMPL.index(f"{side}_hand") if part.startswith(FINGERS) else SMPL.index("head")


def _hand_directions(side: str, skeleton: Skeleton, by_joint: np.ndarray) -> np.ndarray:
    """(V, 3, 1, 9): a turn of the hand is one of its four fingers' first joints at once."""
    first = skeleton.indices(*(f"{side}_{finger}1" for finger in FINGERS[:-1]))
    rows = [joint - 1 for joint in first]  # joint 0 has no pose directions
    return by_joint[:, :, rows].sum(2, keepdims=True)


def without_face(
    kind: str, weights: np.ndarray, regressor: np.ndarray, poses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a body with fingers for SMPL-H's 52 joints: jaw and eyes become the head's.

    Args:
        kind, weights, regressor, poses: as for `fold`.

    Returns:
        Weights (V, 52), regressor (52, V) and pose directions (V, 3, 459).
    """
    skeleton = SKELETONS[kind]
    kept = [skeleton.index(name) for name in WITH_FINGERS.names]
    of_fingers = weights[:, kept]
    face = sorted(set(range(len(skeleton))) - set(kept))
    of_fingers[:, SMPL.index("head")] += weights[:, face].sum(1)
    by_joint = poses.reshape(len(poses), 3, len(skeleton) - 1, 9)
    rows = [joint - 1 for joint in kept[1:]]  # joint 0 has no pose directions
    return of_fingers, regressor[kept], by_joint[:, :, rows].reshape(len(poses), 3, -1)

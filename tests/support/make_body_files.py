"""Body files for tests, in the layouts of the official ones, with numbers of our own making.

A random but smooth blob of the right number of vertices: enough to tell kinds apart and to check
every formula, and free of anything of SMPL's.
"""

import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.geometry import SMPL

SIZES = {"smpl": (6890, 24, 10), "smplh": (6890, 52, 16), "smplx": (10475, 55, 20)}
_HANDS = {"smplh": 22, "smplx": 25}


def tree(kind: str) -> np.ndarray:
    """Parents of a kind's joints: SMPL's body, then jaw and eyes (SMPL-X), then finger chains."""
    if kind == "smpl":
        return np.array(SMPL.parents)
    parents = [*SMPL.parents[:22], *[15] * (_HANDS[kind] - 22)]
    for wrist in (20, 21):
        for _ in range(5):
            parents += [wrist, len(parents), len(parents) + 1]
    return np.array(parents)


def model_arrays(kind: str = "smpl", seed: int = 0) -> dict[str, Any]:
    """A model's arrays under their official names; do not write into them."""
    return dict(_made(kind, seed))


@cache
def _made(kind: str, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    vertices, joints, shapes = SIZES[kind]
    faces = rng.integers(0, vertices, (2 * vertices - 4, 3)).astype(np.uint32)
    weights = np.zeros((vertices, joints))
    first = np.arange(vertices) % joints
    for place, share in enumerate((0.5, 0.25, 0.15, 0.1)):
        weights[np.arange(vertices), (first + place * 5) % joints] += share
    regressor = np.zeros((joints, vertices))
    for row in regressor:
        row[rng.choice(vertices, 8, replace=False)] = 1 / 8
    return {
        "v_template": rng.normal(size=(vertices, 3)) * [0.4, 0.8, 0.2],
        "f": faces,
        "shapedirs": rng.normal(size=(vertices, 3, shapes)) * 0.01,
        "posedirs": _pose_directions(rng, vertices, 9 * (joints - 1)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.stack([tree(kind) % 2**32, np.arange(joints)]).astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def _pose_directions(rng: np.random.Generator, vertices: int, features: int) -> np.ndarray:
    """Of rank one: all different and quickly made."""
    places, weights = rng.normal(size=(vertices, 3, 1)), rng.normal(size=features)
    return (places * weights * 1e-3).astype(np.float16)


def write_npz(path: Path, arrays: dict[str, Any]) -> Path:
    """An .npz as the official ones, object members included."""
    np.savez(path, allow_pickle=True, **arrays)
    return path


@contextmanager
def fake_chumpy() -> Iterator[types.ModuleType]:
    """Classes named as chumpy's, so that a pickle of them looks like one of chumpy's."""
    module = types.ModuleType("chumpy.ch")
    for name in ("Ch", "Select"):
        made = type(name, (), {"__module__": "chumpy.ch", "__qualname__": name})
        setattr(module, name, made)
    names = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    sys.modules.update(names)
    try:
        yield module
    finally:
        for name in names:
            del sys.modules[name]


def write_official_pickle(path: Path, arrays: dict[str, Any], protocol: int = 2) -> Path:
    """A pickle with a scipy sparse regressor and chumpy shape directions, like the official one."""
    from scipy.sparse import csc_matrix

    shapes = arrays["shapedirs"]
    with fake_chumpy() as chumpy:
        whole, part = chumpy.Ch(), chumpy.Select()
        padded = np.concatenate([shapes, np.zeros_like(shapes[..., :1])], -1)
        whole.__dict__["x"] = padded
        numbers = np.arange(padded.size).reshape(padded.shape)[..., :-1].ravel()
        part.__dict__.update(a=whole, idxs=numbers, preferred_shape=shapes.shape)
        content = arrays | {"shapedirs": part, "J_regressor": csc_matrix(arrays["J_regressor"])}
        content["pose_training_info"] = {"gender": "none", "list": [1, "two"]}
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path

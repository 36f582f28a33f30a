"""Weights, inputs and a body as pure functions of names, so that results can be compared.

The fixtures in `data/parity` hold what the authors' own classes gave (STAF at commit 96782de,
eval mode, float32) for weights and inputs made by these rules.  No random state, no downloads:
the number sequence of a tensor follows from the CRC-32 of its name.  The body is a stand-in with
SMPL's exact layout; nothing of SMPL is in it.
"""

import hashlib
import math
import re
import zlib
from collections.abc import Iterable
from functools import cache

import numpy as np

from tests.support.places import REPOSITORY

DATA = REPOSITORY / "tests" / "data" / "parity"
IMAGE_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGE_STD = np.array([0.229, 0.224, 0.225], np.float32)

_ROOT2 = math.sqrt(2)
# First match wins; how much larger than 1/sqrt(fan in) a weight's deviation is
_GAINS = {
    r"^feature_extractor\.": 1,
    r"^deconv_layers\.": _ROOT2,
    r"^maf_extractor\.\d\.conv[01]\.": _ROOT2,
    r"^maf_extractor\.\d\.conv2\.": 0.5,
    r"\.decpose\.": 0.3,
    r"\.decshape\.": 0.6,
    r"\.deccam\.": 0.05,
    r"^regressor\.\d\.fc[12]\.": 1,
    r"\.conv_mask_forR\.": 12,
    r"\.conv_(phi|theta)\.": 3,
    r"^tcfm\.": 1.5,
    r"^safm\.nonlocalblock\.attention\.fc\.": 3,
    r"^safm\.": 1.5,
}


def uniform(name: str, shape: Iterable[int]) -> np.ndarray:
    """float64 numbers in [0, 1) that follow from the name."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return generator.random(tuple(shape))


def _centred(name: str, shape: Iterable[int]) -> np.ndarray:
    return 2 * uniform(name, shape) - 1


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The trained tensor of that name in the authors' layout."""
    if name.endswith(".num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith(".running_mean"):
        values = 0.1 * _centred(name, shape)
    elif name.endswith(".running_var"):
        values = 0.5 + uniform(name, shape)
    elif name.endswith(".bias"):
        values = 0.05 * _centred(name, shape)
    elif len(shape) == 1:
        scale = 0.25 if name.endswith(".bn3.weight") else 1
        values = scale * (0.8 + 0.4 * uniform(name, shape))
    else:
        values = _centred(name, shape) * _amplitude(name, shape)
    return values.astype(np.float32)


def _amplitude(name: str, shape: tuple[int, ...]) -> float:
    gain = next(gain for pattern, gain in _GAINS.items() if re.search(pattern, name))
    # A transposed convolution of stride 2 meets a quarter of its 16 taps at each output
    fan_in = shape[0] * 4 if name.startswith("deconv_layers.") else math.prod(shape[1:])
    return math.sqrt(3) * gain / math.sqrt(fan_in)


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the 318 encoder tensors, with the prefix they have in `base_model.pt`."""
    shapes = {"conv1.weight": (64, 3, 7, 7), **_norm("bn1", 64)}
    channels = 64
    for stage, (planes, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            shapes |= _bottleneck(f"layer{stage}.{block}", channels, planes, block == 0)
            channels = 4 * planes
    return {f"feature_extractor.{name}": shape for name, shape in shapes.items()}


def _bottleneck(prefix: str, channels: int, planes: int, first: bool) -> dict:
    shapes = {
        f"{prefix}.conv1.weight": (planes, channels, 1, 1),
        f"{prefix}.conv2.weight": (planes, planes, 3, 3),
        f"{prefix}.conv3.weight": (4 * planes, planes, 1, 1),
    }
    for norm, width in (("bn1", planes), ("bn2", planes), ("bn3", 4 * planes)):
        shapes |= _norm(f"{prefix}.{norm}", width)
    if first:
        shapes[f"{prefix}.downsample.0.weight"] = (4 * planes, channels, 1, 1)
        shapes |= _norm(f"{prefix}.downsample.1", 4 * planes)
    return shapes


def _norm(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": (width,) for name in vectors} | {
        f"{prefix}.num_batches_tracked": ()
    }


def staf_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of STAF's trained tensors and norms in the authors' checkpoint."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, width in ((0, 2048), (3, 256), (6, 256)):
        shapes[f"deconv_layers.{index}.weight"] = (width, 256, 4, 4)
        shapes |= _norm(f"deconv_layers.{index + 1}", 256)
    for stage, features in enumerate((2205, 2155, 2155)):
        for layer, (out, wide) in enumerate(((128, 256), (64, 384), (5, 320))):
            shapes |= _layer(f"maf_extractor.{stage}.conv{layer}", out, wide, 1)
        shapes |= _layer(f"regressor.{stage}.fc1", 1024, features + 157)
        shapes |= _layer(f"regressor.{stage}.fc2", 1024, 1024)
        for name, out in (("decpose", 144), ("decshape", 10), ("deccam", 3)):
            shapes |= _layer(f"regressor.{stage}.{name}", out, 1024)
    return shapes | _fusion_shapes()


def _fusion_shapes() -> dict[str, tuple[int, ...]]:
    safm, tcfm = "safm.nonlocalblock.attention", "tcfm.nonlocalblock"
    shapes = _layer(f"{safm}.fc", 256, 2155) | _layer(f"{safm}.attention.0", 256, 768)
    shapes |= _layer(f"{safm}.attention.2", 256, 256) | _layer(f"{safm}.attention.4", 3, 256)
    shapes |= {f"{tcfm}.conv_{name}.weight": (1102, 2205, 1) for name in ("phi", "theta", "g")}
    shapes[f"{tcfm}.conv_mask.weight"] = (2205, 1102, 1)
    shapes[f"{tcfm}.conv_mask_forR.weight"] = (1, 2, 1, 1)
    return shapes


def _layer(name: str, out: int, wide: int, *kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, wide, *kernel), f"{name}.bias": (out,)}


@cache
def encoder_state() -> dict[str, np.ndarray]:
    """The encoder's 318 tensors."""
    return {name: weight(name, shape) for name, shape in encoder_shapes().items()}


@cache
def staf_state() -> dict[str, np.ndarray]:
    """All 128 entries of the authors' `gen_state_dict`: weights, grid, selection, SMPL, means."""
    state = {name: weight(name, shape) for name, shape in staf_shapes().items()}
    data, body = parity_data(), smpl_arrays()
    line = np.linspace(-1, 1, 21, dtype=np.float32)
    state["points_grid"] = np.stack(np.meshgrid(line, line, indexing="ij")).reshape(1, 2, 441)
    selection = np.zeros((431, 6890), np.float32)
    selection[np.arange(431), alignment_vertices()] = 1
    smpl = _smpl_entries(body, data["J_regressor_extra"])
    for stage in range(3):
        state[f"maf_extractor.{stage}.Dmap"] = selection
        for ours, theirs in (("pose", "pose"), ("shape", "shape"), ("cam", "cam")):
            state[f"regressor.{stage}.init_{theirs}"] = data[f"mean_{ours}"][None]
        state |= {f"regressor.{stage}.smpl.{name}": array for name, array in smpl.items()}
    return state


def _smpl_entries(body: dict[str, np.ndarray], extra: np.ndarray) -> dict[str, np.ndarray]:
    parents = body["kintree_table"][0].astype(np.int64)
    parents[0] = -1
    landmarks = [332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787, 2746, 2319, 2445]
    landmarks += [2556, 2673, 6191, 5782, 5905, 6016, 6133]
    floats = {
        "betas": np.zeros((64, 10)),
        "global_orient": np.zeros((64, 3)),
        "body_pose": np.zeros((64, 69)),
        "shapedirs": body["shapedirs"],
        "v_template": body["v_template"],
        "J_regressor": body["J_regressor"],
        "posedirs": body["posedirs"].reshape(20670, 207).T,
        "lbs_weights": body["weights"],
        "J_regressor_extra": extra,
    }
    return {name: array.astype(np.float32) for name, array in floats.items()} | {
        "faces_tensor": body["f"].astype(np.int64),
        "parents": parents,
        "vertex_joint_selector.extra_joints_idxs": np.array(landmarks),
    }


def feature_map(clip: str, frame: int) -> np.ndarray:
    """An encoder map (2048, 7, 7) of a made-up clip: a scene that stays and a part that moves."""
    shape = (2048, 7, 7)
    scene, move = (
        _centred(f"feature/{clip}/base", shape),
        _centred(f"feature/{clip}/{frame}", shape),
    )
    return np.maximum(scene + 0.5 * move - 0.2, 0).astype(np.float32)


def clip_maps(clip: str, frames: Iterable[int]) -> np.ndarray:
    """Encoder maps (T, 2048, 7, 7) of the given frames."""
    return np.stack([feature_map(clip, frame) for frame in frames])


def crop_rgb(name: str) -> np.ndarray:
    """A crop (224, 224, 3) uint8: tiles of 16 pixels with a fine grain."""
    tiles = np.floor(256 * uniform(f"image/{name}/tiles", (14, 14, 3)))
    grain = np.floor(33 * uniform(f"image/{name}/grain", (224, 224, 3))) - 16
    return np.clip(tiles.repeat(16, 0).repeat(16, 1) + grain, 0, 255).astype(np.uint8)


def network_image(name: str) -> np.ndarray:
    """`crop_rgb` normalised for the encoder, (3, 224, 224) float32."""
    pixels = crop_rgb(name).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((pixels - IMAGE_MEAN) / IMAGE_STD).transpose(2, 0, 1))


def tcfm_input(sample: int) -> np.ndarray:
    """TCFM features (9, 2205)."""
    scene, move = (
        uniform(f"tcfm/z/{sample}/{part}", (rows, 2205))
        for part, rows in (("base", 1), ("move", 9))
    )
    return np.maximum(0.25 * (scene + 0.8 * move) - 0.2, 0).astype(np.float32)


def safm_input(sample: int) -> np.ndarray:
    """SAFM features (9, 2155)."""
    return np.maximum(_centred(f"safm/x/{sample}", (9, 2155)), 0).astype(np.float32)


def smpl_input(sample: int) -> tuple[np.ndarray, np.ndarray]:
    """Betas (10,) and axis-angle pose (24, 3)."""
    betas = _centred(f"smpl/betas/{sample}", (10,))
    pose = 0.6 * _centred(f"smpl/pose/{sample}", (24, 3))
    return betas.astype(np.float32), pose.astype(np.float32)


def every(values: np.ndarray, step: int) -> np.ndarray:
    """How the fixtures thin large arrays."""
    return np.ascontiguousarray(values).reshape(-1)[::step]


@cache
def fixture(name: str) -> dict[str, np.ndarray]:
    """One of the fixture files: `staf`, `encoder`, `tcfm`, `units`."""
    with np.load(DATA / f"fixture_{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@cache
def parity_data() -> dict[str, np.ndarray]:
    """What of the stand-in body cannot be computed in a few lines, and the mean parameters."""
    with np.load(DATA / "synthetic_body.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@cache
def smpl_arrays() -> dict[str, np.ndarray]:
    """The stand-in body under SMPL's names, float64."""
    data = parity_data()
    parents = [
        2**32 - 1,
        0,
        0,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        9,
        9,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
        20,
        21,
    ]
    return {
        **{name: data[name] for name in ("v_template", "f", "weights", "J_regressor", "J")},
        "shapedirs": _shape_dirs(data["v_template"]),
        "posedirs": _pose_dirs(data["weights"]),
        "kintree_table": np.array([parents, range(24)]).astype(np.uint32),
    }


def alignment_vertices() -> np.ndarray:
    """The 431 sampled vertices: 1723 spread over 6890, then 431 spread over those."""
    return (np.arange(1723) * 6890 // 1723)[np.arange(431) * 1723 // 431]


def digest(arrays: dict[str, np.ndarray]) -> str:
    """sha256 over names, types, shapes and bytes, as the recipe states its data."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _shape_dirs(vertices_m: np.ndarray) -> np.ndarray:
    """Stature, girth, then eight smooth waves."""
    generator = np.random.Generator(np.random.PCG64(20240601))
    x, y, z = vertices_m.T
    zero = np.zeros_like(x)
    columns = [np.stack([0.01 * x, 0.03 * y, zero], -1), np.stack([0.04 * x, zero, 0.06 * z], -1)]
    for _ in range(8):
        frequency = 2 + 4 * generator.random(3)
        phase = 2 * np.pi * generator.random()
        amplitude = 0.012 * (2 * generator.random(3) - 1)
        columns.append(np.sin(vertices_m @ frequency + phase)[:, None] * amplitude)
    return _rounded(np.stack(columns, -1))


def _pose_dirs(weights: np.ndarray) -> np.ndarray:
    """Corrections where influences blend."""
    generator = np.random.Generator(np.random.PCG64(20240602))
    basis = 0.03 * (2 * generator.random((23, 9, 3)) - 1)
    blend = 4 * weights[:, 1:] * (1 - weights[:, 1:])
    dirs = blend[:, None, :, None] * basis.transpose(2, 0, 1)[None]
    return _rounded(dirs.reshape(len(weights), 3, 207))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values, 6) + 0.0

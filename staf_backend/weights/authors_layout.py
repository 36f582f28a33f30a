"""The authors' checkpoints in our names.

    base_model.pt, "model"                         441 entries (433 without the dense head)
        feature_extractor.*     318  encoder
        deconv, maf, regressor  115  a network for single frames (PyMAF)
        dp_head.*                 8  training aid, dropped
    3dpw_model_best.pth.tar, "gen_state_dict"      128 entries
        the 115, tcfm.* and safm.*

Both also hold the SMPL body, three times (`regressor.N.smpl.*`), and the choice of 431 vertices as
a dense matrix (`maf_extractor.N.Dmap`); the body is read from the first copy.  Every entry is
accounted for: renamed, read, or dropped by name.  Anything else is an error.
"""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from staf_backend.files import shown
from staf_backend.staf import BETAS, JOINTS
from staf_backend.staf.body import LANDMARK_VERTICES, POSE_BASIS
from staf_backend.weights.error import WeightsError

ENCODER_PREFIX = "feature_extractor."
_LISTED = 8
"""Names in an error.  Chosen: a few lines of a terminal."""

# Authors' pattern, our name; groups are filled in
_NAMES = (
    (r"deconv_layers\.([036])\.(weight)", r"deconv.{block}.conv.\2"),
    (r"deconv_layers\.([147])\.(\w+)", r"deconv.{block}.norm.\2"),
    (r"maf_extractor\.(\d)\.(conv[012]\.(?:weight|bias))", r"points.\1.\2"),
    (r"regressor\.(\d)\.(fc[12]\.(?:weight|bias))", r"regressors.\1.\2"),
    (r"regressor\.(\d)\.decpose\.(weight|bias)", r"regressors.\1.pose.\2"),
    (r"regressor\.(\d)\.decshape\.(weight|bias)", r"regressors.\1.betas.\2"),
    (r"regressor\.(\d)\.deccam\.(weight|bias)", r"regressors.\1.camera.\2"),
    (r"regressor\.0\.init_pose", r"mean_pose6d"),
    (r"regressor\.0\.init_shape", r"mean_betas"),
    (r"regressor\.0\.init_cam", r"mean_camera"),
    (r"tcfm\.nonlocalblock\.conv_theta\.(weight)", r"tcfm.query.\1"),
    (r"tcfm\.nonlocalblock\.conv_phi\.(weight)", r"tcfm.key.\1"),
    (r"tcfm\.nonlocalblock\.conv_g\.(weight)", r"tcfm.value.\1"),
    (r"tcfm\.nonlocalblock\.conv_mask\.(weight)", r"tcfm.output.\1"),
    (r"tcfm\.nonlocalblock\.conv_mask_forR\.(weight)", r"tcfm.mix.\1"),
    (r"safm\.nonlocalblock\.attention\.fc\.(weight|bias)", r"safm.embed.\1"),
    (r"safm\.nonlocalblock\.attention\.attention\.([024])\.(weight|bias)", r"safm.score.\1.\2"),
)
# Read elsewhere, repeated, or unused by the network
_DROPPED = re.compile(
    r"points_grid|maf_extractor\.\d\.Dmap|regressor\.[12]\.init_(pose|shape|cam)|"
    r"regressor\.\d\.smpl\.[\w.]+|dp_head\.predict_(u|v|uv_index|ann_index)\.(weight|bias)"
)
_BODY = "regressor.0.smpl."
_SELECTION = "maf_extractor.0.Dmap"
# SMPL's own names of the checkpoint's tables
_BODY_TABLES = {
    "v_template": "v_template",
    "shapedirs": "shapedirs",
    "posedirs": "posedirs",
    "J_regressor": "J_regressor",
    "weights": "lbs_weights",
    "kintree_table": "parents",
    "f": "faces_tensor",
    "J_regressor_extra": "J_regressor_extra",
}
_VERTICES, _POINTS = 6890, 431
"""Of SMPL's mesh, and those of them that the network samples."""
_BODY_SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (_VERTICES, 3),
    "shapedirs": (_VERTICES, 3, BETAS),
    "posedirs": (POSE_BASIS, 3 * _VERTICES),
    "J_regressor": (JOINTS, _VERTICES),
    "weights": (_VERTICES, JOINTS),
    "J_regressor_extra": (9, _VERTICES),
    "vids_431": (_POINTS, _VERTICES),
    "kintree_table": (JOINTS,),
    "f": (13776, 3),
}
"""Of the entries as smplx lays them out."""
_WHOLE = {"kintree_table", "f"}
_BODY_TYPES = {
    False: (torch.float16, torch.float32, torch.float64),
    True: (torch.int32, torch.int64),
}
"""Of the entries that hold measures, and of those that hold numbers of joints and vertices."""


def is_authors_staf(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict looks like the network after the encoder, in the authors' names."""
    return "deconv_layers.0.weight" in state and "regressor.0.fc1.weight" in state


def is_authors_encoder(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict holds the authors' encoder."""
    return ENCODER_PREFIX + "conv1.weight" in state


def network_tensors(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Our tensors of an authors' state dict, encoder entries left aside.

    Args:
        state: `gen_state_dict` of STAF, or `model` of PyMAF's base model.
        source: file name for errors.

    Returns:
        Tensors under the names of `network.Staf`, kernels of size one squeezed away.

    Raises:
        WeightsError: an entry that is neither known nor known to be useless.
    """
    translated, unknown = {}, []
    for name, tensor in state.items():
        if name.startswith(ENCODER_PREFIX) or _DROPPED.fullmatch(name):
            continue
        ours = _our_name(name)
        if ours is None:
            unknown.append(name)
        else:
            translated[ours] = _squeezed(ours, tensor)
    if unknown:
        raise WeightsError(
            f"{source} holds entries that no STAF network has: {listed(unknown)}.",
            "It is a checkpoint of another network or version.",
        )
    return translated


def encoder_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors, prefix removed, of `model` in PyMAF's base model."""
    prefix = ENCODER_PREFIX
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def body_arrays(state: Mapping[str, Tensor], source: str) -> dict[str, np.ndarray] | None:
    """The SMPL body inside an authors' state dict, under SMPL's own names, or None without one.

    Returns:
        What `staf.body.tables_from_smpl` takes, with `vids_431` (431,), the sampled vertices, and
        `J_regressor_extra` (9, 6890).

    Raises:
        WeightsError: only part of the body is there, or an entry is not SMPL's.
    """
    names = {ours: _BODY + theirs for ours, theirs in _BODY_TABLES.items()}
    names["vids_431"] = _SELECTION
    missing = [name for name in names.values() if name not in state]
    if len(missing) == len(names):
        return None
    if missing:
        raise WeightsError(
            f"{source} holds only part of the SMPL body; missing: {listed(missing)}.",
            "Fetch the checkpoint again.",
        )
    wrong = [name for ours, name in names.items() if not _is_smpls(ours, state[name])]
    if wrong:
        raise WeightsError(
            f"{source} holds a body that is not SMPL; of another shape or type, or not finite: "
            f"{listed(wrong)}.",
            "The file is damaged or of another network; fetch it again.",
        )
    arrays = {ours: state[name].numpy() for ours, name in names.items()}
    arrays["vids_431"] = _selected_vertices(arrays["vids_431"], source)
    vertices = len(arrays["v_template"])
    arrays["posedirs"] = np.ascontiguousarray(arrays["posedirs"].T).reshape(vertices, 3, -1)
    arrays["kintree_table"] = _kinematic_table(arrays["kintree_table"])
    _check_landmarks(state, source)
    return arrays


def _is_smpls(ours: str, tensor: Tensor) -> bool:
    fits = tuple(tensor.shape) == _BODY_SHAPES[ours] and tensor.dtype in _BODY_TYPES[ours in _WHOLE]
    return fits and bool(torch.isfinite(tensor).all())


def _kinematic_table(parents: np.ndarray) -> np.ndarray:
    """Parents and joint numbers (2, 24) as SMPL's files have them, the root's parent 2^32 - 1."""
    return np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(len(parents))])


def _selected_vertices(dense: np.ndarray, source: str) -> np.ndarray:
    """The rows that a one-hot selection matrix (431, 6890) picks."""
    rows, columns = dense.nonzero()
    one_each = len(rows) == len(dense) and np.array_equal(rows, np.arange(len(dense)))
    if not one_each or (dense[rows, columns] != 1).any():
        raise WeightsError(
            f"{_SELECTION} in {source} does not select vertices.",
            "The file is damaged or of another network; fetch it again.",
        )
    return columns.astype(np.int64)


def _check_landmarks(state: Mapping[str, Tensor], source: str) -> None:
    given = state.get(_BODY + "vertex_joint_selector.extra_joints_idxs")
    if given is None:
        return
    if given.shape != (len(LANDMARK_VERTICES),) or tuple(given.tolist()) != LANDMARK_VERTICES:
        raise WeightsError(
            f"{source} takes its face, foot and finger points from other vertices than SMPL's.",
            "It was made with another body model.",
        )


def _our_name(name: str) -> str | None:
    for pattern, ours in _NAMES:
        found = re.fullmatch(pattern, name)
        if found and "{block}" in ours:
            return found.expand(ours.replace("{block}", str(int(found[1]) // 3)))
        if found:
            return found.expand(ours)
    return None


def _squeezed(ours: str, tensor: Tensor) -> Tensor:
    if ours.startswith("mean_"):
        return tensor.flatten()
    if ours.startswith("tcfm.") and tensor.ndim > 1:
        return tensor.flatten(1)
    return tensor


def listed(names: list[str]) -> str:
    """The first few of many names, in order, for an error message."""
    few = ", ".join(shown(name) for name in sorted(names)[:_LISTED])
    return few if len(names) <= _LISTED else f"{few} and {len(names) - _LISTED} more"

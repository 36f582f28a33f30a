"""Where and how exactly the torch networks run: device and precision."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from staf_backend import StafError
from staf_backend.choices import Precision as Wanted

# PyTorch looks for it once, at the process's first product on CUDA: a deterministic block that
# comes after other work would set it too late
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
"""Of the large layers: "tf32" is float32 with the shortened products of CUDA's convolutions.
Attention, rotations, body and projection are float32 in every case."""

_TYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""What the large layers are stored in."""
_WORDS: dict[Wanted, Precision] = {
    "float32": "float32",
    "tf32": "tf32",
    "bf16": "bfloat16",
    "fp16": "float16",
}
"""Users' words for them."""
_SHORT_SINCE = (8, 0)
"""Compute capability from which CUDA has bfloat16 and TF32 (NVIDIA's Ampere)."""
_PROCESSORS_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of instructions that compute in bfloat16, as `torch.cpu.get_capabilities` has them; what
AVX-512 alone emulates is slower than float32."""


@dataclass(frozen=True)
class TorchDevice:
    """A device that PyTorch sees: its name, what it is, and why it cannot be used, if so."""

    name: str
    about: str
    problem: str = ""


class DeviceError(StafError):
    """The device asked for is not in this computer, or its memory is too small."""

    kind = "weights"
    exit_code = 6


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DeviceError: it is unknown or absent, or this PyTorch was not built for it.
    """
    available = _available()
    if name == "auto":
        return torch.device(next(kind for kind in available if not _problem(kind)))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no device called {name!r}.", _offer(available)) from error
    if device.type not in available:
        raise DeviceError(f"PyTorch finds no {device.type} device here.", _offer(available))
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        raise DeviceError(f"PyTorch finds no {name} here.", f"{device.type} devices: {count}.")
    if problem := _problem(device.type, device.index or 0):
        raise DeviceError(problem, "Install a build of PyTorch for it, or choose --device cpu.")
    return device


def torch_devices() -> tuple[TorchDevice, ...]:
    """Everything that PyTorch sees here, the fastest first, the processor last."""
    found = []
    for kind in _available():
        if kind == "cuda":
            found += [_cuda_device(index) for index in range(torch.cuda.device_count())]
        else:
            found.append(TorchDevice(kind, {"mps": "Apple's GPU", "cpu": "the processor"}[kind]))
    return tuple(found)


def choose_precision(wanted: Wanted, device: torch.device) -> Precision:
    """The precision of the large layers on a device.

    Args:
        wanted: "auto" is bfloat16 on CUDA and on processors that have it, else float32.
        device: where the networks run.

    Raises:
        DeviceError: the device does not have it.
    """
    has = precisions_of(device)
    if wanted == "auto":
        native = "bf16" in has and device.type in ("cuda", "cpu")
        return "bfloat16" if native else "float32"
    if wanted not in has:
        advice = f"Use one of: auto, {', '.join(has)}."
        raise DeviceError(f"The device {device} does not compute in {wanted}.", advice)
    return _WORDS[wanted]


def precisions_of(device: torch.device) -> tuple[Wanted, ...]:
    """The precisions that a device computes in, in users' words."""
    if device.type == "cuda":
        if torch.version.hip:
            return ("float32", "bf16", "fp16")
        is_new = torch.cuda.get_device_capability(device) >= _SHORT_SINCE
        return ("float32", "tf32", "bf16", "fp16") if is_new else ("float32", "fp16")
    if device.type == "mps":
        return ("float32", "fp16")
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch has none
    return ("float32", "bf16") if any(map(capabilities.get, _PROCESSORS_BF16)) else ("float32",)


def user_word(precision: Precision) -> str:
    """A precision in users' words."""
    return next(word for word, known in _WORDS.items() if known == precision)


def storage_type(precision: Precision) -> torch.dtype:
    """What the large layers hold and compute in.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in _TYPES:
        raise ValueError(f"precision must be one of {', '.join(_TYPES)}, not {precision!r}")
    return _TYPES[precision]


@contextmanager
def numerics(precision: Precision, *, deterministic: bool = False) -> Iterator[None]:
    """PyTorch's global switches for the block, restored after it.

    Args:
        precision: float32 means full float32 products, also on CUDA; tf32 shortens those of
            convolutions alone, since the body and the attention are made of matrix products.
        deterministic: only algorithms whose results repeat bit by bit on the same device.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    were = torch.are_deterministic_algorithms_enabled()
    try:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32, cudnn.benchmark = precision == "tf32", not deterministic
        _repeat_bit_by_bit(deterministic or were)
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]
        _repeat_bit_by_bit(were)


def _repeat_bit_by_bit(wanted: bool) -> None:
    """Only algorithms whose results repeat; setting what is set already loads PyTorch's compiler,
    which takes seconds."""
    if torch.are_deterministic_algorithms_enabled() != wanted:
        torch.use_deterministic_algorithms(wanted)


def full_precision(like: Tensor) -> AbstractContextManager:
    """A block without autocast on the tensor's device, for steps that need float32."""
    kind = like.device.type
    if torch.amp.is_autocast_available(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; from pinned memory and without waiting where the device can."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _available() -> list[str]:
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _cuda_device(index: int) -> TorchDevice:
    has = torch.cuda.get_device_properties(index)
    about = f"{has.name}, {has.total_memory / 2**30:.0f} GiB, capability {has.major}.{has.minor}"
    return TorchDevice(f"cuda:{index}", about, _problem("cuda", index))


def _problem(kind: str, index: int = 0) -> str:
    """Why this build of PyTorch cannot use a device; "" where it can."""
    if kind != "cuda" or not torch.backends.cuda.is_built() or torch.version.hip:
        return ""
    built, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability(index)
    if not built or is_built_for(capability, built):
        return ""
    name, (major, minor) = torch.cuda.get_device_name(index), capability
    return (
        f"This PyTorch was not built for cuda:{index}, {name} (compute capability {major}.{minor}; "
        f"built for {', '.join(built)})."
    )


def is_built_for(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Whether CUDA code for some architectures runs on a GPU.

    Machine code ("sm_80") runs on the same major and no smaller minor version, intermediate code
    ("compute_90") on everything from its own on (CUDA's rules of compatibility); what ends with a
    letter ("sm_90a") runs on exactly its own.
    """
    for text in built:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", text)
        if match is None:
            continue
        kind, its, letter = match[1], (int(match[2]), int(match[3])), match[4]
        same_kind = capability == its if letter else capability >= its
        if same_kind and (kind == "compute" or capability[0] == its[0]):
            return True
    return False


def _offer(available: list[str]) -> str:
    return f"Available: {', '.join(available)}."

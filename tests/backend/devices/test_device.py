"""Devices and precision switches."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from staf_backend.devices import (
    DeviceError,
    choose_device,
    choose_precision,
    is_built_for,
    numerics,
    precisions_of,
    storage_type,
    torch_devices,
    user_word,
)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_absent_cuda_is_an_error_and_no_silent_cpu(name: str) -> None:
    with pytest.raises(DeviceError, match="no cuda device") as caught:
        choose_device(name)
    assert "cpu" in caught.value.advice
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99", "cpu:1"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError):
        choose_device(name)


@pytest.fixture
def old_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs; PyTorch was built for the second alone."""
    capabilities = [(3, 5), (8, 6)]
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    for name, answer in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_arch_list": lambda: ["sm_80", "sm_90a", "compute_90"],
        "get_device_capability": lambda index: capabilities[index],
        "get_device_name": lambda index: f"GPU {index}",
        "get_device_properties": lambda index: SimpleNamespace(
            name=f"GPU {index}",
            total_memory=8 * 2**30,
            major=capabilities[index][0],
            minor=capabilities[index][1],
        ),
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)


@pytest.mark.usefixtures("old_gpus")
def test_a_gpu_that_pytorch_was_not_built_for_is_one_sentence() -> None:
    with pytest.raises(DeviceError, match=r"not built for cuda:0, GPU 0 \(compute capability 3.5"):
        choose_device("cuda")
    assert choose_device("auto").type != "cuda"
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="no cuda:2"):
        choose_device("cuda:2")
    first, second, *_, last = torch_devices()
    assert (first.name, second.name, last.name) == ("cuda:0", "cuda:1", "cpu")
    assert "not built" in first.problem
    assert (second.about, second.problem) == ("GPU 1, 8 GiB, capability 8.6", "")


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 2), ["sm_90a"], False),
        ((12, 0), ["compute_90"], True),
        ((12, 0), ["sm_120"], True),
        ((12, 0), ["gfx906"], False),
    ],
)
def test_machine_code_runs_on_its_own_kind(capability, built: list[str], runs: bool) -> None:
    assert is_built_for(capability, built) is runs


def test_switches_are_restored_even_after_an_error() -> None:
    def state():
        return (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
        )

    def fail() -> None:
        with numerics("tf32", deterministic=True):
            assert state() == ("highest", True, False, True)
            raise ZeroDivisionError

    before = state()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before
    with numerics("float32"):
        assert state()[:2] == ("highest", False)


def test_switches_that_stand_already_are_left_alone() -> None:
    """Setting them loads PyTorch's compiler: four seconds of every conversion."""
    code = (
        "import sys; from staf_backend.devices.device import numerics\n"
        "with numerics('float32'): pass\n"
        "print('torch._inductor' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision"):
        storage_type("float8")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("device", "capability", "has"),
    [
        ("cuda", (9, 0), ("float32", "tf32", "bf16", "fp16")),
        ("cuda:1", (8, 0), ("float32", "tf32", "bf16", "fp16")),
        ("cuda", (7, 5), ("float32", "fp16")),
        ("mps", (0, 0), ("float32", "fp16")),
    ],
)
def test_auto_is_bfloat16_where_a_gpu_computes_in_it(
    device: str, capability: tuple, has: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    where = torch.device(device)
    assert precisions_of(where) == has
    assert choose_precision("auto", where) == ("bfloat16" if "bf16" in has else "float32")
    for word in ("float32", "tf32", "bf16", "fp16"):
        if word in has:
            assert user_word(choose_precision(word, where)) == word
        else:
            with pytest.raises(DeviceError, match=f"{device} does not compute in {word}") as caught:
                choose_precision(word, where)
            assert "auto, float32" in caught.value.advice
            assert caught.value.exit_code == 6


@pytest.mark.parametrize(("instructions", "native"), [("avx512_bf16", True), ("avx512_f", False)])
def test_auto_is_bfloat16_on_processors_that_compute_in_it(
    instructions: str, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True}, raising=False)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == ("bfloat16" if native else "float32")
    for word in ("tf32", "fp16"):
        with pytest.raises(DeviceError, match=f"cpu does not compute in {word}"):
            choose_precision(word, cpu)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert choose_precision("auto", cpu) == "float32"

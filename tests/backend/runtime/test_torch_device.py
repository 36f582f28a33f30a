"""Devices and precision switches."""

from types import SimpleNamespace

import pytest
import torch

from staf_backend.runtime.torch_device import (
    DeviceError,
    choose_device,
    is_built_for,
    numerics,
    storage_type,
    torch_devices,
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


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision"):
        storage_type("float8")  # pyright: ignore[reportArgumentType]

"""Which device a process of a run takes, on a computer that says it has four GPUs."""

from datetime import timedelta

import pytest

torch = pytest.importorskip("torch")

from training.run import open_machine  # noqa: E402


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What PyTorch was told; nothing of it needs a GPU."""
    said: dict = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: said.update(device=device))
    monkeypatch.setattr(
        torch.distributed,
        "init_process_group",
        lambda backend, *, timeout: said.update(backend=backend, timeout=timeout),
    )
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    return said


@pytest.fixture
def third_of_four(told: dict, monkeypatch: pytest.MonkeyPatch) -> dict:
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    return told


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_each_of_several_processes_has_its_own_gpu(third_of_four: dict, device: str) -> None:
    with open_machine(device) as machine:
        assert (machine.device, machine.rank) == (torch.device("cuda:2"), 2)
    assert third_of_four["device"] == torch.device("cuda:2")
    assert third_of_four["backend"] == "nccl"


def test_processes_on_the_cpu_leave_the_gpus_alone(third_of_four: dict) -> None:
    with open_machine("cpu") as machine:
        assert machine.device.type == "cpu"
    assert "device" not in third_of_four
    assert third_of_four["backend"] == "gloo"


def test_the_others_wait_while_the_first_writes_a_sets_maps(third_of_four: dict) -> None:
    with open_machine("auto"):
        assert third_of_four["timeout"] > timedelta(days=1)


def test_a_gpu_by_its_number_is_everybodys_in_the_process(told: dict) -> None:
    with open_machine("cuda:3") as machine:
        assert machine.device == told["device"] == torch.device("cuda:3")


def test_the_only_gpu_needs_no_number(told: dict) -> None:
    with open_machine("cuda") as machine:
        assert machine.device == torch.device("cuda")
    assert told == {}

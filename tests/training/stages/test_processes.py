"""Many processes train as one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from torch import nn  # noqa: E402

from tests.support.places import REPOSITORY  # noqa: E402
from training.run import checkpoints, run_folder  # noqa: E402
from training.run.synchronised import GlooBatchNorm, synchronise  # noqa: E402


def processes(world: int, stage: str, folder: Path, out: Path) -> list[dict[str, float]]:
    """Losses, and gradients' lengths, of the steps of a run of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = str(REPOSITORY)
    shared = {
        **os.environ,
        "PYTHONPATH": paths,
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    command = [
        sys.executable,
        str(REPOSITORY / "tests" / "support" / "make_stages.py"),
        stage,
        str(folder),
        str(out),
    ]
    running = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(world)
    ]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors.decode()
    return [entry["losses"] for entry in run_folder.reports(out) if "losses" in entry]


@pytest.mark.usefixtures("caches")
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["video", "image"])
def test_two_processes_give_the_curve_of_one(stage, folder, tmp_path):
    """Labels are spread unevenly over the two, and batch norms need both."""
    one = processes(1, stage, folder, tmp_path / "one")
    two = processes(2, stage, folder, tmp_path / "two")
    assert len(one) == 4
    totals = [[step["total"] for step in run] for run in (one, two)]
    np.testing.assert_allclose(*totals, rtol=1e-4)
    assert two[0]["gradient"] == pytest.approx(one[0]["gradient"], rel=1e-3)
    _, single = checkpoints.read_checkpoint(tmp_path / "one" / run_folder.LAST)
    _, double = checkpoints.read_checkpoint(tmp_path / "two" / run_folder.LAST)
    for name in single:
        if "running_" in name:
            torch.testing.assert_close(double[name], single[name], rtol=1e-4, atol=1e-5)


def test_one_process_batch_norm_is_pytorchs(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        norm = nn.BatchNorm2d(3)
        nn.init.normal_(norm.weight)
        ours = synchronise(nn.Sequential(norm), torch.device("cpu"))
        joined = ours.get_submodule("0")
        assert isinstance(joined, GlooBatchNorm)
        inputs = torch.randn(4, 3, 5, 5) * 3 + 7
        both = [inputs.clone().requires_grad_() for _ in range(2)]
        results = [module(x) for module, x in zip((norm, ours), both)]
        weights = torch.randn(results[0].shape)
        for result in results:
            (result * weights).sum().backward()
        torch.testing.assert_close(results[1], results[0])
        torch.testing.assert_close(both[1].grad, both[0].grad)
        torch.testing.assert_close(dict(joined.named_buffers()), dict(norm.named_buffers()))
        norm.eval()
        ours.eval()
        torch.testing.assert_close(ours(inputs), norm(inputs))
    finally:
        torch.distributed.destroy_process_group()

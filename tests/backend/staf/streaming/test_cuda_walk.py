"""CUDA code walked through without a GPU: nothing waits, is copied or allocated that need not be.

Whether results are right is `test_inference`'s question, which replays graphs on the CPU.
"""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from tests.support.cuda_walk.guard import why_not
from tests.support.places import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_not() != "", reason=why_not() or "possible"),
]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("guard")
    command = [sys.executable, "-m", "tests.support.cuda_walk", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_push_is_one_upload_and_one_download_and_graphs_stay(walked: dict) -> None:
    assert len(walked["streams"]) == 4
    assert walked["streams"] == {name: [] for name in walked["streams"]}


def test_a_training_step_waits_for_its_losses_and_its_gradient_alone(walked: dict) -> None:
    assert len(walked["training"]) == 4
    assert walked["training"] == {name: [] for name in walked["training"]}


def test_mistakes_are_seen(walked: dict) -> None:
    found = walked["mistakes"]
    assert found["number of the CPU"] != []
    assert "aten.nonzero" in found["waits"][0]
    assert "same device" in found["left on the CPU"][0]
    assert found["indexed by a list"] == ["blocking upload"]
    assert "aten.nonzero" in found["backward waits"][0]
    assert found["backward uploads"] == ["blocking upload"]
    assert "same device" in found["backward left on the CPU"][0]
    assert found["allocates"].count("allocates") >= 2
    assert "blocking upload" in found["allocates"]

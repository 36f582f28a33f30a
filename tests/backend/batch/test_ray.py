"""A batch on a Ray cluster of two nodes, one of which is killed.  Runs where Ray is installed."""

import subprocess
import sys
import time

import pytest

from tests.backend.batch.test_batch import WORDS, footage, results, states
from tests.support.command_line import environment, staf

pytest.importorskip("ray")


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.lost = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def test_a_lost_node_costs_nothing_but_time(cluster, tmp_path):
    folder = footage(tmp_path / "in", 6)
    alone, out = tmp_path / "alone", tmp_path / "ray"
    words = ["-m", "staf_backend", "batch", folder, "--out", out, "--ray", cluster.address, *WORDS]
    running = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    logs = out / ".staf-batch" / "logs"
    limit = time.monotonic() + 120
    while not list(logs.rglob("take*.log")):  # some clip is at work
        assert running.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.1)
    cluster.remove_node(cluster.lost, allow_graceful=False)
    said, errors = running.communicate(timeout=240)
    assert running.returncode == 3, said + errors
    assert staf("batch", folder, "--out", alone, *WORDS, cwd=tmp_path).returncode == 3
    assert states(out) == states(alone)
    assert len(results(out)) == 12
    assert results(out) == results(alone)
    settled = [line for line in said.splitlines() if line.startswith("[")]
    assert len(settled) == len(states(out)), "every clip ends once"

"""No tensor of the network or of the losses stays on the CPU when their device is another."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

from torch.utils import backend_registration

from tests.support.places import REPOSITORY


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch has no spare device for Python",
)
def test_network_and_losses_are_whole_on_their_device() -> None:
    script = REPOSITORY / "tests" / "support" / "fake_gpu.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "all on the device\n"

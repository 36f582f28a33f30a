"""No tensor of the network or of the losses stays on the CPU when their device is another."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from torch.utils import backend_registration


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch has no spare device for Python",
)
def test_network_and_losses_are_whole_on_their_device() -> None:
    script = Path(__file__).with_name("fake_gpu.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "all on the device\n"

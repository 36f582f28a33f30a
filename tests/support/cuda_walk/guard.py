"""Builds and loads `guard.cpp`, before PyTorch: that asks only once what accelerators there are."""

import ctypes
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).with_name("guard.cpp")


def why_not() -> str:
    """Why this computer cannot walk CUDA code without a GPU; "" where it can."""
    import torch

    if torch.backends.cuda.is_built():
        return "this PyTorch has CUDA itself"
    if torch.__version__ < "2.9" or not hasattr(torch._subclasses, "FakeTensorMode"):
        return "fake tensors of this PyTorch are not known here"
    return "" if shutil.which("c++") else "there is no C++ compiler"


def load_guard(folder: Path) -> None:
    """From now on this process has two devices of type "cuda" that nothing runs on.

    Raises:
        RuntimeError: PyTorch has been imported already, or the guard does not compile.
    """
    found = find_spec("torch")
    if "torch" in sys.modules or found is None or found.origin is None:
        raise RuntimeError("The guard must be loaded before PyTorch, which must be there.")
    library, torch = folder / "guard.so", Path(found.origin).parent
    link = [f"-L{torch / 'lib'}", f"-Wl,-rpath,{torch / 'lib'}", "-lc10", "-ltorch_cpu"]
    include = ["-isystem", str(torch / "include")]
    command = ["c++", "-shared", "-fPIC", "-std=c++20", *include, str(SOURCE), *link]
    done = subprocess.run([*command, "-o", str(library)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    ctypes.CDLL(str(library))

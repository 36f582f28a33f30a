"""Builds and loads `guard.cpp`."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import torch
from torch.utils import cpp_extension

SOURCE = Path(__file__).with_name("guard.cpp")


def why_not() -> str:
    """Why this computer cannot walk CUDA code without a GPU; "" where it can."""
    if torch.backends.cuda.is_built():
        return "this PyTorch has CUDA itself"
    if torch.__version__ < "2.9" or not hasattr(torch._subclasses, "FakeTensorMode"):
        return "fake tensors of this PyTorch are not known here"
    return "" if shutil.which("c++") else "there is no C++ compiler"


def load_guard(folder: Path) -> None:
    """From now on this process has two devices of type "cuda" that nothing runs on.

    Raises:
        RuntimeError: it does not compile.
    """
    library = folder / "guard.so"
    include = [word for path in cpp_extension.include_paths() for word in ("-isystem", path)]
    link = [word for path in cpp_extension.library_paths() for word in (f"-L{path}", "-lc10")]
    command = ["c++", "-shared", "-fPIC", "-std=c++20", *include, str(SOURCE), *link]
    done = subprocess.run([*command, "-o", str(library)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    ctypes.CDLL(str(library))

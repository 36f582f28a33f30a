"""Walks through all CUDA code; prints the broken rules as JSON.

    python -m tests.support.cuda_walk FOLDER [streams|mistakes|training ...]

FOLDER is for the guard.  Its own process, since a device guard stays.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.cuda_walk.guard import load_guard


def parts() -> dict[str, Callable[[], dict[str, list[str]]]]:
    """What can be walked; imports PyTorch."""
    from tests.support.cuda_walk.stream_walk import mistakes, walk_streams
    from tests.support.cuda_walk.train_walk import backward_mistakes, walk_training

    return {
        "streams": walk_streams,
        "mistakes": lambda: mistakes() | backward_mistakes(),
        "training": walk_training,
    }


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    load_guard(Path(tempfile.mkdtemp(dir=folder)))
    known = parts()
    print(json.dumps({name: known[name]() for name in names or known}))

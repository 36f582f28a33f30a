"""Walks through all CUDA code; prints the broken rules as JSON.

    python -m tests.support.cuda_walk FOLDER [streams|mistakes|training ...]

FOLDER is for the guard.  Its own process, since a device guard stays.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.support.cuda_walk.guard import load_guard
from tests.support.cuda_walk.stream_walk import mistakes, walk_streams
from tests.support.cuda_walk.train_walk import walk_training

PARTS = {"streams": walk_streams, "mistakes": mistakes, "training": walk_training}

if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    load_guard(Path(tempfile.mkdtemp(dir=folder)))
    print(json.dumps({name: PARTS[name]() for name in names or PARTS}))

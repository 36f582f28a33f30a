"""The process apart: reads files of native formats within limits, one order a line.

    ◄─ {"reader", "options", "memory_bytes", "seconds", "out"}       JSON on its standard input
    ─► {} | {"error": sentence's end} | {"missing": package}         JSON on its standard output

The arrays of an answer without an error lie in the .npz file that the order names.
"""

import importlib
import json
import math
import os
import sys
from typing import Any

import numpy as np

from staf_backend.files import TooLargeError
from training.datasets.formats.native_readers import PACKAGES, READERS, ReadError

try:
    import resource
except ImportError:  # Windows: time is limited from outside, memory is not
    resource = None


def main() -> None:
    """Follow orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for words_of_libraries in (1, 2):
        os.dup2(nowhere, words_of_libraries)
    for line in sys.stdin:
        answer = _follow(json.loads(line))
        print(json.dumps(answer), file=answers, flush=True)


def _follow(order: dict[str, Any]) -> dict[str, str]:
    reader = order["reader"]
    try:
        importlib.import_module(PACKAGES[reader])
    except ImportError:
        return {"missing": PACKAGES[reader].split(".")[0]}
    if "out" not in order:
        return {}
    try:
        _limit(order["memory_bytes"], order["seconds"])
        arrays: dict[str, Any] = READERS[reader](**order["options"])
        np.savez(order["out"], **arrays)
    except ReadError as error:
        return {"error": str(error)}
    except (MemoryError, TooLargeError):
        return {"error": "stands for far more numbers than it holds."}
    except Exception as error:  # a damaged file can let a library fail in any way
        return {"error": f"is damaged or cut short ({type(error).__name__})."}
    return {}


def _limit(memory_bytes: int, seconds: float) -> None:
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    until_s = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, memory_bytes)
    _lower(resource.RLIMIT_CPU, until_s)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(which: int, most: int) -> None:
    assert resource is not None
    _, hard = resource.getrlimit(which)
    try:
        resource.setrlimit(
            which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )
    except (ValueError, OSError):
        return  # macOS refuses some limits; the time limit from outside stays


if __name__ == "__main__":
    main()

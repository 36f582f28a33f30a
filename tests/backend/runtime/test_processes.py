"""What a process does with its own memory."""

import subprocess
import sys

import pytest

from tests.support.command_line import environment

_FREED = """
import os
from staf_backend.runtime import give_back_heap, memory_bytes

kept = []
for number in range(2000):
    some = bytearray(100_000)
    if number % 100 == 99:
        kept.append(bytearray(1000))
    kept.append(some)
pinned = bytearray(1000)  # the heap's end stays in use
full = memory_bytes(os.getpid())
kept = [some for some in kept if len(some) == 1000]
freed = memory_bytes(os.getpid())
give_back_heap()
print(full, freed, memory_bytes(os.getpid()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries give back by themselves")
def test_what_is_freed_goes_back_to_the_system():
    command = [sys.executable, "-c", _FREED]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    full, freed, given = (int(word) / 1e6 for word in told.stdout.split())
    assert full - freed < 50, "glibc gave back by itself: this test shows nothing"
    assert full - given > 150

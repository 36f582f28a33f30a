"""`staf` in a process of its own that begins with the modules loaded: forked of one that has them.

The process that forks does nothing else, so what a run finds is what a new process would find,
only a second or three sooner.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.support.command_line import environment
from tests.support.places import REPOSITORY


class Forked:
    """Runs `staf`; a context manager."""

    def __init__(self, *modules: str) -> None:
        """Starts the process that forks, with these loaded."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *modules],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def staf(
        self,
        *words: object,
        cwd: Path,
        env: dict[str, str],
        limits: dict[int, int],
        wait_s: int,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end.

        Args:
            words: of the command.
            cwd: where it runs.
            env: all of its variables.
            limits: of its resources, by `resource.RLIMIT_...`.
            wait_s: after which it is ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            texts = [Path(folder, name) for name in ("stdout", "stderr")]
            asked = {
                "words": ["staf", *map(str, words)],
                "cwd": str(cwd),
                "env": env,
                "limits": list(limits.items()),
                "wait_s": wait_s,
                "texts": list(map(str, texts)),
            }
            print(json.dumps(asked), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            told = [path.read_text(encoding="utf-8") for path in texts]
        return subprocess.CompletedProcess(asked["words"], code, *told)


def _serve(modules: Sequence[str]) -> None:
    for name in modules:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(
    words: list[str],
    cwd: str,
    env: dict[str, str],
    limits: list[tuple[int, int]],
    wait_s: int,
    texts: list[str],
) -> NoReturn:
    """The command, in the process that was forked for it, which ends with it."""
    import resource  # POSIX's

    code: Any = 1
    try:
        for number, path in enumerate(texts, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        signal.alarm(wait_s)
        for kind, most in limits:
            resource.setrlimit(kind, (most, most))
        sys.argv = words
        code = import_module("staf_backend.__main__").main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1:])

"""A real Blender window on a virtual screen, and a hand with a mouse and a keyboard."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
IN_FOLDER = str(REPOSITORY / ".ci" / "blender-in-folder")
WIDTH_PX, HEIGHT_PX = 1600, 1000


class Screen:
    """Blender with the extension installed, its tab open."""

    def __init__(
        self, folder: Path, environment: dict[str, str], blender: subprocess.Popen
    ) -> None:
        self.folder = folder
        self.blender = blender
        self._environment = environment
        self._asked = 0
        self.clicks = 0
        """How often the mouse was pressed."""

    def click(self, x: int, y: int) -> None:
        """Blender highlights a button before it takes a click, so the pointer rests first."""
        self._tool("xdotool", "mousemove", str(x), str(y))
        time.sleep(0.4)
        self.clicks += 1
        self._tool("xdotool", "click", "1")
        time.sleep(0.2)

    def key(self, *names: str) -> None:
        self._tool("xdotool", "key", *names)
        time.sleep(0.2)

    def type(self, text: str) -> None:
        self._tool("xdotool", "type", "--delay", "15", text)
        time.sleep(0.2)

    def move(self, x: int, y: int) -> None:
        self._tool("xdotool", "mousemove", str(x), str(y))
        time.sleep(0.3)

    def rest(self, x: int, y: int) -> None:
        """Move there and let the window draw itself: buttons are where it drew them last."""
        self.move(x, y)
        for _ in range(3):  # panels slide to their new places
            self.ask(
                "window = bpy.context.window_manager.windows[0]\n"
                "for area in window.screen.areas: area.tag_redraw()\n"
                "with bpy.context.temp_override(window=window):\n"
                "    bpy.ops.wm.redraw_timer(type='DRAW_WIN_SWAP', iterations=1)"
            )
            time.sleep(0.4)

    def set(self, **values: Any) -> None:
        """Change the panel's settings, and draw them: buttons move with them."""
        lines = [f"bpy.context.scene.staf.{name} = {value!r}" for name, value in values.items()]
        lines += ["for window in bpy.context.window_manager.windows:"]
        lines += ["    for area in window.screen.areas: area.tag_redraw()"]
        self.ask("\n".join(lines))
        time.sleep(1.0 + min(4.0, os.getloadavg()[0] / 5))  # panels slide to their new places

    def shot(self, path: Path) -> Path:
        """The whole screen as a picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tool("scrot", "-o", str(path))
        return path

    def state(self) -> dict[str, Any]:
        """What the add-on says of itself, at most a moment old."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads((self.folder / "state.json").read_text())
        return {}

    def ask(self, program: str, limit_s: float = 60) -> Any:
        """Run a program in Blender; its variable `answer`."""
        self._asked += 1
        answer = self.folder / f"answer-{self._asked}.json"
        part = self.folder / "question.part"
        part.write_text(program)
        part.replace(self.folder / f"ask-{self._asked}.py")
        self.wait(answer.exists, limit_s, program)
        return json.loads(answer.read_text())

    def wait(self, condition: Any, limit_s: float, what: str) -> None:
        """Until a condition holds.

        Raises:
            AssertionError: it did not, in time.
        """
        limit = time.monotonic() + limit_s
        while not condition():
            assert self.blender.poll() is None, f"Blender ended: {self.log()[-2000:]}"
            assert time.monotonic() < limit, f"in vain for {what}: {self.state()}"
            time.sleep(0.05)

    def log(self) -> str:
        return (self.folder / "blender.log").read_text()

    def _tool(self, program: str, *words: str) -> None:
        environment = {**self._environment, "BLENDER_PROGRAM": program}
        subprocess.run(
            [IN_FOLDER, *words], env=environment, check=True, capture_output=True, cwd=REPOSITORY
        )


@contextlib.contextmanager
def opened(folder: Path, extension: Path, fresh: bool = False) -> Iterator[Screen]:
    """Install the extension, open Blender with it, close everything at the end.

    Args:
        folder: for the profile and all files.
        extension: the zip.
        fresh: leave the window as Blender opens it; else the tab is shown.
    """
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "user")}
    (folder / "user").mkdir(parents=True)
    install = ["--command", "extension", "install-file", "-r", "user_default", "-e", str(extension)]
    subprocess.run(
        [IN_FOLDER, *install], env=environment, check=True, capture_output=True, cwd=REPOSITORY
    )
    with _display(environment) as number, (folder / "blender.log").open("w") as log:
        shown = environment | {"DISPLAY": number, "LIBGL_ALWAYS_SOFTWARE": "1"}
        words = ["--window-geometry", "0", "0", str(WIDTH_PX), str(HEIGHT_PX)]
        words += ["--python", str(Path(__file__).with_name("ready.py")), "--", str(folder)]
        words += ["--fresh"] if fresh else []
        blender = subprocess.Popen(
            [IN_FOLDER, *words], env=shown, stdout=log, stderr=log, cwd=REPOSITORY
        )
        screen = Screen(folder, shown, blender)
        try:
            screen.wait(lambda: "READY" in screen.log() and screen.state(), 120, "READY")
            yield screen
        finally:
            _end(blender)


@contextlib.contextmanager
def _display(environment: dict[str, str]) -> Iterator[str]:
    reading, writing = os.pipe()
    words = ["-displayfd", str(writing), "-screen", "0", f"{WIDTH_PX}x{HEIGHT_PX}x24"]
    server = subprocess.Popen(
        [IN_FOLDER, *words, "+extension", "GLX", "-nolisten", "tcp"],
        env={**environment, "BLENDER_PROGRAM": "Xvfb"},
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        _end(server)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

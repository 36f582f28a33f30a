"""What each command of `staf blender` does."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from staf_backend.blender.error import BlenderError
from staf_backend.blender.extension import extension, write_zip
from staf_backend.blender.program import NEWEST, Blender, blenders, usable_blenders
from staf_backend.files import make_folder, replace_atomically
from staf_backend.reporting import Reporter

_SCRIPT = "staf_blender.py"
"""Of the add-on, for inside Blender."""
_WHEELS = "staf_backend-*.whl"


def install(given: Path | None, reporter: Reporter) -> int:
    """Put the add-on into each Blender, and let it run the Python that runs this.

    Raises:
        BlenderError: no Blender takes it.
    """
    found = usable_blenders(given)
    done: list[dict[str, Any]] = []
    lines: list[str] = []
    failures: list[BlenderError] = []
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / extension().zip_name
        write_zip(archive)
        for blender in found:
            try:
                answer = _ask(blender, "install", str(archive), sys.executable)
            except BlenderError as error:
                failures.append(error)
                continue
            done.append(_values(blender) | answer)
            lines.append(_installed(blender, answer))
    if not done:
        raise failures[0]
    lines += [f"failed: {error}" for error in failures]
    lines.append("Start Blender (again, where it is open): press N in the 3D view, tab STAF.")
    values = {"blenders": done, "failed": [error.message for error in failures]}
    reporter.result("\n".join(lines), values | {"python": sys.executable})
    return BlenderError.exit_code if failures else 0


def write_extension(path: Path, reporter: Reporter) -> int:
    """Write the zip that Blender installs from disk.

    Args:
        path: of the zip, or a folder for it.

    Raises:
        OutputError: it cannot be written.
    """
    target = path if path.suffix.lower() == ".zip" else make_folder(path) / extension().zip_name
    write_zip(target)
    reporter.result(f"wrote {target}", {"files": [str(target.resolve())]})
    return 0


def make_repository(
    folder: Path, wheel: Path | None, given: Path | None, reporter: Reporter
) -> int:
    """Fill a folder with what Blender takes for a repository of extensions.

    Args:
        folder: any web server can offer it, and any disk.
        wheel: of staf-backend, copied into it; None: the newest that the folder holds, if any.
        given: the Blender to make its listing; None: one that is found.

    Raises:
        BlenderError: there is no Blender, or it refuses; the wheel is none.
        OutputError: the folder cannot be written to.
    """
    blender = usable_blenders(given)[0]
    if wheel is not None and not (wheel.is_file() and wheel.match(_WHEELS)):
        raise BlenderError(f"{wheel} is not a wheel of staf-backend ({_WHEELS}).")
    make_folder(folder)
    if wheel is not None and wheel.resolve().parent != folder.resolve():
        with replace_atomically(folder / wheel.name) as part:
            shutil.copyfile(wheel, part)
    wheels = sorted(folder.glob(_WHEELS), key=lambda path: path.stat().st_mtime)
    beside = folder / wheel.name if wheel else (wheels[-1] if wheels else None)
    made = extension()
    write_zip(folder / made.zip_name, beside)
    for old in folder.glob(f"{made.name}-*.zip"):
        if old.name != made.zip_name:
            old.unlink()
    blender.run(
        ["--command", "extension", "server-generate", "--repo-dir", str(folder.resolve()), "--html"]
    )
    index = (folder / "index.json").resolve()
    text = f"wrote {folder}\nIn Blender: Preferences > Get Extensions > Repositories > Add Remote \
Repository, {index.as_uri()} or the address of its index.json where you put it; or open its \
index.html and drag STAF Motion into Blender."
    text += f"\nSet Up Backend will install {beside.name} from it." if beside else ""
    files = [str(path.resolve()) for path in sorted(folder.iterdir()) if path.is_file()]
    reporter.result(text, {"index": index.as_uri(), "files": files})
    return 0


def list_blenders(given: Path | None, reporter: Reporter) -> int:
    """Each Blender, and what of the add-on it has.

    Raises:
        BlenderError: the given one is no Blender.
    """
    found = blenders(given)
    listed, lines = [], []
    for blender in found:
        answer = _ask(blender, "look") if blender.usable else {"installed": {}, "python": ""}
        listed.append(_values(blender) | answer)
        lines.append(f"{blender.name}  {blender.program}  {_state(blender, answer)}")
    reporter.result("\n".join(lines) or "no Blender was found.", {"blenders": listed})
    return 0


def _ask(blender: Blender, *words: str) -> dict[str, Any]:
    return blender.ask(extension().folder / _SCRIPT, words)


def _values(blender: Blender) -> dict[str, Any]:
    version = ".".join(map(str, blender.version))
    return {"program": str(blender.program), "blender": version, "usable": blender.usable}


def _installed(blender: Blender, answer: dict[str, Any]) -> str:
    before, version = answer["before"], answer["version"]
    what = f"{version} in place of {before}" if before not in (None, version) else version
    text = f"{blender.name} ({blender.program}): STAF Motion {what}"
    return text + (f"; {_newer()}" if blender.version[:2] > NEWEST else "")


def _state(blender: Blender, answer: dict[str, Any]) -> str:
    if not blender.usable:
        return "too old for extensions"
    if not answer["installed"]:
        return "without STAF Motion" + (f"; {_newer()}" if blender.version[:2] > NEWEST else "")
    versions = ", ".join(answer["installed"].values())
    state = "" if answer["enabled"] else ", not enabled"
    return f"STAF Motion {versions}{state}, Python: {answer['python'] or 'none chosen'}"


def _newer() -> str:
    return f"newer than {NEWEST[0]}.{NEWEST[1]}, the last tried"

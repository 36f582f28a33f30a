# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a virtual environment with the backend in it: the commands.  Knows nothing of Blender."""

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from ..user_error import UserError
from .process import Command
from .protocol import BackendError, misunderstood, objects_of, text_of

_WHEELS = "staf_backend-*.whl"
_BESIDE = "backend.json"
"""In the extension where it was built beside a wheel: the wheel's name and SHA-256."""
_COPY = Path(__file__).with_name("copy_source.py")
_COPIED = "source"
"""In the new environment: a copy of a clone, built there so that the clone stays as it is."""


@dataclass(frozen=True)
class Beside:
    """The wheel beside which this extension was built."""

    name: str
    sha256: str
    folder: str
    """Address of the repository that the extension came from, such as file:///disk/staf/."""


class InstallError(UserError):
    """The backend cannot be installed from there."""


def environment_python(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def host_python() -> str:
    """The Python that Blender itself runs, which can make virtual environments."""
    if not sys.executable:
        raise InstallError("this Blender does not tell where its Python is.")
    return sys.executable


def wheel_beside(extension: Path, repository: str) -> Beside | None:
    """The wheel that was named when the extension was built; None where none was.

    Args:
        extension: the folder of the add-on.
        repository: address of the index that Blender has it from; empty for a file.
    """
    try:
        told = json.loads((extension / _BESIDE).read_text(encoding="utf-8"))
        name, digest = told["wheel"], told["sha256"]
        good = re.fullmatch(r"staf_backend-[\w.+-]+\.whl", name, re.ASCII)
        good = good and re.fullmatch(r"[0-9a-f]{64}", digest)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    folder = urlsplit(repository)._replace(query="", fragment="").geturl()
    folder = folder.rpartition("/")[0] + "/" if folder.endswith(".json") else folder
    return Beside(name, digest, folder) if good and folder else None


def beside_arguments(beside: Beside, online: bool) -> list[str]:
    """What pip is told to install the wheel beside the extension: that very one, by its SHA-256.

    Raises:
        InstallError: it is not there, is another one, or needs the network.
    """
    address = beside.folder.rstrip("/") + "/"
    if address.startswith("file:"):
        folder = Path(url2pathname(unquote(urlsplit(address).path)))
        wheel = folder / beside.name
        if not wheel.is_file():
            raise InstallError(f"{wheel} is not there any more.", "Choose a wheel in Install From.")
        with wheel.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != beside.sha256:
                advice = "Make the repository again, or choose a wheel in Install From."
                raise InstallError(f"{wheel} is not the one this add-on came with.", advice)
        return [*([] if online else ["--no-index"]), "--find-links", str(folder), str(wheel)]
    if not online:
        advice = "Allow Online Access in Preferences > System, or choose a wheel in Install From."
        raise InstallError(f"the backend is at {address}, on the network.", advice)
    return [f"staf-backend @ {address}{quote(beside.name)}#sha256={beside.sha256}"]


def pip_arguments(source: str, online: bool) -> list[str]:
    """What pip is told: always a file or folder that the user chose, never a name for an index.

    Whoever registers a name on an index runs code on every machine that installs it.

    Args:
        source: a wheel of staf-backend, a folder of wheels, or the folder of the project's source.
        online: whether Blender may use the network, for the packages that the backend stands on.

    Raises:
        InstallError: the source is none of these, or needs the network.
    """
    if not source or "://" in source:
        raise InstallError(
            "Install From does not say where the backend is on this computer.",
            "Choose its wheel, a folder of wheels, or the folder of a clone of the project; or run"
            " 'staf blender install' where staf-backend is installed.",
        )
    path = Path(source).expanduser()
    if not path.exists():
        raise InstallError(f"{path} does not exist.", "Choose a wheel, or a folder of wheels.")
    closed = [] if online else ["--no-index"]
    wheels = [path] if path.is_file() else sorted(path.glob(_WHEELS), key=_version)
    if wheels:
        if not wheels[-1].match(_WHEELS):
            raise InstallError(f"{path.name} is not a wheel of staf-backend ({_WHEELS}).")
        return [*closed, "--find-links", str(wheels[-1].parent), str(wheels[-1])]
    if (path / "pyproject.toml").is_file() and (path / "staf_backend").is_dir():
        if not online:
            raise InstallError(
                f"{path} holds source, which needs the network to build.", "Choose a wheel."
            )
        return [str(path)]  # of which `install_commands` makes a copy
    raise InstallError(f"{path} holds no wheel of staf-backend.")


def _version(wheel: Path) -> list[int]:
    """Of a wheel's name, to find the newest."""
    return [int(number) for number in re.findall(r"\d+", wheel.name.split("-")[1])]


def install_commands(
    folder: Path, source: str, online: bool, beside: Beside | None = None
) -> list[tuple[str, Command]]:
    """The steps that make an environment, with what to tell the user at each.

    Args:
        folder: of the new environment.
        source: as for `pip_arguments`; empty: the wheel beside the extension.
        online: whether Blender may use the network.
        beside: that wheel, where there is one.

    Raises:
        InstallError: see `pip_arguments` and `beside_arguments`.
    """
    if beside is not None and not source:
        words = beside_arguments(beside, online)
    else:
        words = pip_arguments(source, online)
    copying = []
    if not words[-1].endswith(".whl") and "#sha256=" not in words[-1]:
        copy = str(folder / _COPIED)
        copying = [
            (
                "copying the source",
                Command(host_python(), (str(_COPY), words[-1], copy), module=None),
            )
        ]
        words = [copy]
    python = str(environment_python(folder))
    quiet = ("--disable-pip-version-check", "--no-input", "--no-color")
    pip = ("-m", "pip", "install", *quiet, *words)
    return [
        ("making a virtual environment", Command(host_python(), _venv(folder), module=None)),
        *copying,
        ("installing the backend", Command(python, pip, module=None)),
        ("checking the backend", Command(python, ("doctor",))),
    ]


def tidy(folder: Path) -> None:
    """Remove from a finished environment what was needed to make it."""
    shutil.rmtree(folder / _COPIED, ignore_errors=True)


def explained(failure: BackendError) -> BackendError:
    """A failed step of `install_commands`, with what to do where that is known."""
    message, advice = failure.message, failure.advice
    if "ensurepip is not" in failure.log or "No module named venv" in failure.log:
        message = f"{host_python()} cannot make virtual environments."
        advice = (
            "Instead of Set Up Backend, press the folder button of Backend Python and choose the"
            " Python of an environment that has staf-backend; or run 'staf blender install' there."
            "  On Debian and Ubuntu apt install python3-venv makes Set Up Backend work."
        )
    elif missing := re.search(r"No matching distribution found for ([\w.-]+)", failure.log):
        message = f"the package {missing[1]}, which the backend needs, is not to be had."
        advice = (
            "Allow Online Access in Preferences > System, or put its wheel beside the backend's."
        )
    elif conflict := re.search(r"The conflict is caused by:\n((?:    .+\n)+)", failure.log):
        reasons = "; ".join(line.strip() for line in conflict[1].splitlines())
        message = f"the packages that the backend needs are not to be had together: {reasons}."
        advice = (
            "Allow Online Access in Preferences > System, or put their wheels beside the backend's;"
            " where pip has a constraint, in PIP_CONSTRAINT or its settings, take it away."
        )
    return BackendError(message, advice, failure.log, failure.kind, failure.exit_code)


def _venv(folder: Path) -> tuple[str, ...]:
    return ("-m", "venv", "--clear", str(folder))


def describe_doctor(result: dict[str, Any]) -> list[str]:
    """What a doctor command found, in words, one line each.

    Raises:
        BackendError: a word of the answer means nothing.
    """
    versions, devices = result.get("versions", {}), result.get("devices", [])
    if not isinstance(versions, dict):
        raise misunderstood("versions")
    if not isinstance(devices, list) or not all(isinstance(one, str) for one in devices):
        raise misunderstood("devices")
    known = {name: text_of(versions, name) for name in ("staf", "python", "torch", "smplx")}
    lines = [f"staf {known['staf'] or '?'}, Python {known['python'] or '?'}"]
    extras = [f"{name} {known[name]}" for name in ("torch", "smplx") if known[name]]
    lines += [", ".join(extras)] if extras else []
    lines.append("devices: " + (", ".join(devices) or "none"))
    lines.append(
        "bodies: " + ", ".join(text_of(one, "name") for one in objects_of(result, "bodies"))
    )
    for one in objects_of(result, "weights"):
        name, status, message = (text_of(one, word) for word in ("name", "status", "message"))
        lines += [f"{name}: {status}. {message}".strip()] if status != "ok" else []
    for one in objects_of(result, "problems"):
        lines.append(f"{text_of(one, 'message')} {text_of(one, 'advice')}".strip())
    lines.append("ready" if result.get("ok") is True else "not ready")
    return lines

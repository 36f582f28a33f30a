# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a virtual environment with the backend in it: the commands.  Knows nothing of Blender."""

import os
import sys
from pathlib import Path

from .problem import Problem
from .process import BackendError, Command

PACKAGE = "staf-backend>=0.1,<0.2"


class InstallError(Problem):
    """The backend cannot be installed from there."""


def environment_python(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def host_python() -> str:
    """The Python that Blender itself runs, which can make virtual environments."""
    if not sys.executable:
        raise InstallError("this Blender does not tell where its Python is.")
    return sys.executable


def install_words(source: str, online: bool) -> list[str]:
    """What pip is told.

    Args:
        source: a wheel, a folder of wheels, a folder with the backend's source, the address of a
            package index, or nothing for the usual index.
        online: whether Blender may use the network.

    Raises:
        InstallError: the source does not exist, or needs the network.
    """
    if not source or source.startswith(("http://", "https://")):
        if not online:
            raise InstallError(
                "Blender is offline.",
                "Allow Online Access in Preferences > System, or choose a wheel or folder of them.",
            )
        return [*(["--index-url", source] if source else []), PACKAGE]
    path = Path(source).expanduser()
    if not path.exists():
        raise InstallError(f"{path} does not exist.", "Choose a wheel, or a folder of wheels.")
    closed = [] if online else ["--no-index"]
    if path.is_file():
        if path.suffix != ".whl":
            raise InstallError(f"{path.name} is not a wheel (.whl).")
        return [*closed, "--find-links", str(path.parent), str(path)]
    if any(path.glob("staf_backend-*.whl")):
        return [*closed, "--find-links", str(path), PACKAGE]
    if (path / "pyproject.toml").is_file():
        if not online:
            raise InstallError(
                f"{path} holds source, which needs the network to build.", "Choose a wheel."
            )
        return [str(path)]
    raise InstallError(f"{path} holds no wheel of staf-backend.")


def install_commands(folder: Path, source: str, online: bool) -> list[tuple[str, Command]]:
    """The steps that make an environment, with what to tell the user at each.

    Raises:
        InstallError: see `install_words`.
    """
    words = install_words(source, online)
    python = str(environment_python(folder))
    quiet = ("--disable-pip-version-check", "--no-input", "--no-color")
    pip = ("-m", "pip", "install", *quiet, *words)
    return [
        ("making a virtual environment", Command(host_python(), _venv(folder), module=None)),
        ("installing the backend", Command(python, pip, module=None)),
        ("checking the backend", Command(python, ("doctor",))),
    ]


def explained(failure: BackendError, source: str) -> BackendError:
    """A failed step of `install_commands`, with what to do where that is known."""
    message, advice = failure.message, failure.advice
    if "ensurepip is not" in failure.log or "No module named venv" in failure.log:
        message = f"{host_python()} cannot make virtual environments."
        advice = (
            "On Debian and Ubuntu: apt install python3-venv.  Or make an environment with"
            " staf-backend yourself and choose it as Backend Python."
        )
    elif "No matching distribution found for staf-backend" in failure.log:
        message = f"there is no staf-backend in {source or 'the usual index'}."
        advice = "Put a wheel, or the folder of a clone of the project, into Install From."
    return BackendError(message, advice, failure.log, failure.kind, failure.exit_code)


def _venv(folder: Path) -> tuple[str, ...]:
    return ("-m", "venv", "--clear", str(folder))


def describe_doctor(result: dict) -> list[str]:
    """What a doctor command found, in words, one line each."""
    versions = result.get("versions", {})
    lines = [f"staf {versions.get('staf', '?')}, Python {versions.get('python', '?')}"]
    extras = [f"{name} {versions[name]}" for name in ("torch", "smplx") if versions.get(name)]
    lines += [", ".join(extras)] if extras else []
    lines.append("devices: " + (", ".join(result.get("devices", [])) or "none"))
    lines.append("bodies: " + ", ".join(one["name"] for one in result.get("bodies", [])))
    bad = [one for one in result.get("weights", []) if one.get("status") != "ok"]
    lines += [f"{one['name']}: {one['status']}. {one['message']}".strip() for one in bad]
    lines += [f"{one['message']} {one['advice']}".strip() for one in result.get("problems", [])]
    lines.append("ready" if result.get("ok") else "not ready")
    return lines

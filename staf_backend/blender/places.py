"""Where Blender is kept: the usual places of Linux, Windows and macOS.

Sources: Blender's installers and archives, Snap, Flatpak and Steam as they are at version 5.2.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

_PROGRAM = {"Windows": "blender.exe", "Darwin": "Blender", "Linux": "blender"}


def candidates(
    system: str, environment: Mapping[str, str], home: Path, root: Path = Path("/")
) -> list[Path]:
    """Programs that may be Blender: those on the search path first, each once.

    Args:
        system: as `platform.system()` says; an unknown one is taken for a kind of Linux.
        environment: variables, such as PATH and ProgramFiles.
        home: the user's folder.
        root: of absolute places.
    """
    system = system if system in _PROGRAM else "Linux"
    usual = {"Windows": _windows, "Darwin": _macos, "Linux": _linux}[system]
    separator = ";" if system == "Windows" else ":"
    folders = [Path(word) for word in environment.get("PATH", "").split(separator) if word]
    found = [folder / _PROGRAM[system] for folder in folders]
    for base, pattern in usual(environment, home, root):
        found += sorted(base.glob(pattern), reverse=True)  # newest versions first
    once: dict[Path, Path] = {}
    for path in found:
        if path.is_file():
            once.setdefault(_identity(path), path)
    return list(once.values())


def _identity(path: Path) -> Path:
    """What a link leads to; Snap's and Flatpak's links lead to a program that runs anything."""
    target = path.resolve()
    return target if "blender" in target.name.lower() else path.absolute()


def _linux(_environment: Mapping[str, str], home: Path, root: Path) -> Iterator[tuple[Path, str]]:
    yield root, "usr/bin/blender"
    yield root, "usr/local/bin/blender"
    yield root, "opt/blender*/blender"
    yield root, "snap/bin/blender"
    for base in (root / "var/lib", home / ".local/share"):
        yield base, "flatpak/exports/bin/org.blender.Blender"
    for folder in ("", "Applications/", "Downloads/", "apps/", "opt/", ".local/opt/"):
        yield home, f"{folder}blender*/blender"
    for base in (home / ".local/share/Steam", home / ".steam/steam"):
        yield base, "steamapps/common/Blender/blender"


def _macos(_environment: Mapping[str, str], home: Path, root: Path) -> Iterator[tuple[Path, str]]:
    for base in (root / "Applications", home / "Applications"):
        yield base, "Blender*.app/Contents/MacOS/Blender"
        yield base, "Blender*/Blender*.app/Contents/MacOS/Blender"
    steam = home / "Library/Application Support/Steam"
    yield steam, "steamapps/common/Blender/Blender.app/Contents/MacOS/Blender"


def _windows(
    environment: Mapping[str, str], _home: Path, _root: Path
) -> Iterator[tuple[Path, str]]:
    for variable in ("ProgramFiles", "ProgramW6432", "ProgramFiles(x86)"):
        if variable in environment:
            base = Path(environment[variable])
            yield base, "Blender Foundation/Blender*/blender.exe"
            yield base, "Steam/steamapps/common/Blender/blender.exe"
    if "LOCALAPPDATA" in environment:
        yield Path(environment["LOCALAPPDATA"]), "Programs/Blender*/**/blender.exe"

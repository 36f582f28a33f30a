"""Blender is found where each system keeps it."""

from pathlib import Path

import pytest

from staf_backend.blender.places import candidates


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a program")
    return path


LINUX = [
    *("usr/bin/blender", "opt/blender-4.5.1-linux-x64/blender", "snap/bin/blender"),
    *("var/lib/flatpak/exports/bin/org.blender.Blender", "home/blender-4.2/blender"),
    *("home/Downloads/blender-5.2.0-linux-x64/blender", "home/.local/opt/blender5/blender"),
    "home/.local/share/Steam/steamapps/common/Blender/blender",
]
MACOS = [
    "Applications/Blender.app/Contents/MacOS/Blender",
    "Applications/Blender 4.2.app/Contents/MacOS/Blender",
    "home/Applications/Blender/Blender.app/Contents/MacOS/Blender",
    "home/Library/Application Support/Steam/steamapps/common/Blender/Blender.app/Contents/MacOS/"
    "Blender",
]
WINDOWS = [
    "C/Program Files/Blender Foundation/Blender 4.5/blender.exe",
    "C/Program Files (x86)/Steam/steamapps/common/Blender/blender.exe",
    "C/Local/Programs/Blender Foundation/Blender 5.2/blender.exe",
]


def variables(root: Path) -> dict[str, str]:
    return {
        "ProgramFiles": str(root / "C/Program Files"),
        "ProgramFiles(x86)": str(root / "C/Program Files (x86)"),
        "LOCALAPPDATA": str(root / "C/Local"),
    }


@pytest.mark.parametrize(
    ("system", "place"),
    [("Linux", one) for one in LINUX]
    + [("Darwin", one) for one in MACOS]
    + [("Windows", one) for one in WINDOWS],
)
def test_each_usual_place(tmp_path: Path, system: str, place: str):
    program = made(tmp_path / place)
    assert candidates(system, variables(tmp_path), tmp_path / "home", tmp_path) == [program]


@pytest.mark.parametrize(
    ("system", "name", "separator"),
    [("Linux", "blender", ":"), ("Darwin", "Blender", ":"), ("Windows", "blender.exe", ";")],
)
def test_the_search_path_comes_first(tmp_path: Path, system: str, name: str, separator: str):
    usual = made(tmp_path / {"Linux": LINUX, "Darwin": MACOS, "Windows": WINDOWS}[system][0])
    mine = made(tmp_path / "tools" / name)
    path = {"PATH": separator.join([str(tmp_path / "absent"), str(mine.parent)])}
    assert candidates(system, variables(tmp_path) | path, tmp_path / "home", tmp_path) == [
        mine,
        usual,
    ]


def test_newer_versions_come_before_older_ones(tmp_path: Path):
    places = [tmp_path / f"opt/blender-{version}/blender" for version in ("4.2", "5.2", "4.5")]
    for place in places:
        made(place)
    found = candidates("Linux", {}, tmp_path / "home", tmp_path)
    assert [path.parent.name for path in found] == ["blender-5.2", "blender-4.5", "blender-4.2"]


def test_a_link_to_a_blender_is_no_second_one(tmp_path: Path):
    program = made(tmp_path / "opt/blender-5.2/blender")
    link = tmp_path / "usr/bin/blender"
    link.parent.mkdir(parents=True)
    link.symlink_to(program)
    assert candidates("Linux", {}, tmp_path / "home", tmp_path) == [link]


def test_what_runs_any_program_by_its_links_name_is_run_by_the_link(tmp_path: Path):
    """Snap: /snap/bin/blender leads to /usr/bin/snap."""
    snap, link = made(tmp_path / "usr/bin/snap"), tmp_path / "snap/bin/blender"
    link.parent.mkdir(parents=True)
    link.symlink_to(snap)
    assert candidates("Linux", {}, tmp_path / "home", tmp_path) == [link]


def test_an_unknown_system_is_looked_at_like_linux(tmp_path: Path):
    program = made(tmp_path / "usr/local/bin/blender")
    assert candidates("FreeBSD", {}, tmp_path / "home", tmp_path) == [program]

"""The site is whole: drawings are current, every page, picture and wing is in it."""

import re
from pathlib import Path

import pytest

from docs import hooks, make_architecture, make_trip
from tests.support.documents import SITE
from tests.support.places import REPOSITORY


@pytest.mark.parametrize("package", make_architecture.PACKAGES)
def test_the_drawing_of_the_wings_is_current(package: str):
    drawn = (SITE / "pictures" / f"architecture-{package}.svg").read_text(encoding="utf-8")
    assert drawn == make_architecture.draw(package), "run: python -m docs.make_architecture"


def test_the_drawing_of_the_trip_is_current():
    assert make_trip.TARGET.read_text(encoding="utf-8") == make_trip.draw()
    for _, wing, _ in make_trip.STEPS:
        assert (REPOSITORY / "staf_backend" / wing).is_dir()


def pictures(page: str) -> set[str]:
    """Names of the pictures on a page."""
    return set(re.findall(r"\(pictures/([\w.-]+)\)", (SITE / page).read_text()))


def test_every_picture_is_shown_somewhere():
    shown = {name for path in SITE.glob("*.md") for name in pictures(path.name)}
    assert shown == {path.name for path in (SITE / "pictures").iterdir()}


@pytest.mark.slow
def test_the_worked_track_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from docs import make_worked_track  # loads the networks' runtime

    monkeypatch.setattr(make_worked_track, "FOLDER", tmp_path)
    make_worked_track.main()
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {name for name in pictures("how-it-works.md") if name.startswith("track-")}


def test_every_page_is_in_the_menu():
    menu = set(re.findall(r"([\w-]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(), re.M))
    assert menu == {path.name for path in SITE.glob("*.md")}


def test_every_wing_has_a_page_of_reference():
    for package, wings in hooks.WINGS.items():
        folders = {p.parent.name for p in (REPOSITORY / package).glob("*/__init__.py")}
        assert folders - {"assets"} <= set(wings)
        assert all(hooks.modules(package, wing) for wing in wings)

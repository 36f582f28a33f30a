"""The report's page: one file, nothing fetched, and a browser that shows and plays it."""

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.export.report import write_report
from staf_backend.files import OutputError
from tests.support.places import FOOTAGE
from tests.support.real_clips import silent, solve_clip

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
BODIES = {"open-neutral": load_body("open-neutral")}
WATCH = """<script>
const fail = (what) => { document.body.dataset.failed = String(what); };
window.onerror = fail;
console.error = (...words) => fail(words.join(" "));
const wait = setInterval(() => {
  if (!document.body.dataset.ready) return;
  clearInterval(wait);
  const video = document.getElementById("video");
  video.addEventListener("playing", () => { document.body.dataset.played = 1; });
  document.getElementById("play").click();
}, 50);
</script></body>"""
FLAGS = (
    *("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--window-size=1400,1000", "--virtual-time-budget=9000"),
    "--autoplay-policy=no-user-gesture-required",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = solve_clip(FOOTAGE / "balance_cam02.mp4", person="largest", start_s=0.5, end_s=0.9)
    path = tmp_path_factory.mktemp("report") / "r.html"
    write_report(path, clip.video, clip.motions, BODIES, silent)
    return path


def test_the_page_is_alone(page: Path):
    text = page.read_text("utf-8")
    own = re.sub(r"<script>var THREE.*?</script>", "", text, flags=re.S)
    assert not re.findall(r"(?:src|href)=\"(?!data:)", own)
    assert "default-src 'none'" in text, "the browser itself refuses to fetch"
    assert not re.search(r"@(THREE|SCRIPT|VIDEO|DATA)@", own)
    assert page.stat().st_size < 4e6


def browse(page: Path, *flags: str) -> str:
    assert BROWSER
    folder = page.parent / "browser"
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_a_browser_plays_it_without_an_error(page: Path, tmp_path: Path):
    watched = tmp_path / "watched.html"
    watched.write_text(page.read_text("utf-8").replace("</body>", WATCH), "utf-8")
    found = browse(watched, "--dump-dom")
    body = re.search(r"<body[^>]*>", found)
    assert body
    assert "data-failed" not in body[0]
    assert 'data-played="1"' in body[0], "the footage runs"


@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
def test_the_character_is_in_the_picture(page: Path, tmp_path: Path):
    shot = tmp_path / "shot.png"
    browse(page, f"--screenshot={shot}")
    picture = np.asarray(cv2.imread(str(shot))).astype(int)
    skin = (picture[..., 2] - picture[..., 0] > 40) & (picture[..., 2] > 120)
    columns = np.array_split(skin, 4, axis=1)
    assert all(part.sum() > 200 for part in columns[1:]), "in each of the three views"


def test_a_clip_too_long_for_a_page_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = solve_clip(FOOTAGE / "balance_cam02.mp4", person="largest", start_s=0.5, end_s=0.9)
    monkeypatch.setattr("staf_backend.export.report._MOST_VIDEO_BYTES", 100)
    with pytest.raises(OutputError, match="too long for a page"):
        write_report(tmp_path / "r.html", clip.video, clip.motions, BODIES, silent)
    assert not list(tmp_path.iterdir())

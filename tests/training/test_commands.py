"""The whole way of a researcher by its commands: a set, both stages, scores, a table; and mistakes.

Every command is a process of its own, as people start them.  The README of training is read, too.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

pytest.importorskip("torch")

from staf_backend.staf import TABLE_IV, TABLE_V, TABLE_VI
from tests.support.make_picture_sets import make_coco
from tests.support.places import REPOSITORY
from training import (
    estimator_scores,
    evaluate,
    figures,
    prepare,
    ship,
    stage_image,
    stage_video,
    world_scores,
)
from training.appearance import draw as draw_people
from training.appearance import train as train_appearance
from training.contacts import lessons, simulate
from training.contacts import train as train_contacts
from training.filming import scenes
from training.fingers import looks, train
from training.lifting import recover, train_frames, train_windows
from training.sides import lessons as sides_lessons
from training.sides import simulate as sides_simulate
from training.sides import train as train_sides
from training.synthetic import SyntheticRecipe, sheet

README = REPOSITORY / "training" / "README.md"
RECIPE = {"frames": [9, 12], "pixels": 224, "cell_m": 0.03, "degradation": {"motion_blur": 0}}
SHORT = "--epochs 1 --batch 2 --report-every 1"
IMAGE = (
    "stage_image --encoder blazepose-full --channels 16 --encoder-rate 0 --no-dense --workers 0 "
    f"--iterations 2 --recipe recipe.json {SHORT}"
)
VIDEO = f"--run runs/image --schedule constant --recipe recipe.json {SHORT}"
SCORED = "--data synthetic:2:9 --recipe recipe.json"
TABLE = f"{VIDEO} --data-3d synthetic:4 --cache maps --iterations 2"


class Place:
    """A folder in which commands are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "recipe.json").write_text(json.dumps(RECIPE))
        make_coco(folder / "coco")

    def run(self, words: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """`python -m training.WORDS` on one core; `path` comes first where modules are sought."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "LP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        found = os.pathsep.join(filter(None, (path, str(REPOSITORY))))
        return subprocess.run(
            [sys.executable, "-m", *shlex.split(f"training.{words}")],
            cwd=self.folder,
            env={**os.environ, **threads, "PYTHONPATH": found},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def done(self, words: str) -> str:
        """What a command says that succeeds, both streams."""
        found = self.run(words)
        assert found.returncode == 0, found.stderr
        return found.stdout + found.stderr

    def refused(self, words: str, code: int, path: str = "") -> str:
        """The one line of a command that must fail."""
        found = self.run(words, path)
        lines = [line for line in found.stderr.splitlines() if line]
        assert (found.returncode, len(lines)) == (code, 1), found.stderr
        return lines[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where a set is prepared and a base model trained."""
    pytest.importorskip("moderngl")
    place = Place(tmp_path_factory.mktemp("commands"))
    assert "2  rows" in place.done("prepare coco --root coco --out sets/coco")
    place.done(f"{IMAGE} --data sets/coco=0.5 --data synthetic:8=0.5 --out runs/image")
    place.done(
        f"stage_video {VIDEO} --data-3d synthetic:4 --cache maps --iterations 4 "
        "--minutes 0 --out runs/video"
    )
    return place


@pytest.mark.slow
def test_a_set_two_stages_and_scores(place: Place):
    """The run pauses after its first step, goes on, and its weights are scored."""
    said = place.done(
        f"stage_video {VIDEO} --data-3d synthetic:4 --cache maps --iterations 4 "
        "--out runs/video --resume"
    )
    assert "going on at step 1 of 4" in said
    log = (place.folder / "runs/video/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4]
    said = place.done(f"evaluate runs/video/weights {SCORED} --out scores")
    found = json.loads((place.folder / "scores/scores.json").read_text())["sets"][0]
    assert 18 <= found["summary"]["frames"] <= 24
    assert 50 < found["summary"]["mpjpe_mm"] < 1000
    assert f"| {found['summary']['mpjpe_mm']:.1f} |" in said
    weights = place.folder / "runs/video/weights"
    before = {file.name: file.read_bytes() for file in weights.iterdir()}
    shutil.rmtree(weights)
    said = place.done(
        f"stage_video {VIDEO} --data-3d synthetic:4 --cache maps --iterations 4 "
        "--out runs/video --resume"
    )
    assert "going on at step 4 of 4" in said
    assert {file.name: file.read_bytes() for file in weights.iterdir()} == before


@pytest.mark.slow
def test_table_4_is_beside_the_papers_and_done_once(place: Place):
    command = f"evaluate --table 4 {SCORED} --out table -- {TABLE}"
    said = place.done(command)
    assert said.count("training in") == 4
    content = json.loads((place.folder / "table/table-4.json").read_text())
    assert list(content["rows"]) == list(content["paper"]) == list(TABLE_IV)
    markdown = (place.folder / "table/table-4.md").read_text()
    for name in TABLE_IV:
        assert f"| {name} | {content['rows'][name]['mpjpe_mm']:.1f} |" in markdown
        assert f"| {name}, paper on 3DPW | {content['paper'][name]['mpjpe_mm']} |" in markdown
    before = (place.folder / "table/base/last.safetensors").read_bytes()
    (place.folder / "table/table-4.json").unlink()  # trained, and the scores lost
    said = place.done(command)
    assert "training in" not in said
    assert json.loads((place.folder / "table/table-4.json").read_text()) == content
    assert (place.folder / "table/base/last.safetensors").read_bytes() == before


@pytest.mark.slow
def test_table_5_has_networks_that_animate_and_table_6_tells_its_plan(place: Place):
    place.done(f"evaluate --table 5 {SCORED} --out table -- {TABLE}")
    rows = json.loads((place.folder / "table/table-5.json").read_text())["rows"]
    assert list(rows) == list(TABLE_V)
    assert len({row["mpjpe_mm"] for row in rows.values()}) == len(TABLE_V)
    kept = json.loads((place.folder / "table/hmr-apm/weights/weights.json").read_text())
    assert kept["configuration"] == "HMR + APM"
    said = place.done(f"evaluate --table 6 {SCORED} --out plan -- {TABLE} --dry-run")
    assert said.count('"stage": "video"') == len(TABLE_VI)
    assert not (place.folder / "plan").exists()


@pytest.mark.slow
def test_mistakes_are_one_line_and_an_exit_code(place: Place, tmp_path: Path):
    """Wrong folders, another body, nothing saved yet, nothing to draw with."""
    for words, code, text in (
        ("prepare coco --root nowhere --out sets/x", 6, "nowhere is not a folder"),
        (f"{IMAGE} --data coco --out r", 6, "coco is no prepared set"),
        (f"{IMAGE} --data sets/coco --out runs/image", 6, "Add --resume"),
        (f"stage_video {VIDEO} --data-3d sets/coco --out r", 6, "as long as a window of 9"),
        (
            f"stage_video {VIDEO} --data-3d synthetic:4 --body open-male --out r",
            6,
            "runs/image was trained with the body open-neutral, not open-male",
        ),
        (f"evaluate sets/coco {SCORED} --out s", 2, "sets/coco holds no weights"),
        (f"evaluate no/where {SCORED} --out s", 2, "There is no folder no/where"),
        (f"evaluate runs/image/weights --body open-male {SCORED} --out s", 6, "not open-male"),
        (f"evaluate runs/image {SCORED} --out /proc/none", 5, "cannot write /proc/none"),
        (f"evaluate --table 4 {SCORED} --out s -- {TABLE} --network HMR", 2, "--network"),
    ):
        assert text in place.refused(words, code)
    begun = place.folder / "runs/begun"
    begun.mkdir()
    (begun / "run.json").write_bytes((place.folder / "runs/image/run.json").read_bytes())
    words = f"stage_video {VIDEO.replace('runs/image', 'runs/begun')} --data-3d synthetic:4 --out r"
    assert "has saved nothing yet" in place.refused(words, 6)
    (tmp_path / "moderngl.py").write_text("raise ModuleNotFoundError('No module named moderngl')")
    words = f"{IMAGE} --data synthetic:8 --out r"
    assert "pip install moderngl" in place.refused(words, 6, str(tmp_path))


# The README of training

PARSERS = {
    "prepare": prepare.arguments,
    "stage_video": stage_video.arguments,
    "evaluate": evaluate.arguments,
    "synthetic.sheet": sheet.arguments,
    "estimator_scores": estimator_scores.arguments,
    "filming.scenes": scenes.arguments,
    "world_scores": world_scores.arguments,
    "figures": figures.arguments,
    "appearance.draw": draw_people.arguments,
    "appearance.train": train_appearance.arguments,
    "contacts.lessons": lessons.arguments,
    "contacts.simulate": simulate.arguments,
    "contacts.train": train_contacts.arguments,
    "fingers.looks": looks.arguments,
    "fingers.train": train.arguments,
    "sides.lessons": sides_lessons.arguments,
    "sides.simulate": sides_simulate.arguments,
    "sides.train": train_sides.arguments,
    "lifting.train_frames": train_frames.arguments,
    "lifting.train_windows": train_windows.arguments,
    "lifting.recover": recover.arguments,
    "ship": ship.arguments,
}


def parser_of(module: str, words: list[str]) -> ArgumentParser:
    if module != "stage_image":
        return PARSERS[module]()
    preset = words[words.index("--preset") + 1] if "--preset" in words else "coco"
    return stage_image.arguments(stage_image.PRESETS[preset]())


def commands() -> list[tuple[str, list[str]]]:
    """Module and words of every command in the README's fences, continued lines joined."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.search(r"-m training\.([\w.]+)(.*)$", line.split("#")[0])
            if match:
                found.append((match[1], shlex.split(match[2])))
    return found


def test_the_readme_shows_every_command():
    assert {module for module, _ in commands()} == {*PARSERS, "stage_image"}
    assert "torchrun" in README.read_text()


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command[1])[:60])
def test_every_command_of_the_readme_is_understood(command: tuple[str, list[str]]):
    module, words = command
    cut = words.index("--") if "--" in words else len(words)
    parser_of(module, words).parse_args(words[:cut])
    if words[cut:]:
        assert module == "evaluate"
        stage_video.arguments().parse_args([*words[cut + 1 :], "--out", "OUT"])


def test_options_that_the_readme_names_exist():
    parsers = [make() for make in PARSERS.values()]
    parsers.append(parser_of("stage_image", []))
    known = {option for parser in parsers for option in parser._option_string_actions}
    known |= {"--nproc-per-node", "--estimator", "--largest"}  # torchrun's, and staf's
    assert set(re.findall(r"--[a-z][a-z0-9-]+", README.read_text())) <= known


def test_the_readme_has_a_row_for_every_set():
    rows = re.findall(r"^\| `([\w-]+)`", README.read_text(), re.M)
    assert set(prepare.READERS) <= set(rows)


def test_recipes_of_the_readme_are_recipes():
    blocks = re.findall(r"^```json\n(.*?)^```", README.read_text(), re.M | re.S)
    assert blocks
    assert all(SyntheticRecipe.from_json(block) for block in blocks)

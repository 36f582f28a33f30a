"""A user's own appearance network: taken in when its interface fits, refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto

from staf_backend.batch.recipe import Recipe
from staf_backend.people.hits import Frame
from staf_backend.people.tracker import Tracker
from staf_backend.pipeline import people_in
from staf_backend.video import ReadyPicture, open_video
from staf_backend.weights import WeightsError, appearance_in_use, open_appearance
from staf_backend.weights.appearance import remove_appearance, use_appearance
from staf_backend.weights.appearance_add import add_appearance
from staf_backend.weights.appearance_info import OWN_APPEARANCE, appearance_folder, read_appearance
from tests.backend.people.test_tracker import GREEN, person, seen, stage
from tests.support.command_line import environment, events, one_line, staf_here
from tests.support.make_appearance import (
    DIMENSIONS,
    HEIGHT_PX,
    WIDTH_PX,
    eighths,
    write_network,
)
from tests.support.places import FOOTAGE

WORDS = {
    "mean": [10, 20, 30],
    "deviation": [2, 2, 2],
    "channels": "BGR",
    "other_cosine": 0.3,
    "same_cosine": 0.7,
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a user who has added nothing."""
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "mine.onnx")


def crop(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)


class TestAdding:
    def test_a_network_is_kept_and_gives_its_own_answer(self, network: Path):
        added = add_appearance(network, "mine")
        assert (added.info.width_px, added.info.height_px) == (WIDTH_PX, HEIGHT_PX)
        assert (added.info.dimensions, added.info.source) == (DIMENSIONS, "mine.onnx")
        assert 0 < added.ms_a_crop < 1000
        assert read_appearance("mine") == added.info
        network.unlink()
        use_appearance("mine")
        found = open_appearance("cpu")
        np.testing.assert_allclose(found.of_crop(crop()), eighths(crop().astype(float)), atol=1e-5)
        assert found.scale is None

    def test_the_json_beside_it_says_how_it_takes_crops(self, network: Path):
        network.with_suffix(".json").write_text(json.dumps(WORDS))
        add_appearance(network, "mine")
        use_appearance("mine")
        found = open_appearance("cpu")
        wanted = ((crop().astype(float) - WORDS["mean"]) / 2)[..., ::-1]
        np.testing.assert_allclose(found.of_crop(crop()), eighths(wanted), atol=1e-5)
        assert found.scale is not None
        assert (found.scale.other, found.scale.same) == (0.3, 0.7)

    @pytest.mark.parametrize("batch", ["N", None, 1])
    def test_the_number_of_crops_may_be_free(self, tmp_path: Path, batch):
        shape = (batch, 3, HEIGHT_PX, WIDTH_PX)
        path = write_network(tmp_path / "free.onnx", shape, answer=(batch, DIMENSIONS))
        assert add_appearance(path, "free").info.dimensions == DIMENSIONS

    def test_an_input_of_any_name_is_fed(self, tmp_path: Path):
        path = write_network(tmp_path / "named.onnx", takes=("session",))
        assert add_appearance(path, "named").ms_a_crop > 0


H, W = HEIGHT_PX, WIDTH_PX
WRONG = {
    "a free height": {"shape": (1, 3, "height", W)},
    "eight crops at once": {"shape": (8, 3, H, W), "answer": (8, DIMENSIONS)},
    "one channel": {"shape": (1, 1, H, W), "answer": (1, 8)},
    "channels last": {"shape": (1, H, W, 3), "answer": (1, 2)},
    "two inputs": {"takes": ("picture", "mask")},
    "bytes": {"kind": TensorProto.UINT8},
    "a map": {"answer": (1, 3, 4, 2)},
}


class TestRefusing:
    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
    def test_another_interface(self, tmp_path: Path, home: Path, wrong: dict):
        path = write_network(tmp_path / "wrong.onnx", **wrong)
        with pytest.raises(WeightsError, match=r"is no appearance network: it takes tensor"):
            add_appearance(path, "wrong")
        assert not list((home / "weights").iterdir())

    @pytest.mark.parametrize(
        ("numbers", "reason"),
        [
            ({"gain": 0.0}, "not a direction"),
            ({"gain": float("nan")}, "not a direction"),
            ({"gain": 1e-9, "middle": 1e12}, "one answer, whatever"),
        ],
    )
    def test_answers_that_tell_nobody_apart(self, tmp_path: Path, numbers: dict, reason: str):
        path = write_network(tmp_path / "numb.onnx", **numbers)
        with pytest.raises(WeightsError, match=reason):
            add_appearance(path, "numb")

    @pytest.mark.parametrize(
        "content",
        [b"", b"no network at all", bytes(5000), None],
        ids=["empty", "text", "zeros", "half of one"],
    )
    def test_what_is_no_network(self, network: Path, home: Path, content: bytes | None):
        whole = network.read_bytes()
        network.write_bytes(whole[: len(whole) // 2] if content is None else content)
        with pytest.raises(WeightsError, match="does not open as a network"):
            add_appearance(network, "mine")
        assert not list((home / "weights").iterdir())

    def test_a_file_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(WeightsError, match="cannot be read: No such file"):
            add_appearance(tmp_path / "gone.onnx", "gone")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("{", "line 1: this is no JSON"),
            ("[]", "must be an object"),
            ('{"meen": [1, 2, 3]}', '"meen" is unknown here'),
            ('{"mean": [1, 2]}', "must be three numbers"),
            ('{"mean": [1, 2, "3"]}', '"mean" must be a number'),
            ('{"deviation": [1, 0, 1]}', "must be above 0"),
            ('{"channels": "RGBA"}', 'must be "RGB" or "BGR"'),
            ('{"other_cosine": 0.5}', '"same_cosine" is missing'),
            ('{"other_cosine": 0.5, "same_cosine": 0.4}', "must be above"),
        ],
    )
    def test_a_wrong_json_beside_it(self, network: Path, home: Path, text: str, reason: str):
        network.with_suffix(".json").write_text(text)
        with pytest.raises(WeightsError, match=reason):
            add_appearance(network, "mine")
        assert not home.exists()

    def test_names_of_others(self, network: Path, home: Path):
        with pytest.raises(WeightsError, match="part of this software"):
            add_appearance(network, OWN_APPEARANCE)
        (home / "weights" / "staf").mkdir(parents=True)
        (home / "weights" / "staf" / "weights.json").write_text("{}")
        with pytest.raises(WeightsError, match="weights of the STAF network"):
            add_appearance(network, "staf")


class TestUsing:
    def test_one_that_has_changed_is_not_run(self, network: Path):
        add_appearance(network, "mine")
        use_appearance("mine")
        kept = appearance_folder("mine") / "appearance.onnx"
        kept.write_bytes(kept.read_bytes() + b"\0")
        video = open_video(FOOTAGE / "balance_cam02.mp4")
        with pytest.raises(WeightsError, match="missing or has changed since it was added"):
            people_in(video, range(3), "cpu", 1, lambda *_: None)
        kept.unlink()
        with pytest.raises(WeightsError, match="missing or has changed"):
            open_appearance("cpu")

    def test_the_tracker_learns_what_its_cosines_mean(self, network: Path):
        """Of two people apart, one of whom is now in the sun and now not."""
        add_appearance(network, "mine")
        use_appearance("mine")
        tracker = Tracker(appearance=open_appearance("cpu"))
        for n in range(40):
            red, green = person(200, 240), person(700, 240)
            image = stage((red, (200, 40, 40) if n % 10 < 5 else (190, 70, 70)), (green, GREEN))
            tracker.update(Frame(n, n / 10, ReadyPicture(image)), seen(red, green))
            assert n > 10 or tracker.likeness.scale is None
        scale = tracker.likeness.scale
        assert scale is not None
        assert scale.other < 0.7 < scale.same

    def test_a_batch_begins_anew_with_another_network(self, network: Path):
        recipe = Recipe({}, {}, {})
        own = recipe.digest
        add_appearance(network, "mine")
        assert recipe.digest == own
        use_appearance("mine")
        assert recipe.digest != own
        use_appearance(None)
        assert recipe.digest == own

    def test_removed_it_is_no_longer_in_use(self, network: Path, home: Path):
        add_appearance(network, "mine")
        use_appearance("mine")
        assert appearance_in_use() == "mine"
        remove_appearance("mine")
        assert appearance_in_use() == OWN_APPEARANCE
        assert not list((home / "weights").iterdir())
        with pytest.raises(WeightsError, match="part of this software"):
            remove_appearance(OWN_APPEARANCE)

    @pytest.mark.parametrize(
        "change", [{"format": 9}, {"width_px": 0}, {"mean": [1, 2]}, {"sha256": "../x"}, {"x": 1}]
    )
    def test_a_damaged_description(self, network: Path, change: dict):
        add_appearance(network, "mine")
        file = appearance_folder("mine") / "appearance.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        with pytest.raises(WeightsError, match=r"appearance.json cannot be read"):
            use_appearance("mine")


def test_the_commands_know_it(network: Path, tmp_path: Path, home: Path):
    env = environment(STAF_HOME=str(home))

    def tell(*words: object, code: int = 0) -> dict:
        run = staf_here("weights", *words, "--progress", "json", cwd=tmp_path, env=env)
        assert run.returncode == code, run.stderr
        return events(run.stdout)[-1]

    added = tell("add", network)
    assert (added["name"], added["in_use"]) == ("mine", False)
    assert "to use it: staf weights use mine" in added["message"]
    assert tell("use", "mine")["chosen"]
    mine, own = tell("list")["appearance"]
    assert (mine["name"], mine["in_use"], mine["source"]) == ("mine", True, "mine.onnx")
    assert (own["name"], own["in_use"], own["embedded"]) == (OWN_APPEARANCE, False, True)
    assert "removed the network mine" in tell("remove", "mine")["message"]
    assert [one["in_use"] for one in tell("list")["appearance"]] == [True]
    tell("add", network)
    tell("use", "mine")
    (appearance_folder("mine") / "appearance.onnx").unlink()
    examined = staf_here("doctor", "--progress", "json", cwd=tmp_path, env=env)
    told = events(examined.stdout)[-1]
    assert (examined.returncode, told["appearance"], told["ok"]) == (6, "mine", False)
    assert "missing or has changed" in told["problems"][0]["message"]
    network.write_bytes(b"no")
    run = staf_here("weights", "add", network, cwd=tmp_path, env=env)
    assert run.returncode == 6
    assert "does not open as a network" in one_line(run.stderr)

"""The weights that come with the software: whole, small, and at work on footage."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from staf_backend.assets import folder as assets_folder
from staf_backend.body import load_body
from staf_backend.estimators import chosen_estimator
from staf_backend.files import OutputError
from staf_backend.motion import Motion
from staf_backend.pipeline import Settings, solve
from staf_backend.staf import StafConfig
from staf_backend.staf.body import SmplBody, tables_from_body
from staf_backend.staf.network import MeanParams, Staf
from staf_backend.weights import OPEN, OWN, WeightsError, default_weights, read_info
from staf_backend.weights.adopt import adopt_weights
from staf_backend.weights.store import load_weights, save_weights
from tests.support.balance_truth import errors_mm
from tests.support.places import FOOTAGE
from tests.support.real_clips import silent, solve_clip
from training import ship
from training.model import FIELDS, make_encoder, plan_of

CLIP = FOOTAGE / "balance_cam02.mp4"


@pytest.fixture(autouse=True)
def nothing_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has added nothing."""
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))


class TestTheSet:
    def test_it_says_what_it_is(self):
        info = read_info(OPEN)
        assert (info.encoder, info.body) == (FIELDS, "open-neutral")
        assert info.config.streams
        assert not info.has_body

    def test_it_is_small_and_has_its_card(self):
        folder = assets_folder() / OPEN
        assert sum(file.stat().st_size for file in folder.iterdir()) <= ship.LARGEST
        card = (folder / "README.md").read_text()
        for words in ("mocap.cs.cmu.edu", "Licence of the weights: MIT", "Limits"):
            assert words in card

    def test_it_loads_strictly(self):
        loaded = load_weights(OPEN)
        assert loaded.network.config.frames == 9
        assert all(one.dtype == torch.float32 for one in loaded.network.parameters())

    def test_it_runs_where_nothing_was_added_and_must_be_asked_for(self):
        assert default_weights() == OPEN
        assert chosen_estimator(Settings(estimator="staf")) == "staf"
        assert chosen_estimator(Settings()) == "landmarks"

    def test_other_sets_are_not_made_up(self):
        with pytest.raises(WeightsError, match="no STAF weights called other"):
            load_weights("other")


@pytest.fixture(scope="module")
def motion() -> Motion:
    patch = pytest.MonkeyPatch()
    patch.setenv("STAF_HOME", "nowhere")
    settings = Settings(estimator="staf", person="largest", threads=1)
    found = solve(CLIP, settings, silent)
    patch.undo()
    return found.motions[0]


@pytest.mark.slow
class TestOnFootage:
    def test_the_motion_says_who_made_it(self, motion: Motion):
        assert (motion.estimator, motion.body) == (OPEN, "open-neutral")
        assert len(motion.frames) == 100

    def test_it_is_near_the_measured_truth(self, motion: Motion):
        """Measured: 72, 59 and 3.5."""
        (by_landmarks,) = solve_clip(CLIP, person="largest", estimator="landmarks").motions
        errors = errors_mm(motion, 2, by_landmarks)
        assert errors["mpjpe"] < 78
        assert errors["pa_mpjpe"] < 63
        assert errors["acceleration"] < 5
        assert errors["swaps"] == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of weights as training writes it, of a narrow network."""
    folder = tmp_path_factory.mktemp("runs") / "weights"
    encoder = make_encoder(FIELDS)
    config = StafConfig(channels=8, map_channels=encoder.channels)
    means = MeanParams(torch.zeros(144), torch.zeros(10), torch.zeros(3))
    network = Staf(config, SmplBody(tables_from_body(load_body("open-neutral"))), means)
    save_weights(
        folder,
        encoder=encoder.state_dict(),
        network=network.state_dict(),
        config=config,
        plan=plan_of(encoder),
        body_name="open-neutral",
        crop_factor=1.2,
    )
    return folder


@pytest.mark.slow
class TestShipping:
    def test_numbers_are_halved_and_stay_near(self, trained: Path, tmp_path: Path):
        ship.main([str(trained), "--out", str(tmp_path / "small")])
        small, large = (
            load_weights(one.name, root=one.parent) for one in (tmp_path / "small", trained)
        )
        same = {"name": "same", "files": large.info.files}
        assert dataclasses.replace(small.info, **same) == dataclasses.replace(large.info, **same)
        sizes = [
            (one / "network.safetensors").stat().st_size for one in (tmp_path / "small", trained)
        ]
        assert sizes[0] < 0.52 * sizes[1]
        for name, one in large.network.state_dict().items():
            other = small.network.state_dict()[name]
            assert torch.allclose(other, one, rtol=6e-4, atol=1e-7), name

    def test_what_is_too_large_is_refused(self, trained: Path, tmp_path: Path, monkeypatch):
        monkeypatch.setattr(ship, "LARGEST", 1000)
        with pytest.raises(OutputError, match="more than 1000"):
            ship.ship(trained, tmp_path / "small")
        assert not (tmp_path / "small/weights.json").exists()

    def test_a_users_body_stays_at_home(self, trained: Path, tmp_path: Path):
        """Whose licence it has cannot be seen."""
        content = json.loads((trained / "weights.json").read_text())
        other = tmp_path / "weights"
        other.mkdir()
        for file in trained.iterdir():
            (other / file.name).write_bytes(file.read_bytes())
        np.savez(other / "body.npz", x=np.zeros(1))
        content["files"]["body.npz"] = "0" * 64
        (other / "weights.json").write_text(json.dumps(content))
        with pytest.raises(OutputError, match="holds a body"):
            ship.ship(other, tmp_path / "small")
        assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_the_users_set_goes_before(trained: Path):
    adopt_weights(trained, name=OWN)
    assert default_weights() == OWN
    assert chosen_estimator(Settings()) == "staf"

"""Which set runs: the chosen one, else the user's, else the open one; never one that cannot."""

import json
import logging
from pathlib import Path

import pytest

from staf_backend.assets import folder as assets_folder
from staf_backend.body.user_bodies import KnownBody, remember, remembered
from staf_backend.estimators import EstimatorSettings, chosen_estimator
from staf_backend.weights import (
    OPEN,
    OWN,
    WeightsError,
    default_weights,
    known_sets,
    preferred_weights,
    remove_weights,
    use_weights,
)
from tests.support.command_line import environment, events, staf_here

BASE = {"frames": 1, "average_target": False, "tcfm_stage": None, "safm_stage": None}
"""The configuration of `base_model.pt`."""
MIXED = {"tcfm_batching": "authors"}
"""One that no video can be run through: its results depend on who shares a batch."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a user who has added nothing."""
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def add(home: Path, name: str, config: dict | None = None, **changes: object) -> Path:
    """The description of a set, without its tensors."""
    content = json.loads((assets_folder() / OPEN / "weights.json").read_text())
    content |= {"name": name, **changes}
    content["config"] |= config or {}
    folder = home / "weights" / name
    folder.mkdir(parents=True)
    (folder / "weights.json").write_text(json.dumps(content))
    return folder


def auto() -> str:
    return chosen_estimator(EstimatorSettings())


def test_a_set_that_mixes_its_batches_is_not_run(home: Path):
    add(home, OWN, MIXED)
    assert (default_weights(), preferred_weights(), auto()) == (OPEN, None, "landmarks")


def test_a_set_for_single_frames_is_run(home: Path):
    add(home, OWN, BASE)
    assert (default_weights(), preferred_weights(), auto()) == (OWN, OWN, "staf")


def test_the_users_set_goes_first_and_others_when_chosen(home: Path):
    add(home, "other")
    assert (default_weights(), auto()) == (OPEN, "landmarks")
    add(home, OWN)
    assert (default_weights(), auto()) == (OWN, "staf")
    assert use_weights("other") == default_weights() == "other"
    assert use_weights(None) == default_weights() == OWN


def test_the_open_set_can_be_chosen():
    assert auto() == "landmarks"
    use_weights(OPEN)
    assert (preferred_weights(), auto()) == (OPEN, "staf")
    use_weights(None)
    assert auto() == "landmarks"


def test_a_set_that_cannot_convert_is_not_chosen(home: Path):
    add(home, "mixed", MIXED)
    use_weights(OPEN)
    with pytest.raises(WeightsError, match="to evaluate; not for staf convert") as caught:
        use_weights("mixed")
    assert caught.value.exit_code == 6
    with pytest.raises(WeightsError, match="no STAF weights called gone"):
        use_weights("gone")
    assert default_weights() == OPEN


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 1, "name": "../x"}'])
def test_a_damaged_choice_is_named_and_can_be_made_again(home: Path, text: str):
    home.mkdir()
    (home / "weights_in_use.json").write_text(text)
    with pytest.raises(WeightsError, match=r"weights_in_use.json cannot be read"):
        default_weights()
    assert auto() == "landmarks"
    assert [one.name for one in known_sets()] == [OPEN]
    assert use_weights(OPEN) == default_weights()


def test_a_chosen_set_that_was_deleted_by_hand_is_not_missed(home: Path, caplog):
    folder = add(home, "other")
    use_weights("other")
    (folder / "weights.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert default_weights() == OPEN
    assert "other" in caplog.text


def test_a_damaged_set_stops_no_automatic_conversion_and_can_go(home: Path):
    folder = add(home, OWN)
    (folder / "weights.json").write_text("{}")
    assert auto() == "landmarks"
    with pytest.raises(WeightsError, match="cannot be read"):
        default_weights()
    damaged, opened = known_sets()
    assert (damaged.info, damaged.converts, opened.name) == (None, False, OPEN)
    assert "cannot be read" in damaged.problem
    remove_weights(OWN)
    assert [(one.name, one.in_use) for one in known_sets()] == [(OPEN, True)]


def test_a_set_whose_body_is_not_here_is_not_run_by_itself(home: Path):
    add(home, OWN, body="")
    assert auto() == "landmarks"
    assert chosen_estimator(EstimatorSettings(body="open-male")) == "staf"
    remove_weights(OWN)
    add(home, OWN, body="smpl-of-somebody")
    assert auto() == "landmarks"


def test_a_removed_set_takes_its_body_and_the_choice_along(home: Path):
    folder = add(home, "other")
    for name, file in (("its", folder / "body.npz"), ("mine", home / "SMPL.npz")):
        remember(KnownBody(name, str(file), "0" * 64, "smpl", "neutral"))
    use_weights("other")
    remove_weights("other")
    assert list(remembered()) == ["mine"]
    assert not list((home / "weights").iterdir())
    assert not (home / "weights_in_use.json").exists()
    assert default_weights() == OPEN


@pytest.mark.parametrize(
    ("name", "reason"), [(OPEN, "part of this"), ("gone", "no STAF"), ("../home", "cannot name")]
)
def test_what_is_not_the_users_stays(name: str, reason: str):
    with pytest.raises(WeightsError, match=reason) as caught:
        remove_weights(name)
    assert caught.value.exit_code == 6
    assert (assets_folder() / OPEN / "weights.json").exists()


def tell(home: Path, *words: str, code: int = 0) -> dict:
    """The last event of a `staf weights` command."""
    env = environment(STAF_HOME=str(home))
    run = staf_here("weights", *words, "--progress", "json", cwd=home, env=env)
    assert run.returncode == code, run.stderr
    return events(run.stdout)[-1]


def test_the_commands_say_what_each_set_can_do(home: Path):
    add(home, OWN, MIXED, sources={"model.pt": "0" * 64})
    add(home, "other", {"safm_stage": 3})
    listed = tell(home, "list")
    other, mixed, opened = listed["weights"]
    assert [one["name"] for one in (other, mixed, opened)] == ["other", OWN, OPEN]
    assert (mixed["sources"], mixed["can_convert"]) == (["model.pt"], False)
    assert (other["configuration"], other["can_convert"]) == ("TCFM1 + SAFM3", True)
    assert "TCFM1 + SAFM3, which staf convert runs window by window" in listed["message"]
    assert "from model.pt; base + STAF + APM, batches mixed" in listed["message"]
    assert (opened["in_use"], opened["embedded"], other["in_use"]) == (True, True, False)
    chosen = tell(home, "use", "other")
    assert (chosen["name"], chosen["chosen"]) == ("other", True)
    assert chosen["configuration"] == "TCFM1 + SAFM3"
    assert [one["in_use"] for one in tell(home, "list")["weights"]] == [True, False, False]
    assert "batches mixed" in tell(home, "use", OWN, code=6)["message"]
    assert tell(home, "remove", "other")["in_use"] == OPEN
    assert tell(home, "remove", OPEN, code=6)["kind"] == "weights"
    assert tell(home, "use")["name"] == OPEN

"""The command that draws the paper's figures: its pictures, and what it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from staf_backend.people import Track
from staf_backend.people.keypoints import COUNT
from staf_backend.staf import PooledConfig, StafConfig
from staf_backend.video import open_video
from tests.support import parity_network
from tests.support.make_clips import write_clip
from tests.support.make_feeding import tiny_encoder
from tests.support.make_training_videos import small_network
from tests.support.places import FOOTAGE
from training import figures
from training.drawing.clip import main_person
from training.drawing.curves import draw_reports
from training.evaluate import Network
from training.scoring import EvaluationError

CHANNELS = tiny_encoder().channels


def track(person: int, first: int, last: int) -> Track:
    """Somebody who stands in the middle of a small picture."""
    count = last - first
    return Track(
        person,
        1,
        np.arange(first, last),
        np.arange(first, last) / 30,
        np.tile([64.0, 48, 80], (count, 1)),
        np.zeros((count, COUNT, 3)),
        np.ones(count, bool),
    )


def network(config: StafConfig | PooledConfig, name: str = "made") -> Network:
    return Network(name, small_network(config), tiny_encoder(), parity_network.body().tables)


def subject(tmp_path: Path, *networks: Network, keep_cut: bool = False) -> figures.Subject:
    video = open_video(write_clip(tmp_path / "clip.mp4", ticks=range(40)))
    stretches = tuple(main_person([track(1, 0, 20), track(2, 20, 40), track(3, 5, 9)], keep_cut))
    window = figures._window(stretches, None, 9)
    return figures.Subject(networks, video, stretches, window)


STAF = StafConfig(channels=16, map_channels=CHANNELS)
BASE = StafConfig(channels=16, map_channels=CHANNELS, tcfm_stage=None, safm_stage=None)
HMR = PooledConfig(map_channels=CHANNELS)


def test_all_figures_are_drawn_with_their_numbers(tmp_path: Path):
    shown = subject(tmp_path, network(STAF), network(HMR, "rival"))
    made = figures.make_figures(shown, figures.FIGURES, tmp_path / "out")
    names = [path.name for path in made if path.suffix == ".png"]
    assert names == ["attention.png", "regressors.png", "weights.png", "acceleration.png"]
    for path in made:
        if path.suffix == ".png":
            picture = cv2.imread(str(path))
            assert picture is not None
            assert picture.std() > 5
        else:
            assert json.loads(path.read_text())["frame"] == shown.frame
    curves = json.loads((tmp_path / "out/acceleration.json").read_text())["values"]
    assert len(curves["made"]) == len(curves["rival"]) == len(curves["frame"]) == 40
    assert [n for n, value in enumerate(curves["made"]) if value is None] == [0, 19, 20, 39]


def test_a_kept_cut_lets_windows_cross_it(tmp_path: Path):
    shown = subject(tmp_path, network(STAF), keep_cut=True)
    (path, *_) = figures.make_figures(shown, [9], tmp_path / "out")
    values = json.loads(path.with_suffix(".json").read_text())["values"]["made"]
    assert [n for n, value in enumerate(values) if value is None] == [0, 39]


@pytest.mark.parametrize(("figure", "config", "words"), [(4, BASE, "TCFM"), (7, HMR, "regressors")])
def test_a_figure_of_a_module_that_is_not_there_is_refused(tmp_path, figure, config, words):
    with pytest.raises(EvaluationError, match=words):
        figures.make_figures(subject(tmp_path, network(config)), [figure], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_fuses_nothing_has_no_weights(tmp_path: Path):
    plain = StafConfig(
        channels=16, map_channels=CHANNELS, average_target=False, tcfm_stage=None, safm_stage=None
    )
    with pytest.raises(EvaluationError, match="none of the networks"):
        figures.make_figures(subject(tmp_path, network(plain)), [8], tmp_path / "out")


def test_a_frame_without_a_whole_window_is_refused():
    stretches = main_person([track(1, 0, 20)], False)
    with pytest.raises(EvaluationError, match="0 to 19"):
        figures._window(stretches, 2, 9)


def test_reports_become_one_picture(tmp_path: Path):
    reports = [{"step": n, "rate": 1e-3, "losses": {"total": 1 / n}} for n in range(1, 9)]
    draw_reports([*reports, {"step": 8, "scores": {"mpjpe_mm": 100.0}}], tmp_path / "curves.png")
    assert cv2.imread(str(tmp_path / "curves.png")) is not None
    draw_reports([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.slow
def test_the_shipped_weights_on_a_real_clip(tmp_path: Path, capsys):
    clip = FOOTAGE / "balance_cam02.mp4"
    figures.main(["staf-open", "--clip", str(clip), "--out", str(tmp_path)])
    assert len(capsys.readouterr().out.splitlines()) == 8
    values = json.loads((tmp_path / "weights.json").read_text())["values"]
    assert set(values) == {"TCFM", "SAFM", "APM"}

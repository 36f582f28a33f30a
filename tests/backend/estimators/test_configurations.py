"""Every configuration animates: what training exports is added, and converts as it evaluates."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from staf_backend.cli import main
from staf_backend.estimators import staf_ready
from staf_backend.geometry import from_quaternions
from staf_backend.motion import load_motion
from staf_backend.people import Track, read_tracks, within
from staf_backend.staf import (
    TABLE_IV,
    TABLE_V,
    TABLE_VI,
    PooledConfig,
    configuration_name,
    cut,
    squares_around,
)
from staf_backend.staf.any_network import make_network
from staf_backend.staf.network import Regressor
from staf_backend.video import open_video
from tests.support.glb_reader import read_glb
from tests.support.make_training_videos import by_windows
from tests.support.places import FOOTAGE
from training.evaluate import open_network
from training.model import make_encoder
from training.run import Progress, VideoStageConfig, networks, run_folder, save_checkpoint
from training.scoring import joined_params, make_recoverer
from training.targets import CROP_SCALE

CLIP = FOOTAGE / "balance_cam02.mp4"
END, COUNT = "0.2", 12
"""Of the clip in seconds and frames: the middle four have whole windows."""
ROWS = {**TABLE_IV, **TABLE_V, **TABLE_VI}
QUICK = ("HMR + APM",)
"""The others are slow by their number alone."""


@pytest.fixture(scope="module")
def encoder():
    return make_encoder("blazepose-full").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who is where in the clip's beginning."""
    path = tmp_path_factory.mktemp("tracks") / "clip.json"
    assert main(["tracks", str(CLIP), "-o", str(path), "--end", "0.45"]) == 0
    return path


@pytest.fixture(scope="module")
def seen(tracks: Path) -> tuple[Track, torch.Tensor]:
    """The largest person's track, and what training's networks see of it."""
    video = open_video(CLIP)
    track = within(read_tracks(tracks, video), range(COUNT))[0]
    squares_px = squares_around(track.boxes_px, CROP_SCALE)
    first, last = int(track.frames[0]), int(track.frames[-1]) + 1
    images = video.frames(first, last)
    crops = [cut(image, square) for image, square in zip(images, squares_px, strict=True)]
    return track, torch.from_numpy(np.stack(crops))


def exported(name: str, encoder, run: Path) -> Path:
    """The weights of a run of fresh, lively weights, written as training writes them."""
    changes = {} if isinstance(ROWS[name], PooledConfig) else {"channels": 8}
    config = dataclasses.replace(ROWS[name], map_channels=encoder.channels, **changes)
    torch.manual_seed(len(name))
    tables = networks.body_tables("open-neutral")
    network = make_network(config, tables, networks.start_values())
    for module in network.modules():
        if isinstance(module, Regressor):
            nn.init.xavier_uniform_(module.pose.weight, gain=0.3)
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=(module.in_channels * 4) ** -0.5)
    run.mkdir()
    stage = VideoStageConfig(network=config)
    run_folder.begin(run, "video", stage, resume=False, device="cpu", world=1)
    model = nn.ModuleDict({"network": network})
    adam = [torch.optim.Adam(model.parameters())]
    save_checkpoint(run / run_folder.LAST, model, adam, Progress(step=1, finished=True), {})
    blank = make_network(config, tables, networks.start_values())
    return networks.export(run, run / "weights", encoder, blank, ("Fresh.",))


def last_line(capsys: pytest.CaptureFixture) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    "name", [pytest.param(row, marks=[] if row in QUICK else pytest.mark.slow) for row in ROWS]
)
def test_a_configuration_animates_as_training_evaluates_it(
    name: str, encoder, tracks: Path, seen, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(staf_ready, "_kept", {})
    called = "base + STAF + APM" if name == "TCFM1 + SAFM2" else name
    weights = exported(name, encoder, tmp_path / "run")
    assert main(["weights", "add", str(weights), "--progress", "json"]) == 0
    added = last_line(capsys)
    assert (added["configuration"], added["can_convert"], added["in_use"]) == (called, True, "staf")
    assert called in added["message"]

    out = tmp_path / "clip.glb"
    words = ["--tracks", tracks, "--end", END, "--largest", "--level", "off", "--grounding", "0"]
    words += ["--precision", "float32", "--motion", tmp_path / "m.npz", "--progress", "json"]
    assert main(["convert", str(CLIP), "-o", str(out), *map(str, words)]) == 0
    (person,) = last_line(capsys)["people"]
    assert (person["estimator"], person["configuration"]) == ("staf", called)
    motion = load_motion(tmp_path / "m.npz")
    assert (motion.configuration, motion.body) == (called, "open-neutral")
    (animation,) = read_glb(out).json["animations"]
    assert [one["configuration"] for one in animation["extras"]["people"].values()] == [called]

    track, crops = seen
    network = open_network(str(weights), None)
    assert configuration_name(network.network.config) == called
    with torch.inference_mode():
        maps = encoder(encoder.normalise(crops))
    alone = by_windows(network.network, maps)
    recoverer = make_recoverer(network.network, network.encoder)
    scored = joined_params([recoverer.push(crops), recoverer.finish()])
    ours = from_quaternions(motion.rotations_wxyz[:, 1:].astype(float))
    assert motion.frames.tolist() == track.frames.tolist()
    for theirs in (alone, scored):
        np.testing.assert_allclose(ours, theirs.rotations[:, 1:].numpy(), atol=1e-5)
    assert np.abs(np.diff(ours, axis=0)).max() > 1e-4, "nothing moves"


def test_every_row_has_its_own_name():
    for name, config in ROWS.items():
        same = "base + STAF + APM" if name == "TCFM1 + SAFM2" else name
        assert configuration_name(config) == same
    long = dataclasses.replace(TABLE_VI["SAFM3"], frames=27, average_target=False)
    assert configuration_name(long) == "SAFM3 without APM, 27 frames"
    assert configuration_name(dataclasses.replace(TABLE_IV["base"], frames=1)) == "base"

"""The lifter's training: it learns, repeats itself, resumes, and writes what the product reads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.geometry import SMPL, skeleton  # noqa: E402
from staf_backend.landmarks import Lifter  # noqa: E402
from staf_backend.landmarks.windows import WINDOW  # noqa: E402
from staf_backend.runtime import open_network, run  # noqa: E402
from tests.support.make_mocap import SILENT  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from training.lifting import network as lift_network  # noqa: E402
from training.lifting import train_windows  # noqa: E402
from training.moves import Cameras, Variety  # noqa: E402
from training.run import RunError, checkpoints, run_folder  # noqa: E402
from training.simulated.landmark_noise import Noise  # noqa: E402
from training.simulated.limb_errors import LimbNoise  # noqa: E402

SMALL = lift_network.Size(width=32, blocks=1, heads=2, inner=48)


def config(**changes) -> train_windows.WindowLifterConfig:
    return train_windows.WindowLifterConfig(
        **({"batch": 8, "steps": 40, "held_out": ("02",), "size": SMALL} | changes)
    )


def trained(clips, figure, settings: train_windows.WindowLifterConfig, folder: Path, **how):
    """The objective of a run after it, and the run's totals by report."""
    objective = train_windows.WindowObjective(figure, settings)
    train_windows.train_windows(clips, objective, figure, settings, folder, **how)
    return objective, [entry["losses"]["total"] for entry in run_folder.reports(folder)]


@pytest.fixture
def often(monkeypatch):
    """Runs report and save every other step."""
    monkeypatch.setattr(train_windows, "_REPORT_EVERY", 2)


@pytest.mark.usefixtures("often")
def test_a_few_steps_lower_the_loss(clips, figure, tmp_path):
    settings = config(steps=60, learning_rate=0.02, noise=SILENT)
    _, totals = trained(clips, figure, settings, tmp_path)
    assert len(totals) == 30
    assert np.mean(totals[-5:]) < 0.8 * np.mean(totals[:3])


@pytest.mark.slow
def test_the_seed_decides_everything(clips, figure, tmp_path):
    (first, one), (_, two), (_, other) = (
        trained(clips, figure, config(seed=seed, steps=2), tmp_path / name)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert one == two != other
    assert not torch.equal(first.network.enter.weight, first.average.enter.weight)


@pytest.mark.usefixtures("often")
def test_killed_and_resumed_equals_uninterrupted(clips, figure, tmp_path, monkeypatch):
    """Killed between two saves: what was not saved is done again, bit for bit."""

    class Killed(BaseException):
        pass

    draw, settings = train_windows.draw_batch, config(steps=7, minutes=1e9)

    def draw_until(*arguments):
        if arguments[-1] == 5:
            raise Killed
        return draw(*arguments)

    whole, totals = trained(clips, figure, settings, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(train_windows, "draw_batch", draw_until)
        with pytest.raises(Killed):
            trained(clips, figure, settings, tmp_path / "parts")
    assert checkpoints.read_progress(tmp_path / "parts" / run_folder.LAST).step == 4
    parts, totals_too = trained(clips, figure, settings, tmp_path / "parts", resume=True)
    assert totals == totals_too
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name
    folders = tmp_path / "whole", tmp_path / "parts"
    both = [checkpoints.read_checkpoint(folder / run_folder.LAST)[1] for folder in folders]
    assert any("momentum_buffer" in name for name in both[0])
    assert any("exp_avg_sq" in name for name in both[0])
    assert all(torch.equal(tensor, both[1][name]) for name, tensor in both[0].items())


def test_a_run_ends_when_its_minutes_are_up(clips, figure, tmp_path):
    """By the clock; it is then at its end, and going on with it does nothing."""
    settings = config(steps=10_000, minutes=1e-6)
    trained(clips, figure, settings, tmp_path)
    progress = checkpoints.read_progress(tmp_path / run_folder.LAST)
    assert (progress.step, progress.finished) == (1, True)
    _, totals = trained(clips, figure, settings, tmp_path, resume=True)
    assert checkpoints.read_progress(tmp_path / run_folder.LAST).step == len(totals) == 1


def test_the_rate_rises_and_falls():
    loop = config(steps=1000).loop
    rates = [loop.cosine(step, step / 1000) for step in range(1000)]
    assert np.argmax(rates) == 199
    assert rates[0] == pytest.approx(1.005 / 200)
    assert rates[-1] == pytest.approx(0.005, abs=1e-4)


@pytest.mark.slow
def test_training_writes_network_and_report_that_the_product_reads(motion, tmp_path):
    network = train_windows.train([motion], tmp_path, config(steps=4))
    report = json.loads((tmp_path / "lift.json").read_text())
    assert report["config"]["seed"] == 0
    assert report["data"]["held_out"] == ["02_01"]
    assert report["steps"] == 4
    assert report["held_out"]["measured"]["landmarks_mpjpe_mm"] > 20
    lifter = Lifter(open_network(network, threads=1))
    seen = np.zeros((40, 27, 3))
    seen[..., 2] = np.arange(27) * 0.01
    guess = lifter.lift(seen[..., :2], seen, np.ones((40, 27)), np.arange(40) / 30)
    assert guess.rotations.shape == (40, 24, 3, 3)


@pytest.mark.slow
def test_the_exported_network_is_the_trained_one(tmp_path):
    torch.manual_seed(0)
    network = lift_network.LiftNetwork(SMALL).eval()
    torch.nn.init.normal_(network.per_frame.weight, std=0.1)
    path = tmp_path / "network.onnx"
    lift_network.export(network, path)
    session = open_network(path, threads=1)
    for count in (1, 3):
        features = np.random.default_rng(count).normal(0, 1, (count, WINDOW, 196))
        features = features.astype(np.float32)
        got = run(session, features=features)
        with torch.no_grad():
            expected = network(torch.from_numpy(features))._asdict()
        expected["contact"] = expected["contact"].sigmoid()
        assert set(got) == set(lift_network.OUTPUTS)
        for name, value in expected.items():
            assert np.allclose(got[name], value.numpy(), atol=2e-5), name


def test_alone_equals_in_a_batch():
    torch.manual_seed(0)
    network = lift_network.LiftNetwork(SMALL).eval()
    features = torch.randn(5, WINDOW, 196)
    with torch.no_grad():
        together, alone = network(features), network(features[2:3])
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one[2:3], other, atol=1e-5)


def test_joint_mirror_pairs_left_and_right():
    names = skeleton.SMPL.names
    assert (SMPL.mirror[SMPL.mirror] == np.arange(24)).all()
    assert names[SMPL.mirror[names.index("L_Knee")]] == "R_Knee"
    assert names[SMPL.mirror[names.index("Pelvis")]] == "Pelvis"


@pytest.mark.parametrize(
    "make",
    [
        lambda: train_windows.WindowLifterConfig(batch=0),
        lambda: Noise(gaps=2),
        lambda: LimbNoise(amplitude=(2, 1)),
        lambda: Variety(tilt=-1),
        lambda: Cameras(distance_m=(3, 1)),
        lambda: lift_network.Size(width=30, heads=4),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.slow
def test_a_run_begins_from_the_weights_of_another(motion, tmp_path, figure):
    train_windows.train([motion], tmp_path, config(steps=2))
    weights = tmp_path / "lift.safetensors"
    objective = train_windows.WindowObjective(figure, config(seed=9))
    before = objective.network.enter.weight.clone()
    objective.begin_from(weights)
    assert not torch.equal(objective.network.enter.weight, before)
    assert torch.equal(objective.network.enter.weight, objective.average.enter.weight)
    small = config(size=lift_network.Size(16, 1, 2, 16))
    other = train_windows.WindowObjective(figure, small)
    damaged = tmp_path / "lift.json"
    for path, made in ((weights, other), (damaged, objective), (tmp_path, objective)):
        with pytest.raises(RunError, match="begun from"):
            made.begin_from(path)


@pytest.mark.slow
def test_evaluating_again_renews_the_numbers(motion, tmp_path, caplog):
    train_windows.train([motion], tmp_path, config(steps=2))
    report = json.loads((tmp_path / "lift.json").read_text())
    expected = report.pop("held_out")
    (tmp_path / "lift.json").write_text(json.dumps(report))
    with caplog.at_level("INFO"):
        train_windows.main(["--mocap", str(motion), "--out", str(tmp_path), "--evaluate"])
    assert json.loads((tmp_path / "lift.json").read_text())["held_out"] == expected
    assert "network_mpjpe_mm" in caplog.text


def test_a_folder_without_a_report_is_an_error_with_advice(motion, tmp_path):
    with pytest.raises(RunError, match="Train first"):
        train_windows.evaluate_again([motion], tmp_path)


def test_errors_of_the_command_line_are_one_line(tmp_path):
    missing = ["--mocap", str(tmp_path / "none.npz"), "--out", str(tmp_path), "--steps", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "training.lifting.train_windows", *missing],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 6
    assert len(done.stderr.strip().splitlines()) == 1
    assert "none.npz" in done.stderr

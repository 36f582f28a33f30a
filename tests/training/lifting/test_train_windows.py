"""The lifting network's training: motion, scenes, errors, losses, a few steps, and the export."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from staf_backend.body import markers  # noqa: E402
from staf_backend.geometry import rotations, skeleton  # noqa: E402
from staf_backend.geometry.skeleton import SMPL  # noqa: E402
from staf_backend.landmarks import features as lift_features  # noqa: E402
from staf_backend.landmarks.lift import Lifter  # noqa: E402
from staf_backend.landmarks.windows import MIRROR_X, WINDOW  # noqa: E402
from staf_backend.runtime.onnx_session import open_network, run  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from training.lifting import losses, train_windows  # noqa: E402
from training.lifting import network as lift_network  # noqa: E402
from training.moves import mocap  # noqa: E402
from training.moves.scenes import Cameras, place  # noqa: E402
from training.moves.variety import NONE, Variety, vary  # noqa: E402
from training.run import checkpoints, run_folder  # noqa: E402
from training.run.run_error import RunError  # noqa: E402
from training.simulated import landmark_noise  # noqa: E402
from training.simulated.landmark_noise import MEASURED, Noise  # noqa: E402
from training.simulated.limb_errors import LimbNoise  # noqa: E402

SMALL = lift_network.Size(width=32, blocks=1, heads=2, inner=48)
SILENT = Noise(
    limbs=LimbNoise((0, 0), 0, 0, 0, 0, 0, 0), image=0, occluded=0, cropped=0, gaps=0, swapped=0
)


def steps(frames: int, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 72) and translation (T, 3) of somebody who marches on the spot, left knee first."""
    t = np.arange(frames) / 30
    poses = np.zeros((frames, 24, 3))
    for hip, knee, shift in ((1, 4, 0.0), (2, 5, np.pi)):
        lift_ = np.maximum(np.sin(2 * np.pi * t + phase + shift), 0)
        poses[:, hip, 0], poses[:, knee, 0] = -1.0 * lift_, 1.6 * lift_
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    return poses.reshape(frames, 72), np.zeros((frames, 3))


def save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Path:
    arrays = {}
    for number, name in enumerate(("01_01", "01_02", "02_01")):
        poses, trans_m = steps(90, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    path = tmp_path_factory.mktemp("mocap") / "steps.npz"
    save(path, arrays)
    return path


@pytest.fixture(scope="module")
def figure():
    return train_windows.figure_of("open-neutral")


@pytest.fixture(scope="module")
def clips(motion, figure):
    return train_windows.open_clips([motion], figure)


@pytest.fixture(scope="module")
def scenes(clips, figure):
    rng = np.random.default_rng(0)
    sampler = mocap.Sampler(clips)
    moves = vary(sampler.draw(24, rng), sampler, Variety(), rng)
    return place(moves, figure, Cameras(), rng)


def config(**changes) -> train_windows.WindowLifterConfig:
    return train_windows.WindowLifterConfig(
        **({"batch": 8, "steps": 40, "held_out": ("02",), "size": SMALL} | changes)
    )


def test_the_standing_foot_is_found_and_the_lifted_one_is_not(clips):
    poses = clips[0].rotations
    bent = np.arccos(np.clip((np.trace(poses[:, [4, 5]], axis1=-2, axis2=-1) - 1) / 2, -1, 1))
    contact = clips[0].contact[3:-3]
    assert contact[:, [1, 3]][bent[3:-3] > 0.8].mean() == 0
    assert contact[:, [1, 3]][bent[3:-3] < 0.05].mean() > 0.8


def test_held_out_subjects_are_not_trained_on(clips):
    kept, held = mocap.split(clips, ("02",))
    assert {clip.subject for clip in kept} == {"01"}
    assert {clip.subject for clip in held} == {"02"}
    with pytest.raises(mocap.MocapError, match="empty"):
        mocap.split(clips, ("99",))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn", None])
def test_bad_motion_files_are_named(tmp_path, figure, content):
    path = tmp_path / "motion.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(mocap.MocapError, match=r"motion\.npz"):
        train_windows.open_clips([path], figure)


def test_motion_files_without_translation_or_with_objects_are_refused(tmp_path, figure):
    path = tmp_path / "motion.npz"
    save(path, {"a_1/poses": np.zeros((90, 72))})
    with pytest.raises(mocap.MocapError, match="trans_m"):
        train_windows.open_clips([path], figure)
    save(path, {"a_1/poses": np.array([{}], object)})
    with pytest.raises(mocap.MocapError, match="pickle"):
        train_windows.open_clips([path], figure)
    save(path, {"a_1/poses": np.zeros((9, 72)), "a_1/trans_m": np.zeros((9, 3))})
    with pytest.raises(mocap.MocapError, match="no clip of 40"):
        train_windows.open_clips([path], figure)


def test_scenes_are_people_in_front_of_cameras(scenes):
    assert (scenes.pelvis_m[..., 2] >= 0.999).all()
    gram = scenes.rotations.swapaxes(-1, -2) @ scenes.rotations
    assert np.allclose(gram, np.eye(3), atol=1e-4)
    assert np.allclose(np.linalg.norm(scenes.up, axis=-1), 1, atol=1e-5)
    assert (scenes.up[:, 1] < 0).mean() > 0.9
    bones = np.linalg.norm(np.diff(scenes.joints_m[:, :, [1, 4, 7]], axis=2), axis=-1)
    assert np.ptp(bones, axis=1).max() < 1e-5


def test_standing_feet_stay_where_they_stand(clips, figure):
    """Even when the moves were changed and the body is another: the pelvis follows the feet."""
    rng = np.random.default_rng(2)
    sampler = mocap.Sampler(clips)
    variety = Variety(upper_swap=0, arm_swap=0, crouch=1, free_leg=0, tilt=0)
    moves = vary(sampler.draw(16, rng, speeds=(1, 1)), sampler, variety, rng)
    scenes = place(moves, figure, Cameras(still=0, shaken=0), rng)
    toes = scenes.markers_m[:, :, markers.indices("foot_index")] + scenes.pelvis_m[:, :, None]
    speed = np.linalg.norm(np.diff(toes, axis=1), axis=-1) * 30
    contact = scenes.contact[..., [1, 3]]
    both = contact[:, 1:] & contact[:, :-1]
    alone = both & ~(contact[:, 1:, ::-1] & contact[:, :-1, ::-1])
    assert speed[alone].mean() < 0.12
    assert speed[~contact[:, 1:] & ~contact[:, :-1]].mean() > 0.3


def test_without_errors_landmarks_are_the_markers(scenes):
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    placed = scenes.markers_m + scenes.pelvis_m[:, :, None]
    offset = (windows.rays - placed[..., :2] / placed[..., 2:]) * placed[..., 2:]
    assert np.linalg.norm(offset, axis=-1).mean() < 0.025  # the definition of a landmark
    assert windows.observed.all()


def test_errors_have_the_size_they_were_measured_to_have(clips, figure):
    rng = np.random.default_rng(1)
    sampler = mocap.Sampler(clips)
    scenes = place(vary(sampler.draw(64, rng), sampler, NONE, rng), figure, Cameras(), rng)
    windows = landmark_noise.observe(scenes, MEASURED, 0.1, rng)
    which = markers.indices("shoulder", "elbow", "wrist", "knee", "ankle")
    hips = scenes.markers_m[:, :, markers.indices("hip")].mean(2, keepdims=True)
    error = (windows.world_m - (scenes.markers_m - hips))[:, :, which]
    depth, side = np.abs(error[..., 2]).mean(), np.abs(error[..., :2]).mean()
    assert 0.05 < depth < 0.14
    assert 0.01 < side < 0.05


def test_cropped_people_lose_visibility_at_the_edge(scenes):
    noise = Noise(cropped=1.0, gaps=0)
    windows = landmark_noise.observe(scenes, noise, 0.0, np.random.default_rng(0))
    feet = windows.visibility[:, :, markers.indices("ankle")].mean()
    assert feet < windows.visibility[:, :, markers.indices("shoulder")].mean() - 0.2


def test_features_do_not_depend_on_where_the_person_is(scenes):
    """Size, place and focal length are taken out: only perspective remains."""
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    turn = lift_features.rotations_to_person(windows)
    everyone = np.ones(len(turn), bool)
    features = lift_features.features(windows, turn, everyone)
    assert features.shape == (24, WINDOW, lift_features.FEATURES)
    image = features[..., : 2 * markers.COUNT]
    assert 0.4 < np.sqrt((image**2).mean()) < 1.2
    no_world = lift_features.features(windows, turn, ~everyone)
    assert (no_world[..., 2 * markers.COUNT : 5 * markers.COUNT] == 0).all()


def test_mirrored_windows_have_mirrored_features(scenes):
    windows = landmark_noise.observe(scenes, Noise(), 0.1, np.random.default_rng(0))
    mirrored = windows.mirrored()
    turn = lift_features.rotations_to_person(windows)
    turned = lift_features.rotations_to_person(mirrored)
    assert np.allclose(turned, turn * (MIRROR_X[:, None] * MIRROR_X), atol=1e-5)
    world = np.ones(len(turn), bool)
    one = lift_features.features(windows, turn, world)
    other = lift_features.features(mirrored, turned, world)
    image = other[..., : 2 * markers.COUNT].reshape(24, WINDOW, markers.COUNT, 2)
    expected = one[..., : 2 * markers.COUNT].reshape(image.shape)[:, :, markers.MIRROR]
    assert np.allclose(image, expected * MIRROR_X[:2], atol=1e-4)


def test_forward_kinematics_of_global_rotations_agrees_with_the_skeleton(figure):
    rng = np.random.default_rng(0)
    local = rotations.from_axis_angle(rng.normal(0, 0.5, (2, 3, 24, 3)).astype(np.float32))
    turned, joints_m = skeleton.forward_kinematics(local, figure.joints_m, np.zeros((2, 3, 3)))
    shape = losses.Shape(figure)
    bones = shape.bones_m(torch.zeros(2, 10))
    got = losses._joints(torch.from_numpy(turned).float(), bones)
    assert np.allclose(got.numpy(), joints_m, atol=1e-5)


def test_the_truth_costs_nothing(scenes, figure):
    windows = landmark_noise.observe(scenes, Noise(), 0.1, np.random.default_rng(0))
    turn = lift_features.rotations_to_person(windows)
    truth = losses.window_truth(scenes, turn, np.any(windows.observed, -1))
    perfect = lift_network.Lifting(
        truth.rotations,
        torch.full(truth.rotations.shape[:3], 0.01),
        (truth.contact * 2 - 1) * 30,
        torch.from_numpy(scenes.betas),
        truth.up,
        torch.full((24,), 0.01),
    )
    parts = losses.weighted_losses(perfect, truth, losses.Shape(figure), losses.Weights())
    assert all(float(parts[name]) < 1e-3 for name in ("joints", "turns", "steps", "up", "contact"))
    worse = perfect._replace(rotations=truth.rotations.roll(1, dims=0))
    off = losses.weighted_losses(worse, truth, losses.Shape(figure), losses.Weights())
    assert off["joints"] > 1 > parts["joints"]


def test_angles_agree_with_the_trace():
    rng = np.random.default_rng(0)
    turns = rotations.from_axis_angle(rng.normal(0, 1, (50, 3)))
    expected = np.arccos((np.trace(turns, axis1=-2, axis2=-1) - 1) / 2)
    got = losses.angles(torch.from_numpy(turns), torch.eye(3, dtype=torch.float64))
    assert np.allclose(got.numpy(), expected, atol=1e-6)


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


def test_deviations_come_to_tell_large_errors_from_small_ones():
    """The likelihood is least where the deviation is the mean error."""
    error = torch.tensor([0.1, 0.1, 0.4])
    costs = [
        float(losses._negative_log_likelihood(error, torch.tensor(deviation)).mean())
        for deviation in (0.1, 0.2, 0.4)
    ]
    assert costs[1] == min(costs)


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


def test_world_points_are_in_the_axes_of_a_crop(scenes):
    """As a camera that looks straight at the person has them."""
    windows = landmark_noise.observe(scenes, SILENT, 0.0, np.random.default_rng(0))
    cropped = landmark_noise.as_cropped(windows)
    turn = lift_features.rotations_to_person(windows)
    pelvis = (turn @ scenes.pelvis_m.mean(1)[..., None])[..., 0]
    assert np.quantile(np.abs(pelvis[:, :2]) / pelvis[:, 2:], 0.9) < 0.1
    assert np.allclose(cropped.world_m @ turn[:, None], windows.world_m, atol=1e-5)
    moved = np.linalg.norm(cropped.world_m - windows.world_m, axis=-1).max((1, 2))
    off_axis = (
        np.linalg.norm(scenes.pelvis_m.mean(1)[:, :2], axis=-1) / scenes.pelvis_m.mean(1)[:, 2]
    )
    assert np.corrcoef(moved, off_axis)[0, 1] > 0.7


def test_feet_that_slide_do_not_stand(clips, figure):
    """Two feet that both stood in the capture and now move apart: what is left is slow."""
    rng = np.random.default_rng(4)
    sampler = mocap.Sampler(clips)
    moves = vary(sampler.draw(64, rng), sampler, Variety(free_leg=0, tilt=0, crouch=1), rng)
    scenes = place(moves, figure, Cameras(still=0, shaken=0), rng)
    placed = scenes.markers_m + scenes.pelvis_m[:, :, None]
    steps_m = np.diff(placed[:, :, markers.indices(*mocap.FEET)], axis=1)
    speed = np.linalg.norm(steps_m, axis=-1) * 30
    slower = np.minimum(speed[:, 1:], speed[:, :-1])
    stands, stood = scenes.contact[:, 1:-1], moves.contact[:, 1:-1]
    assert not (stands & ~stood).any()
    assert slower[stands].max() < 0.17
    assert slower[stood & ~stands].min() > 0.13
    assert 0.3 < stands.sum() / stood.sum() < 0.99


def test_several_files_are_one_motion(motion, tmp_path, figure):
    poses, trans_m = steps(60, 2.0)
    other = tmp_path / "more.npz"
    save(other, {"09_01/poses": poses, "09_01/trans_m": trans_m})
    names = [clip.name for clip in train_windows.open_clips([motion, other], figure)]
    assert names == ["01_01", "01_02", "02_01", "09_01"]

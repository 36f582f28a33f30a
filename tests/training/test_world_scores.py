"""Drawn truth against motions that are right, wrong in a known way, or no motions at all."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from staf_backend.geometry import TO_Y_UP, Camera, continuous_signs, from_axis_angle, to_quaternions
from staf_backend.motion import ContactSpan, Motion, save_motion
from staf_backend.world.movement import FEET, Movement
from staf_backend.world.spans import spans
from tests.support.walker import BODY, FLOOR_M, RATE_HZ, walker
from training.scoring import EvaluationError, WorldTruth, lowest_m, read_truth, world_scores
from training.world_scores import main, score, table

TILT = from_axis_angle(np.radians([-20.0, 0, 0]))  # looks down


@pytest.fixture(scope="module")
def walk() -> tuple[Movement, WorldTruth]:
    """A walk on the floor at height 0, filmed by a camera that looks down by 20 degrees."""
    movement, stands = walker()
    movement = dataclasses.replace(movement, root_m=movement.root_m - [0, FLOOR_M, 0])
    frames = len(movement)
    posed = movement.posed
    view = np.tile(TO_Y_UP @ TILT.T, (frames, 1, 1))
    place = np.tile([0.0, -FLOOR_M, 0.0], (frames, 1))
    truth = WorldTruth(
        posed.joints_m,
        posed.points_m[:, :4],
        np.repeat(stands, 2, axis=1),
        lowest_m(movement),
        view,
        place,
        RATE_HZ,
    )
    return movement, truth


def motion_of(movement: Movement, stands: np.ndarray, camera_turn: np.ndarray = TILT) -> Motion:
    """As a file would have it, its contacts and camera given."""
    times = movement.times_s
    found = [
        ContactSpan(name, times[a], times[b - 1], 0.0)
        for part, name in enumerate(FEET)
        for a, b in spans(stands[:, part])
    ]
    camera = Camera(
        focal_px=900.0,
        width_px=1600,
        height_px=900,
        rotation_wxyz=to_quaternions(camera_turn[None])[0],
        position_m=np.array([0.0, -FLOOR_M, 0.0]),
    )
    return Motion(
        times_s=times,
        frames=np.arange(len(times)),
        rotations_wxyz=continuous_signs(to_quaternions(movement.rotations)).astype(np.float32),
        root_m=movement.root_m,
        observed=np.ones(len(times), bool),
        body=BODY.name,
        betas=movement.betas,
        rest_joints_m=BODY.rest_joints_m(movement.betas),
        camera=camera,
        contacts=tuple(found),
    )


def test_the_truth_itself_has_no_errors(walk: tuple[Movement, WorldTruth]):
    movement, truth = walk
    found = world_scores(motion_of(movement, truth.contact), truth)
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "wa_mpjpe_mm", "w_mpjpe_mm", "drift_m"):
        assert found[name] == pytest.approx(0, abs=0.01), name
    assert found["up_deg"] == pytest.approx(0, abs=1e-3)
    assert found["contact_f1"] == 1
    assert found["ankle_speed_kept"] == pytest.approx(1, abs=1e-3)
    assert found["slide_mm"] == pytest.approx(found["slide_true_mm"], abs=0.01)
    assert found["floor_spread_mm"] == pytest.approx(found["floor_spread_true_mm"], abs=0.01)


def test_each_fault_shows_in_its_own_number(walk: tuple[Movement, WorldTruth]):
    movement, truth = walk
    right = world_scores(motion_of(movement, truth.contact), truth)
    level = world_scores(motion_of(movement, truth.contact, np.eye(3)), truth)
    assert level["up_deg"] == pytest.approx(20, abs=1e-3)
    assert level["wa_mpjpe_mm"] == pytest.approx(0, abs=0.01), "the world's axes do not count there"
    times = movement.times_s[:, None]
    shift = {
        "slide_mm": times * [0.3, 0, 0],  # 1 cm a frame
        "floor_spread_mm": np.sin(3 * times) * [0, 0.05, 0],
        "penetration_mm": np.ones_like(times) * [0, -0.03, 0],
    }
    for name, way in shift.items():
        off = dataclasses.replace(movement, root_m=movement.root_m + way)
        wrong = world_scores(motion_of(off, truth.contact), truth)
        assert wrong[name] > right[name] + 8, name
        assert wrong["pa_mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert world_scores(motion_of(movement, ~truth.contact), truth)["contact_f1"] == 0


def test_feet_that_slide_out_of_the_picture_are_told_apart(walk: tuple[Movement, WorldTruth]):
    movement, truth = walk
    narrow = dataclasses.replace(truth, focal_px=900.0, size_px=np.array([400.0, 1000.0]))
    seen = narrow.feet_seen().any(axis=1)
    assert 0.2 < seen.mean() < 0.8, "from the left edge to the right one"
    assert truth.feet_seen().all(), "all are where no picture is told"
    away = np.cumsum(np.where(seen, 0, 0.01))[:, None] * [1.0, 0, 0]  # 1 cm a frame, unseen
    off = dataclasses.replace(movement, root_m=movement.root_m + away)
    found = world_scores(motion_of(off, truth.contact & narrow.feet_seen()), narrow)
    assert found["slide_mm"] > 1.5
    assert found["slide_seen_mm"] < 0.5
    assert found["contact_f1"] < 0.9
    assert found["contact_seen_f1"] == 1


def save_truth(path: Path, truth: WorldTruth) -> None:
    np.savez(path, **{f.name: getattr(truth, f.name) for f in dataclasses.fields(truth)})


def test_folders_are_scored_and_written(
    walk: tuple[Movement, WorldTruth], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    movement, truth = walk
    clips, motions = tmp_path / "clips", tmp_path / "motions"
    for folder in (clips, motions):
        folder.mkdir()
    with pytest.raises(EvaluationError, match="No scene"):
        score(clips, motions, ())
    save_truth(clips / "walk.npz", truth)
    save_truth(clips / "not_converted.npz", truth)
    save_motion(motions / "walk.npz", motion_of(movement, truth.contact))
    main([str(clips), str(motions), "--out", str(tmp_path / "scores")])
    assert "| mpjpe_mm | 0.00 | 0.00 | 0.00 |" in capsys.readouterr().out
    assert (tmp_path / "scores" / "world.json").is_file()
    with pytest.raises(EvaluationError, match=r"has no not_converted\.npz"):
        score(clips, motions, ["not_converted"])


def test_what_cannot_be_measured_is_a_dash():
    assert "| up_deg | - | 1.50 | 1.50 | 1.50 |" in table(
        {"a": {"up_deg": np.nan}, "b": {"up_deg": 1.5}}
    )


def test_files_that_hold_no_truth_are_refused(walk: tuple[Movement, WorldTruth], tmp_path: Path):
    movement, truth = walk
    path = tmp_path / "truth.npz"
    np.savez_compressed(tmp_path / "bomb.npz", joints_m=np.zeros((2_000_000, 24, 3)))
    path.write_bytes(b"hello")
    for one in (path, tmp_path / "bomb.npz"):
        with pytest.raises(EvaluationError, match="holds no truth"):
            read_truth(one)
    arrays = {f.name: getattr(truth, f.name) for f in dataclasses.fields(truth)}
    np.savez(path, **{**arrays, "contact": truth.contact[:3]})
    with pytest.raises(EvaluationError, match="contact must be"):
        read_truth(path)
    short = truth.rows(np.arange(5))
    with pytest.raises(EvaluationError, match="5 frames"):
        world_scores(motion_of(movement, truth.contact), short)

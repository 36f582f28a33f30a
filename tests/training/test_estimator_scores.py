"""The tool's own scores: whole pictures are the crops', the right person is compared, bad input."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("moderngl")

import cv2

from staf_backend.body import Body, load_body
from staf_backend.files import OutputError
from staf_backend.geometry import TO_Y_UP, Camera, from_axis_angle, from_quaternions, to_quaternions
from staf_backend.motion import Motion
from tests.support.places import REPOSITORY
from tests.support.plain_people import PLAIN, skip_without_drawing
from training import estimator_scores as room
from training.data.sources import DataError
from training.joints import LSP_14
from training.scoring import EvaluationError, Truth, match_person, nobody, truth_of
from training.synthetic import (
    SyntheticError,
    SyntheticSequences,
    Take,
    picture_file,
    plan,
    write_png,
)
from training.synthetic.degrade import Flaws, degrade
from training.synthetic.recording import whole
from training.targets import crop_turns

NINE = replace(PLAIN, frames=(9, 9))
ASIDE_M = np.array([1.0, 0.0, 0.0])
CLEAR = REPOSITORY / "training" / "recipes" / "clear.json"


@pytest.fixture(scope="module", autouse=True)
def _drawing():
    skip_without_drawing()


@pytest.fixture(scope="module")
def source() -> SyntheticSequences:
    return SyntheticSequences(NINE, 8, 3)


@pytest.fixture(scope="module")
def take(source) -> Take:
    """Somebody well beside the camera's axis."""
    takes = [source.take(index) for index in range(len(source))]
    return max(takes, key=lambda take: turned_deg(take).min())


def turned_deg(take: Take) -> np.ndarray:
    """How far a camera must be turned to the crops (T,)."""
    turns = crop_turns(take.shot.squares, take.shot.camera.focal)
    return np.degrees(np.arccos(turns[:, 2, 2]))


def body() -> Body:
    return load_body("open-neutral")


def truth(take: Take) -> Truth:
    return truth_of(take, plan(take), room.PROTOCOL)


def perfect(take: Take, person: int = 1) -> Motion:
    """The motion that a tool would write that knew everything."""
    who, camera, recording = take.shot.actors[0].person, take.shot.camera, plan(take)
    rotations = who.rotations.copy()
    rotations[:, 0] = TO_Y_UP @ camera.view @ rotations[:, 0]
    return Motion(
        times_s=take.times_s,
        frames=np.arange(len(take.times_s)),
        rotations_wxyz=to_quaternions(rotations),
        root_m=camera.seen(who.pelvis_m[:, None])[:, 0] @ TO_Y_UP.T,
        observed=np.ones(len(take.times_s), bool),
        body="open-neutral",
        betas=who.betas,
        rest_joints_m=body().rest_joints_m(who.betas),
        person=person,
        camera=Camera(recording.focal_px, recording.size_px, recording.size_px),
    )


def part(motion: Motion, first: int, last: int) -> Motion:
    rows = slice(first, last)
    names = ("times_s", "frames", "rotations_wxyz", "root_m", "observed")
    return replace(motion, **{name: getattr(motion, name)[rows] for name in names})


def scored(take: Take, *motions: Motion) -> room.VideoScore:
    known = truth(take)
    found = match_person(motions, body(), known, room.PROTOCOL)
    return room.Tally().add("made", plan(take), known, found)


# Whole pictures


@pytest.mark.parametrize("index", range(3))
def test_a_crop_out_of_the_whole_picture_is_the_drawn_crop(source, index):
    take, frame = source.take(index), 4
    recording = plan(take)
    assert (recording.sides_px(take.shot.squares) >= 224 - 1e-6).all()
    size = recording.size_px
    picture = source.studio.pictures(whole(take, recording), frame, frame + 1, size)[0]
    assert picture.shape == (size, size, 3)
    x, y, side = take.shot.squares[frame] / recording.side * size
    corner = np.array([x, y]) + size / 2 - side / 2
    step = side / 224
    cut = np.array([[step, 0, corner[0] + step / 2 - 0.5], [0, step, corner[1] + step / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    again = cv2.warpAffine(picture, cut, (224, 224), flags=flags)
    crop = source.studio.pictures(take, frame, frame + 1)[0]
    assert np.abs(again.astype(int) - crop).mean() < 4
    assert np.corrcoef(again.ravel(), crop.ravel())[0, 1] > 0.98


def test_joints_are_where_the_whole_pictures_camera_sees_them(take):
    recording, camera = plan(take), take.shot.camera
    seen = camera.seen(take.shot.actors[0].person.joints_m)
    expected = recording.focal_px * seen[..., :2] / seen[..., 2:] + recording.size_px / 2
    places = recording.joints_px(take.targets, take.shot.squares)
    assert np.abs(places - expected).max() < 0.01


def test_pictures_are_not_larger_than_they_must_be(take):
    squares = np.tile([0.1, 0.0, 0.9], (9, 1))
    near = replace(take, shot=replace(take.shot, squares=squares))
    assert (plan(near).side, plan(near).size_px) == (1.1, 320)
    squares[4, 2] = 0.01
    assert plan(near).size_px == 1280


def test_flaws_of_a_whole_picture_are_as_large_as_in_a_crop():
    drawn = np.random.default_rng(0).integers(0, 256, (480, 480, 3), np.uint8)
    flaws = Flaws(np.ones(3), 1.0, 0.0, 112, 0.0, 0, (-np.inf, -np.inf, np.inf, 0.0))
    worn = degrade(drawn, flaws, np.array([0.0, 0.0, 1.4]), np.random.default_rng(0), 320)
    halved = cv2.resize(drawn, (160, 160), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(halved, (320, 320), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(worn[:160], expected[:160])
    assert not worn[160:].any()


# The comparison


def test_a_perfect_motion_has_no_error(take):
    assert turned_deg(take).min() > 3
    known = truth(take)
    one = scored(take, perfect(take))
    assert (one.frames, one.coverage, one.summary.frames, one.summary.triples) == (9, 1.0, 9, 7)
    assert one.summary.mpjpe_mm == pytest.approx(0, abs=0.1)
    assert one.summary.acceleration_mm_per_frame2 == pytest.approx(0, abs=0.1)
    found = match_person([perfect(take)], body(), known, room.PROTOCOL)
    assert np.abs(found.joints_px - known.joints_px).max() < 0.05
    turned = take.targets.joints_m[:, list(LSP_14), :3]  # the crops' cameras look elsewhere
    assert 1000 * np.linalg.norm(turned - known.joints_m, axis=-1).mean() > 10


def test_a_motion_turned_about_the_vertical_is_off_by_the_chord(take):
    motion, angle = perfect(take), 0.3
    rotations = from_quaternions(motion.rotations_wxyz.astype(float))
    rotations[:, 0] = from_axis_angle(np.array([0.0, angle, 0.0])) @ rotations[:, 0]
    one = scored(take, replace(motion, rotations_wxyz=to_quaternions(rotations)))
    joints_m = truth(take).joints_m
    from_axis_m = np.hypot(joints_m[..., 0], joints_m[..., 2])
    expected = 1000 * (2 * np.sin(angle / 2) * from_axis_m).mean()
    assert expected > 20
    assert one.summary.mpjpe_mm == pytest.approx(expected, rel=1e-3)
    assert one.summary.pa_mpjpe_mm == pytest.approx(0, abs=0.1)


def test_the_true_person_is_chosen_parts_are_joined_and_gaps_break_the_acceleration(take):
    whole_motion = perfect(take, person=2)
    beside = replace(whole_motion, person=1, root_m=whole_motion.root_m + ASIDE_M)
    late = part(whole_motion, 5, 9)
    late = replace(late, observed=np.array([True, True, False, True]))
    one = scored(take, beside, part(whole_motion, 0, 3), late)
    assert (one.summary.frames, one.summary.triples) == (7, 1 + 2)
    assert one.coverage == pytest.approx(6 / 9)
    assert one.summary.mpjpe_mm == pytest.approx(0, abs=0.1)
    assert one.summary.acceleration_mm_per_frame2 == pytest.approx(0, abs=0.1)


def test_somebody_else_alone_is_not_the_true_person(take):
    motion = perfect(take)
    one = scored(take, replace(motion, root_m=motion.root_m + ASIDE_M))
    assert (one.coverage, one.summary.frames, one.summary.mpjpe_mm) == (0.0, 0, None)


def test_sums_are_over_videos_and_nothing_counts_where_nobody_was_found(take):
    known, tally = truth(take), room.Tally()
    motion = perfect(take)
    found = match_person([motion], body(), known, room.PROTOCOL)
    tally.add("one", plan(take), known, found)
    tally.add("two", plan(take), known, nobody(known))
    scores = tally.result("landmarks")
    assert (scores.frames, scores.coverage, scores.summary.frames) == (18, 0.5, 9)
    assert [one.coverage for one in scores.each] == [1.0, 0.0]
    line = room.table([scores], "made").splitlines()[-1]
    assert line == "| landmarks | 0.0 | 0.0 | 0.0 | 0.0 | 9 | 50.0% |"


# The command


@pytest.mark.slow
def test_the_landmark_estimator_is_scored_from_pictures_to_table(tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({**json.loads(CLEAR.read_text()), "frames": [12, 14]}))
    room.main(
        [
            "landmarks",
            "--data",
            "synthetic:1:2",
            "--recipe",
            str(recipe),
            "--threads",
            "1",
            "--out",
            str(tmp_path / "scores"),
            "--sheet",
            str(tmp_path / "s.png"),
        ]
    )
    found = json.loads((tmp_path / "scores" / "estimators.json").read_text())
    (row,) = found["estimators"]
    assert (row["name"], row["ran"], row["coverage"]) == ("landmarks", "landmarks", 1.0)
    assert 12 <= row["summary"]["frames"] == row["frames"] <= 14
    assert 10 < row["summary"]["pa_mpjpe_mm"] <= row["summary"]["mpjpe_mm"] < 200
    assert row["each"][0]["summary"] == row["summary"]
    assert row["each"][0]["name"] == "synthetic-train-2/000000"
    assert found["options"]["know_focal"]
    markdown = (tmp_path / "scores" / "estimators.md").read_text()
    assert f"| landmarks | {row['summary']['mpjpe_mm']:.1f} |" in markdown
    assert markdown in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet is not None
    assert sheet.shape == (448, 1792, 3)


def test_a_video_in_which_nobody_is_found_counts_as_not_covered(monkeypatch, caplog):
    def empty(_studio, take, recording, folder):
        black = np.zeros((recording.size_px, recording.size_px, 3), np.uint8)
        for frame in range(len(take.times_s)):
            write_png(picture_file(folder, frame), black)

    monkeypatch.setattr(room, "record", empty)
    caplog.set_level("INFO")
    options = room.Options(know_focal=False, threads=1)
    (scores,), rows = room.score(SyntheticSequences(NINE, 1, 0), ["landmarks"], options)
    assert (scores.coverage, scores.frames, scores.summary.frames) == (0.0, 9, 0)
    assert "the person was not found" in caplog.text
    assert len(rows) == 1
    assert "| landmarks | - | - | - | - | 0 | 0.0% |" in room.table([scores], "none")


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        ("hmr --data synthetic:1", EvaluationError, "no estimator 'hmr'.*landmarks, staf"),
        ("auto --data synthetic:1", EvaluationError, "no estimator 'auto'"),
        ("landmarks --data sets/3dpw", DataError, "'sets/3dpw' is not drawn.*synthetic:COUNT"),
        ("landmarks --data simulated:4", DataError, "'simulated:4' is not drawn"),
        ("landmarks --data synthetic:0", DataError, "no data source"),
        (
            "landmarks --data synthetic:1 --recipe nowhere.json",
            SyntheticError,
            "nowhere.json cannot",
        ),
        ("landmarks --data synthetic:1 --out file/in", OutputError, "cannot write file/in"),
    ],
)
def test_mistakes_are_told_before_anything_is_drawn(tmp_path, monkeypatch, words, error, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=text):
        room.main(["--out", "scores", *words.split()])


@pytest.mark.parametrize("words", ["landmarks --out scores", "--data synthetic:1 --out scores"])
def test_what_is_missing_is_asked_for(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        room.main(words.split())
    assert "required" in capsys.readouterr().err

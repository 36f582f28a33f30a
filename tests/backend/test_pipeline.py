"""Real clips end to end: what comes out is what one sees on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend import StafError
from staf_backend.export.deliver import Outputs, deliver
from staf_backend.geometry import SMPL, from_quaternions
from staf_backend.motion import Motion, joints_m, load_motion
from staf_backend.people import NobodyError
from staf_backend.pipeline import Settings, SettingsError, solve
from staf_backend.video import VideoError, open_video
from tests.support.balance_truth import errors_mm, overlay_gaps
from tests.support.glb_reader import read_glb
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE
from tests.support.real_clips import silent, solve_clip

BALANCE = FOOTAGE / "balance_cam02.mp4"
WALK = FOOTAGE / "walk_two_sports2d.mp4"
PART: dict[str, Any] = {"person": "largest", "start_s": 0.5, "end_s": 1.0}
OCCLUSION = FOOTAGE / "multi_occl_cam01.mp4"


def place(motion: Motion, name: str) -> np.ndarray:
    """A joint's path (T, 3), y up."""
    return joints_m(motion)[:, SMPL.index(name)]


def facing(motion: Motion) -> np.ndarray:
    """(T, 3) where the chest points: the body's +z."""
    return from_quaternions(motion.rotations_wxyz[:, 0].astype(float))[..., 2]


@pytest.fixture(scope="module")
def balance() -> Motion:
    """The man on the beam, whole clip."""
    (motion,) = solve_clip(BALANCE, person="largest").motions
    return motion


class TestBalance:
    """He walks towards the camera, leans to his left with the right arm and leg up, steps on."""

    def test_every_frame_has_its_time(self, balance: Motion):
        assert np.array_equal(balance.frames, np.arange(100))
        assert np.allclose(balance.times_s, np.arange(100) / 60, atol=1e-3)
        assert balance.observed.all()
        assert (balance.name, balance.source) == ("balance_cam02", "balance_cam02.mp4")
        assert (balance.estimator, balance.body) == ("landmarks", "open-neutral")
        assert balance.person == 1

    def test_the_body_covers_what_is_seen_of_him(self, balance: Motion):
        assert 0.8 < balance.card["numbers"]["outline_overlap_least"] < 0.95
        assert not any("covers" in sentence for sentence in balance.card["words"])

    def test_he_faces_the_camera_all_the_time(self, balance: Motion):
        assert (facing(balance)[:, 2] > 0.6).all()
        assert (place(balance, "L_Hip") - place(balance, "R_Hip"))[:, 0].min() > 0.05

    def test_in_the_middle_the_raised_arm_is_the_right_one(self, balance: Motion):
        head = place(balance, "Head")[:, 1]
        right, left = place(balance, "R_Wrist")[:, 1], place(balance, "L_Wrist")[:, 1]
        for frame in (44, 48, 52):
            assert right[frame] > head[frame] - 0.05
            assert left[frame] < place(balance, "L_Shoulder")[frame, 1] - 0.2

    def test_at_the_end_it_is_the_left_one(self, balance: Motion):
        left, right = place(balance, "L_Wrist")[96, 1], place(balance, "R_Wrist")[96, 1]
        assert left > place(balance, "L_Shoulder")[96, 1]
        assert right < place(balance, "R_Shoulder")[96, 1] - 0.15

    def test_in_the_middle_he_stands_on_the_left_leg_and_the_right_one_is_up(self, balance: Motion):
        rise = place(balance, "R_Ankle")[:, 1] - place(balance, "L_Ankle")[:, 1]
        assert rise[48] > 0.2
        assert abs(rise[0]) < 0.2

    def test_in_the_middle_he_leans_to_his_left(self, balance: Motion):
        trunk = place(balance, "Neck") - place(balance, "Pelvis")
        lean_deg = np.degrees(np.arctan2(trunk[:, 0], trunk[:, 1]))
        assert 15 < lean_deg[48] < 75
        assert abs(lean_deg[0]) < 15

    def test_he_comes_nearer_step_by_step(self, balance: Motion):
        assert balance.root_m[-1, 2] - balance.root_m[0, 2] > 0.2
        assert (balance.root_m[:, 2] < -2).all(), "the camera looks along -z"

    def test_the_joints_are_seen_where_the_man_is(self, balance: Motion):
        """Projected through the file's own camera, each joint lands on its landmark."""
        gaps = overlay_gaps(balance)
        print(f"by joint {gaps.mean(0).round(4)}, within 0.5 %: {(gaps < 0.005).mean():.0%}")
        assert (gaps.mean(0) < 0.005).all()
        assert (gaps < 0.005).mean() > 0.88

    def test_it_is_near_the_measured_truth(self, balance: Motion):
        errors = errors_mm(balance, 2)
        print(errors)
        assert errors["mpjpe"] <= 70
        assert errors["pa_mpjpe"] <= 48
        assert errors["acceleration"] <= 5
        assert errors["coverage"] == 1
        assert errors["swaps"] == 0

    def test_bones_keep_their_length_and_the_numbers_say_so(self, balance: Motion):
        joints = joints_m(balance)
        bones = np.linalg.norm(
            joints[:, 1:] - joints[:, list(balance.skeleton.parents[1:])], axis=-1
        )
        assert np.ptp(bones, axis=0).max() < 1e-6
        assert balance.quality["limb_length_spread_m"] < 1e-6
        assert balance.quality["coverage"] == 1
        assert 0 < balance.quality["landmark_distance_mm"] < 40
        assert balance.quality["sides_swapped_frames"] < 10
        assert 10 < balance.quality["camera_pitch_deg"] < 30, "the camera looks down 20 degrees"

    def test_a_grown_man_has_a_grown_mans_size(self, balance: Motion):
        thigh_m = np.linalg.norm(balance.rest_joints_m[4] - balance.rest_joints_m[1])
        height_m = np.ptp(balance.rest_joints_m[:, 1])
        assert 0.33 < thigh_m < 0.52
        assert 1.3 < height_m < 1.85

    def test_the_character_file_holds_the_same_joints(self, balance: Motion, tmp_path: Path):
        solved = solve_clip(BALANCE, person="largest")
        (delivered,) = deliver(solved, Outputs(tmp_path / "man.glb"), silent)
        assert delivered.files == (tmp_path / "man.glb",)
        glb = read_glb(tmp_path / "man.glb")
        expected = joints_m(balance)
        root_shift = []
        for key in range(0, 100, 9):
            found = glb.joints_m(0, "balance_cam02", key)[1:]
            root_shift.append(expected[key, 0] - found[0])
            assert np.abs(found - found[0] - (expected[key] - expected[key, 0])).max() < 1e-4
        assert np.ptp(root_shift, axis=0).max() < 1e-4, "moved as a whole, if at all"


def mirrored_clip(source: Path, path: Path, last: int) -> Path:
    """The first frames of a clip, flipped left to right, hardly compressed."""
    import av

    video = open_video(source)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=60, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = video.width_px, video.height_px, "yuv444p"
        for image in video.frames(0, last):
            flipped = np.ascontiguousarray(image[:, ::-1])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(flipped, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.slow
def test_a_mirrored_clip_gives_the_mirrored_motion(tmp_path: Path):
    """Anything that treats left unlike right, from detector to fit, would show here."""
    last, wide = 27, {"person": "largest", "preset": "best"}
    (plain,) = solve_clip(BALANCE, end_s=(last - 0.5) / 60, **wide).motions
    (other,) = solve_clip(mirrored_clip(BALANCE, tmp_path / "m.mp4", last), **wide).motions
    back = joints_m(other)[:, SMPL.mirror] * [-1, 1, 1]
    gap_mm = 1e3 * np.linalg.norm(
        (back - back[:, :1]) - (joints_m(plain) - joints_m(plain)[:, :1]), axis=-1
    )
    print(f"mirrored: mean {gap_mm.mean():.1f} mm, worst joint {gap_mm.mean(0).max():.1f} mm")
    assert gap_mm.mean() < 10
    assert gap_mm.mean(0).max() < 25


def test_a_part_of_the_clip_keeps_the_clips_clock():
    (part,) = solve_clip(BALANCE, **PART).motions
    assert np.array_equal(part.frames, np.arange(30, 60))
    assert part.times_s[0] == pytest.approx(0.5, abs=1e-3)
    assert place(part, "R_Wrist")[18, 1] > place(part, "L_Wrist")[18, 1] + 0.5


def test_a_part_is_like_that_part_of_the_whole(balance: Motion):
    (part,) = solve_clip(BALANCE, **PART).motions
    here, there = (p - p[:, :1] for p in (joints_m(part), joints_m(balance)[30:60]))
    assert 1e3 * np.linalg.norm(here - there, axis=-1).mean() < 40


@pytest.mark.slow
def test_the_same_clip_gives_the_same_bytes_with_any_number_of_threads(tmp_path: Path):
    once = solve_clip(BALANCE, **PART)
    again = solve(BALANCE, Settings(threads=2, **PART), silent)
    written = []
    for n, solved in enumerate((once, again)):
        folder = tmp_path / str(n)
        folder.mkdir()
        wanted = Outputs(folder / "a.glb", motion=folder / "a.npz", amass=folder / "b.npz")
        deliver(solved, wanted, silent)
        written.append({p.name: p.read_bytes() for p in sorted(folder.iterdir())})
    assert list(written[0]) == ["a.glb", "a.npz", "b.npz"]
    assert written[0] == written[1]


def test_a_motion_file_holds_what_was_solved(tmp_path: Path):
    solved = solve_clip(BALANCE, **PART)
    deliver(solved, Outputs(tmp_path / "m.npz"), silent)
    loaded, made = load_motion(tmp_path / "m.npz"), solved.motions[0]
    for field in ("times_s", "frames", "rotations_wxyz", "root_m", "betas", "keypoints_px"):
        assert np.array_equal(getattr(loaded, field), getattr(made, field)), field
    assert loaded.quality == pytest.approx(dict(made.quality))


def test_progress_goes_through_every_stage_to_its_end():
    told: list[tuple[str, int, int]] = []
    settings = Settings(preset="fast", threads=1, person="largest", start_s=0.5, end_s=0.92)
    solve(BALANCE, settings, lambda stage, done, total, _message: told.append((stage, done, total)))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["detect", "landmarks", "fit", "ground"]
    for stage in stages:
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps == sorted(steps), "never backwards"
        assert len({total for _, total in steps}) == 1
        assert steps[-1][0] == steps[-1][1]


@pytest.mark.slow
def test_the_camera_is_recorded_with_whether_it_was_assumed():
    assumed, known = (solve_clip(BALANCE, focal_px=f, **PART).motions[0] for f in (None, 1100.0))
    assert assumed.camera.focal_assumed
    assert assumed.camera.focal_px == pytest.approx(0.8 * np.hypot(1080, 1920))
    assert (assumed.camera.focal_source, known.camera.focal_source) == ("assumed", "given")
    assert not known.camera.focal_assumed
    assert known.camera.focal_px == 1100
    # a shorter lens sees the same man nearer
    ratio = assumed.root_m[:, 2].mean() / known.root_m[:, 2].mean()
    assert ratio == pytest.approx(assumed.camera.focal_px / 1100, rel=0.2)


def test_another_body_is_fitted_too():
    (motion,) = solve_clip(BALANCE, body="open-female", preset="fast", **PART).motions
    assert (motion.body, motion.gender) == ("open-female", "female")
    assert place(motion, "R_Wrist")[18, 1] > place(motion, "L_Wrist")[18, 1] + 0.5


@pytest.mark.slow
def test_the_legs_of_a_striding_man_keep_their_sides():
    """His right leg, the near one with the stripe, is behind the left for a third of a second."""
    solved = solve_clip(WALK, start_s=2.8, end_s=4.2)
    man = max(solved.motions, key=lambda m: float(m.root_m[-1, 0] - m.root_m[0, 0]))
    behind = (man.frames >= 106) & (man.frames <= 117)
    across = place(man, "R_Ankle")[:, 0] - place(man, "L_Ankle")[:, 0]
    assert (across[behind] < -0.2).all()


@pytest.mark.slow
def test_the_woman_walks_from_right_to_left_and_the_man_is_someone_else():
    solved = solve_clip(WALK)
    woman = max(solved.motions, key=lambda m: float(np.ptp(m.root_m[:, 0])))
    inside = slice(10, -10)
    assert woman.root_m[-1, 0] < woman.root_m[0, 0] - 1.5
    assert (facing(woman)[inside, 0] < -0.5).mean() > 0.9, "she looks where she goes"
    ankles = place(woman, "L_Ankle") - place(woman, "R_Ankle")
    steps = np.flatnonzero(np.diff(np.sign(ankles[inside, 0])))
    assert 3 <= len(steps) <= 16, "the legs pass each other step by step"
    people = {motion.person for motion in solved.motions}
    assert len(people) == 2
    (man,) = people - {woman.person}
    first = next(m for m in solved.motions if m.person == man)
    row = int(np.flatnonzero(first.frames == 50)[0])
    for side in ("L", "R"):
        assert (
            abs(place(first, f"{side}_Wrist")[row, 1] - place(first, f"{side}_Shoulder")[row, 1])
            < 0.3
        )
    assert abs((place(first, "L_Wrist") - place(first, "R_Wrist"))[row, 0]) > 0.9, "arms spread"


def wears_a_blue_cap(motion: Motion, row: int, image: np.ndarray) -> bool:
    """Whether there is the cap's blue where the motion says that the skull is."""
    joints = motion.to_camera_axes(joints_m(motion))[row]
    head, neck = (joints[SMPL.index(name)] for name in ("Head", "Neck"))
    ((column, line),) = motion.camera.project((head + 1.2 * (head - neck))[None]).astype(int)
    part = image[max(line - 40, 0) : line + 40, max(column - 40, 0) : column + 40]
    red, green, blue = np.moveaxis(part.astype(int), -1, 0)
    return bool(((blue > red + 40) & (green > red + 30)).mean() > 0.1)


@pytest.mark.slow
def test_the_occluded_man_stays_himself():
    """He alone wears a blue cap: one person has it from first to last, nobody else ever."""
    images = dict(enumerate(open_video(OCCLUSION).frames()))
    with_cap: dict[int, list[bool]] = {}
    for motion in solve_clip(OCCLUSION).motions:
        for row in np.flatnonzero(motion.observed).tolist():
            image = images[int(motion.frames[row])]
            with_cap.setdefault(motion.person, []).append(wears_a_blue_cap(motion, row, image))
    shares = {person: float(np.mean(found)) for person, found in with_cap.items()}
    print(shares)
    (man,) = (person for person, share in shares.items() if share > 0.5)
    assert shares.pop(man) > 0.97
    assert len(with_cap[man]) >= 90
    assert all(share < 0.02 for share in shares.values())


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"estimator": "magic"}, "magic"),
            ({"preset": "slowest"}, "slowest"),
            ({"focal_px": 0.0}, "focal"),
            ({"focal_px": -5.0}, "focal"),
            ({"focal_px": float("nan")}, "focal"),
            ({"focal_px": float("inf")}, "focal"),
            ({"person": "everybody"}, "everybody"),
            ({"person": "0"}, "0"),
            ({"person": "1,"}, "1,"),
            ({"person": ""}, "person"),
            ({"threads": 0}, "threads"),
        ],
        ids=str,
    )
    def test_settings_that_mean_nothing(self, settings: dict[str, Any], words: str):
        with pytest.raises(SettingsError, match=words):
            Settings(**settings)

    def test_nobody_in_it(self, tmp_path: Path):
        path = write_clip(tmp_path / "bars.mp4", ticks=range(10), size=(320, 240))
        with pytest.raises(NobodyError) as caught:
            solve(path, Settings(threads=1), silent)
        assert caught.value.exit_code == 4

    def test_only_for_a_moment(self):
        with pytest.raises(NobodyError):
            solve(BALANCE, Settings(start_s=0.5, end_s=0.53, threads=1), silent)

    def test_a_person_who_is_not_there(self):
        settings = Settings(person="7", start_s=0.5, end_s=1.0, threads=1)
        with pytest.raises(NobodyError, match="no person 7") as caught:
            solve(BALANCE, settings, silent)
        assert "person 1" in caught.value.advice

    @pytest.mark.parametrize("span", [(99, None), (0.5, 0.2), (1.0, 1.0), (None, -1)], ids=str)
    def test_a_span_with_nothing_in_it(self, span: tuple[float | None, float | None]):
        with pytest.raises(VideoError):
            solve(BALANCE, Settings(start_s=span[0], end_s=span[1], threads=1), silent)

    def test_a_start_that_is_no_number(self):
        with pytest.raises(SettingsError, match="start_s"):
            Settings(start_s=float("nan"))

    def test_a_body_that_is_not_known(self):
        with pytest.raises(StafError) as caught:
            solve(BALANCE, Settings(body="nobodys"), silent)
        assert caught.value.exit_code == 7
        assert "nobodys" in caught.value.message

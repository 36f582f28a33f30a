"""The overlay: the body lies on the person, the sound and the clock are the footage's."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.export.overlay import write_overlay
from staf_backend.files import OutputError
from staf_backend.geometry import TO_Y_UP, Camera, from_axis_angle, to_quaternions
from staf_backend.landmarks.names import NAMES
from staf_backend.motion import ContactSpan, Motion
from staf_backend.pipeline import Solved
from staf_backend.video import open_video
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE
from tests.support.real_clips import silent, solve_clip
from tests.support.sample_motions import sample_motion, swaying

PART: dict[str, Any] = {"person": "largest", "start_s": 0.5, "end_s": 1.0}
BODIES = {"open-neutral": load_body("open-neutral")}


@pytest.fixture(scope="module")
def balance() -> Solved:
    """Half a second of a clip that has sound."""
    return solve_clip(FOOTAGE / "balance_cam02.mp4", **PART)


@pytest.fixture(scope="module")
def drawn(balance: Solved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overlay") / "o.mp4"
    write_overlay(path, balance.video, balance.motions, BODIES, silent)
    return path


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that were plainly painted over, not merely compressed again."""
    return np.abs(before.astype(int) - after.astype(int)).max(-1) > 40


def test_size_and_times_are_the_footages(balance: Solved, drawn: Path):
    video = open_video(drawn)
    assert (video.width_px, video.height_px) == (1080, 1920)
    expected = balance.video.times_s[30:60] - balance.video.times_s[30]
    assert np.abs(video.times_s - expected).max() < 1e-3


def test_the_body_covers_the_man_and_little_else(balance: Solved, drawn: Path):
    (motion,) = balance.motions
    assert motion.keypoints_px is not None
    joints = [
        NAMES.index(f"{side}_{part}")
        for side in ("left", "right")
        for part in ("shoulder", "hip", "knee")
    ]
    before = list(balance.video.frames(30, 60))
    for row, after in enumerate(open_video(drawn).frames()):
        paint = changed(before[row], after)
        seen = motion.keypoints_px[row]
        inside = [
            paint[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7].mean()
            for x, y, _ in seen[joints]
        ]
        assert np.mean(inside) > 0.5, row
        sure = seen[seen[:, 2] > 0.5, :2]
        low, high = sure.min(0) - 130, sure.max(0) + 130
        outside = np.ones_like(paint)
        outside[max(int(low[1]), 0) : int(high[1]), max(int(low[0]), 0) : int(high[0])] = False
        assert paint[outside].mean() < 0.002, row
        box = (high - low).prod()
        assert 0.04 < paint.sum() / box < 0.5, "a body, not a box and not a line"


def clicking_clip(path: Path, click_s: float) -> Path:
    """A second of pictures at 30 Hz, and silence with one click."""
    rate = 16_000
    wave = np.zeros(rate, np.float32)
    wave[int(click_s * rate) : int(click_s * rate) + 40] = 0.9
    with av.open(str(path), "w") as out:
        pictures: Any = out.add_stream("libx264", rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound: Any = out.add_stream("aac", rate=rate, layout="mono")
        for i in range(30):
            image = np.full((64, 64, 3), 8 * i, np.uint8)
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(pictures.encode(None))
        for start in range(0, rate, 1024):
            block = av.AudioFrame.from_ndarray(
                wave[None, start : start + 1024], format="fltp", layout="mono"
            )
            block.sample_rate, block.pts = rate, start
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    return path


def click_s(path: Path) -> float:
    """When the loudest sample is heard, on the clock of the file's first picture."""
    with av.open(str(path)) as container:
        pictures: Any = container.streams.video[0]
        zero_s = float((pictures.start_time or 0) * pictures.time_base)
        frames: list[Any] = [f for f in container.decode(audio=0) if f.pts is not None]
        loudest = max(frames, key=lambda f: float(np.abs(f.to_ndarray()).max()))
        sample = int(np.abs(loudest.to_ndarray()).max(0).argmax())
        return float(loudest.pts * loudest.time_base) + sample / loudest.sample_rate - zero_s


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("first", [0, 9])
def test_a_click_is_heard_with_the_picture_it_belongs_to(tmp_path: Path, first: int, suffix: str):
    source = clicking_clip(tmp_path / "click.mp4", 0.6)
    assert click_s(source) == pytest.approx(0.6, abs=0.03)
    video = open_video(source)
    frames = np.arange(first, 28)
    motion = sample_motion(
        swaying(len(frames)),
        frames=frames,
        times_s=video.times_s[frames],
        camera=Camera(60.0, 64, 64),
    )
    path = tmp_path / f"o{suffix}"
    write_overlay(path, video, [motion], BODIES, silent)
    assert click_s(path) == pytest.approx(0.6 - first / 30, abs=0.035)


def test_the_sound_of_real_footage_is_copied_and_not_coded_again(balance: Solved, drawn: Path):
    def packets(path: Path) -> tuple[str, list[bytes]]:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            return stream.codec_context.name, [bytes(p) for p in container.demux(stream) if p.size]

    codec, theirs = packets(balance.video.path)
    copied, ours = packets(drawn)
    assert copied == codec
    assert 15 < len(ours) < 30, "half a second of AAC"
    assert set(ours) <= set(theirs)


def standing(camera: Camera, root_m: np.ndarray, frames: int = 5, **changes: Any) -> Motion:
    """A T-pose that faces the camera."""
    return sample_motion(
        np.tile(np.eye(3), (frames, 24, 1, 1)),
        frames=np.arange(frames),
        times_s=np.arange(frames) / 30,
        root_m=np.tile(root_m, (frames, 1)),
        observed=np.ones(frames, bool),
        betas=np.zeros(10),
        camera=camera,
        **changes,
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames without sound, 321 pixels wide: an odd number."""
    path = tmp_path_factory.mktemp("clip") / "c.mkv"
    return write_clip(path, ticks=range(5), codec="ffv1", size=(321, 240), pix_fmt="bgr0")


CAMERA = Camera(focal_px=300.0, width_px=321, height_px=240)


def first_frame(path: Path) -> np.ndarray:
    return next(open_video(path).frames(0, 1))


def painted(clip: Path, folder: Path, *motions: Motion) -> np.ndarray:
    path = folder / "o.mp4"
    write_overlay(path, open_video(clip), motions, BODIES, silent)
    return first_frame(path).astype(int)


def test_an_odd_size_loses_one_column_and_no_sound_is_fine(clip: Path, tmp_path: Path):
    path = tmp_path / "o.mp4"
    write_overlay(
        path, open_video(clip), [standing(CAMERA, np.array([0, 0, -3.0]))], BODIES, silent
    )
    video = open_video(path)
    assert (video.width_px, video.height_px) == (320, 240)
    assert not video.has_audio
    assert len(video.times_s) == 5


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_promised_format(clip: Path, tmp_path: Path, suffix: str):
    path = tmp_path / f"o{suffix}"
    write_overlay(
        path, open_video(clip), [standing(CAMERA, np.array([0, 0, -3.0]))], BODIES, silent
    )
    assert len(open_video(path).times_s) == 5
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_to_the_right_and_up_is_to_the_right_and_up(clip: Path, tmp_path: Path):
    bare = first_frame(clip)[:, :320]
    paint = changed(bare, painted(clip, tmp_path, standing(CAMERA, np.array([0.8, 0.5, -4]))))
    rows, columns = np.nonzero(paint)
    assert columns.mean() == pytest.approx(160.5 + 300 * 0.8 / 4, abs=12)
    assert 120 - 300 * 0.8 / 4 < rows.mean() < 120


def test_who_is_nearer_is_in_front_whoever_comes_first(clip: Path, tmp_path: Path):
    near = standing(CAMERA, np.array([0, 0, -3.0]))
    far = standing(CAMERA, np.array([0, 0, -5.0]), person=2)
    away = np.tile([50.0, 0, -3], (5, 1))  # same colour, out of sight
    middle = (slice(100, 130), slice(152, 168))
    for order in ((near, far), (far, near)):
        both = painted(clip, tmp_path, *order)[middle]
        gaps = [
            np.abs(
                both
                - painted(
                    clip,
                    tmp_path,
                    *(dataclasses.replace(m, root_m=away) if m is gone else m for m in order),
                )[middle]
            ).mean()
            for gone in (far, near)
        ]
        assert gaps[0] < 0.7 * gaps[1], "what is seen is mostly the nearer one"


def test_joints_of_somebody_small_do_not_hide_the_body(clip: Path, tmp_path: Path):
    """Their dots shrink with their bones; the red of a dot is not in the body's colour."""
    picture = painted(clip, tmp_path, standing(CAMERA, np.array([0, 0, -12.0])))
    paint = changed(first_frame(clip)[:, :320], picture)
    dots = paint & (picture[..., 0] - picture[..., 1] > 100)
    assert 0 < dots.sum() < 0.33 * paint.sum()


def test_what_was_filled_in_is_grey(clip: Path, tmp_path: Path):
    seen = standing(CAMERA, np.array([0, 0, -3.0]))
    guessed = dataclasses.replace(seen, observed=np.zeros(5, bool))
    colours = []
    for motion in (seen, guessed):
        body = painted(clip, tmp_path, motion)[100:120, 152:168]
        colours.append(float((body.max(-1) - body.min(-1)).mean()))
    assert colours[1] < colours[0] - 10


@pytest.mark.parametrize("place", [(0, 0, 5), (0, 0, 0), (40, 0, -3), (0, 0, -0.3)], ids=str)
def test_out_of_sight_and_behind_the_camera_is_no_crash(
    clip: Path, tmp_path: Path, place: tuple[float, float, float]
):
    image = painted(clip, tmp_path, standing(CAMERA, np.array(place, float)))
    if place in ((0, 0, 5), (40, 0, -3)):
        assert not changed(first_frame(clip)[:, :320], image).any()


def test_to_camera_axes_undoes_any_camera():
    rng = np.random.default_rng(2)
    rotation = from_axis_angle(np.array([0.3, -0.8, 0.2]))
    camera = Camera(
        500.0, 640, 480, rotation_wxyz=to_quaternions(rotation), position_m=np.array([1, 2, 3.0])
    )
    seen = rng.normal([0, 0, 4], 1, (20, 3))
    world = (seen @ TO_Y_UP.T) @ rotation.T + camera.position_m
    assert np.allclose(camera.to_camera_axes(world), seen)


def test_uneven_times_stay_uneven(tmp_path: Path):
    ticks = (0, 40, 60, 200, 333)
    path = write_clip(tmp_path / "v.mkv", ticks=ticks, time_base=Fraction(1, 1000), size=(64, 64))
    video = open_video(path)
    motion = standing(Camera(60.0, 64, 64), np.array([0, 0, -3.0]))
    write_overlay(tmp_path / "o.mp4", video, [motion], BODIES, silent)
    assert np.abs(open_video(tmp_path / "o.mp4").times_s - np.array(ticks) / 1000).max() < 1e-3


def test_a_folder_that_is_not_there(clip: Path, tmp_path: Path):
    motion = standing(CAMERA, np.array([0, 0, -3.0]))
    with pytest.raises(OutputError):
        write_overlay(tmp_path / "gone" / "o.mp4", open_video(clip), [motion], BODIES, silent)


def test_a_failure_in_the_middle_leaves_nothing(clip: Path, tmp_path: Path):
    def stop(_stage: str, done: int, _total: int, _message: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    motion = sample_motion(swaying(5), frames=np.arange(5), camera=CAMERA)
    with pytest.raises(KeyboardInterrupt):
        write_overlay(tmp_path / "o.mp4", open_video(clip), [motion], BODIES, stop)
    assert list(tmp_path.iterdir()) == []


def sheet_of(clip: Path, folder: Path, *motions: Motion) -> list[np.ndarray]:
    """All frames of an overlay with its side view and its strip."""
    path = folder / "s.mkv"
    write_overlay(path, open_video(clip), motions, BODIES, silent, "side")
    return list(open_video(path).frames())


def test_the_sheet_has_the_same_footage_with_a_side_view_and_a_strip(clip: Path, tmp_path: Path):
    motion = standing(CAMERA, np.array([0.4, 0, -3.0]))
    spans = (ContactSpan("left_heel", 0.0, 2 / 30, -1.0), ContactSpan("right_toe", 0.1, 0.1, -1.0))
    frames = sheet_of(clip, tmp_path, dataclasses.replace(motion, contacts=spans))
    assert len(frames) == 5
    height, width = frames[0].shape[:2]
    assert width == 321 + 180 - 1, "three quarters of the height beside it; even"
    assert height > 240 + 4 * 12
    plain = painted(clip, tmp_path, motion)
    assert np.abs(frames[0][:240, :320].astype(int) - plain).mean() < 2
    blue = frames[0][240:, 120:].astype(int)
    is_blue = (blue[..., 2] > 180) & (blue[..., 0] < 160)
    columns = np.flatnonzero(is_blue.any(0))
    share = np.ptp(columns) / blue.shape[1]
    assert share == pytest.approx(0.5, abs=0.05), "half of the clip"
    now = [int((f[244, 120:].astype(int).min(-1) > 190).argmax()) for f in frames]
    assert now == sorted(now), "the present wanders to the right"
    assert now[-1] > now[0] + 200


def leaning(deg: float) -> Motion:
    """Somebody who leans to the camera under a camera that looks down."""
    turns = np.tile(np.eye(3), (5, 24, 1, 1))
    turns[:, 0] = from_axis_angle(np.radians([deg, 0.0, 0.0]))
    tilt = to_quaternions(from_axis_angle(np.radians([-20.0, 0.0, 0.0])))
    camera = dataclasses.replace(CAMERA, rotation_wxyz=tilt, position_m=np.array([0, 2.0, 4.0]))
    moved = standing(camera, np.array([0, 0.95, 0.0]))
    return dataclasses.replace(
        moved,
        rotations_wxyz=to_quaternions(turns).astype(np.float32),
        contacts=(ContactSpan("left_heel", 0.0, 0.1, 0.0),),
    )


@pytest.mark.parametrize("deg", [20.0, 0.0, -20.0])
def test_from_the_side_a_lean_is_seen_whatever_the_camera_does(
    clip: Path, tmp_path: Path, deg: float
):
    side = sheet_of(clip, tmp_path, leaning(deg))[2][:240, 321:].astype(int)
    body = (side[..., 0] - side[..., 2]) > 25  # the first person's colour is reddish
    rows = np.flatnonzero(body.any(1))
    middle = [np.flatnonzero(body[row]).mean() for row in (rows[8], rows[len(rows) // 2])]
    lean_px = middle[1] - middle[0]  # the camera stands on the left
    assert np.degrees(np.arctan2(lean_px, len(rows) / 2)) == pytest.approx(deg, abs=8)
    floor = (side.min(-1) > 120) & (np.ptp(side, axis=-1) < 40)
    at = np.flatnonzero(floor.mean(1) > 0.5)
    if deg == 0:
        assert abs(at.mean() - rows[-1]) < 8, "the feet stand on the line of the floor"

"""Real people in real footage: each is one track, whatever happens in the picture."""

import cv2
import numpy as np
import pytest

from staf_backend.people import NobodyError, find_people, summarise
from staf_backend.people.camera_motion import CameraMotion, move
from staf_backend.people.keypoints import extent_px
from staf_backend.video import ReadyPicture, open_video
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE


@pytest.fixture(scope="module")
def balance():
    return open_video(FOOTAGE / "balance_cam01.mp4")


@pytest.fixture(scope="module")
def balance_tracks(balance, detector):
    return find_people(balance, detector)


def test_the_man_on_the_beam_is_one_track(balance, balance_tracks):
    man = balance_tracks[0]
    assert man.person == 1
    assert man.frames.tolist() == list(range(100))
    assert man.observed.all()
    np.testing.assert_array_equal(man.times_s, balance.times_s)
    # he leans and steps from the left to the right, upright at first
    assert man.boxes_px[-1, 0] > man.boxes_px[0, 0] + 150
    assert 700 < man.boxes_px[:, 2].min() < man.boxes_px[:, 2].max() < 1000
    # the box moves smoothly: a swift pull of the leg is 2.1 % of its side a frame
    side = man.boxes_px[:, 2].mean()
    assert np.abs(np.diff(man.boxes_px, axis=0)).max() < 0.025 * side
    assert np.abs(np.diff(man.boxes_px, 2, axis=0)).max() < 0.005 * side
    others = [t for t in balance_tracks if t.person != 1]
    assert all(t.boxes_px[:, 2].mean() < 0.7 * side for t in others)


def test_a_summary_shows_each_person(balance, balance_tracks):
    summaries = summarise(balance, balance_tracks)
    assert [s.person for s in summaries] == sorted({t.person for t in balance_tracks})
    main = summaries[0]
    assert (main.frames, main.coverage) == (100, 1.0)
    assert (main.start_s, main.end_s) == (0.0, pytest.approx(99 / 60))
    np.testing.assert_allclose(main.box_px, balance_tracks[0].boxes_px.mean(0))
    assert main.thumbnail.dtype == np.uint8
    assert main.thumbnail.shape[0] == 160
    # his blue cap is in the upper part of the picture
    top = main.thumbnail[:60].astype(int)
    assert ((top[..., 2] > top[..., 0] + 60) & (top[..., 2] > 110)).sum() > 40


@pytest.mark.slow
def test_the_occluded_man_stays_himself(detector):
    tracks = find_people(open_video(FOOTAGE / "multi_occl_cam01.mp4"), detector)
    woman, man = tracks[:2]
    for track in (woman, man):
        assert track.frames.tolist() == list(range(100))
    # bare chest and white shirt: the man is above and to the left of her all the time
    assert (man.boxes_px[:, :2] < woman.boxes_px[:, :2] + [60, 0]).all()
    assert (extent_px(woman.keypoints_px) > extent_px(man.keypoints_px) * 0.9).all()
    assert np.abs(np.diff(man.boxes_px[:, :2], axis=0)).max() < 40


@pytest.mark.slow
def test_the_man_who_somersaults_off_the_roof_is_followed(detector):
    """Backlit, he is lost for the plain detector; a woman passes below, the exposure jumps."""
    video = open_video(FOOTAGE / "walk_two_sports2d.mp4")
    done = []
    tracks = find_people(video, detector, range(108, 192), progress=lambda *at: done.append(at))
    assert done[-1] == (84, 84)
    assert sorted(done) == done
    assert len(tracks) == 2
    man = min(tracks, key=lambda t: t.boxes_px[0, 1])
    woman = max(tracks, key=lambda t: t.boxes_px[0, 1])
    assert man.frames[0] == woman.frames[0] == 108
    assert min(man.frames[-1], woman.frames[-1]) >= 190
    assert man.boxes_px[0, 1] < 300
    assert man.boxes_px[-1, 1] > 650
    assert man.boxes_px[-1, 0] > 1050
    assert man.observed.mean() > 0.75
    assert woman.observed.all()
    assert woman.boxes_px[-1, 0] < 200


@pytest.mark.slow
def test_somebody_small_is_found_from_the_first_frame_on(tmp_path, balance, detector):
    """The man at a twelfth of the picture's height: too small for the plain look."""
    for i, image in enumerate(balance.frames(0, 40)):
        small = cv2.resize(image, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        wide = cv2.copyMakeBorder(small, 768, 768, 432, 432, cv2.BORDER_REPLICATE)
        wide = cv2.GaussianBlur(wide, (0, 0), 8)
        wide[768:1152, 432:648] = small
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), wide[..., ::-1])
    video = open_video(tmp_path, fps=60)
    assert detector.detect(next(video.frames())).scores.max(initial=0) < 0.35
    man = find_people(video, detector)[0]
    assert len(man) == 40
    assert man.observed.mean() > 0.9
    assert 0.07 < man.boxes_px[:, 2].mean() / 1920 < 0.1


@pytest.fixture(scope="module")
def cut_together(tmp_path_factory, balance):
    """The same man in the same room from two cameras."""
    other = open_video(FOOTAGE / "balance_cam02.mp4")
    images = [*balance.frames(40, 70), *other.frames(70, 100)]
    folder = tmp_path_factory.mktemp("cut")
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}.jpg"), cv2.resize(image, None, fx=0.4, fy=0.4)[..., ::-1])
    return folder


@pytest.mark.slow
def test_over_a_cut_looks_say_who_is_who(cut_together, detector, appearance):
    tracks = find_people(open_video(cut_together, fps=30), detector, appearance=appearance)
    assert all(t.frames[-1] < 30 or t.frames[0] >= 30 for t in tracks)
    parts = {t.part: t for t in tracks if t.person == 1}
    assert sorted(parts) == [1, 2]
    assert parts[1].frames[-1] == 29
    assert parts[2].frames[0] == 30


@pytest.mark.slow
def test_a_cut_between_two_cameras_ends_every_track(cut_together, detector):
    tracks = find_people(open_video(cut_together, fps=60), detector)
    assert {int(t.frames[0]) for t in tracks} >= {0, 30}
    assert all(t.frames[-1] < 30 or t.frames[0] >= 30 for t in tracks)
    before = {t.person for t in tracks if t.frames[0] < 30}
    assert not before & {t.person for t in tracks if t.frames[0] >= 30}


def test_a_shaken_camera_and_a_flash_are_no_cuts(balance):
    rng = np.random.default_rng(4)
    camera, expected = CameraMotion(), np.zeros(2)
    for i, image in enumerate(balance.frames(0, 30)):
        offset = rng.integers(0, 60, 2)
        part = np.ascontiguousarray(
            image[offset[1] : offset[1] + 1800, offset[0] : offset[0] + 1000]
        )
        if i == 15:
            part = np.clip(part * 1.6 + 20, 0, 255).astype(np.uint8)
        step = camera.step(ReadyPicture(part), np.zeros((0, 4)))
        assert not step.cut
        if i:
            moved = move(step.similarity, np.array([500.0, 900.0])) - [500, 900]
            np.testing.assert_allclose(moved, expected - offset, atol=3)
        expected = offset


@pytest.mark.parametrize("brighter", [0, 25])
def test_a_camera_that_rests_does_not_move_at_all(balance, brighter):
    """Noise of film, and a lamp, are no motion."""
    rng, camera = np.random.default_rng(4), CameraMotion()
    first = next(balance.frames(0, 1))
    for number in range(4):
        noisy = first + rng.normal(brighter * (number % 2), 4, first.shape)
        picture = ReadyPicture(np.clip(noisy, 0, 255).astype(np.uint8))
        step = camera.step(picture, np.zeros((0, 4)))
        np.testing.assert_array_equal(step.similarity, np.eye(2, 3))
        assert not step.cut


@pytest.mark.parametrize("way_px", [(0.8, 0.0), (0.0, -1.2), (3.0, 2.0)])
def test_a_camera_that_creeps_does_not_rest(balance, way_px):
    """By an eighth of a pixel of the small picture, and more."""
    first = next(balance.frames(0, 1))
    way = np.array([[1, 0, way_px[0]], [0, 1, way_px[1]]])
    then = cv2.warpAffine(first, way, first.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    camera = CameraMotion()
    camera.step(ReadyPicture(first), np.zeros((0, 4)))
    found = camera.step(ReadyPicture(then), np.zeros((0, 4))).similarity
    np.testing.assert_allclose(move(found, np.array([540.0, 960.0])) - [540, 960], way_px, atol=0.4)


def test_footage_without_people_is_nobody(tmp_path, detector):
    video = open_video(write_clip(tmp_path / "blocks.mp4"))
    with pytest.raises(NobodyError, match="Nobody was found"):
        find_people(video, detector)
    with pytest.raises(ValueError, match="every"):
        find_people(video, detector, every=0)


def test_one_frame_is_too_short_to_be_a_track(balance, detector):
    with pytest.raises(NobodyError, match="never for longer"):
        find_people(balance, detector, range(5, 6))

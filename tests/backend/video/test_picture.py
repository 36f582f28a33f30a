"""A picture gives its RGB, large or small, and in grey, whatever it was decoded from."""

from typing import Any

import av
import cv2
import numpy as np
import pytest

from staf_backend.runtime import Workers
from staf_backend.video import KeptPicture, Picture, ReadyPicture, Video, open_video
from tests.support.make_clips import set_display_matrix, write_clip

KINDS = {
    "plain.mp4": {},
    "ten_bit.mp4": {"pix_fmt": "yuv420p10le"},
    "full_range.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "colours.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "odd.mp4": {"size": (127, 95), "pix_fmt": "yuv444p"},
}
TURNS = [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1)]


def pictures(video: Video, count: int = 5) -> list[Picture]:
    with Workers(1) as workers:
        return list(video.in_advance(0, count, workers, lambda _, picture: picture))


def check_grey(picture: Picture, width: int, height: int) -> None:
    """Of brightness as RGB has it, in the same places."""
    grey = picture.grey(width, height)
    assert grey.shape == (height, width)
    assert grey.dtype == np.uint8
    full = cv2.cvtColor(np.ascontiguousarray(picture.rgb()), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    off = grey.astype(int) - small
    # the weights of red, green and blue are not the same in all standards of video
    assert abs(off).mean() < 6
    assert np.corrcoef(grey.ravel(), small.ravel())[0, 1] > 0.99


def check_sized(picture: Picture, width: int, height: int) -> None:
    """As RGB made smaller or larger."""
    sized = picture.sized(width, height)
    assert (sized.shape, sized.dtype) == ((height, width, 3), np.uint8)
    shrinks = width <= picture.shape[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    expected = cv2.resize(
        np.ascontiguousarray(picture.rgb()), (width, height), interpolation=kind
    ).astype(int)
    assert abs(sized - expected).mean() < 3
    for channel in range(3):
        both = sized[..., channel].ravel(), expected[..., channel].ravel()
        assert np.corrcoef(*both)[0, 1] > 0.99


def test_colours_of_a_picture_made_small_are_true(tmp_path):
    """As BT.709 says, in fractions, for what the planes hold in the mean."""
    path = write_clip(tmp_path / "hd.mp4", size=(1280, 720))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    planes = [
        cv2.resize(plane.astype(np.float32), (160, 90), interpolation=cv2.INTER_AREA)
        for plane in (
            np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)[:, : p.width]
            for p in frame.planes
        )
    ]
    brightness = (planes[0] - 16) * 255 / 219
    blue, red = ((plane - 128) * 255 / 224 for plane in planes[1:])
    true = np.stack(
        [
            brightness + 1.5748 * red,
            brightness - 0.1873 * blue - 0.4681 * red,
            brightness + 1.8556 * blue,
        ],
        axis=-1,
    )
    found = pictures(open_video(path), 1)[0].sized(160, 90)
    inside = ((true > 5) & (true < 250)).all(-1)
    assert inside.sum() > 1000
    assert abs((found - true)[inside].mean(0)).max() < 0.3


@pytest.mark.parametrize("name", KINDS)
def test_rgb_is_the_video_s_frame_and_others_show_the_same(tmp_path, name: str):
    kind: dict[str, Any] = KINDS[name]
    video = open_video(write_clip(tmp_path / name, **kind))
    for picture, image in zip(pictures(video), video.frames(0, 5), strict=True):
        assert picture.shape == image.shape
        np.testing.assert_array_equal(picture.rgb(), image)
        np.testing.assert_array_equal(picture.rgb(), image, "again")
        check_grey(picture, 40, 30)
        check_sized(picture, 40, 30)
        check_sized(picture, 200, 150)


@pytest.mark.parametrize("matrix", TURNS)
def test_small_pictures_are_turned_upright_too(tmp_path, matrix: tuple[int, int, int, int]):
    path = write_clip(tmp_path / "phone.mp4")
    set_display_matrix(path, *matrix)
    picture = pictures(open_video(path))[0]
    small = (48, 64) if picture.shape[0] > picture.shape[1] else (64, 48)
    check_grey(picture, *small)
    check_sized(picture, *small)


def test_a_kept_picture_makes_its_rgb_once(tmp_path):
    (picture,) = pictures(open_video(write_clip(tmp_path / "clip.mp4")), 1)
    kept = KeptPicture(picture)
    assert picture.rgb() is not picture.rgb()
    assert kept.rgb() is kept.rgb()
    np.testing.assert_array_equal(kept.rgb(), picture.rgb())
    np.testing.assert_array_equal(kept.grey(32, 24), picture.grey(32, 24))
    np.testing.assert_array_equal(kept.sized(32, 24), picture.sized(32, 24))


def test_a_picture_of_its_own_is_as_a_decoded_one():
    image = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 12, 3), np.uint8), (500, 375))
    ready = ReadyPicture(image)
    assert ready.rgb() is image
    check_grey(ready, 120, 90)
    check_grey(ready, 333, 250)
    check_sized(ready, 120, 90)
    check_sized(ready, 1000, 750)

"""How long a lens is: what files say, what a table says of a phone, what a user says."""

import itertools
import math
import re
import struct

import pytest

from staf_backend.choices import LENSES
from staf_backend.estimators import SettingsError, open_shot
from staf_backend.geometry import assumed_focal_px
from staf_backend.pipeline import Settings
from staf_backend.video import focal_of_lens, open_video
from staf_backend.video.exif import Exif, read_exif
from staf_backend.video.lens import focal_of_still, focal_of_tags
from staf_backend.video.phones import PHONES, STEADIED, focal_mm_of
from tests.support.make_clips import write_clip

KEY = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
WIDE = 1920, 1080
STILL_PX = math.hypot(1920, 1440) / math.hypot(36, 24)
"""Pixels a millimetre of the 4:3 still that a video of 1920 x 1080 is cut from."""


@pytest.mark.parametrize("text", ["26", "26.00mm", " 26 mm "])
@pytest.mark.parametrize("size", [WIDE, WIDE[::-1]])
def test_the_equivalent_is_that_of_the_still_which_the_video_is_cut_from(text, size):
    focal = focal_of_tags({KEY: text}, *size)
    assert focal is not None
    assert focal.px == pytest.approx(26 * STILL_PX)
    assert focal.source == "metadata"


@pytest.mark.parametrize("text", ["", "0", "-26", "nan", "inf", "1e9", "26,5", "9" * 400, "main"])
def test_an_equivalent_that_no_lens_has_says_nothing(text):
    assert focal_of_tags({KEY: text}, *WIDE) is None


def test_the_phones_main_camera_is_known_by_make_and_model():
    tags = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 12 Pro"}
    focal = focal_of_tags(tags, *WIDE)
    assert focal is not None
    assert (focal.px, focal.source) == (pytest.approx(26 * STILL_PX * STEADIED), "phone")
    android = {"com.android.manufacturer": "samsung", "com.android.model": "SM-S908B"}
    focal = focal_of_tags(android, *WIDE)
    assert focal is not None
    assert focal.px == pytest.approx(23 * STILL_PX * STEADIED)
    assert focal_of_tags({**tags, KEY: "13"}, *WIDE).source == "metadata", "the lens itself"  # type: ignore[union-attr]


def test_no_phone_is_guessed():
    assert focal_mm_of("Apple", "iPhone 99") is None
    assert focal_mm_of("Apple", "iPad") is None
    assert focal_mm_of("Nobody", "iPhone 12") is None
    tags = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 12"}
    front = {"com.apple.quicktime.camera.lens_model": "iPhone 12 front camera 2.71mm f/2.2"}
    assert focal_of_tags(tags | front, *WIDE) is None
    assert focal_of_tags({}, *WIDE) is None


def test_every_phone_has_one_row_with_a_source():
    for phone in PHONES:
        assert 20 < phone.focal_mm < 40
        assert phone.source
        re.compile(phone.models)
    named = [f"iphone {n}{tail}" for n in range(5, 17) for tail in ("", " pro", " plus", " mini")]
    for one, other in itertools.combinations(PHONES, 2):
        both = [n for n in named if re.fullmatch(one.models, n) and re.fullmatch(other.models, n)]
        assert not both or one.make != other.make, both


def test_the_kinds_of_lens_go_from_wide_to_long():
    focals = {lens: focal_of_lens(lens, *WIDE) / math.hypot(*WIDE) for lens in LENSES}
    assert focals["webcam"] < focals["phone"] < focals["35mm"] < focals["tele"]
    assert math.degrees(2 * math.atan(0.5 / focals["webcam"])) == pytest.approx(78)
    assert focal_of_lens("35mm", *WIDE) == pytest.approx(35 / 36 * 1920)
    assert focal_of_lens("tele", *WIDE) == focal_of_lens("tele", *WIDE[::-1])


def test_a_movie_says_which_phone_filmed_it(tmp_path):
    tags = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 7"}
    options = {"movflags": "use_metadata_tags"}
    path = write_clip(tmp_path / "phone.mov", metadata=tags, container_options=options)
    video = open_video(path)
    assert video.focal is not None
    still_px = math.hypot(video.width_px, video.height_px) / math.hypot(36, 24)  # it is 4:3
    assert (video.focal.px, video.focal.source) == (
        pytest.approx(28 * still_px * STEADIED),
        "phone",
    )


def _tiff(order: str, make: bytes, model: bytes) -> bytes:
    """A TIFF whose directory names the camera."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    places, texts, at = [], b"", 8 + 2 + 2 * 12 + 4
    for tag, text in ((0x010F, make), (0x0110, model)):
        inline = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack(order + "I", at)
        places.append(struct.pack(order + "HHI", tag, 2, len(text)) + inline)
        if len(text) > 4:
            texts, at = texts + text, at + len(text)
    return head + struct.pack(order + "H", 2) + b"".join(places) + b"\0" * 4 + texts


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_names_the_camera(order):
    exif = read_exif(_tiff(order, b"Apple\0", b"iPhone X\0"))
    assert (exif.make, exif.model) == ("Apple", "iPhone X")
    still = focal_of_still(exif.focal_35mm, exif.make, exif.model, 4032, 3024)
    assert still is not None
    assert (still.px, still.source) == (
        pytest.approx(28 * 5040 / math.hypot(36, 24)),
        "phone",
    )
    assert read_exif(_tiff(order, b"LG\0", b"Z\0")).make == "LG"


def test_broken_exif_says_nothing():
    tiff = _tiff("<", b"Apple\0", b"iPhone X\0")
    for end in range(len(tiff)):
        exif = read_exif(tiff[:end])
        assert exif == Exif() or "Apple".startswith(exif.make)
    assert focal_of_still(0.0, "", "", 640, 480) is None


def test_a_kind_of_lens_that_nobody_knows_and_two_answers_at_once():
    with pytest.raises(SettingsError, match="There is no lens 'fisheye'"):
        Settings(lens="fisheye")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="both say how long the lens is"):
        Settings(lens="phone", focal_px=900.0)


def test_what_the_user_says_comes_before_the_file_and_the_file_before_a_guess(tmp_path):
    options = {"movflags": "use_metadata_tags"}
    video = open_video(
        write_clip(tmp_path / "p.mov", metadata={KEY: "50"}, container_options=options)
    )
    size = video.width_px, video.height_px
    shots = [
        open_shot(video, None, None, 77.0),
        open_shot(video, None, None, lens="tele"),
        open_shot(video, None, None),
    ]
    assert [s.camera.focal_source for s in shots] == ["given", "lens", "metadata"]
    assert shots[0].camera.focal_px == 77
    assert shots[1].camera.focal_px == focal_of_lens("tele", *size)
    assert shots[2].camera.focal_px == pytest.approx(50 / math.hypot(36, 24) * math.hypot(*size))
    plain = open_shot(open_video(write_clip(tmp_path / "plain.mp4")), None, None).camera
    assert (plain.focal_source, plain.focal_assumed) == ("assumed", True)
    assert plain.focal_px == assumed_focal_px(*size)

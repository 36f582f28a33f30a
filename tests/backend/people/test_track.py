"""Tracks are checked, and people are chosen among them by number."""

import numpy as np
import pytest

from staf_backend.people import NobodyError, Track, choose

FPS = 30


def _track(person, part=1, first=0, frames=30):
    numbers = np.arange(first, first + frames, dtype=np.int64)
    return Track(
        person,
        part,
        numbers,
        numbers / FPS,
        np.full((frames, 3), 50.0),
        np.zeros((frames, 17, 3)),
        np.ones(frames, bool),
    )


def test_people_are_chosen_by_number():
    tracks = [_track(1), _track(2), _track(2, 2, 60), _track(3)]
    assert choose(tracks, "all") == tracks
    assert choose(tracks, "largest") == tracks[:1]
    assert choose(tracks, "2") == tracks[1:3]
    assert choose(tracks, "3, 1") == [tracks[0], tracks[3]]
    with pytest.raises(NobodyError, match=r"no person 4, 7\. Found: person 1 \(0\.0 to 1\.0 s\)"):
        choose(tracks, "1,4,7")
    with pytest.raises(NobodyError, match="Nobody was found"):
        choose([], "all")
    for bad in ("", "0", "-1", "first", "1,,2", "1.5"):
        with pytest.raises(ValueError, match="people are chosen by"):
            choose(tracks, bad)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frames", np.array([0, 2, 3])),
        ("frames", np.arange(3, dtype=np.int32)),
        ("times_s", np.array([0.0, 0.1, 0.1])),
        ("boxes_px", np.zeros((3, 4))),
        ("boxes_px", np.zeros((3, 3))),
        ("keypoints_px", np.full((3, 17, 3), np.nan)),
        ("observed", np.ones(3)),
        ("person", 0),
    ],
)
def test_tracks_are_checked(field, value):
    good = vars(_track(1, frames=3)) | {field: value}
    with pytest.raises(ValueError):
        Track(**good)

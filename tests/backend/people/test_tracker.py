"""Each person is one track: scenes on a plain stage, whose truth is known."""

import numpy as np
import pytest

from staf_backend.people import NobodyError
from staf_backend.people.camera_motion import STILL, Step
from staf_backend.people.detections import Detections
from staf_backend.people.hits import Frame
from staf_backend.people.join import finish
from staf_backend.people.keypoints import HIPS
from staf_backend.people.tracker import Tracker
from staf_backend.video import ReadyPicture

RED, GREEN = (200, 40, 40), (40, 160, 60)
FPS = 30


# A stage: plain people, 200 px tall, whose detections are known.
#
#      o      nose            the key points of a standing person, in heights,
#     /|\     shoulders       from the middle of the hips
#      |      hips
#     / \     ankles
BODY = np.array(
    [[0, -0.4]]
    + [[0.02 * s, -0.42] for s in (1, -1)]
    + [[0.05 * s, -0.41] for s in (1, -1)]
    + [[0.1 * s, y] for y in (-0.3, -0.15, 0.0) for s in (1, -1)]
    + [[0.08 * s, y] for y in (0.0, 0.25, 0.48) for s in (1, -1)]
)
HEIGHT_PX = 200


def person(x, y, score=0.6):
    """Key points (17, 3) of somebody whose hips are at x, y."""
    return np.column_stack([BODY * HEIGHT_PX + [x, y], np.full(17, score)])


def seen(*everybody, score=0.6):
    """Detections of the given key points."""
    points = np.array(everybody).reshape(-1, 17, 3)
    boxes = np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], 1)
    return Detections(boxes, np.full(len(points), score), points)


def stage(*dressed):
    """A picture of people (key points, colour) before a wall; the last one stands in front."""
    image = np.full((480, 960, 3), 120, np.uint8)
    for points, color in dressed:
        low, high = points[:, :2].min(0).astype(int), points[:, :2].max(0).astype(int)
        image[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = color
    return image


def play(acts, closer=None):
    """Tracks of a list of (image, detections or None) or (image, detections, step)."""
    tracker = Tracker(closer)
    for i, (image, found, *step) in enumerate(acts):
        tracker.update(Frame(i, i / FPS, ReadyPicture(image), step[0] if step else STILL), found)
    return finish(tracker)


def test_two_people_cross_and_stay_themselves():
    acts = []
    for i in range(60):
        red, green = person(150 + 10 * i, 240), person(750 - 10 * i, 244)
        hidden = abs(red[HIPS[0], 0] - green[HIPS[0], 0]) < 60
        found = seen(green) if hidden else seen(red, green) if i % 2 else seen(green, red)
        acts.append((stage((red, RED), (green, GREEN)), found))
    tracks = play(acts)
    assert [(t.person, t.part, len(t)) for t in tracks] == [(1, 1, 60), (2, 1, 60)]
    ways = sorted((float(t.boxes_px[0, 0]), float(t.boxes_px[-1, 0])) for t in tracks)
    assert ways[0][0] < 200 < 700 < ways[0][1]
    assert ways[1][0] > 700 > 200 > ways[1][1]
    red = next(t for t in tracks if t.boxes_px[0, 0] < 200)
    green = next(t for t in tracks if t.boxes_px[0, 0] > 700)
    assert green.observed.all()
    assert 2 <= (~red.observed).sum() <= 8


def test_two_who_meet_and_turn_back_are_not_exchanged():
    """Place and speed alone would exchange them; their clothes tell."""
    acts = []
    for i in range(80):
        way = 10 * min(i, 79 - i)
        red, green = person(80 + way, 240), person(880 - way, 240)
        hidden = abs(red[HIPS[0], 0] - green[HIPS[0], 0]) < 60
        acts.append(
            (stage((red, RED), (green, GREEN)), seen(green) if hidden else seen(red, green))
        )
    tracks = play(acts)
    assert [len(t) for t in tracks] == [80, 80]
    for track in tracks:
        assert abs(track.boxes_px[0, 0] - track.boxes_px[-1, 0]) < 20


def test_two_alike_who_cross_unseen_keep_their_ways():
    """Clothes cannot tell; only the speed says who comes out where."""
    acts = []
    for i in range(60):
        left, right = person(150 + 10 * i, 240), person(750 - 10 * i, 240)
        hidden = 26 <= i < 34
        acts.append((stage((left, RED), (right, RED)), seen() if hidden else seen(left, right)))
    tracks = play(acts)
    assert [len(t) for t in tracks] == [60, 60]
    for track in tracks:
        assert abs(track.boxes_px[0, 0] - track.boxes_px[-1, 0]) > 500


def test_who_stands_in_front_does_not_lend_the_clothes():
    red, acts = person(300, 240), [(stage((person(300, 240), RED)), seen(person(300, 240)))] * 30
    for i in range(60):
        green = person(max(310, 420 - 6 * i), 243)
        acts.append((stage((red, RED), (green, GREEN)), seen(red, green)))
    acts += [(stage(), seen())] * 35
    acts += [(stage((red, RED)), seen(red))] * 40
    tracks = play(acts)
    back = next(t for t in tracks if t.frames[0] == 125)
    assert back.part == 2
    assert next(t for t in tracks if t.frames[0] == 0).person == back.person


def _walker(i):
    return person(100 + 6 * i, 240)


def _with_gap(first, last, length, back=_walker, color=RED):
    """Somebody walks; on frames first .. last - 1 nobody is seen; `back` is who then comes."""
    acts = []
    for i in range(length):
        who, wears = (back(i), color) if i >= last else (_walker(i), RED)
        gone = first <= i < last
        acts.append((stage() if gone else stage((who, wears)), seen() if gone else seen(who)))
    return acts


def test_a_short_gap_is_filled_and_marked():
    (track,) = play(_with_gap(20, 32, 60))
    assert track.frames.tolist() == list(range(60))
    assert np.flatnonzero(~track.observed).tolist() == list(range(20, 32))
    truth = np.array([_walker(i) for i in range(60)])
    np.testing.assert_allclose(track.keypoints_px, truth, atol=0.5)
    np.testing.assert_allclose(track.boxes_px[:, 0], truth[:, HIPS, 0].mean(1), atol=1.5)


def test_after_a_long_gap_the_person_goes_on_in_another_part():
    tracks = play(_with_gap(20, 50, 80))
    parts = [(t.person, t.part, int(t.frames[0]), int(t.frames[-1])) for t in tracks]
    assert parts == [(1, 1, 0, 19), (1, 2, 50, 79)]
    assert all(t.observed.all() for t in tracks)


def test_somebody_else_after_a_gap_is_somebody_else():
    tracks = play(_with_gap(20, 50, 80, color=GREEN))
    assert sorted(t.person for t in tracks) == [1, 2]


def test_nobody_jumps_across_the_picture():
    tracks = play(_with_gap(20, 32, 60, back=lambda _: person(900, 150)))
    assert sorted(t.person for t in tracks) == [1, 2]


def test_frames_without_a_look_are_observed_and_follow_the_motion():
    truth = [person(300 + 60 * np.sin(i / 12), 240) for i in range(60)]
    acts = [(stage((p, RED)), None if i % 3 else seen(p)) for i, p in enumerate(truth)]
    (track,) = play(acts)
    assert track.observed.all()
    assert track.frames[-1] == 57
    np.testing.assert_allclose(track.keypoints_px, np.array(truth[:58]), atol=0.6)


def test_identities_never_cross_a_cut():
    acts = []
    for i in range(40):
        who = person(300, 240)
        step = Step(np.eye(2, 3), i == 20)
        acts.append((stage((who, RED)), seen(who), step))
    tracks = play(acts)
    assert sorted((t.person, int(t.frames[0]), int(t.frames[-1])) for t in tracks) == [
        (1, 0, 19),
        (2, 20, 39),
    ]


def test_a_shaking_camera_moves_nobody():
    """People stand; the picture jumps by up to 60 px a frame, and the look is every 2nd frame."""
    rng = np.random.default_rng(2)
    offset, acts = np.zeros(2), []
    for i in range(60):
        jump = rng.uniform(-60, 60, 2) - 0.5 * offset
        offset = offset + jump
        one, other = (person(offset[0] + x, offset[1] + 240) for x in (350, 430))
        step = Step(np.column_stack([np.eye(2), jump]), False)
        found = seen(one, other) if i % 2 == 0 else None
        acts.append((stage((one, RED), (other, RED)), found, step))
    tracks = play(acts)
    assert [len(t) for t in tracks] == [59, 59]
    apart = tracks[0].keypoints_px[..., 0] - tracks[1].keypoints_px[..., 0]
    np.testing.assert_allclose(np.abs(apart), 80, atol=1)


def test_a_closer_look_keeps_whom_the_detector_loses():
    windows = []

    def closer(_, window):
        windows.append(window)
        return seen(person(100 + 6 * len(acts_seen), 240))

    acts_seen, tracker = [], Tracker(closer)
    for i in range(40):
        acts_seen = list(range(i))
        found = seen() if 15 <= i < 35 else seen(_walker(i))
        tracker.update(Frame(i, i / FPS, ReadyPicture(stage((_walker(i), RED)))), found)
    (track,) = finish(tracker)
    assert len(track) == 40
    assert track.observed.all()
    assert len(windows) == 20
    for i, (x0, y0, x1, y1) in zip(range(15, 35), windows, strict=True):
        x, y = _walker(i)[HIPS, :2].mean(0)
        assert x0 < x < x1
        assert y0 < y < y1


def test_too_short_and_too_faint_is_nobody():
    wall = [(stage(), seen())] * 20
    with pytest.raises(NobodyError, match="Nobody was found") as caught:
        play(wall)
    assert (caught.value.kind, caught.value.exit_code) == ("nobody", 4)
    brief = [(stage((_walker(i), RED)), seen(_walker(i))) for i in range(8)]
    with pytest.raises(NobodyError, match=r"never for longer than 0\.4 s"):
        play(brief + wall)
    fading = [(stage(), seen(_walker(i), score=0.26 if i < 20 else 0.15)) for i in range(60)]
    with pytest.raises(NobodyError, match="Nobody was found"):
        play(fading)
    with pytest.raises(NobodyError, match="never"):
        play(brief[:1])


def test_who_is_seen_faintly_counts_where_nobody_is_clear(caplog):
    faint = [seen(_walker(i), score=0.26) for i in range(60)]
    (track,) = play([(stage(), found) for found in faint])
    assert len(track) == 60
    assert "only faintly" in caplog.text
    caplog.clear()
    clear = seen(person(800, 240))
    both = [
        Detections(*(np.concatenate(pair) for pair in zip(_arrays(clear), _arrays(found))))
        for found in faint
    ]
    (track,) = play([(stage((person(800, 240), RED)), found) for found in both])
    assert track.boxes_px[0, 0] > 700
    assert not caplog.text


def _arrays(found):
    return found.boxes_px, found.scores, found.keypoints_px


def test_the_main_person_comes_first():
    acts = []
    for i in range(60):
        small = person(800, 240)
        small[:, :2] = (small[:, :2] - [800, 240]) * 0.4 + [800, 240]
        large = person(300, 240)
        found = seen(small, large) if i < 45 else seen(small)
        acts.append((stage((small, GREEN), (large, RED)), found))
    first, second = play(acts)
    assert first.boxes_px[0, 0] == pytest.approx(300, abs=2)
    assert second.boxes_px[0, 0] == pytest.approx(800, abs=2)
    assert (len(first), len(second)) == (45, 60)


def test_frames_must_come_in_order():
    tracker = Tracker()
    tracker.update(Frame(5, 0.0, ReadyPicture(stage())), seen())
    with pytest.raises(ValueError, match="frame 7 follows 5"):
        tracker.update(Frame(7, 0.1, ReadyPicture(stage())), seen())


@pytest.mark.parametrize(("away", "parts"), [(16, 1), (28, 1), (34, 2)])
def test_up_to_a_second_out_of_sight_is_bridged(away, parts):
    """Behind a pillar: one part that says where nothing was seen; after a second, two."""
    acts = [
        (stage((person(200 + 3 * i, 240), RED)), seen(person(200 + 3 * i, 240))) for i in range(90)
    ]
    for i in range(30, 30 + away):
        acts[i] = (stage(), seen())
    tracks = play(acts)
    assert [(t.person, t.part) for t in tracks] == [(1, n + 1) for n in range(parts)]
    if parts == 1:
        assert (~tracks[0].observed).sum() == away
        assert len(tracks[0]) == 90


def test_a_frame_a_second_is_enough_for_a_track():
    """Timelapse: limits in seconds do not part one frame from the next."""
    tracker = Tracker(None)
    for i in range(20):
        there = person(200 + 10 * i, 240)
        tracker.update(Frame(i, float(i), ReadyPicture(stage((there, RED))), STILL), seen(there))
    (track,) = finish(tracker)
    assert len(track) == 20
    assert track.observed.all()

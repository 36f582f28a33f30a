"""Metrics against hand-computed cases, SciPy, and themselves in parts."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from training.scoring import Frames, ScoreError, Scores, metrics

RNG = np.random.default_rng(11)
TRUTH = RNG.normal(size=(40, 14, 3)) * 0.4
PREDICTED = TRUTH + RNG.normal(size=TRUTH.shape) * 0.05


def frames(predicted=PREDICTED, truth=TRUTH, valid=None, meshes=None) -> Frames:
    count = len(predicted)
    valid = np.ones(count, bool) if valid is None else valid
    return Frames(predicted, truth, np.arange(count) / 25, valid, meshes)


def part(whole: Frames, piece: slice) -> Frames:
    predicted_m, truth_m, times_s, valid = (field[piece] for field in whole[:4])
    return Frames(predicted_m, truth_m, times_s, valid)


def later(part: Frames) -> Frames:
    """The same after those of `frames`."""
    return part._replace(times_s=part.times_s + 40 / 25)


def test_positions_by_hand():
    truth = np.zeros((1, 2, 3))
    predicted = np.array([[[0.003, 0.004, 0], [0, 0, 0.01]]])
    assert metrics.mpjpe_mm(predicted, truth) == pytest.approx([7.5])
    assert metrics.pve_mm(predicted, truth) == pytest.approx([7.5])
    moved = metrics.rooted(np.array([[[1.0, 0, 0], [3, 0, 0], [0, 5, 0]]]), (0, 1))
    np.testing.assert_allclose(moved, [[[-1, 0, 0], [1, 0, 0], [-2, 5, 0]]])


def test_alignment_undoes_any_similarity_but_no_reflection():
    turn = Rotation.from_rotvec([0.4, -2.1, 0.9]).as_matrix()
    moved = 1.7 * TRUTH @ turn.T + [0.3, -2, 5]
    assert metrics.pa_mpjpe_mm(moved, TRUTH).max() < 1e-9
    assert metrics.pa_mpjpe_mm(TRUTH * [-1, 1, 1], TRUTH).min() > 50


def test_alignment_equals_scipys_procrustes():
    """Disparity is that of both shapes at unit size; SciPy's may reflect, ours here need not."""
    found = metrics.aligned(PREDICTED, TRUTH)
    for one, truth, aligned in zip(PREDICTED, TRUTH, found, strict=True):
        centred = truth - truth.mean(0)
        disparity = ((aligned - truth) ** 2).sum() / (centred**2).sum()
        assert disparity == pytest.approx(procrustes(truth, one)[2], abs=1e-12)
        predicted = one - one.mean(0)
        turn, trace = orthogonal_procrustes(predicted, centred)
        assert np.linalg.det(turn) > 0
        expected = trace / (predicted**2).sum() * predicted @ turn + truth.mean(0)
        np.testing.assert_allclose(aligned, expected, atol=1e-12)


def test_flat_and_collapsed_points_are_aligned_too():
    flat = TRUTH * [1, 1, 0]
    turn = Rotation.from_rotvec([1.0, 0.5, 0]).as_matrix()
    assert metrics.pa_mpjpe_mm(2 * flat @ turn.T, flat).max() < 1e-9
    collapsed = metrics.aligned(np.ones_like(TRUTH), TRUTH)
    np.testing.assert_allclose(collapsed, np.broadcast_to(TRUTH.mean(1)[:, None], TRUTH.shape))


def test_acceleration_by_hand():
    """A parabola of 2 mm/frame^2 against rest; at 25 frames a second 0.002 * 625 m/s^2."""
    predicted = np.zeros((5, 3, 3))
    predicted[:, 1, 0] = 0.001 * np.arange(5) ** 2
    truth = np.zeros_like(predicted)
    truth[:, :, 2] = 0.7 * np.arange(5)[:, None]  # even motion does not accelerate
    np.testing.assert_allclose(metrics.acceleration_mm_per_frame2(predicted, truth), [2 / 3] * 3)
    by_clock = metrics.acceleration_m_per_s2(predicted, truth, np.arange(5) / 25)
    np.testing.assert_allclose(by_clock, [0.002 * 625 / 3] * 3)
    assert metrics.acceleration_mm_per_frame2(predicted[:2], truth[:2]).size == 0


def test_the_clock_may_be_uneven():
    times_s = np.array([0, 0.03, 0.1, 0.11, 0.2])
    predicted = np.zeros((5, 1, 3))
    predicted[:, 0, 1] = 1.5 * times_s**2
    found = metrics.acceleration_m_per_s2(predicted, np.zeros_like(predicted), times_s)
    np.testing.assert_allclose(found, 3.0)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_parts_give_what_the_whole_gives(size: int):
    valid = RNG.random(40) > 0.2
    meshes = RNG.normal(size=(2, 40, 50, 3))
    whole, parts = Scores((2, 3)), Scores((2, 3))
    whole.add(frames(valid=valid, meshes=tuple(meshes)))
    for begin in range(0, 40, size):
        piece = slice(begin, begin + size)
        some = part(frames(valid=valid), piece)
        parts.add(some._replace(vertices_m=tuple(mesh[piece] for mesh in meshes)))
    one, other = whole.summary(), parts.summary()
    assert (one.frames, one.triples) == (other.frames, other.triples)
    for name in metrics._METRICS:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12), name


def test_a_summary_is_the_plain_means():
    scores = Scores((2, 3))
    scores.add(frames())
    found = scores.summary()
    predicted, truth = (x - (x[:, [2]] + x[:, [3]]) / 2 for x in (PREDICTED, TRUTH))
    off = predicted - truth
    assert found.mpjpe_mm == pytest.approx(1000 * np.sqrt((off**2).sum(-1)).mean())
    second = np.diff(off, 2, axis=0)
    assert found.acceleration_mm_per_frame2 == pytest.approx(
        1000 * np.sqrt((second**2).sum(-1)).mean()
    )
    assert found.acceleration_m_per_s2 == pytest.approx(
        (found.acceleration_mm_per_frame2 or 0) * 25**2 / 1000
    )
    assert (found.frames, found.triples, found.pve_mm) == (40, 38, None)


def test_sequences_are_not_joined_unless_asked():
    apart, joined = Scores((0,)), Scores((0,), across_joins=True)
    shifted = PREDICTED + RNG.normal(size=(1, 14, 3))  # a jump at the join
    for scores in (apart, joined):
        for predicted in (PREDICTED, shifted):
            scores.start()
            scores.add(frames(predicted))
    assert (apart.summary().triples, joined.summary().triples) == (76, 78)
    both = np.concatenate([PREDICTED, shifted]), np.concatenate([TRUTH, TRUTH])
    expected = metrics.acceleration_mm_per_frame2(*(metrics.rooted(x, (0,)) for x in both)).mean()
    assert joined.summary().acceleration_mm_per_frame2 == pytest.approx(expected)
    assert apart.summary().acceleration_mm_per_frame2 != pytest.approx(expected, rel=1e-3)
    # 25 frames a second on both sides, and across
    assert joined.summary().acceleration_m_per_s2 == pytest.approx(expected * 625 / 1000)


def test_frames_that_do_not_count_are_left_out():
    valid = np.ones(40, bool)
    valid[10] = False
    spoilt = PREDICTED.copy()
    spoilt[10] = np.nan
    scores = Scores((0,))
    scores.add(frames(spoilt, valid=valid))
    found = scores.summary()
    assert (found.frames, found.triples) == (39, 35)
    for value in (found.mpjpe_mm, found.acceleration_mm_per_frame2):
        assert value is not None
        assert np.isfinite(value)


def test_a_missing_frame_breaks_the_second_difference():
    whole = frames()
    kept = np.arange(40) != 20
    scores = Scores((0,))
    scores.add(Frames(PREDICTED[kept], TRUTH[kept], whole.times_s[kept], whole.valid[kept]))
    assert scores.summary().triples == 39 - 2 - 2


def test_nothing_measured_is_none_not_zero():
    found = Scores((0,)).summary()
    assert (found.frames, found.mpjpe_mm, found.acceleration_m_per_s2) == (0, None, None)
    one = Scores((0,))
    one.add(frames(PREDICTED[:2], TRUTH[:2]))
    assert one.summary().acceleration_mm_per_frame2 is None


@pytest.mark.parametrize("what", ["prediction", "ground truth"])
def test_numbers_that_are_none_are_named(what: str):
    arrays = {"prediction": PREDICTED.copy(), "ground truth": TRUTH.copy()}
    arrays[what][3, 5, 1] = np.inf
    scores = Scores((0,))
    scores.add(frames())
    with pytest.raises(ScoreError, match=f"{what} of frame 43"):
        scores.add(later(frames(*arrays.values())))


def test_arrays_that_do_not_fit_are_refused():
    scores = Scores((0,))
    with pytest.raises(ValueError, match="joints"):
        scores.add(frames(PREDICTED, TRUTH[:, :13]))
    with pytest.raises(ValueError, match="times_s"):
        scores.add(frames()._replace(times_s=np.zeros(40)))
    scores.add(frames())
    with pytest.raises(ValueError, match="go on increasing"):
        scores.add(frames())
    with pytest.raises(ValueError, match="root"):
        Scores(())

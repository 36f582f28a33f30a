"""How well the drawn body covers the person in the picture: exact cases, and what the card says."""

import dataclasses

import cv2
import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.geometry import SMPL, rotations
from staf_backend.landmarks import Outlines
from staf_backend.landmarks.crop import CROP_SIDE_PX, turn
from staf_backend.landmarks.outlines import CELLS
from staf_backend.motion import Motion
from staf_backend.world import quality_card
from staf_backend.world.overlap import overlaps
from tests.support.sample_motions import sample_motion

BODY = load_body("open-neutral")
KEYS = 40


def before_the_camera() -> Motion:
    """An A-pose four metres before the camera."""
    turns = np.tile(np.eye(3), (KEYS, len(SMPL), 1, 1))
    for name, angle in (("L_Shoulder", -1.1), ("R_Shoulder", 1.1)):
        turns[:, SMPL.index(name)] = rotations.from_axis_angle(np.array([0, 0, angle]))
    motion = sample_motion(turns, betas=np.zeros(10))
    root = np.tile([0.0, 0.0, -4.0], (KEYS, 1))
    return dataclasses.replace(motion, root_m=root, observed=np.ones(KEYS, bool))


def mask_of(motion: Motion, square: np.ndarray, move_m: float = 0.0) -> np.ndarray:
    """The body's own silhouette (256, 256) in a crop, moved to the right, face by face."""
    pose = rotations.from_quaternions(motion.rotations_wxyz[0].astype(float))
    vertices = BODY.vertices_m(pose, motion.betas, motion.root_m[0] + [move_m, 0, 0])
    points = motion.camera.project(motion.camera.to_camera_axes(vertices))
    at = ((points - square[:2]) @ turn(square[3]) / square[2] + 0.5) * CROP_SIDE_PX
    mask = np.zeros((CROP_SIDE_PX, CROP_SIDE_PX), np.uint8)
    for face in np.round(at).astype(np.int32)[BODY.faces]:
        cv2.fillConvexPoly(mask, face, (1,))
    return mask.astype(float)


def square_about(motion: Motion, lean: float = 0.3) -> np.ndarray:
    hips = motion.camera.project(motion.camera.to_camera_axes(motion.root_m[0]))
    return np.array([*hips, 2.6 * motion.camera.focal_px / 4, lean])


def seen(motion: Motion, masks: dict[int, np.ndarray]) -> Outlines:
    outlines = Outlines(float(motion.source_fps or 30))
    for row, mask in masks.items():
        outlines.keep(motion.person, int(motion.frames[row]), mask, square_about(motion))
    return outlines


def test_a_body_covers_its_own_silhouette():
    motion = before_the_camera()
    mask = mask_of(motion, square_about(motion))
    rows, overlap = overlaps(motion, BODY, seen(motion, {4: mask, 20: mask}))
    assert rows.tolist() == [4, 20]
    assert overlap.min() > 0.9


@pytest.mark.parametrize(("move_m", "most"), [(0.1, 0.75), (0.3, 0.4), (1.5, 0.0)])
def test_who_stands_beside_it_is_covered_less(move_m: float, most: float):
    motion = before_the_camera()
    mask = mask_of(motion, square_about(motion), move_m)
    if move_m > 1:
        mask[:, -60:] = 1
    _, (overlap,) = overlaps(motion, BODY, seen(motion, {0: mask}))
    assert overlap <= most


def test_what_lies_outside_the_picture_does_not_count():
    """Only the legs are in a picture that ends at the hips; the network sees no more."""
    motion = before_the_camera()
    hips = motion.camera.project(motion.camera.to_camera_axes(motion.root_m[0]))
    shift = hips * [0, 1]
    px = dataclasses.replace(
        motion.camera, principal_point_px=motion.camera.principal_point_px - shift
    )
    low = dataclasses.replace(motion, camera=px)
    square = square_about(low)
    mask = mask_of(low, square)
    grid = (np.indices((CROP_SIDE_PX,) * 2)[::-1] + 0.5).reshape(2, -1).T
    where = square[:2] + (grid / CROP_SIDE_PX - 0.5) @ turn(square[3]).T * square[2]
    mask[(where[:, 1] < 0).reshape(mask.shape)] = 0
    outlines = Outlines()
    outlines.keep(low.person, int(low.frames[0]), mask, square)
    _, (overlap,) = overlaps(low, BODY, outlines)
    assert overlap > 0.85


def test_nothing_is_said_of_keys_that_nobody_saw():
    motion = before_the_camera()
    mask = mask_of(motion, square_about(motion))
    outlines = seen(motion, {0: mask, 1: np.zeros_like(mask)})
    hidden = dataclasses.replace(motion, observed=np.zeros(KEYS, bool))
    assert overlaps(hidden, BODY, outlines)[0].tolist() == []
    assert overlaps(motion, BODY, outlines)[0].tolist() == [0]
    other = dataclasses.replace(motion, person=2)
    assert "outline_overlap" not in quality_card(other, BODY, outlines).numbers


def test_the_card_says_it_first_where_the_body_is_beside_the_person():
    motion = before_the_camera()
    square = square_about(motion)
    right, wrong = mask_of(motion, square), mask_of(motion, square, 0.35)
    masks = {row: wrong if 16 <= row <= 24 else right for row in range(0, KEYS, 8)}
    card = quality_card(motion, BODY, seen(motion, masks))
    begin, end = motion.times_s[[16, 24]]
    assert card.words[0].startswith("The body covers only ")
    assert card.words[0].endswith(f"between {begin:.1f} and {end:.1f} s.")
    assert card.numbers["outline_overlap_least"] < 0.3
    assert card.numbers["outline_overlap"] == pytest.approx(0.62, abs=0.05)
    (worst,) = card.worst
    assert worst.what == "body beside the person, overlap"
    assert worst.frame in motion.frames[[16, 24]]
    well = quality_card(motion, BODY, seen(motion, {0: right}))
    assert not any("covers" in word for word in well.words)


def test_few_are_kept_and_bits_are_bits():
    outlines = Outlines(30.0)
    assert [frame for frame in range(24) if outlines.wants(frame)] == [0, 8, 16]
    assert all(Outlines(3.0).wants(frame) for frame in range(9))
    mask = np.zeros((CROP_SIDE_PX, CROP_SIDE_PX))
    mask[8:12, 20:24] = 1
    outlines.keep(1, 8, mask, np.array([100.0, 50, 64, 0]))
    kept = outlines.of(1, 8)
    assert kept is not None
    assert np.argwhere(kept.cells).tolist() == [[2, 5]]
    assert kept.packed.nbytes == CELLS * CELLS // 8
    np.testing.assert_allclose(
        kept.to_cells(np.array([[100.0, 50], [84, 66]])), [[32, 32], [16, 48]]
    )
    assert outlines.of(2, 8) is None

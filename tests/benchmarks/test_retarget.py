"""Motions of the example clips on rigs of other proportions: limbs, hips, and feet that stand.

Where both feet stand and a rig's thighs, shins or hips have other proportions, limbs give way to
feet; this prints by how much, and whether hips move as smoothly as the motion's.
"""

from pathlib import Path

import numpy as np
import pytest

from addon.retarget.feet import keep_feet
from addon.retarget.fitting import Fit, fit_rig
from addon.retarget.guess import guess_map
from addon.retarget.performance import Performance, of_clip
from addon.retarget.posing import Poses, heads_of, poses_of
from addon.retarget.rotations import angles_deg
from addon.retarget.soles import foot_of, part_of, points_of
from addon.scene.motion_file import read_motion
from staf_backend import pipeline
from staf_backend.body import load_body
from staf_backend.motion import save_motion
from tests.addon.retarget_rigs import RIGS, bones_of, shape_of
from tests.support.places import REPOSITORY

FOOTAGE = REPOSITORY / "examples" / "footage"
CLIPS = ("balance_cam01", "balance_cam02", "walk_two_sports2d")


@pytest.fixture(scope="module")
def performances(tmp_path_factory) -> dict[str, Performance]:
    """Everybody in the first seconds of each clip, as the add-on plays them."""
    folder, found = tmp_path_factory.mktemp("motions"), {}
    for name in CLIPS:
        settings = pipeline.Settings(end_s=3.0)
        solved = pipeline.solve(FOOTAGE / f"{name}.mp4", settings, lambda *_: None)
        for motion in solved.motions:
            path = folder / f"{name}-{motion.person}.npz"
            save_motion(path, motion)
            found[path.stem] = performance(path)
    return found


def performance(path: Path) -> Performance:
    clip = read_motion(path)
    lowest = load_body(clip.body).rest_vertices_m(clip.betas)[:, 1].min()
    return of_clip(clip, -float(lowest))


def limbs_deg(fit: Fit, poses: Poses, motion: Performance) -> np.ndarray:
    """(4, T) between thighs and shins and those of the motion."""
    found = []
    for side in "LR":
        for joint, end in ((f"{side}_Hip", f"{side}_Knee"), (f"{side}_Knee", f"{side}_Ankle")):
            limb = heads_of(fit, poses, fit.place(end)) - heads_of(fit, poses, fit.place(joint))
            rest = motion.rest_m[motion.place(end)] - motion.rest_m[motion.place(joint)]
            found.append(angles_deg(limb, motion.turns[:, motion.place(joint)] @ rest))
    return np.array(found)


def moved_mm(fit: Fit, poses: Poses, motion: Performance) -> float:
    """How far heels and toes get on while they stand, at most."""
    most = 0.0
    for stand in motion.stands:
        foot = foot_of(fit, stand.part[0].upper(), motion.stands, len(motion.times_s))
        points = points_of(fit, poses, foot)[part_of(stand)][stand.first : stand.last + 1]
        most = max(most, float(np.linalg.norm(points - points[0], axis=1).max()))
    return 1e3 * most / fit.scale


def feet_deg(fit: Fit, poses: Poses, free: Poses) -> np.ndarray:
    """(2, T) between feet and those that are turned as the motion's."""
    found = []
    for side in "LR":
        foot = fit.place(f"{side}_Ankle")
        along = fit.heads[fit.place(f"{side}_Foot")] - fit.heads[foot]
        found.append(angles_deg(poses.turns[:, foot] @ along, free.turns[:, foot] @ along))
    return np.array(found)


def knees_deg(fit: Fit, poses: Poses) -> np.ndarray:
    """(2, T - 1) by which knees bend from key to key."""
    found = []
    for side in "LR":
        hip, knee, ankle = (
            heads_of(fit, poses, fit.place(f"{side}_{joint}")) for joint in ("Hip", "Knee", "Ankle")
        )
        found.append(np.abs(np.diff(angles_deg(knee - hip, ankle - knee))))
    return np.array(found)


def fastest(hips: np.ndarray, times_s: np.ndarray) -> float:
    """The largest acceleration of hips (T, 3)."""
    return float(
        np.linalg.norm(
            np.gradient(np.gradient(hips, times_s, axis=0), times_s, axis=0), axis=1
        ).max()
    )


@pytest.mark.parametrize("kind", RIGS)
def test_limbs_give_way_to_feet_by_little(kind: str, performances: dict[str, Performance]):
    shape = shape_of(bones_of(RIGS[kind]))
    for name, motion in performances.items():
        fit = fit_rig(shape, guess_map(shape, kind), motion)
        free = poses_of(fit, motion)
        kept = keep_feet(fit, free, motion.stands, motion.times_s)
        off, moved = limbs_deg(fit, kept, motion), moved_mm(fit, kept, motion)
        feet, knees = feet_deg(fit, kept, free).max(), knees_deg(fit, kept)
        most, usual = off.max(), np.percentile(off, 95)
        jerk, own = fastest(kept.hips, motion.times_s), fastest(free.hips, motion.times_s)
        print(f"\n{kind}, {name}: limbs {most:.1f} degrees at most, 95 % {usual:.1f}", end="")
        print(f"; feet {feet:.1f}; feet that stand move by {moved:.3f} mm at most", end="")
        print(f"; hips accelerate {jerk / own:.2f} times as much", end="")
        assert motion.stands
        assert moved < 0.1
        assert most < 3.0
        assert feet < 3.0
        assert jerk < 2 * own
        assert knees[knees_deg(fit, free) < 25].max() < 25

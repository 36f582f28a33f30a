"""Fingers for the motions of a shot, in a second pass through its frames.

motions ─► wrists and knuckles in the picture ─► hands seen ─► motions of 52 joints
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.landmarks import SIDES, HandNetworks, Wanted, hands_of
from staf_backend.motion import Motion
from staf_backend.runtime import open_network

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators.shot import Shot
    from staf_backend.reporting import Report

_POINTS = ("wrist", "pinky", "index")
_SMPL_POINTS = ("Wrist", "Hand", "Hand")
"""What stands for them where the estimator reports SMPL's joints."""
_LEAST_VISIBLE = 0.1
"""Confidence in a wrist or knuckle below which a hand is not looked for.  Chosen: low, since the
hand network says better whether there is a hand."""
_WELL_SEEN = 0.5
"""Share of frames from which a hand is not spoken of.  Chosen."""

NO_HANDS = "No hand was seen well enough: fingers are left out."


def hand_networks(device: str, threads: int | None) -> HandNetworks:
    """The networks that read hands; arguments as for `onnx_session.open_network`.

    Raises:
        AssetError: a network is missing or damaged, or the device is not available.
    """
    names = ("hand_recrop.onnx", "hand_landmark_full.onnx")
    return HandNetworks(
        *(open_network(asset_path(name), device=device, threads=threads) for name in names)
    )


def with_seen_fingers(
    motions: Sequence[Motion],
    shot: "Shot",
    body: "Body",
    fingers: "Body",
    networks: HandNetworks,
    report: "Report",
    threads: int = 1,
) -> tuple[Sequence[Motion], "Body"]:
    """Motions with fingers, and the body with fingers; as they were where no hand was seen.

    Args:
        motions: of the shot, of 24 joints.
        shot: the footage.
        body: of the motions.
        fingers: the same body with 52 joints.
        networks: that read hands.
        report: told about progress.
        threads: processors to use for all but the networks.

    Raises:
        VideoError: the footage is damaged.
    """
    from staf_backend.fit import with_fingers

    told = lambda done, all_: report("hands", done, all_, "reading hands")
    wanted = [wanted_of(motion) for motion in motions]
    seen = hands_of(shot.video, wanted, networks, told, threads)
    pairs = zip(motions, seen, strict=True)
    made = [with_fingers(motion, fingers, hands) for motion, hands in pairs]
    if not any(motion.quality[f"{side}_hand_seen"] for motion in made for side in SIDES):
        return [_saying(motion, NO_HANDS) for motion in motions], body
    return [_told(motion) for motion in made], fingers


def wanted_of(motion: Motion) -> Wanted:
    """Where to look for a person's hands: at the estimator's own key points."""
    names, frames = motion.keypoint_names, len(motion.frames)
    points = np.full((frames, 2, 3, 2), np.nan, np.float32)
    if motion.keypoints_px is None:
        return Wanted(motion.frames, points)
    for place, side in enumerate(SIDES):
        wanted = [f"{side}_{point}" for point in _POINTS]
        if not set(wanted) <= set(names):
            wanted = [f"{side[0].upper()}_{point}" for point in _SMPL_POINTS]
        if set(wanted) <= set(names):
            found = motion.keypoints_px[:, [names.index(name) for name in wanted]]
            there = motion.observed & (found[..., 2] >= _LEAST_VISIBLE).all(1)
            points[there, place] = found[there, :, :2]
    return Wanted(motion.frames, points)


def _told(motion: Motion) -> Motion:
    shares = [motion.quality[f"{side}_hand_seen"] for side in SIDES]
    if min(shares) >= _WELL_SEEN:
        return motion
    told = " and ".join(f"the {s} hand in {v:.0%}" for s, v in zip(SIDES, shares, strict=True))
    return _saying(motion, f"Fingers were seen on a part of the frames only: {told}.")


def _saying(motion: Motion, sentence: str) -> Motion:
    """With a sentence on the card."""
    card = dict(motion.card)
    card["words"] = [*card.get("words", ()), sentence]
    return dataclasses.replace(motion, card=card)

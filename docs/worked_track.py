"""The steps of the landmark estimator on one clip, one by one, with what lies between them kept."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.body import Body, load_body, markers
from staf_backend.estimators import Shot, open_shot
from staf_backend.fit import FitSettings, Fitted, Fitter
from staf_backend.landmarks import (
    LandmarkNetwork,
    Landmarks,
    Lifter,
    consistent_sides,
    landmarks_of,
)
from staf_backend.people import Track
from staf_backend.pipeline import people_in
from staf_backend.runtime import open_network
from staf_backend.video import open_video

CLIP = Path(__file__).parent.parent / "examples" / "footage" / "balance_cam02.mp4"
FRAME = 50
"""The frame that is shown.  Chosen: a raised arm and a raised leg."""


@dataclass(frozen=True)
class Worked:
    """What each step made of the clip's main person."""

    shot: Shot
    body: Body
    everybody: list[Track]
    landmarks: Landmarks
    lifted: Fitted
    fitted: Fitted

    @property
    def track(self) -> Track:
        """The main person's."""
        return self.everybody[0]

    @property
    def row(self) -> int:
        """The shown frame's place in the track."""
        return FRAME - int(self.track.frames[0])


def work() -> Worked:
    """Find people, read landmarks, lift, fit; the lifted pose is put in place without a fit."""
    shot = open_shot(open_video(CLIP), None, None, None)
    everybody = people_in(shot.video, shot.span, "cpu", None, quiet)
    track, body = everybody[0], load_body("open-neutral")
    network = LandmarkNetwork(open_network(asset_path("pose_landmark_heavy.onnx"), device="cpu"))
    landmarks, _ = consistent_sides(
        landmarks_of(shot.video, [track], network)[0], track.keypoints_px, track.times_s
    )
    points = landmarks.points_px[:, markers.LANDMARKS]
    seen = shot.camera.rays(points).astype(np.float32)
    visibility = np.nan_to_num(landmarks.visibility[:, markers.LANDMARKS])
    world_m = landmarks.world_m[:, markers.LANDMARKS]
    lifter = Lifter(open_network(asset_path("lift.onnx"), device="cpu"))
    guess = lifter.lift(seen, world_m, visibility, track.times_s)
    put = replace(FitSettings(), coarse_steps=0, fine_steps=0)
    lifted, fitted = (
        Fitter(body, settings).fit(seen, visibility, track.times_s, guess)
        for settings in (put, FitSettings())
    )
    return Worked(shot, body, everybody, landmarks, lifted, fitted)


def quiet(*_progress: object) -> None:
    """Progress that nobody watches."""

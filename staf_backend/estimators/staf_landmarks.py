"""Landmarks of the picture as an encoder that reads them wants them: on STAF's own squares.

landmarks ─► filled in over time ─► on the square, -1..1; about the hips; visibility
"""

from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.body.markers import LANDMARKS, markers_of
from staf_backend.fit import MARKER_TRUST, placed
from staf_backend.geometry import Camera, forward_kinematics
from staf_backend.landmarks import Landmarks

_BLOCK = 1000
"""Frames posed at once.  Chosen: a few MB, however long the clip is."""

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.people import Track


def on_squares(landmarks: Landmarks, track: "Track", squares_px: np.ndarray) -> np.ndarray:
    """What an encoder reads of a track: (T, 27, 6) float32, see `frame_lifter.NUMBERS`.

    What was not seen on a frame lies between where it was before and after, and has no visibility;
    what never was lies in the square's middle.

    Args:
        landmarks: of the track, sides decided.
        track: whose.
        squares_px: (T, 3) centre x, centre y and side of the squares that STAF cuts.
    """
    points = landmarks.points_px[:, LANDMARKS]
    about = (points - squares_px[:, None, :2]) / (squares_px[:, None, 2:] / 2)
    places = np.concatenate([about, landmarks.world_m[:, LANDMARKS]], -1)
    seen = np.nan_to_num(landmarks.visibility[:, LANDMARKS]) * track.observed[:, None]
    known = np.isfinite(places.sum(-1))
    for number in range(places.shape[1]):
        _fill(places[:, number], known[:, number], track.times_s)
    return np.concatenate([places, (seen * known)[..., None]], -1).astype(np.float32)


def root_seen_m(
    params: SmplParams, body: "Body", camera: Camera, keypoints_px: np.ndarray
) -> np.ndarray:
    """Where bodies (T, 3) stand that lie on what was seen of them, in full perspective.

    Args:
        params: their pose and shape, in camera axes; where they stand is not asked.
        body: theirs.
        camera: that filmed.
        keypoints_px: (T, 33, 3) x, y and visibility of landmarks.
    """
    markers, rest_m = markers_of(body), body.rest_joints_m(params.betas)
    root_m = np.empty((len(params), 3))
    for begin in range(0, len(params), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        seen = keypoints_px[some, LANDMARKS]
        turns = params.rotations[some].astype(float)
        turned, joints = forward_kinematics(turns, rest_m, np.zeros((len(turns), 3)), body.skeleton)
        markers_m = markers.blend(markers.influences_m(turned, joints, params.betas))
        root_m[some] = placed(markers_m, camera.rays(seen[..., :2]), seen[..., 2] * MARKER_TRUST)
    return root_m


def _fill(places: np.ndarray, known: np.ndarray, times_s: np.ndarray) -> None:
    """Places (T, 5) between those that are known; 0 where none is."""
    places[~known] = 0
    if known.any() and not known.all():
        for column in range(places.shape[1]):
            own = np.interp(times_s[~known], times_s[known], places[known, column])
            places[~known, column] = own

"""The embedded default estimator: landmarks of every person, lifted and fitted to the body.

crops ─► landmarks ─► sides ─► lift ─► fit ─► SmplParams
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.body import markers
from staf_backend.choices import Preset
from staf_backend.estimators.estimate import Estimate, Evidence
from staf_backend.estimators.settings import EstimatorSettings
from staf_backend.files import long_array, stretches
from staf_backend.fit import Fitter
from staf_backend.landmarks import (
    LandmarkNetwork,
    Landmarks,
    Lifter,
    consistent_sides,
    landmarks_of,
    without_glitches,
)
from staf_backend.landmarks.names import COUNT, NAMES
from staf_backend.runtime import give_back_heap, open_network, usable_cores

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators.shot import Shot
    from staf_backend.people import Track
    from staf_backend.reporting import Report

_NETWORKS: dict[Preset, str] = {
    "fast": "pose_landmark_full.onnx",
    "balanced": "pose_landmark_heavy.onnx",
    "best": "pose_landmark_heavy.onnx",
}


def estimate_by_landmarks(
    shot: "Shot",
    tracks: Sequence["Track"],
    body: "Body",
    settings: EstimatorSettings,
    report: "Report",
) -> Iterator[Estimate]:
    """Estimate all tracks; the parts of one person share one shape.

    Args:
        shot: the footage and its camera.
        tracks: of one or more people.
        body: what to fit.
        settings: the preset, the device, what the fit trusts.
        report: told about progress.

    Raises:
        AssetError: a network is missing or damaged.
    """
    read = read_landmarks(shot, tracks, settings, settings.device, report)
    found = dict(enumerate(read))
    del read  # each is let go when it is fitted
    lifter = Lifter(open_network(asset_path("lift.onnx"), threads=1))
    betas: dict[int, np.ndarray] = {}
    longest_first = sorted(range(len(tracks)), key=lambda i: -len(tracks[i]))
    for done, i in enumerate(longest_first):
        report("fit", done, len(tracks), f"fitting person {tracks[i].person}")
        sided = with_sides(tracks[i], found.pop(i))
        track, seen = sided.track, _seen(shot, sided, lifter)
        del sided
        give_back_heap()
        fitter = Fitter(body, settings.fit)
        estimate = _estimate(track, seen, fitter, betas.get(track.person))
        betas.setdefault(track.person, estimate.params.betas)
        del seen
        give_back_heap()
        yield estimate
    report("fit", len(tracks), len(tracks), "fitted")


def read_landmarks(
    shot: "Shot",
    tracks: Sequence["Track"],
    settings: EstimatorSettings,
    device: str,
    report: "Report",
) -> list[Landmarks]:
    """Landmarks of all tracks, in one pass through the video in which its camera is watched, too.

    Args:
        shot: the footage, its camera, and where outlines are kept.
        tracks: of one or more people.
        settings: the preset and the threads.
        device: see `runtime.open_network`.
        report: told about progress.

    Raises:
        AssetError: the network is missing or damaged.
    """
    path, threads = asset_path(_NETWORKS[settings.preset]), settings.threads or usable_cores()
    session = open_network(path, device=device, threads=1)
    network = LandmarkNetwork(session, mirrored=settings.preset == "best")
    told = lambda done, all_: report("landmarks", done, all_, "reading poses")
    chosen = {track.person for track in tracks}
    others = [track for track in shot.people if track.person not in chosen]
    see = shot.watch.see
    return landmarks_of(shot.video, tracks, network, told, see, others, threads, shot.outlines)


class Sided(NamedTuple):
    """A track, observed where its landmarks were seen, too; its landmarks, sides decided; the key
    points (T, 33, 3) to report; and on how many frames sides were swapped back."""

    track: "Track"
    landmarks: Landmarks
    keypoints_px: np.ndarray
    swapped_frames: int


def with_sides(track: "Track", landmarks: Landmarks) -> Sided:
    """Decide over time which landmarks are left and which right, and which were not seen.

    Args:
        track: whose.
        landmarks: as read.
    """
    track = replace(track, observed=track.observed & (landmarks.visibility.max(1) > 0))
    landmarks, swapped = consistent_sides(landmarks, track.keypoints_px, track.times_s)
    landmarks = without_glitches(landmarks, track.times_s)
    keypoints = _keypoints(landmarks, track)
    return Sided(track, landmarks, keypoints, int(swapped.any(1).sum()))


class _Seen(NamedTuple):
    """What the fit needs of one track's landmarks, the key points (T, 33, 3) to report, and on how
    many frames sides were swapped back."""

    evidence: Evidence
    keypoints_px: np.ndarray
    swapped_frames: int


def _seen(shot: "Shot", sided: Sided, lifter: Lifter) -> _Seen:
    track, landmarks = sided.track, sided.landmarks
    turns, count = shot.watch.turns(track.frames), len(track)
    shapes = ((count, markers.COUNT, 2), (count, markers.COUNT, 3), (count, markers.COUNT))
    rays, world_m, visibility = (long_array(shape) for shape in shapes)
    for rows in stretches(count):
        rays[rows] = shot.camera.rays(landmarks.points_px[rows, markers.LANDMARKS])
        world_m[rows] = landmarks.world_m[rows, markers.LANDMARKS]
        seen = np.nan_to_num(landmarks.visibility[rows, markers.LANDMARKS])
        visibility[rows] = seen * track.observed[rows, None]
    lifted = lifter.lift(rays, world_m, visibility, track.times_s, turns)
    evidence = Evidence(rays, world_m, visibility, lifted, lifter, turns)
    return _Seen(evidence, sided.keypoints_px, sided.swapped_frames)


def _estimate(track: "Track", seen: _Seen, fitter: Fitter, betas: np.ndarray | None) -> Estimate:
    known = seen.evidence
    fitted = fitter.fit(
        known.rays, known.visibility, track.times_s, known.lifted, betas, turns=known.turns
    )
    pitch, roll = _tilt_deg(known.lifted.up)
    quality = {
        "coverage": float(track.observed.mean()),
        "landmark_distance_mm": _median_mm(fitted.distance_m),
        "sides_swapped_frames": float(seen.swapped_frames),
        "camera_pitch_deg": pitch,
        "camera_roll_deg": roll,
    }
    return Estimate(track, fitted.params, seen.keypoints_px, NAMES, quality, "landmarks", known)


def _keypoints(landmarks: Landmarks, track: "Track") -> np.ndarray:
    keypoints = long_array((len(track), COUNT, 3))
    for rows in stretches(len(track)):
        visibility = landmarks.visibility[rows, :, None]
        seen = np.concatenate([landmarks.points_px[rows], visibility], -1)
        seen[~np.isfinite(seen).all(-1)] = 0
        seen[~track.observed[rows], :, 2] = 0
        keypoints[rows] = seen
    keypoints.setflags(write=False)  # so that the motion keeps this array, not a copy
    return keypoints


def _median_mm(distance_m: np.ndarray) -> float:
    seen = distance_m[np.isfinite(distance_m)]
    return float(np.median(seen, overwrite_input=True)) * 1e3 if len(seen) else 0.0


def _tilt_deg(up: np.ndarray) -> tuple[float, float]:
    """How far the camera looks down, and how far it leans clockwise, from the way up it sees."""
    pitch = np.arcsin(np.clip(-up[2], -1, 1))
    roll = np.arctan2(-up[0], -up[1])
    return float(np.degrees(pitch)), float(np.degrees(roll))

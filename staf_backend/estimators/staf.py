"""The paper's networks as an estimator: crops through STAF, its crop camera into the real one.

    tracks ─► squares ─► crops ─► StafStream ─► rotations, betas, crop camera ─► place ─► SmplParams
                     └─► landmarks ──┘

Needs the extra [staf] and installed weights.  The body is the weights' own: betas of one body mean
nothing to another.  Where the encoder looks for landmarks itself (the open weights' does), it is
given those of the landmark estimator: one look in the picture in the place of three in a crop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from staf_backend.body import SmplParams
from staf_backend.estimators.device import detection_device
from staf_backend.estimators.estimate import Estimate
from staf_backend.estimators.landmarks import read_landmarks, with_sides
from staf_backend.estimators.placement import NetworkTrack, to_smpl_params
from staf_backend.estimators.staf_landmarks import on_squares, root_seen_m
from staf_backend.estimators.staf_ready import ready_network
from staf_backend.estimators.turned_back import params_turned_back
from staf_backend.geometry import SMPL, forward_kinematics
from staf_backend.landmarks.names import NAMES
from staf_backend.people.smooth import smooth
from staf_backend.runtime import Workers, usable_cores
from staf_backend.staf import cut, squares_around
from staf_backend.staf.streaming import Arrival, Recovered, StafStream, TrackStream
from staf_backend.video import Picture
from staf_backend.weights import (
    BODY_FILE,
    WeightsError,
    WeightsInfo,
    default_weights,
    read_info,
    set_folder,
)

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators.settings import EstimatorSettings
    from staf_backend.estimators.shot import Shot
    from staf_backend.people import Track
    from staf_backend.reporting import Report

_READERS = 2
"""Threads that read the video, the network's own among them.  Chosen: one decodes 100 frames a
second and more, and PyTorch has threads of its own."""
_STEADY_S = 0.1, 0.0
"""Widths over which depth and rays are smoothed where the crop's camera places people.  Chosen: its
scale is noisy from frame to frame."""
_STEADY_SEEN_S = 0.3, 0.05
"""The same where landmarks do.  Measured on four drawn clips: WA-MPJPE 62 instead of 78 mm with
0.1 and 0, jitter 24 instead of 54; landmarks are as near (1.2 % of the height)."""


def own_body(weights: str) -> Path | str | None:
    """The body whose betas a set of weights gives: the file that came with it, or a name.

    Raises:
        WeightsError: there is no such set, or of a network that videos are not run through.
    """
    info = _runnable(weights)
    if info.has_body:
        return set_folder(weights) / BODY_FILE
    return info.body or None


@dataclass
class _Following:
    """One track on its way through the stream."""

    track: "Track"
    stream: TrackStream
    squares_px: np.ndarray
    keypoints_px: np.ndarray | None = None  # (T, 33, 3), where landmarks were read
    crops: list[np.ndarray] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    rotations: list[np.ndarray] = field(default_factory=list)
    betas: list[np.ndarray] = field(default_factory=list)
    camera: list[np.ndarray] = field(default_factory=list)

    def see(self, index: int, image: np.ndarray) -> bool:
        """Cuts the person out of a picture, if they are in it."""
        row = index - int(self.track.frames[0])
        if not 0 <= row < len(self.track):
            return False
        self.crops.append(cut(image, self.squares_px[row]))
        self.frames.append(index)
        return True

    def take(self) -> Arrival:
        """What has been cut since the last time."""
        arrival = Arrival(
            self.stream, np.array(self.frames), torch.from_numpy(np.stack(self.crops))
        )
        self.crops, self.frames = [], []
        return arrival

    def keep(self, recovered: Recovered) -> None:
        """Store what has become known of this track, which comes in order."""
        _, params = recovered.of(self.stream)
        self.rotations += list(params.rotations.numpy().astype(np.float32))
        self.betas += list(params.betas.numpy())
        self.camera += list(params.camera.numpy())


def estimate_by_staf(
    shot: "Shot",
    tracks: Sequence["Track"],
    body: "Body",
    settings: "EstimatorSettings",
    report: "Report",
) -> Iterator[Estimate]:
    """Estimate all tracks in one pass through the video, all people of a frame in one batch.

    Args:
        shot: the footage and its camera.
        tracks: of one or more people; the parts of one person share one shape.
        body: whose betas the weights give.
        settings: the device ("auto", "cuda", "mps" or "cpu"), its threads and its precision.
        report: told about progress.

    Raises:
        WeightsError: the weights are missing or damaged, or of a network that mixes its batches.
        DeviceError: the device is absent, does not compute in the precision, or is too small for
            a single frame.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    info = _runnable(default_weights())
    stream = StafStream(ready_network(info, body, settings))
    squares = [squares_around(t.boxes_px, info.crop_factor) for t in tracks]
    followed = [_Following(t, stream.open(), s) for t, s in zip(tracks, squares, strict=True)]
    if stream.reads_landmarks:
        _run_on_landmarks(shot, followed, stream, settings, report)
    else:
        with Workers(min(_READERS, settings.threads or usable_cores())) as workers:
            _run(shot, followed, stream, workers, report)
    betas: dict[int, np.ndarray] = {}
    for one in sorted(followed, key=lambda one: -len(one.track)):
        person = one.track.person
        estimate = _estimate(one, body, shot, betas.get(person), info)
        betas.setdefault(person, estimate.params.betas)
        yield estimate


def _runnable(weights: str) -> WeightsInfo:
    info = read_info(weights)
    if not info.converts:
        raise WeightsError(
            f"The weights {weights!r} cannot be used for videos: they are {info.ability}.",
            "Choose others with: staf weights use NAME; or choose --estimator landmarks.",
        )
    return info


def _run(
    shot: "Shot",
    followed: list[_Following],
    stream: StafStream,
    workers: Workers,
    report: "Report",
) -> None:
    first = min(int(one.track.frames[0]) for one in followed)
    last = max(int(one.track.frames[-1]) for one in followed) + 1
    waiting = 0
    pictures = shot.video.in_advance(first, last, workers, _with_rgb)
    for index, (picture, image) in enumerate(pictures, first):
        shot.watch.see(index, picture)
        here = sum(one.see(index, image) for one in followed)
        waiting += here
        full = waiting + here > stream.batches.size  # the next picture's people would not fit
        if waiting and (full or index == last - 1):
            recovered = stream.push([one.take() for one in followed if one.frames])
            for one in followed:
                one.keep(recovered)
            waiting = 0
        report("staf", index + 1 - first, last - first, "running STAF")
    recovered = stream.finish([one.stream for one in followed])
    for one in followed:
        one.keep(recovered)


def _run_on_landmarks(
    shot: "Shot",
    followed: list[_Following],
    stream: StafStream,
    settings: "EstimatorSettings",
    report: "Report",
) -> None:
    tracks, device = [one.track for one in followed], detection_device(settings, "staf")
    read = read_landmarks(shot, tracks, settings, device, report)
    done, total = 0, sum(map(len, tracks))
    for one, landmarks in zip(followed, read, strict=True):
        sided = with_sides(one.track, landmarks)
        one.track, one.keypoints_px = sided.track, sided.keypoints_px
        seen = torch.from_numpy(on_squares(sided.landmarks, one.track, one.squares_px))
        for begin in range(0, len(seen), stream.batches.size):
            rows = slice(begin, begin + stream.batches.size)
            one.keep(stream.push([Arrival(one.stream, one.track.frames[rows], seen[rows])]))
            done += len(seen[rows])
            report("staf", done, total, "running STAF")
        one.keep(stream.finish([one.stream]))


def _with_rgb(_index: int, picture: Picture) -> tuple[Picture, np.ndarray]:
    return picture, picture.rgb()


def _estimate(
    one: _Following, body: "Body", shot: "Shot", betas: np.ndarray | None, weights: WeightsInfo
) -> Estimate:
    answers = NetworkTrack(
        np.array(one.rotations), np.array(one.betas), np.array(one.camera), one.squares_px
    )
    observed = one.track.observed
    params, placed = to_smpl_params(answers, body, shot.camera, observed=observed, betas=betas)
    root_m, steady_s = params.root_m, _STEADY_S
    if one.keypoints_px is not None:
        root_m, steady_s = root_seen_m(params, body, shot.camera, one.keypoints_px), _STEADY_SEEN_S
    root_m = _steady(one.track, root_m, *steady_s)
    params = SmplParams(params.rotations, root_m, params.betas)
    quality = {
        "coverage": float(observed.mean()),
        "frames_without_camera": float((~placed).sum()),
    }
    keypoints, names = one.keypoints_px, NAMES
    if keypoints is None:
        keypoints, names = _keypoints(params, body, shot, observed), SMPL.names
    turns = shot.watch.turns(one.track.frames)
    if turns is not None:
        params = params_turned_back(params, turns)
    return Estimate(
        one.track,
        params,
        keypoints,
        names,
        quality,
        weights.name,
        configuration=weights.configuration,
    )


def _steady(track: "Track", root_m: np.ndarray, depth_s: float, ray_s: float) -> np.ndarray:
    """Places without jitter and without lag: depth smoothed as a ratio, and the rays to them.

    Widths are in seconds; with a `ray_s` of 0 the pelvis keeps its picture.
    """
    depth = np.exp(smooth(track.times_s, np.log(root_m[:, 2:]), depth_s, 1))
    rays = root_m / root_m[:, 2:]
    return depth * (smooth(track.times_s, rays, ray_s, 2) if ray_s else rays)


def _keypoints(params: SmplParams, body: "Body", shot: "Shot", observed: np.ndarray) -> np.ndarray:
    """(T, 24, 3) where the joints are in the picture, and whether the person was seen."""
    rest_m = body.rest_joints_m(params.betas)
    joints_m = forward_kinematics(params.rotations, rest_m, params.root_m)[1]
    points = shot.camera.project(joints_m)
    sure = np.broadcast_to(observed[:, None, None], (*points.shape[:2], 1))
    return np.concatenate([points, sure], -1)

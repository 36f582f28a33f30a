"""The whole trip of a video, on one page.

    video ─► people (detect, track) ─► estimate (landmarks, lift, fit) ─► Motion ─► files

Read this first.  Every stage lives in the room of its name; nothing flows back.
"""

import dataclasses
import importlib.util
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend import StafError
from staf_backend.assets import AssetError, asset_path
from staf_backend.body.body import Body, BodyError, load_body
from staf_backend.estimators.estimate import Estimate
from staf_backend.estimators.landmarks import PRESETS, estimate_by_landmarks
from staf_backend.geometry.camera import TO_Y_UP, assumed_focal_px
from staf_backend.geometry.rotations import continuous_signs, to_quaternions
from staf_backend.motion.motion import Camera, Motion
from staf_backend.motion.quality import motion_quality
from staf_backend.people.detect import PersonDetector
from staf_backend.people.follow import find_people
from staf_backend.people.track import Track, choose
from staf_backend.reporting import Report
from staf_backend.runtime.onnx_session import devices, open_network
from staf_backend.video.video import Video, open_video
from staf_backend.weights.info import OWN, default_weights, installed_weights

_log = logging.getLogger(__name__)
_BLOCK = 1000  # frames turned at once: a clip may be long
ESTIMATORS = ("auto", "landmarks", "staf")
_PEOPLE = re.compile(r"all|largest|\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*")


class SettingsError(StafError):
    """An option that means nothing."""

    kind = "usage"
    exit_code = 2


@dataclass(frozen=True)
class Settings:
    """How to turn one video into motions.

    Attributes:
        start_s, end_s: part of the clip; None is its own start and end.
        person: "all", "largest", or numbers as "1,3".
        estimator: one of ESTIMATORS; "auto" takes the best that is installed.
        preset: one of `estimators.landmarks.PRESETS`.
        body: a body's name; "auto" is the open neutral one, or the one of the STAF weights.
        focal_px: of the camera, where the user knows it.
        device: for the networks, see `runtime.open_network`.
        threads: for the networks; None is all cores.
        seed: of whatever draws numbers; the landmark estimator draws none.
        fps: rate of a folder of pictures.
    """

    start_s: float | None = None
    end_s: float | None = None
    person: str = "all"
    estimator: str = "auto"
    preset: str = "balanced"
    body: str = "auto"
    focal_px: float | None = None
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    fps: float = 30.0

    def __post_init__(self) -> None:
        for name, known in (("estimator", ESTIMATORS), ("preset", PRESETS)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"There is no {name} {getattr(self, name)!r}.", f"Use {', '.join(known)}."
                )
        if not _PEOPLE.fullmatch(self.person):
            raise SettingsError(
                f"The choice of person {self.person!r} means nothing.",
                "Use all, largest, or numbers from 1 as in 1,3.",
            )
        for name in ("focal_px", "fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise SettingsError(f"{name} must be a positive number, not {value}.")
        if self.threads is not None and self.threads < 1:
            raise SettingsError("threads must be 1 or more.")


@dataclass(frozen=True)
class Solved:
    """What a video gave: its motions, in order of person and part, and what they stand on."""

    video: Video
    motions: tuple[Motion, ...]
    body: Body


def solve(path: str | Path, settings: Settings, report: Report) -> Solved:
    """One video to motions.

    Args:
        path: a video file, or a folder of pictures.
        settings: what to do.
        report: told about progress.

    Raises:
        StafError: what went wrong, in one line; see the rooms.
    """
    video = open_video(path, fps=settings.fps)
    estimator = chosen_estimator(settings.estimator)
    body = _body(settings.body, estimator)
    found = people_in(video, _for_detection(settings, estimator), report)
    tracks = choose(found, settings.person)
    camera = _camera(video, settings.focal_px or video.focal_px)
    how = {"device": settings.device, "threads": settings.threads}
    if estimator == "staf":
        from staf_backend.estimators.staf import estimate_by_staf

        how["weights"] = estimator = default_weights()
        estimates = estimate_by_staf(video, tracks, body, camera.focal_px, report, **how)
    else:
        how["preset"] = settings.preset
        estimates = estimate_by_landmarks(video, tracks, body, camera.focal_px, report, **how)
    motions = [to_motion(estimate, video, body, camera, estimator) for estimate in estimates]
    motions.sort(key=lambda motion: (motion.person, motion.times_s[0]))
    return Solved(video, tuple(_named(motions, video.path.stem)), body)


def chosen_estimator(wanted: str) -> str:
    """The estimator that will run: "auto" is STAF where PyTorch and the user's weights are there.

    The open weights must be asked for: the landmark estimator is nearer to the truth.

    Raises:
        AssetError: STAF was asked for, and PyTorch is not installed.
    """
    if wanted == "landmarks":
        return wanted
    has_torch = importlib.util.find_spec("torch") is not None
    if wanted == "staf" and not has_torch:
        advice = "Install it with: pip install torch safetensors"
        raise AssetError("The estimator staf needs PyTorch.", advice)
    if wanted == "staf":
        return wanted
    has_weights = any(info.name == OWN for info in installed_weights())
    return "staf" if has_torch and has_weights else "landmarks"


def _body(name: str, estimator: str) -> Body:
    """The body to animate.

    Raises:
        BodyError: no such body, or one that the weights' betas mean nothing to.
        WeightsError: STAF's weights are missing.
    """
    if estimator != "staf":
        return load_body("open-neutral" if name == "auto" else name)
    from staf_backend.estimators.staf import own_body

    own = own_body(default_weights())
    if name == "auto" and own is None:
        raise BodyError("These STAF weights came without a body.", "Name one with --body.")
    body = load_body(own if name == "auto" and own is not None else name)
    foreign = body.kind != "smpl" if isinstance(own, Path) else own not in (None, body.name)
    if foreign:
        suited = "an SMPL body" if isinstance(own, Path) else own
        advice = f"Leave --body out, or name {suited}; or use --estimator landmarks."
        raise BodyError(f"STAF's shape numbers mean nothing to the body {body.name}.", advice)
    return body


def _for_detection(settings: Settings, estimator: str) -> Settings:
    """The settings, with a device that ONNX Runtime has: PyTorch may have more than it."""
    if estimator != "staf" or settings.device.partition(":")[0] in ("auto", *devices()):
        return settings
    _log.info("ONNX Runtime has no device %s; people are found on its best", settings.device)
    return dataclasses.replace(settings, device="auto")


def people_in(video: Video, settings: Settings, report: Report) -> list[Track]:
    """Everybody in the chosen part of a video, the main person first."""
    session = open_network(
        asset_path("movenet_multipose.onnx"), device=settings.device, threads=settings.threads
    )
    span = video.span(settings.start_s, settings.end_s)
    return find_people(
        video,
        PersonDetector(session),
        span,
        progress=lambda done, total: report("detect", done, total, "finding people"),
    )


def to_motion(
    estimate: Estimate, video: Video, body: Body, camera: Camera, estimator: str
) -> Motion:
    """Camera axes to y up, matrices to quaternions, and everything a file should say."""
    params, track = estimate.params, estimate.track
    motion = Motion(
        times_s=track.times_s,
        frames=track.frames,
        rotations_wxyz=_keys(params.rotations),
        root_m=params.root_m @ TO_Y_UP.T,
        observed=track.observed,
        body=body.name,
        gender=body.gender,
        betas=params.betas,
        rest_joints_m=body.rest_joints_m(params.betas),
        camera=camera,
        source=video.path.name,
        source_fps=video.fps,
        person=track.person,
        estimator=estimator,
        keypoints_px=estimate.keypoints_px,
        keypoint_names=estimate.keypoint_names,
    )
    quality = {**estimate.quality, **motion_quality(motion)}
    return dataclasses.replace(motion, quality=quality)


def _keys(rotations: np.ndarray) -> np.ndarray:
    """Quaternions (T, 24, 4), y up and of continuous signs, of rotations in camera axes."""
    keys = np.empty((*rotations.shape[:2], 4), np.float32)
    for begin in range(0, len(rotations), _BLOCK):
        part = rotations[begin : begin + _BLOCK].astype(float)
        part[:, 0] = TO_Y_UP @ part[:, 0]
        known = slice(max(begin - 1, 0), begin)
        turned = np.concatenate([keys[known], to_quaternions(part)])
        keys[begin : begin + _BLOCK] = continuous_signs(turned)[known.stop - known.start :]
    keys.setflags(write=False)  # so that the motion keeps this array, not a copy
    return keys


def _camera(video: Video, known_focal_px: float | None) -> Camera:
    return Camera(
        focal_px=known_focal_px or assumed_focal_px(video.width_px, video.height_px),
        width_px=video.width_px,
        height_px=video.height_px,
        focal_assumed=known_focal_px is None,
        rotation_deg=video.rotation_deg,
    )


def _named(motions: Sequence[Motion], stem: str) -> list[Motion]:
    """ "clip" for one person, else "clip-1", "clip-2"; later parts of a person "clip-1.2"."""
    several = len({motion.person for motion in motions}) > 1
    named, parts = [], {}
    for motion in motions:
        part = parts[motion.person] = parts.get(motion.person, 0) + 1
        name = f"{stem}-{motion.person}" if several else stem
        named.append(dataclasses.replace(motion, name=name if part == 1 else f"{name}.{part}"))
    return named

"""The whole trip of a video, on one page.

    video ─► people (detect, track) ─► estimate (landmarks, lift, fit) ─► stand ─► STAGES ─► files

Read this first.  Every step lives in the wing of its name; nothing flows back.
"""

import dataclasses
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from staf_backend.assets import asset_path
from staf_backend.body import Body
from staf_backend.choices import LENSES, Lens
from staf_backend.estimators import (
    Estimate,
    EstimatorSettings,
    Installed,
    SettingsError,
    Shot,
    check_device,
    chosen_body,
    chosen_estimator,
    detection_device,
    estimate_by_landmarks,
    hand_networks,
    open_shot,
    used_precision,
    with_seen_fingers,
)
from staf_backend.estimators.to_motion import to_motion
from staf_backend.motion import Motion, motion_quality, part_names, plain_name
from staf_backend.people import PersonDetector, Track, choose, find_people, read_tracks, within
from staf_backend.reporting import Report
from staf_backend.runtime import give_back_heap, open_network, usable_cores
from staf_backend.video import Video, check_path, open_video
from staf_backend.weights import open_appearance
from staf_backend.world import (
    CameraFollower,
    WorldSettings,
    check_contacts,
    corrected_lens,
    read_contacts,
    stand,
    travelled,
    with_card,
)

_log = logging.getLogger(__name__)
_LARGEST = 1e7
"""Of a length, a rate or a time, and one part of it the smallest.  Chosen: no camera has more, and
a hundred days of footage fit."""
_PEOPLE = re.compile(r"all|largest|\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*")


@dataclass(frozen=True)
class Settings(EstimatorSettings):
    """How to turn one video into motions: the estimator's settings, and what of the video.

    Attributes:
        start_s, end_s: part of the clip; None is its own start and end.
        person: "all", "largest", or numbers as "1,3".
        focal_px: of the camera, where the user knows it.
        lens: its kind, where the user knows that.
        fps: rate of a folder of pictures.
        tracks: a tracks file that says who is where; None finds people in the video.
        contacts: a contacts file that says when feet stand; None finds out.
        world: where the motion stands.

    Raises:
        SettingsError: a value that means nothing.
    """

    start_s: float | None = None
    end_s: float | None = None
    person: str = "all"
    focal_px: float | None = None
    lens: Lens | None = None
    fps: float = 30.0
    tracks: Path | None = None
    contacts: Path | None = None
    world: WorldSettings = field(default_factory=WorldSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _PEOPLE.fullmatch(self.person):
            raise SettingsError(
                f"The choice of person {self.person!r} means nothing.",
                "Use all, largest, or numbers from 1 as in 1,3.",
            )
        for name in ("focal_px", "fps"):
            value = getattr(self, name)
            if value is not None and not 1 / _LARGEST <= value <= _LARGEST:
                raise SettingsError(f"{name} must be a positive number, not {value:g}.")
        for name in ("start_s", "end_s"):
            value = getattr(self, name)
            if value is not None and not abs(value) <= _LARGEST:
                raise SettingsError(f"{name} must be a number of seconds, not {value:g}.")
        if self.lens is not None:
            self._require_one_of("lens", LENSES)
            if self.focal_px is not None:
                advice = "Leave one of them out."
                raise SettingsError("focal_px and lens both say how long the lens is.", advice)
        if self.contacts is not None and self.world.off:
            advice = "Leave out --contacts, or --level off and --grounding 0."
            raise SettingsError("Contacts mean nothing where nothing is put on a floor.", advice)


@dataclass(frozen=True)
class Solved:
    """What a video gave: its motions, in order of person and part, what they stand on, and the
    precision that their estimator computed in."""

    video: Video
    motions: tuple[Motion, ...]
    body: Body
    precision: str = "float32"


Stage = Callable[[Sequence[Motion], Shot, Body], Sequence[Motion]]
"""A step between the estimate and the files: all motions of a shot, which were estimated on one
body, to as many others."""


def in_order(motions: Sequence[Motion], _shot: Shot, _body: Body) -> list[Motion]:
    """By person, the parts of one person by time."""
    return sorted(motions, key=lambda motion: (motion.person, motion.times_s[0]))


def measured(motions: Sequence[Motion], _shot: Shot, _body: Body) -> list[Motion]:
    """With what the finished movement says of its own quality."""
    return [
        dataclasses.replace(motion, quality={**motion.quality, **motion_quality(motion)})
        for motion in motions
    ]


def named(motions: Sequence[Motion], shot: Shot, _body: Body) -> list[Motion]:
    """Called after the video and the person."""
    called = {track.person: track.name for track in shot.people}
    names = part_names(shot.video.path.stem, [motion.person for motion in motions], called)
    return [dataclasses.replace(m, name=plain_name(n)) for m, n in zip(motions, names, strict=True)]


def carded(motions: Sequence[Motion], shot: Shot, body: Body) -> list[Motion]:
    """With their quality cards."""
    return [with_card(motion, body, shot.outlines) for motion in motions]


STAGES: tuple[Stage, ...] = (in_order, measured, named, carded)
"""What happens to motions after the estimate, one after another."""


def solve(path: str | Path, settings: Settings, report: Report) -> Solved:
    """One video to motions.

    Args:
        path: a video file, or a folder of pictures.
        settings: what to do.
        report: told about progress.

    Raises:
        StafError: what went wrong, in one line; see the rooms.
    """
    check_path(Path(path))
    estimator = chosen_estimator(settings)
    check_device(settings, estimator)
    video = open_video(path, fps=settings.fps)
    _log.info("%s: %d frames", video.path, len(video.times_s))
    if settings.contacts is not None:
        check_contacts(settings.contacts, video.path.name)
    body = chosen_body(settings, estimator)
    fingers = chosen_body(settings, estimator, fingers=True) if settings.hands != "off" else None
    shot = open_shot(video, settings.start_s, settings.end_s, settings.focal_px, settings.lens)
    found = _tracks(settings, shot, estimator, report)
    tracks = choose(found, settings.person)
    if settings.contacts is not None:
        stands = read_contacts(settings.contacts, video.path.name, found)
        shot = dataclasses.replace(shot, stands=stands)
    watch = CameraFollower(shot.camera, found, settings.world.camera)
    shot = dataclasses.replace(shot, watch=watch, people=tuple(found))
    estimates = _estimates(estimator, shot, tracks, body, settings, report)
    motions = _standing(estimates, shot, watch, body, settings, report)
    if fingers is not None:
        networks = hand_networks(detection_device(settings, estimator), settings.threads)
        threads = settings.threads or usable_cores()
        motions, body = with_seen_fingers(motions, shot, body, fingers, networks, report, threads)
    for stage in STAGES:
        motions = stage(motions, shot, body)
        give_back_heap()
    return Solved(video, tuple(motions), body, used_precision(settings, estimator))


def _tracks(settings: Settings, shot: Shot, estimator: Installed, report: Report) -> list[Track]:
    """Who is in a shot: as the user's tracks file says, else as found."""
    if settings.tracks is not None:
        return within(read_tracks(settings.tracks, shot.video), shot.span)
    device = detection_device(settings, estimator)
    return people_in(shot.video, shot.span, device, settings.threads, report)


def people_in(
    video: Video, span: range, device: str, threads: int | None, report: Report
) -> list[Track]:
    """Everybody in a part of a video, the main person first.

    Args:
        video: the footage.
        span: numbers of its frames.
        device: see `onnx_session.open_network`.
        threads: processors to use; None is all cores.
        report: told about progress.

    Raises:
        NobodyError: nobody was found, or nobody long enough.
        VideoError: the footage is damaged.
        WeightsError: the user's appearance network is damaged or gone.
    """
    session = open_network(asset_path("movenet_multipose.onnx"), device=device, threads=1)
    found = find_people(
        video,
        PersonDetector(session),
        span,
        progress=lambda done, total: report("detect", done, total, "finding people"),
        threads=threads or usable_cores(),
        appearance=open_appearance(device),
    )
    give_back_heap()
    return found


def _standing(
    estimates: Iterator[Estimate],
    shot: Shot,
    watch: CameraFollower,
    body: Body,
    settings: Settings,
    report: Report,
) -> Sequence[Motion]:
    """Motions of a shot, on their floor unless the user wants them as they were estimated."""
    shot, seen = travelled(watch, shot, list(estimates), body, settings)
    if settings.world.off:
        return [to_motion(estimate, shot, body) for estimate in seen]
    shot, seen = corrected_lens(shot, seen, body, settings)
    return stand(seen, shot, body, settings, settings.world, report)


def _estimates(
    estimator: Installed,
    shot: Shot,
    tracks: Sequence[Track],
    body: Body,
    settings: EstimatorSettings,
    report: Report,
) -> Iterator[Estimate]:
    if estimator == "landmarks":
        return estimate_by_landmarks(shot, tracks, body, settings, report)
    from staf_backend.estimators.staf import estimate_by_staf  # loads PyTorch

    return estimate_by_staf(shot, tracks, body, settings, report)

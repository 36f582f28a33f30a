"""What each command of `staf` does, once its words are understood."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import StafError
from staf_backend.body import add_body, finger_arrays, known_bodies, load_body, look_arrays
from staf_backend.estimators import check_device, chosen_estimator
from staf_backend.export.deliver import Outputs, Written, deliver
from staf_backend.files import (
    OutputError,
    make_folder,
    replace_atomically,
    scratch_in,
    write_arrays,
)
from staf_backend.people import TrackSummary, summarise, write_tracks
from staf_backend.pipeline import Settings, people_in, solve
from staf_backend.reporting import Reporter
from staf_backend.video import Video, check_path, open_video

_log = logging.getLogger(__name__)


def convert(
    videos: Sequence[Path], settings: Settings, outputs: Outputs, reporter: Reporter
) -> int:
    """Convert videos one by one.  With several, one that fails does not stop the others.

    Raises:
        StafError: the only video failed, or all of them did (then the first one's error).
    """
    began = time.monotonic()
    _check_names(videos, outputs)
    if len(videos) > 1:  # else each of them would say that the device is absent
        check_device(settings, chosen_estimator(settings))
    done: list[Written] = []
    failures: list[tuple[Path, StafError]] = []
    for number, path in enumerate(videos, 1):
        try:
            done += _convert_one(path, settings, outputs, reporter, (number, len(videos)))
        except StafError as error:
            if len(videos) == 1:
                raise
            _log.error("%s: %s", path, error)
            failures.append((path, error))
    if not done:
        raise failures[0][1]
    reporter.result(_summary(done, failures), _values(done, failures, time.monotonic() - began))
    return failures[0][1].exit_code if failures else 0


def list_people(path: Path, settings: Settings, thumbnails: Path | None, reporter: Reporter) -> int:
    """Who is in a video, with a picture of each where a folder for them is given.

    Raises:
        StafError: the video cannot be read, or nobody is in it.
    """
    check_path(path)
    check_device(settings, "landmarks")
    video = open_video(path, fps=settings.fps)
    span = video.span(settings.start_s, settings.end_s)
    people = people_in(video, span, settings.device, settings.threads, reporter.progress)
    found = summarise(video, people, span)
    pictures = [_save_thumbnail(thumbnails, summary) for summary in found]
    lines = [_person_line(summary) for summary in found]
    listed = [
        {
            "person": summary.person,
            "frames": summary.frames,
            "coverage": summary.coverage,
            "first_s": summary.start_s,
            "last_s": summary.end_s,
            "box_px": np.asarray(summary.box_px, float).tolist(),
            "thumbnail": picture,
        }
        for summary, picture in zip(found, pictures, strict=True)
    ]
    reporter.result("\n".join(lines), {"people": listed})
    return 0


def write_people(path: Path, settings: Settings, output: Path, reporter: Reporter) -> int:
    """Who is where in a video, as a file to correct, with pictures of everybody beside it.

    Raises:
        StafError: the video cannot be read, nobody is in it, or the file cannot be written.
    """
    check_path(path)
    if output.suffix != ".json":
        raise OutputError(f"cannot write {output}: the name must end in .json.", "Rename it.")
    check_device(settings, "landmarks")
    video = open_video(path, fps=settings.fps)
    span = video.span(settings.start_s, settings.end_s)
    people = people_in(video, span, settings.device, settings.threads, reporter.progress)
    found = summarise(video, people, span)
    folder = output.with_suffix("")
    pictures = {summary.person: _save_thumbnail(folder, summary) for summary in found}
    beside = {person: f"{folder.name}/{Path(str(p)).name}" for person, p in pictures.items()}
    write_tracks(output, video, people, beside)
    text = "\n".join([*map(_person_line, found), f"wrote {output}"])
    files = [str(output.resolve()), *map(str, pictures.values())]
    reporter.result(text, {"people": len(found), "files": files})
    return 0


def describe_video(path: Path, fps: float, reporter: Reporter) -> int:
    """What a video is.

    Raises:
        VideoError: it cannot be read.
    """
    video = open_video(path, fps=fps)
    values = _video_values(video)
    text = "\n".join(f"{name.replace('_', ' '):<18}{value}" for name, value in values.items())
    reporter.result(text, {"video": values})
    return 0


def remember_body(path: Path, gender: str | None, reporter: Reporter) -> int:
    """Check a user's body file and remember where it is.

    Raises:
        BodyError: it is not a body.
    """
    body = add_body(path, gender)
    text = f"{body.name}: use it with --body {body.name}"
    reporter.result(text, {"name": body.name, "kind": body.kind, "gender": body.gender})
    return 0


def list_bodies(reporter: Reporter) -> int:
    """Names of all bodies at hand."""
    names = known_bodies()
    reporter.result("\n".join(names), {"bodies": list(names)})
    return 0


def export_body(name: str, path: Path, reporter: Reporter) -> int:
    """Write a body as plain arrays, for programs that must not read model files themselves.

    Raises:
        BodyError: no such body.
        OutputError: the file cannot be written.
    """
    body = load_body(name)
    arrays: dict[str, Any] = {
        "name": body.name,
        "kind": body.kind,
        "gender": body.gender,
        "template_m": body.template_m.astype(np.float32),
        "faces": body.faces,
        "shape_directions": body.shape_directions,
        "joint_template_m": body.joint_template_m,
        "joint_shape_directions": body.joint_shape_directions,
        "skin_joints": body.skin_joints.astype(np.uint8),
        "skin_weights": body.skin_weights.astype(np.float32),
        "joint_names": np.array(body.skeleton.names),
        "parents": np.array(body.skeleton.parents),
        **look_arrays(body),
    }
    if body.uvs is not None and body.uv_faces is not None:
        arrays |= {"uvs": body.uvs, "uv_faces": body.uv_faces}
    write_arrays(path, arrays | finger_arrays(name))
    reporter.result(f"wrote {path}", {"files": [str(path.resolve())]})
    return 0


def _check_names(videos: Sequence[Path], outputs: Outputs) -> None:
    """Two videos of one name would write to one file."""
    written = [outputs.of(path.stem).output for path in videos]
    for path, output in zip(videos, written, strict=True):
        if written.count(output) > 1:
            advice = "Rename one of them, or convert them into different folders."
            raise OutputError(f"Several videos would write {output}, {path} among them.", advice)


def _convert_one(
    path: Path, settings: Settings, outputs: Outputs, reporter: Reporter, place: tuple[int, int]
) -> list[Written]:
    prefix = f"{path.name}: " if place[1] > 1 else ""

    def report(stage: str, done: int, total: int, message: str) -> None:
        reporter.progress(stage, done, total, prefix + message)

    files = outputs.of(path.stem)
    files.check(path)
    with scratch_in(files.output.parent):
        return deliver(solve(path, settings, report), files, report)


def _values(
    done: Sequence[Written], failures: Sequence[tuple[Path, StafError]], seconds: float
) -> dict[str, Any]:
    files = dict.fromkeys(str(path.resolve()) for one in done for path in one.files)
    failed = [
        {"source": str(path), "kind": e.kind, "message": e.message, "advice": e.advice}
        for path, e in failures
    ]
    return {
        "people": [_motion_values(one) for one in done],
        "files": list(files),
        "failed": failed,
        "seconds": round(seconds, 3),
    }


def _motion_values(one: Written) -> dict[str, Any]:
    motion = one.motion
    return {
        "person": motion.person,
        "name": motion.name,
        "source": motion.source,
        "frames": len(motion.frames),
        "seconds": float(motion.times_s[-1] - motion.times_s[0]),
        "coverage": float(motion.observed.mean()),
        "body": motion.body,
        "estimator": motion.estimator,
        "configuration": motion.configuration,
        "precision": one.precision,
        "quality": dict(motion.quality),
        "card": dict(motion.card),
        "camera": {
            "motion": motion.camera.motion,
            "focal_px": motion.camera.focal_px,
            "focal_assumed": motion.camera.focal_assumed,
            "focal_source": motion.camera.focal_source,
        },
        "files": [str(path.resolve()) for path in one.files],
        "motion": str(one.motion_file.resolve()) if one.motion_file else None,
    }


def _summary(done: Sequence[Written], failures: Sequence[tuple[Path, StafError]]) -> str:
    lines = []
    for one in done:
        motion = one.motion
        names = ", ".join(str(path) for path in one.files)
        lines.append(
            f"{motion.name}: person {motion.person}, {len(motion.frames)} frames, "
            f"seen in {motion.observed.mean():.0%}, "
            f"{_maker(one)}, body {motion.body} -> {names}"
        )
    lines += [f"failed: {path}: {error}" for path, error in failures]
    return "\n".join(lines)


def _maker(one: Written) -> str:
    """Who estimated a motion, and how exactly."""
    motion = one.motion
    network = f" ({motion.configuration})" if motion.configuration else ""
    return f"estimator {motion.estimator}{network} in {one.precision}"


def _person_line(summary: TrackSummary) -> str:
    x, y, side = summary.box_px
    return (
        f"person {summary.person}: {summary.frames} frames, {summary.start_s:.2f} to "
        f"{summary.end_s:.2f} s, seen in {summary.coverage:.0%}, "
        f"{side:.0f} px about ({x:.0f}, {y:.0f})"
    )


def _save_thumbnail(folder: Path | None, summary: TrackSummary) -> str | None:
    if folder is None:
        return None
    import cv2

    make_folder(folder)
    path = folder / f"person-{summary.person}.png"
    _, encoded = cv2.imencode(".png", summary.thumbnail[..., ::-1])
    with replace_atomically(path) as temporary:
        temporary.write_bytes(encoded.tobytes())
    return str(path.resolve())


def _video_values(video: Video) -> dict[str, Any]:
    steps = np.diff(video.times_s)
    varies = bool(len(steps) and np.ptp(steps) > 0.1 * np.median(steps))
    return {
        "file": video.path.name,
        "size_px": f"{video.width_px} x {video.height_px}",
        "frames": len(video.times_s),
        "seconds": round(float(video.times_s[-1]), 3),
        "fps": round(video.fps, 4),
        "variable_rate": varies,
        "rotation_deg": video.rotation_deg,
        "mirrored": video.mirrored,
        "sound": video.has_audio,
        "focal_px": None if video.focal is None else video.focal.px,
    }

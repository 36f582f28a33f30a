"""One self-contained page: footage and character side by side, and what the motion says of itself.

Nothing is fetched: footage (small, H.264), meshes, movement, three.js and the page are one file.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.body import Body
from staf_backend.export.mesh import body_mesh
from staf_backend.files import OutputError, replace_atomically
from staf_backend.motion import Motion
from staf_backend.video import Video
from staf_backend.world import contact_rows, key_series

if TYPE_CHECKING:
    from staf_backend.reporting import Report

_SIDE_PX = 640
"""Longest side of the footage in the page.  Asked for: small enough to send by mail."""
_MOST_VIDEO_BYTES = 24_000_000
"""Of footage in a page; a third more once it is text.  Chosen: browsers open it at once."""
_MOST_BITS_PER_S = 1_200_000
"""Of footage.  Chosen: 640 pixels look clean."""
_LEAST_BITS_PER_S = 60_000
"""Below this people cannot be told from the room.  Chosen."""
_CLOCK = 90_000
_KEY_EVERY = 12
"""Pictures between two that can be jumped to, for smooth scrubbing.  Chosen."""
_PAGE = Path(__file__).with_name("report_page.html")
_SCRIPT = Path(__file__).with_name("report_page.js")


def write_report(
    path: Path,
    video: Video,
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    report: "Report",
) -> None:
    """Write the page.

    Args:
        path: .html.
        video: the footage the motions came from.
        motions: of this video, with their cards.
        bodies: by name.
        report: told about progress.

    Raises:
        OutputError: the file cannot be written, or the clip is too long for a page.
    """
    first = min(int(motion.frames[0]) for motion in motions)
    last = max(int(motion.frames[-1]) for motion in motions) + 1
    footage = _footage(path, video, range(first, last), report)
    start_s = float(video.times_s[first])
    people = [_person(motion, bodies[motion.body], start_s) for motion in motions]
    name = motions[0].source or path.stem
    data = json.dumps({"name": name, "start_s": start_s, "people": people}, allow_nan=False)
    page = _PAGE.read_text("utf-8")
    for word, text in (
        ("@THREE@", asset_path("three.min.js").read_text("utf-8")),
        ("@SCRIPT@", _SCRIPT.read_text("utf-8")),
        ("@VIDEO@", base64.b64encode(footage).decode()),
        ("@DATA@", data.replace("<", "\\u003c")),
    ):
        page = page.replace(word, text, 1)
    with replace_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _footage(path: Path, video: Video, frames: range, report: "Report") -> bytes:
    """The pictures as a small .mp4 whose clock starts at the first.

    Raises:
        OutputError: the clip is too long.
    """
    import av
    import cv2

    seconds = float(video.times_s[frames[-1]] - video.times_s[frames[0]]) + 1 / video.fps
    bits = min(_MOST_BITS_PER_S, int(8 * _MOST_VIDEO_BYTES / seconds))
    if bits < _LEAST_BITS_PER_S:
        advice = "Give it a shorter part of the clip, with --start and --end."
        raise OutputError(f"cannot write {path}: the clip is too long for a page.", advice)
    scale = min(1.0, _SIDE_PX / max(video.width_px, video.height_px))
    size = [max(2, round(n * scale / 2) * 2) for n in (video.width_px, video.height_px)]
    memory, pts = io.BytesIO(), -1
    with av.open(memory, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", options=_encoder(bits))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK)
        for index, image in enumerate(video.frames(frames[0], frames[-1] + 1), frames[0]):
            small = np.asarray(
                cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_AREA), np.uint8
            )
            frame = av.VideoFrame.from_ndarray(small, format="rgb24")
            time_s = float(video.times_s[index] - video.times_s[frames[0]])
            pts = max(round(time_s * _CLOCK), pts + 1)
            frame.pts, frame.time_base = pts, Fraction(1, _CLOCK)
            container.mux(stream.encode(frame))
            report("report", index + 1 - frames[0], len(frames), "writing the report")
        container.mux(stream.encode(None))
    return memory.getvalue()


def _encoder(bits: int) -> dict[str, str]:
    limit = {"maxrate": str(bits), "bufsize": str(2 * bits)}
    return {"crf": "26", "preset": "veryfast", "g": str(_KEY_EVERY)} | limit


def _person(motion: Motion, body: Body, start_s: float) -> dict[str, Any]:
    """All that the page draws of one motion; arrays as base64 of little-endian numbers."""
    mesh = body_mesh(body, motion.betas)
    camera = motion.camera
    turns, places = _camera_keys(motion)
    return {
        "name": motion.name,
        "person": motion.person,
        "card": dict(motion.card),
        "contacts": {
            part: [[round(t - start_s, 4) for t in span] for span in spans]
            for part, spans in contact_rows(motion).items()
        },
        "series": {
            word: [None if not np.isfinite(v) else round(float(v), 3) for v in values]
            for word, values in key_series(motion, body).items()
        },
        "parents": list(motion.skeleton.parents),
        "times": _packed(motion.times_s - start_s, "<f8"),
        "observed": _packed(motion.observed, "u1"),
        "turns": _packed(motion.rotations_wxyz * 32767, "<i2"),
        "root": _packed(motion.root_m, "<f4"),
        "rest": _packed(motion.rest_joints_m, "<f4"),
        "positions": _packed(mesh.positions_m, "<f4"),
        "normals": _packed(mesh.normals * 127, "i1"),
        "joints": _packed(np.maximum(mesh.joints.astype(int) - 1, 0), "<u2"),
        "weights": _packed(mesh.weights / 65535, "<f4"),
        "triangles": _packed(mesh.triangles, "<u4"),
        "camera": {
            "focal": camera.focal_px / camera.height_px,
            "aspect": camera.width_px / camera.height_px,
            "middle": (
                camera.principal_point_px / [camera.width_px, camera.height_px] - 0.5
            ).tolist(),
            "turns": _packed(turns, "<f4"),
            "places": _packed(places, "<f4"),
        },
    }


def _camera_keys(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """(K, 4) and (K, 3) of the camera; K is 1 where it stands still."""
    path = motion.camera_path
    if path is None:
        return motion.camera.rotation_wxyz[None], motion.camera.position_m[None]
    return path.rotations_wxyz, path.positions_m


def _packed(array: np.ndarray, kind: str) -> str:
    values = np.asarray(array)
    if np.dtype(kind).kind in "iu":
        values = np.rint(values)
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode()

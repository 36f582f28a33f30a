"""One frame of a clip through every step, in pictures of what the program computes.

    python -m docs.make_worked_track            # writes docs/pictures/track-*

You will see who was found, the landmarks, the lifted and the fitted pose, and how far each is from
the landmarks in every frame.  About a minute on two cores.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from docs.svg import Point, drawing, line, text
from docs.worked_track import CLIP, FRAME, Worked, quiet, work
from staf_backend.body import Body, SmplParams, markers
from staf_backend.export.overlay import write_overlay
from staf_backend.geometry import forward_kinematics
from staf_backend.people import Track
from staf_backend.pipeline import Settings, solve
from staf_backend.video import open_video

FOLDER = Path(__file__).parent / "pictures"
TOP = 0.62
"""Share of the frame's height that shows people; the rest is floor."""
HEIGHT_PX = 520
ORANGE, BLUE, GREEN, RED = "#d9822b", "#2b6cb0", (60, 170, 75), (215, 60, 50)
"""Lifted, fitted; the person's left, right (RGB)."""
SIDES = {"left": GREEN, "right": RED}
MIDDLE, INK = (250, 200, 60), (30, 30, 30)


def main() -> None:
    """Write all pictures."""
    worked = work()
    image = next(worked.shot.video.frames(FRAME, FRAME + 1))
    window = _window(worked)
    save("track-people.jpg", _people(image.copy(), worked.everybody)[: int(TOP * image.shape[0])])
    save("track-landmarks.jpg", _landmarks(image.copy(), worked)[window])
    save("track-overlay.jpg", _overlaid()[window])
    (FOLDER / "track-poses.svg").write_text(_poses(worked), encoding="utf-8")
    (FOLDER / "track-distance.svg").write_text(_distances(worked), encoding="utf-8")


def save(name: str, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8 RGB at the height of the page's pictures."""
    size = (round(HEIGHT_PX * picture.shape[1] / picture.shape[0]), HEIGHT_PX)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    path = str(FOLDER / name)
    cv2.imwrite(path, small[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, 88])


def _window(worked: Worked) -> tuple[slice, slice]:
    """Rows and columns around the main person."""
    x, y, side = worked.track.boxes_px[worked.row]
    left, top = max(0, round(x - 0.55 * side)), max(0, round(y - 0.6 * side))
    return slice(top, round(y + 0.6 * side)), slice(left, round(x + 0.55 * side))


def _people(image: np.ndarray, tracks: Sequence[Track]) -> np.ndarray:
    """Boxes and the detector's key points of everybody in the frame."""
    for track in tracks:
        row = FRAME - int(track.frames[0])
        if not 0 <= row < len(track):
            continue
        x, y, side = track.boxes_px[row]
        corner = [(round(x + s * side / 2), round(y + s * side / 2)) for s in (-1, 1)]
        cv2.rectangle(image, corner[0], corner[1], MIDDLE, 5)
        left, top = corner[0]
        cv2.rectangle(image, (left, top - 56), (left + 240, top), MIDDLE, -1)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, f"person {track.person}", (left + 14, top - 14), font, 1.4, INK, 4)
        for px in track.keypoints_px[row, :, :2]:
            cv2.circle(image, tuple(px.round().astype(int).tolist()), 8, MIDDLE, -1)
    return image


def _landmarks(image: np.ndarray, worked: Worked) -> np.ndarray:
    """The landmarks that the body has a marker for; the person's left green, right red."""
    points = worked.landmarks.points_px[worked.row, markers.LANDMARKS]
    for name, px in zip(markers.NAMES, points, strict=True):
        at = tuple(px.round().astype(int).tolist())
        cv2.circle(image, at, 9, SIDES.get(name.split("_")[0], MIDDLE), -1)
        cv2.circle(image, at, 9, (255, 255, 255), 2)
    return image


def _overlaid() -> np.ndarray:
    """The shown frame of the overlay that `staf convert --overlay` writes."""
    solved = solve(CLIP, Settings(person="largest", estimator="landmarks", device="cpu"), quiet)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overlay.mp4"
        bodies = {solved.body.name: solved.body}
        write_overlay(path, solved.video, solved.motions, bodies, quiet)
        return next(open_video(path).frames(FRAME, FRAME + 1))


def _poses(worked: Worked) -> str:
    """Both poses from the front and from the side, about the pelvis."""
    shapes, scale, middle = [], 190.0, 215.0
    for view, (x, axis, title) in enumerate(
        ((180.0, 0, "from the camera"), (450.0, 2, "from the person's right"))
    ):
        sign = 1 if view == 0 else -1
        for fitted, colour in ((worked.lifted, ORANGE), (worked.fitted, BLUE)):
            joints = _joints_m(worked.body, fitted.params, worked.row)
            flat = [(x + sign * scale * j[axis], middle + scale * j[1]) for j in joints]
            shapes += _bones(flat, worked.body.skeleton.parents, colour)
        shapes.append(text((x, 436), title))
    shapes.append(text((300, 30), "lifted", 13, bold=True, colour=ORANGE))
    shapes.append(text((300, 48), "fitted", 13, bold=True, colour=BLUE))
    return drawing(600, 450, "The lifted and the fitted pose", shapes)


def _joints_m(body: Body, params: SmplParams, row: int) -> np.ndarray:
    """(24, 3) joints about the pelvis, camera axes (x right, y down, z away)."""
    rest = body.rest_joints_m(params.betas)
    chosen = params.rotations[row : row + 1].astype(float)
    return forward_kinematics(chosen, rest, np.zeros((1, 3)), body.skeleton)[1][0]


def _bones(points: Sequence[Point], parents: Sequence[int], colour: str) -> list[str]:
    bones = [(points[p], points[j]) for j, p in enumerate(parents) if p >= 0]
    return [line(bone, colour, 4) for bone in bones]


def _distances(worked: Worked) -> str:
    """Median distance between markers and landmarks, frame by frame, in millimetres."""
    times_s = worked.track.times_s
    left, bottom, width, height = 60.0, 200.0, 520.0, 170.0
    curves = [
        (1e3 * np.nanmedian(one.distance_m, axis=1), colour, name)
        for one, colour, name in (
            (worked.lifted, ORANGE, "lifted"),
            (worked.fitted, BLUE, "fitted"),
        )
    ]
    most = 20 * np.ceil(max(values.max() for values, *_ in curves) / 20)
    shapes = []
    for level in np.arange(0, most + 1, 20):
        y = bottom - height * level / most
        shapes.append(line([(left, y), (left + width, y)], "#d9dee4", 1))
        shapes.append(text((left - 8, y + 4), f"{level:.0f} mm", 11, anchor="end"))
    for values, colour, name in curves:
        x = left + width * (times_s - times_s[0]) / (times_s[-1] - times_s[0])
        y = bottom - height * values / most
        shapes.append(line(list(zip(x, y, strict=True)), colour, 2))
        shapes.append(text((left + width + 6, y[-1] + 4), name, 12, anchor="start", colour=colour))
    shapes.append(text((left + width / 2, bottom + 24), f"{times_s[-1]:.1f} seconds of the clip"))
    return drawing(650, 236, "Distance to the landmarks in every frame", shapes)


if __name__ == "__main__":
    main()

"""The balance clips' reference joints in each camera's axes, and the errors of a motion against it.

The reference is triangulated from four views; bone lengths vary by 7 to 15 mm in it, so errors
below about 15 mm mean nothing.  Qualisys writes focal lengths, centres and distortions in 1/64
pixel, rotations transposed, translations in millimetres, and a camera that looks along its own -z.

The calibration as shipped is 3 to 4 degrees off for cameras 1 and 3, so each camera's pose is
refined: six numbers, from where 1,200 joints of the clip are seen.  That cannot hide the pose
error of a single frame.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import SMPL
from staf_backend.landmarks.names import NAMES
from staf_backend.motion import Motion, joints_m
from tests.support.places import REPOSITORY

DATA = REPOSITORY / "tests" / "data" / "balance"
PARTS = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
_OURS = [SMPL.index(f"{side}_{part}") for part in PARTS for side in "LR"]
_SEEN = [NAMES.index(f"{side}_{part.lower()}") for part in PARTS for side in ("left", "right")]
_HIPS = slice(6, 8)
_LIMBS = {"arms": ((2, 3), (4, 5)), "legs": ((8, 9), (10, 11))}


@dataclass(frozen=True)
class Lens:
    """A calibrated camera: world -> camera axes (x right, y down, z away) and its lens."""

    rotation: np.ndarray
    translation_m: np.ndarray
    matrix_px: np.ndarray
    distortion: np.ndarray


def lens(number: int) -> Lens:
    """Camera 1 to 4 of the calibration, as shipped."""
    root = ElementTree.parse(DATA / "balance_Calib.qca.txt").getroot()
    camera = root.findall("./cameras/camera")[number - 1]
    transform, intrinsic = camera.find("transform"), camera.find("intrinsic")
    assert transform is not None
    assert intrinsic is not None
    place, optics = transform.attrib, intrinsic.attrib
    turned = np.array([[float(place[f"r{a}{b}"]) for b in (1, 2, 3)] for a in (1, 2, 3)])
    rotation = np.diag([1.0, -1.0, -1.0]) @ turned
    centre_m = np.array([float(place[axis]) for axis in "xyz"]) / 1000
    words = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    fu, fv, cu, cv = (float(optics[word]) / 64 for word in words)
    bends = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1")
    bends += ("tangentalDistortion2", "radialDistortion3")
    distortion = np.array([float(optics[word]) / 64 for word in bends])
    matrix = np.array([[fu, 0, cu], [0, fv, cv], [0, 0, 1.0]])
    return Lens(rotation, -rotation @ centre_m, matrix, distortion)


def world_m() -> np.ndarray:
    """(100, 12, 3) reference joints, left and right of PARTS, axes of the calibration."""
    with np.load(DATA / "balance_pseudo_gt_12j.npz", allow_pickle=False) as file:
        return file["Xb"]


def reference_m(number: int, motion: Motion) -> tuple[np.ndarray, float]:
    """Reference joints (100, 12, 3) in a camera's axes, and how far the camera was turned (deg).

    Args:
        number: 1 or 2.
        motion: of the whole clip; its key points say where the joints are seen.
    """
    import cv2

    known, points = lens(number), world_m()
    assert motion.keypoints_px is not None
    seen_px = np.ascontiguousarray(motion.keypoints_px[:, _SEEN, :2]).reshape(-1, 2)
    start = cv2.Rodrigues(known.rotation)[0], known.translation_m.reshape(3, 1).copy()
    _, vector, shift = cv2.solvePnP(
        points.reshape(-1, 3), seen_px, known.matrix_px, known.distortion, *start, True
    )
    rotation = cv2.Rodrigues(vector)[0]
    cosine = (np.trace(rotation @ known.rotation.T) - 1) / 2
    return points @ rotation.T + shift[:, 0], float(np.degrees(np.arccos(min(cosine, 1.0))))


def ours_m(motion: Motion) -> np.ndarray:
    """The same 12 joints (T, 12, 3) of a motion, camera axes."""
    return motion.to_camera_axes(joints_m(motion)[:, _OURS])


def overlay_gaps(motion: Motion) -> np.ndarray:
    """How far from its landmark each of the 12 joints is seen: (T, 12), in heights of the picture.

    Through the motion's camera, with nothing but a pinhole.
    """
    assert motion.keypoints_px is not None
    camera = motion.camera
    x, y, z = np.moveaxis(ours_m(motion), -1, 0)
    across = camera.width_px / 2 + camera.focal_px * x / z
    down = camera.height_px / 2 + camera.focal_px * y / z
    seen_px = motion.keypoints_px[:, _SEEN]
    return np.hypot(across - seen_px[..., 0], down - seen_px[..., 1]) / camera.height_px


def errors_mm(motion: Motion, number: int, seen: Motion | None = None) -> dict[str, float]:
    """The table's row for one camera: millimetres, root-aligned in camera axes.

    Args:
        motion: of the whole clip.
        number: of the camera.
        seen: a motion by landmarks, which says where joints are seen, where `motion` does not.
    """
    truth, turned_deg = reference_m(number, seen or motion)
    ours = ours_m(motion)
    here, there = (p - p[:, _HIPS].mean(1, keepdims=True) for p in (ours, truth))
    gap = here - there
    return {
        "mpjpe": _mean_mm(gap),
        "pa_mpjpe": _mean_mm(_aligned(here, there) - there),
        "depth": 1e3 * float(np.abs(gap[..., 2]).mean()),
        "lateral": _mean_mm(gap[..., :2]),
        "acceleration": _mean_mm(np.diff(here, 2, axis=0)),
        "acceleration_reference": _mean_mm(np.diff(there, 2, axis=0)),
        "camera_turned_deg": turned_deg,
        "coverage": float(motion.observed.sum() / len(truth)),
        "swaps": float(sum(len(frames) for frames in swaps(here, there).values())),
    }


def swaps(here: np.ndarray, there: np.ndarray) -> dict[str, np.ndarray]:
    """Frames in which exchanging a limb's sides would fit the reference plainly better."""
    found = {}
    for limb, pairs in _LIMBS.items():
        left, right = (np.array(side) for side in zip(*pairs, strict=True))
        both = np.concatenate([left, right])
        other = np.concatenate([right, left])
        as_is = np.linalg.norm(here[:, both] - there[:, both], axis=-1).mean(1)
        crossed = np.linalg.norm(here[:, other] - there[:, both], axis=-1).mean(1)
        apart = np.linalg.norm(there[:, left] - there[:, right], axis=-1).mean(1)
        found[limb] = np.flatnonzero((crossed < as_is) & (apart > 0.1))
    return found


def _mean_mm(vectors_m: np.ndarray) -> float:
    return 1e3 * float(np.linalg.norm(vectors_m, axis=-1).mean())


def _aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Each frame's points (T, K, 3) after the similarity that fits the target best (Umeyama)."""
    out = np.empty_like(points)
    for t, (p, q) in enumerate(zip(points, target, strict=True)):
        p0, q0 = p - p.mean(0), q - q.mean(0)
        u, s, vt = np.linalg.svd(q0.T @ p0)
        sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
        rotation = (u * sign) @ vt
        scale = (s * sign).sum() / (p0**2).sum()
        out[t] = scale * p0 @ rotation.T + q.mean(0)
    return out

"""Motions whose feet stand exactly still: legs solved in their own planes, the rest swings."""

from pathlib import Path

import numpy as np

from addon.scene.body_file import open_body_path, read_body
from staf_backend.geometry import SMPL, from_axis_angle, to_quaternions
from staf_backend.motion import ContactSpan, Motion, save_motion
from tests.addon.known_motions import known_motion

FPS = 30.0
_SWINGING = (
    *("Spine1", "Spine2", "Spine3", "Neck", "Head", "L_Shoulder", "L_Elbow", "L_Wrist"),
    *("R_Shoulder", "R_Elbow", "R_Wrist", "L_Collar", "R_Collar"),
)


def stepping_motion(
    steps: int = 4, step_m: float = 0.35, pause: int = 20, stair_m: float = 0.0
) -> Motion:
    """Somebody squats, then walks forward, one foot after the other.

    Args:
        steps: how many, left first.
        step_m: how far each goes; a foot does half of it in the first.
        pause: keys of a step, and of a stand between two.
        stair_m: how much higher each step is than the one before.
    """
    standing = known_motion(2)
    rest = standing.rest_joints_m
    squat = 60
    count = squat + steps * 2 * pause + pause
    keys = np.arange(count)
    ahead = {"L": np.zeros(count), "R": np.zeros(count)}
    rise = {"L": np.zeros(count), "R": np.zeros(count)}
    stair = {"L": np.zeros(count), "R": np.zeros(count)}
    stands: dict[str, list[tuple[int, int]]] = {"L": [], "R": []}
    since = {"L": 0, "R": 0}
    for number in range(steps):
        side = "LR"[number % 2]
        first = squat + number * 2 * pause
        share = np.clip((keys - first) / pause, 0, 1)
        far = step_m / 2 if number == 0 else step_m
        ahead[side] += far * share * share * (3 - 2 * share)
        higher = stair_m * (number + 1 - max(number - 1, 0))
        stair[side] += higher * share * share * (3 - 2 * share)
        rise[side] += 0.12 * np.sin(np.pi * share) ** 2
        stands[side].append((since[side], first))
        since[side] = first + pause
    for side in "LR":
        stands[side].append((since[side], count - 1))
    down = 0.02 + 0.22 * np.sin(np.pi * np.clip(keys / squat, 0, 1)) ** 2
    middle = _smooth((ahead["L"] + ahead["R"]) / 2)
    body = read_body(open_body_path(standing.body), standing.body)
    sole = float(body.rest_vertices_m(standing.betas)[:, 1].min())
    root = rest[0] + np.stack([0 * middle, -sole - down - 0.12 * _spread(ahead), middle], -1)
    root[:, 1] += _smooth(np.minimum(stair["L"], stair["R"]))
    rotations = _swings(count)
    for side in "LR":
        place = np.stack([rise[side] + stair[side] - sole, ahead[side]], -1)
        _solve_leg(rotations, rest, root, side, place)
    spans = [
        ContactSpan(f"{word}_{part}", first / FPS, last / FPS, float(stair[side][first]))
        for side, word in (("L", "left"), ("R", "right"))
        for part in ("heel", "toe")
        for first, last in stands[side]
    ]
    return _motion(rotations, root, spans)


def striding_motion(stride_m: float = 0.5, pitch_deg: float = 45.0, count: int = 40) -> Motion:
    """Somebody stands in a stride and raises the heel behind, on toes that bend and stay flat.

    Args:
        stride_m: how far the left foot is before the right one.
        pitch_deg: of the foot behind, at last.
        count: keys.
    """
    standing = known_motion(2)
    rest = standing.rest_joints_m
    body = read_body(open_body_path(standing.body), standing.body)
    sole = float(body.rest_vertices_m(standing.betas)[:, 1].min())
    pitch = np.radians(pitch_deg) * _smooth(np.clip((np.arange(count) - 15) / (count - 20), 0, 1))
    ankle, ball = (rest[SMPL.index(f"R_{joint}")][1:] for joint in ("Ankle", "Foot"))
    raised = (_turned(ankle - ball, pitch) + ball - ankle) + [-sole, -stride_m / 2]
    ahead = np.tile([-sole, stride_m / 2], (count, 1))
    root = np.tile(rest[0] - [0, sole + 0.08, 0], (count, 1))
    rotations = np.zeros((count, len(SMPL), 3))
    for side, place in (("L", ahead), ("R", raised)):
        _solve_leg(rotations, rest, root, side, place)
    rotations[:, SMPL.index("R_Ankle"), 0] += pitch
    rotations[:, SMPL.index("R_Foot"), 0] -= pitch
    level = int(np.flatnonzero(pitch < np.radians(0.5))[-1])
    lasts = {"left_heel": count - 1, "left_toe": count - 1, "right_heel": level}
    lasts["right_toe"] = count - 1
    spans = [ContactSpan(part, 0.0, last / FPS, 0.0) for part, last in lasts.items()]
    return _motion(rotations, root, spans)


def _motion(rotations: np.ndarray, root: np.ndarray, spans: list[ContactSpan]) -> Motion:
    return known_motion(
        len(root),
        FPS,
        rotations_wxyz=to_quaternions(from_axis_angle(rotations)).astype(np.float32),
        root_m=root,
        contacts=tuple(spans),
        name="steps",
        source="steps.mp4",
    )


def _turned(step: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(T, 2) of (y, z), turned about x."""
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack([cosine * step[0] - sine * step[1], sine * step[0] + cosine * step[1]], -1)


def write_steps(path: Path, **words) -> Path:
    """The stepping motion as a file; returns the path."""
    save_motion(path, stepping_motion(**words))
    return path


def write_stride(path: Path, **words) -> Path:
    """The stride as a file; returns the path."""
    save_motion(path, striding_motion(**words))
    return path


def _swings(count: int) -> np.ndarray:
    """(T, J, 3) rotation vectors of the upper body at rates that differ from bone to bone."""
    out = np.zeros((count, len(SMPL), 3))
    for number, joint in enumerate(_SWINGING):
        phase = np.arange(count)[:, None] * (0.06 + 0.008 * number) + [0.0, 1.0, 2.0]
        out[:, SMPL.index(joint)] = 0.3 * np.sin(phase)
    return out


def _solve_leg(
    rotations: np.ndarray, rest: np.ndarray, root: np.ndarray, side: str, place: np.ndarray
) -> None:
    """Turn hip and knee about x so that the ankle is (y, z) `place` from where it rests."""
    hip, knee, ankle = (rest[SMPL.index(f"{side}_{j}")][1:] for j in ("Hip", "Knee", "Ankle"))
    start = root[:, 1:] + hip - rest[0, 1:]
    step = ankle + place - start
    thigh, shin = np.linalg.norm(knee - hip), np.linalg.norm(ankle - knee)
    distance = np.linalg.norm(step, axis=1)
    assert (distance < thigh + shin).all(), "the legs are too short for these steps"
    bend = np.arccos((thigh**2 + distance**2 - shin**2) / (2 * thigh * distance))
    first = _angle(step) - bend  # towards the front
    end = start + thigh * np.stack([np.cos(first), np.sin(first)], -1)
    turned = first - _angle(knee - hip)
    lower = _angle(ankle + place - end) - _angle(ankle - knee)
    for joint, angle in (("Hip", turned), ("Knee", lower - turned), ("Ankle", -lower)):
        rotations[:, SMPL.index(f"{side}_{joint}"), 0] = np.unwrap(angle)


def _angle(vectors: np.ndarray) -> np.ndarray:
    return np.arctan2(vectors[..., 1], vectors[..., 0])


def _spread(ahead: dict[str, np.ndarray]) -> np.ndarray:
    return _smooth(np.abs(ahead["L"] - ahead["R"]))


def _smooth(values: np.ndarray) -> np.ndarray:
    window = 21
    padded = np.pad(values, window // 2, mode="edge")
    return np.convolve(padded, np.full(window, 1 / window), mode="valid")

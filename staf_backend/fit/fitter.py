"""Landmarks and a first guess over a whole track -> SMPL parameters, by sparse least squares.

The lifted pose (`landmarks.lift`) says roughly how a body stands; the landmarks say exactly where
it is seen. The fit finds one body shape, and for each frame rotations and a root position, such
that

    sum  w_tk rho(|proj X_tk - u_tk|)        the body is where it is seen (Geman-McClure, annealed)
       + q_tj |log(G_tj Lift_tj^T)|^2        and poses as the lifted guess where that is sure
       + |limits(R_tj)|^2                    knees and elbows bend one way only, collars rise
       + rho(|acceleration|^2)               moving smoothly, except where it really strikes
       + c_tf rho(|speed of heel or toe|^2)  and standing where a foot is on the ground

is least.  It is Gauss-Newton with analytic Jacobians (`terms`) on block-banded normal equations
(`banded`), so cost and memory grow linearly with the track; a long track is solved in windows, each
pinned to the end of the one before.  Every frame counts by the time it stands for, so the result
does not depend on the frame rate.

It starts once, from the lifted pose; bones mirrored in depth chose worse (training/LOG.md).

Method: the energy is that of SMPLify (Bogo et al., ECCV 2016) with a learned per-frame prior in the
place of its mixture of Gaussians.  numpy and scipy only.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.body.markers import COUNT, markers_of
from staf_backend.body.params import SmplParams
from staf_backend.fit import terms
from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.observations import Seen, SeenTrack
from staf_backend.fit.settings import (
    HIGHEST_RAD,
    LEVER_M,
    LIMIT_WEIGHT,
    LOWEST_RAD,
    STIFFNESS,
    SURE_RAD,
    FitSettings,
)
from staf_backend.geometry.rotations import from_axis_angle, to_axis_angle
from staf_backend.geometry.skeleton import JOINT_COUNT, PARENTS, forward_kinematics, parent_relative

if TYPE_CHECKING:
    from staf_backend.body.body import Body
    from staf_backend.landmarks.lift import Lifted


@dataclass(frozen=True)
class Fitted:
    """A fitted track.

    Attributes:
        params: pose, shape and place, camera axes.
        distance_m: (T, 27) between markers and where they were seen, across the view at the
            person; NaN where nothing was seen.
    """

    params: SmplParams
    distance_m: np.ndarray

    def __post_init__(self) -> None:
        if self.distance_m.shape != (len(self.params), COUNT):
            raise ValueError(f"Fitted.distance_m must be ({len(self.params)}, {COUNT})")


@dataclass
class _State:
    """The unknowns of some frames: parent-relative rotations (T, 24, 3, 3), root (T, 3)."""

    rotations: np.ndarray
    root_m: np.ndarray

    def __getitem__(self, chosen: slice | np.ndarray) -> "_State":
        return _State(self.rotations[chosen], self.root_m[chosen])

    def moved(self, step: np.ndarray) -> "_State":
        """After a step (T, UNKNOWNS)."""
        rotations = self.rotations.copy()
        turns = from_axis_angle(step[:, 3:].reshape(len(step), -1, 3))
        rotations[:, terms.MOVING] = rotations[:, terms.MOVING] @ turns
        return _State(rotations, self.root_m + step[:, :3])


class Fitter:
    """Fits one body to tracks.

    Args:
        body: whose markers are seen.
        settings: weights and iterations.
    """

    def __init__(self, body: "Body", settings: FitSettings | None = None) -> None:
        self.body = body
        self.settings = settings or FitSettings()
        self.markers = markers_of(body)
        self.reprojection = terms.Reprojection(self.markers)
        self.planted = terms.Planted(self.markers)

    def fit(
        self,
        rays: np.ndarray,
        confidence: np.ndarray,
        times_s: np.ndarray,
        lifted: "Lifted",
        betas: np.ndarray | None = None,
    ) -> Fitted:
        """Fit one track.

        Args:
            rays: (T, 27, 2) viewing rays x/z, y/z of the markers, camera axes; NaN where missing.
            confidence: (T, 27) 0..1; 0 for a frame that was filled in.
            times_s: (T,) strictly increasing.
            lifted: the first guess, of the same frames.
            betas: (10,) the person's shape where it is known already.

        Raises:
            ValueError: arrays that do not belong together.
        """
        frames = len(times_s)
        if rays.shape != (frames, COUNT, 2) or confidence.shape != (frames, COUNT):
            raise ValueError(f"rays must be ({frames}, 27, 2) and confidence ({frames}, 27)")
        track = SeenTrack(rays, confidence, times_s, lifted, self.settings)
        if betas is None:
            # the lifter's betas are the open neutral body's; to another body they mean nothing
            known = self.body.name == "open-neutral"
            betas = self._shape(track, lifted.betas if known else np.zeros_like(lifted.betas))
        return self._solved(track, betas)

    def _posed(self, state: _State, betas: np.ndarray) -> terms.Posed:
        """The body in every pose of a state."""
        rest = self.body.rest_joints_m(betas)
        turned, joints = forward_kinematics(state.rotations, rest, state.root_m)
        influences = self.markers.influences_m(turned, joints, betas)
        return terms.Posed(turned, joints, influences, self.markers.blend(influences))

    def _start(self, seen: Seen, betas: np.ndarray) -> _State:
        """The lifted pose, put where the landmarks are seen."""
        local = parent_relative(seen.prior)
        local[:, terms.FIXED] = np.eye(3)
        state = _State(local, np.zeros((len(local), 3)))
        markers = self._posed(state, betas).markers_m
        return _State(local, _placed(markers, seen))

    def _shape(self, track: SeenTrack, prior: np.ndarray) -> np.ndarray:
        """Betas (10,) from up to 120 frames spread over the track, poses solved along."""
        useful = track.useful()
        if not len(useful):
            return np.array(prior, float)
        chosen = useful[np.unique(np.linspace(0, len(useful) - 1, 120).astype(int))]
        some, betas = track.frames(chosen), np.array(prior, float)
        state = self._start(some, betas)
        deviation = self.settings.beta * min(1.0, self.settings.shape_frames / len(chosen)) ** 0.5
        for robust_m in np.geomspace(*self.settings.robust_m, 6):
            system, jacobian, posed, weights = self._frame_terms(some, state, betas, robust_m)
            by_beta = self._shape_jacobian(posed, betas)
            residuals = self.reprojection.residuals(posed, some.rays)
            step, change = _with_shape(
                system, jacobian, by_beta, residuals, weights, (betas - prior, deviation)
            )
            state, betas = state.moved(step), betas + change
        return betas

    def _solved(self, track: SeenTrack, betas: np.ndarray) -> Fitted:
        """All frames, window by window; each starts where the one before it ended."""
        settings, frames = self.settings, len(track.times_s)
        rotations = np.empty((frames, JOINT_COUNT, 3, 3), np.float32)  # a clip may be long
        root, distance = np.empty((frames, 3)), np.empty((frames, COUNT), np.float32)
        first = pinned = 0
        while True:
            last = min(first + settings.window, frames)
            last = frames if frames - last < settings.overlap else last
            window = slice(first, last)
            seen = track.frames(window)
            start = self._start(seen, betas)
            before = slice(first, first + pinned)
            start.rotations[:pinned], start.root_m[:pinned] = rotations[before], root[before]
            solved = self._solve(seen, start, betas, pinned)
            rotations[window], root[window] = solved.rotations, solved.root_m
            distance[window] = self._distance_m(seen, solved, betas)
            if last == frames:
                return Fitted(SmplParams(rotations, root, betas), distance)
            first, pinned = last - settings.overlap, 2

    def _distance_m(self, seen: Seen, state: _State, betas: np.ndarray) -> np.ndarray:
        residuals = self.reprojection.residuals(self._posed(state, betas), seen.rays)
        return np.where(seen.weights > 0, np.linalg.norm(residuals, axis=-1), np.nan)

    def _solve(self, seen: Seen, state: _State, betas: np.ndarray, pinned: int) -> _State:
        """One window: every other frame first, then all."""
        settings = self.settings
        scales = np.geomspace(*settings.robust_m, settings.coarse_steps)
        if len(seen.times_s) >= 8:
            coarse = state[::2]
            for robust_m in scales:
                coarse = self._step(seen[::2], coarse, betas, robust_m, (pinned + 1) // 2)
            state = _between(state, coarse)
            scales = np.full(settings.fine_steps, settings.robust_m[1])
        for robust_m in scales:
            state = self._step(seen, state, betas, robust_m, pinned)
        return state

    def _step(
        self, seen: Seen, state: _State, betas: np.ndarray, robust_m: float, pinned: int
    ) -> _State:
        system, _, posed, _ = self._frame_terms(seen, state, betas, robust_m)
        self._add_plants(system, seen, posed)
        self._add_smoothness(system, seen.times_s, state)
        if pinned:
            np.einsum("tii->ti", system.blocks)[:pinned] += 1e9
            system.gradient[:pinned] = 0
        return state.moved(_bounded(system.solve(damping=1e-4)))

    def _frame_terms(
        self, seen: Seen, state: _State, betas: np.ndarray, robust_m: float
    ) -> tuple[BandedSystem, np.ndarray, terms.Posed, np.ndarray]:
        """Everything but smoothness: the system, the markers' Jacobian, pose and final weights."""
        system = BandedSystem.zeros(len(seen.times_s), terms.UNKNOWNS)
        posed = self._posed(state, betas)
        residuals = self.reprojection.residuals(posed, seen.rays)
        squares = (residuals**2).sum(-1)
        weights = seen.weights * (robust_m**2 / (squares + robust_m**2)) ** 2
        jacobian = self.reprojection.jacobian(posed)
        self.reprojection.add(system, jacobian, residuals, weights)
        turns = terms.orientation_residuals(posed.turned, seen.prior)
        sure = seen.prior_weights / (1 + (turns**2).sum(-1) / SURE_RAD**2)
        sure[:, terms.FIXED] = 0
        terms.add_orientations(system, posed.turned, turns, sure)
        self._add_joint_terms(system, state, seen)
        return system, jacobian, posed, weights

    def _add_joint_terms(self, system: BandedSystem, state: _State, seen: Seen) -> None:
        """Limits, and the stiffness of joints that bend little."""
        angles = np.zeros((len(seen.times_s), terms.UNKNOWNS))
        vectors = to_axis_angle(state.rotations[:, terms.MOVING])
        angles[:, 3:] = vectors.reshape(len(angles), -1)
        excess = angles - angles.clip(LOWEST_RAD, HIGHEST_RAD)
        terms.add_diagonal(system, excess, np.where(excess != 0, LIMIT_WEIGHT, 0.0))
        stiffness = np.broadcast_to(STIFFNESS / self.settings.rest_rad**2, angles.shape)
        terms.add_diagonal(system, angles, stiffness)
        terms.add_diagonal(system, np.zeros_like(angles), np.full_like(angles, 1e-3))

    def _add_plants(self, system: BandedSystem, seen: Seen, posed: terms.Posed) -> None:
        """Feet on the ground do not slide: a speed, robustly, since the lifter may be wrong."""
        steps_s = np.diff(seen.times_s)[:, None]
        sure = np.minimum(seen.planted[:-1], seen.planted[1:])
        if not sure.any():
            return
        moved = np.diff(posed.markers_m[:, self.planted.POINTS], axis=0)
        deviation = self.settings.plant_m_s
        speed = np.linalg.norm(moved, axis=-1) / steps_s / deviation
        weights = sure / (1 + speed**2 / 9) * 30 / (deviation**2 * steps_s)
        self.planted.add(system, posed, weights)

    def _add_smoothness(self, system: BandedSystem, times_s: np.ndarray, state: _State) -> None:
        if len(times_s) < 3:
            return
        settings = self.settings
        relative = np.swapaxes(state.rotations[:-1], -1, -2) @ state.rotations[1:]
        speed = np.zeros((len(times_s) - 1, terms.UNKNOWNS))
        speed[:, :3] = np.diff(state.root_m, axis=0)
        speed[:, 3:] = to_axis_angle(relative[:, terms.MOVING]).reshape(len(speed), -1)
        coefficients = terms.second_difference(times_s)
        acceleration = coefficients[:, 2:] * speed[1:] - coefficients[:, :1] * speed[:-1]
        deviation = np.full(terms.UNKNOWNS, settings.acceleration) / LEVER_M
        deviation[:3] = settings.root_acceleration
        size = (acceleration / deviation).reshape(len(acceleration), -1, 3)
        strike = 1 + (size**2).sum(-1, keepdims=True) / 9
        weights = np.repeat(1 / strike[..., 0], 3, axis=-1) / deviation**2
        seconds = (times_s[2:] - times_s[:-2]) / 2
        system.add_squares(coefficients, weights * (30 * seconds)[:, None], acceleration)

    def _shape_jacobian(self, posed: terms.Posed, betas: np.ndarray) -> np.ndarray:
        """(T, 27, 2, 10): how the markers' residuals move with the betas."""
        per_joint = self.body.joint_shape_directions[:, :, : len(betas)]
        moved = [np.zeros((len(posed.turned), 3, len(betas)))]
        for j, parent in list(enumerate(PARENTS))[1:]:
            bone = per_joint[j] - per_joint[parent]
            moved.append(moved[parent] + posed.turned[:, parent] @ bone)
        joints = np.stack(moved, 1)
        offsets = posed.turned[:, self.markers.joint] @ self.markers.offset_per_beta
        influences = offsets + joints[:, self.markers.joint]
        points = np.einsum("kn,tncb->tkcb", self.markers.blending(), influences)
        ratio = (posed.markers_m[..., :2] / posed.markers_m[..., 2:])[..., None]
        scale = (posed.joints_m[:, :1, 2] / posed.markers_m[..., 2])[..., None, None]
        return scale * (points[:, :, :2] - ratio * points[:, :, 2:])


def _with_shape(
    system: BandedSystem,
    jacobian: np.ndarray,
    by_beta: np.ndarray,
    residuals: np.ndarray,
    weights: np.ndarray,
    prior: tuple[np.ndarray, float],
) -> tuple[np.ndarray, np.ndarray]:
    """One step of independent frames that share their betas: Schur complement on the betas."""
    frames, count = len(residuals), by_beta.shape[-1]
    away, deviation = prior
    rows = jacobian.reshape(frames, 2 * COUNT, -1)
    shape_rows = by_beta.reshape(frames, 2 * COUNT, count)
    w = np.repeat(weights, 2, axis=1)[..., None]
    cross = rows.transpose(0, 2, 1) @ (w * shape_rows)
    diagonal = np.einsum("tii->ti", system.blocks)
    diagonal *= 1 + 1e-4
    both = np.concatenate([cross, system.gradient[..., None]], -1)
    solved = np.linalg.solve(system.blocks, both)
    across = shape_rows.transpose(0, 2, 1)
    own = (across @ (w * shape_rows)).sum(0) + np.eye(count) / deviation**2
    pull = -(across @ (w * residuals.reshape(frames, -1, 1))).sum(0)[:, 0] - away / deviation**2
    own -= np.einsum("tub,tuc->bc", cross, solved[..., :count])
    pull -= np.einsum("tub,tu->b", cross, solved[..., count])
    change = np.linalg.solve(own, pull).clip(-1, 1)
    return _bounded(solved[..., count] - solved[..., :count] @ change), change


def _bounded(step: np.ndarray) -> np.ndarray:
    """A step of at most 0.5 rad and 1 m: what the linear terms can still mean."""
    limits = np.full(step.shape[-1], 0.5)
    limits[:3] = 1.0
    return step.clip(-limits, limits)


def _placed(markers_m: np.ndarray, seen: Seen) -> np.ndarray:
    """Root positions (T, 3) that put root-centred markers (T, 27, 3) on their rays.

    X + t on the ray u means X_xy + t_xy = u (X_z + t_z): linear in t.  The trunk and legs decide,
    robustly over time; frames that see too little take their neighbours' place.
    """
    weights = seen.weights + 1e-12
    normal = np.zeros((*markers_m.shape[:2], 2, 3))
    normal[..., 0, 0] = normal[..., 1, 1] = 1
    normal[..., 2] = -seen.rays
    values = seen.rays * markers_m[..., 2:] - markers_m[..., :2]
    w = weights[..., None, None]
    matrix = (w * normal).transpose(0, 1, 3, 2) @ normal
    vector = ((w * normal).transpose(0, 1, 3, 2) @ values[..., None])[..., 0]
    matrix, vector = matrix.sum(1), vector.sum(1)
    matrix += np.eye(3) * (1e-6 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] + 1e-9)
    root = np.linalg.solve(matrix, vector[..., None])[..., 0]
    enough = ((seen.weights > 0).sum(1) >= 4) & (root[:, 2] > 0.3)
    if not enough.any():
        return np.tile([0.0, 0.0, 3.0], (len(root), 1))
    steps, known = np.arange(len(root)), np.flatnonzero(enough)
    return np.stack([np.interp(steps, known, root[known, axis]) for axis in range(3)], -1)


def _between(state: _State, coarse: _State) -> _State:
    """Put the coarse solution on even frames and half-way between on odd ones."""
    rotations, root = state.rotations.copy(), state.root_m.copy()
    rotations[::2], root[::2] = coarse.rotations, coarse.root_m
    odd = slice(1, 2 * len(coarse.root_m) - 1, 2)
    before, after = coarse[:-1], coarse[1:]
    half = to_axis_angle(np.swapaxes(before.rotations, -1, -2) @ after.rotations) / 2
    rotations[odd] = before.rotations @ from_axis_angle(half)
    root[odd] = (before.root_m + after.root_m) / 2
    return _State(rotations, root)

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

from staf_backend.body import SmplParams
from staf_backend.body.markers import COUNT, markers_of
from staf_backend.files import give_back_pages, long_array
from staf_backend.fit import terms
from staf_backend.fit.anatomy import FIXED, lever_m, limits_rad
from staf_backend.fit.banded import BandedSystem
from staf_backend.fit.chains import Posed
from staf_backend.fit.ground import PLANT_M_S, PLANT_OUTLIER_M_S, Ground
from staf_backend.fit.observations import Seen, SeenTrack
from staf_backend.fit.settings import (
    LIMIT_WEIGHT,
    OUTLIER_DEVIATIONS,
    REFERENCE_HZ,
    RIDGE,
    SURE_RAD,
    FitSettings,
    least_deviation_rad,
    stiffness,
)
from staf_backend.fit.shape import DAMPING, shape_jacobian, step_with_shape
from staf_backend.fit.state import State, between, bounded, placed
from staf_backend.fit.unknowns import ANGLES, ROOT, Unknowns
from staf_backend.geometry import forward_kinematics, parent_relative, to_axis_angle

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.landmarks import Lifted

_SHAPE_FRAMES, _SHAPE_STEPS = 120, 6
"""Frames that the shape is solved from, and its steps.  Chosen: more change it no more."""
_COARSE_FROM = 8
"""Frames from which every other one is solved first.  Chosen."""
_PINNED, _PIN_WEIGHT = 2, 1e9
"""Frames at a window's start that stay as the window before left them: two hold place and speed;
and the weight, 1/rad^2 and 1/m^2, that holds them.  Chosen: far above every other."""


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
        self.unknowns = Unknowns(body.skeleton, FIXED)
        self.reprojection = terms.Reprojection(self.markers, self.unknowns)
        self.planted = terms.Planted(self.markers, self.unknowns)
        self._lever_m, self._limits_rad = lever_m(self.unknowns), limits_rad(self.unknowns)
        self._stiffness = stiffness(self.unknowns) / self.settings.rest_rad**2

    def fit(
        self,
        rays: np.ndarray,
        confidence: np.ndarray,
        times_s: np.ndarray,
        lifted: "Lifted",
        betas: np.ndarray | None = None,
        ground: Ground | None = None,
        eye_m: np.ndarray | None = None,
        turns: np.ndarray | None = None,
    ) -> Fitted:
        """Fit one track.

        Args:
            rays: (T, 27, 2) viewing rays x/z, y/z of the markers, axes of each frame's camera; NaN
                where missing.
            confidence: (T, 27) 0..1; 0 for a frame that was filled in.
            times_s: (T,) strictly increasing.
            lifted: the first guess, of the same frames, in the answer's axes.
            betas: (10,) the person's shape where it is known already.
            ground: what a first pass found out about the ground; y of the answer then is down.
            eye_m: (T, 3) where a camera that travels stood, in the answer's axes: feet stand and
                people move evenly in the world, not beside the camera.  The answer's root stays
                beside the camera.
            turns: (T, 3, 3) from the answer's axes to those of each frame's camera; None where both
                are the same.

        Raises:
            ValueError: arrays that do not belong together.
        """
        frames = len(times_s)
        if rays.shape != (frames, COUNT, 2) or confidence.shape != (frames, COUNT):
            raise ValueError(
                f"rays must be ({frames}, {COUNT}, 2) and confidence ({frames}, {COUNT})"
            )
        least = least_deviation_rad(self.body.skeleton)
        track = SeenTrack(
            rays, confidence, times_s, lifted, self.settings, least, ground, eye_m, turns
        )
        if betas is None:
            # the lifter's betas are the open neutral body's; to another body they mean nothing
            known = self.body.name == "open-neutral"
            betas = self._shape(track, lifted.betas if known else np.zeros_like(lifted.betas))
        return self._solved(track, betas)

    def _posed(self, state: State, betas: np.ndarray) -> Posed:
        """The body in every pose of a state."""
        rest = self.body.rest_joints_m(betas)
        turned, joints = forward_kinematics(state.rotations, rest, state.root_m, self.body.skeleton)
        influences = self.markers.influences_m(turned, joints, betas)
        return Posed(turned, joints, influences, self.markers.blend(influences))

    def _start(self, seen: Seen, betas: np.ndarray) -> State:
        """The lifted pose, put where the landmarks are seen."""
        local = parent_relative(seen.prior, self.body.skeleton)
        local[:, self.unknowns.fixed] = np.eye(3)
        state = State(local, np.zeros((len(local), 3)))
        markers = self._posed(state, betas).markers_m
        return State(local, placed(markers, seen.rays, seen.weights, seen.turns))

    def _shape(self, track: SeenTrack, prior: np.ndarray) -> np.ndarray:
        """Betas (B,) from frames spread over the track, poses solved along."""
        useful = track.useful()
        if not len(useful):
            return np.array(prior, float)
        chosen = useful[np.unique(np.linspace(0, len(useful) - 1, _SHAPE_FRAMES).astype(int))]
        some, betas = track.frames(chosen), np.array(prior, float)
        state = self._start(some, betas)
        deviation = self.settings.beta * min(1.0, self.settings.shape_frames / len(chosen)) ** 0.5
        for robust_m in np.geomspace(*self.settings.robust_m, _SHAPE_STEPS):
            system, posed, weights = self._frame_terms(some, state, betas, robust_m)
            posed = posed.seen_by(some.turns)
            jacobian = self.reprojection.jacobian(posed)
            by_beta = shape_jacobian(self.body, self.markers, posed)
            residuals = self.reprojection.residuals(posed, some.rays)
            step, change = step_with_shape(
                system, jacobian, by_beta, residuals, weights, (betas - prior, deviation)
            )
            state, betas = state.moved(step, self.unknowns), betas + change
        return betas

    def _solved(self, track: SeenTrack, betas: np.ndarray) -> Fitted:
        """All frames, window by window; each starts where the one before it ended."""
        settings, frames = self.settings, len(track.times_s)
        rotations = long_array((frames, len(self.body.skeleton), 3, 3))
        root, distance = np.empty((frames, 3)), long_array((frames, COUNT))
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
            give_back_pages()
            if last == frames:
                return Fitted(SmplParams(rotations, root, betas), distance)
            first, pinned = last - settings.overlap, _PINNED

    def _distance_m(self, seen: Seen, state: State, betas: np.ndarray) -> np.ndarray:
        posed = self._posed(state, betas).seen_by(seen.turns)
        residuals = self.reprojection.residuals(posed, seen.rays)
        return np.where(seen.weights > 0, np.linalg.norm(residuals, axis=-1), np.nan)

    def _solve(self, seen: Seen, state: State, betas: np.ndarray, pinned: int) -> State:
        """One window: every other frame first, then all."""
        settings = self.settings
        scales = np.geomspace(*settings.robust_m, settings.coarse_steps)
        if len(seen.times_s) >= _COARSE_FROM:
            coarse = state[::2]
            for robust_m in scales:
                coarse = self._step(seen[::2], coarse, betas, robust_m, (pinned + 1) // 2)
            state = between(state, coarse)
            scales = np.full(settings.fine_steps, settings.robust_m[1])
        for robust_m in scales:
            state = self._step(seen, state, betas, robust_m, pinned)
        return state

    def _step(
        self, seen: Seen, state: State, betas: np.ndarray, robust_m: float, pinned: int
    ) -> State:
        system, posed, _ = self._frame_terms(seen, state, betas, robust_m)
        self._add_plants(system, seen, posed)
        self._add_smoothness(system, seen, state)
        if pinned:
            np.einsum("tii->ti", system.blocks)[:pinned] += _PIN_WEIGHT
            system.gradient[:pinned] = 0
        return state.moved(bounded(system.solve(DAMPING)), self.unknowns)

    def _frame_terms(
        self, seen: Seen, state: State, betas: np.ndarray, robust_m: float
    ) -> tuple[BandedSystem, Posed, np.ndarray]:
        """Everything but smoothness: the system, the pose, and the markers' final weights."""
        system = BandedSystem.zeros(len(seen.times_s), len(self.unknowns))
        posed = self._posed(state, betas)
        in_view = posed.seen_by(seen.turns)
        residuals = self.reprojection.residuals(in_view, seen.rays)
        squares = (residuals**2).sum(-1)
        weights = seen.weights * (robust_m**2 / (squares + robust_m**2)) ** 2
        self.reprojection.add(system, in_view, residuals, weights)
        turns = terms.orientation_residuals(posed.turned, seen.prior)
        sure = seen.prior_weights / (1 + (turns**2).sum(-1) / SURE_RAD**2)
        sure[:, self.unknowns.fixed] = 0
        terms.add_orientations(system, posed.turned, turns, sure, self.unknowns)
        self._add_joint_terms(system, state, seen)
        return system, posed, weights

    def _add_joint_terms(self, system: BandedSystem, state: State, seen: Seen) -> None:
        """Limits, and the stiffness of joints that bend little."""
        angles = np.zeros((len(seen.times_s), len(self.unknowns)))
        vectors = to_axis_angle(state.rotations[:, self.unknowns.moving])
        angles[:, ANGLES] = vectors.reshape(len(angles), -1)
        excess = angles - angles.clip(*self._limits_rad)
        terms.add_diagonal(system, excess, np.where(excess != 0, LIMIT_WEIGHT, 0.0))
        terms.add_diagonal(system, angles, np.broadcast_to(self._stiffness, angles.shape))
        terms.add_diagonal(system, np.zeros_like(angles), np.full_like(angles, RIDGE))

    def _add_plants(self, system: BandedSystem, seen: Seen, posed: Posed) -> None:
        """Feet on the ground do not slide: a speed, robustly, since the lifter may be wrong."""
        steps_s = np.diff(seen.times_s)[:, None]
        sure = np.minimum(seen.planted[:-1], seen.planted[1:])
        travel = None if seen.eye_m is None else np.diff(seen.eye_m, axis=0)
        moved = np.diff(posed.markers_m[:, self.planted.POINTS], axis=0)
        if travel is not None:
            moved = moved + travel[:, None]
        deviation, outlier = self.settings.plant_m_s, OUTLIER_DEVIATIONS
        if seen.ground is not None:
            deviation, outlier = PLANT_M_S, PLANT_OUTLIER_M_S / PLANT_M_S
        speed = np.linalg.norm(moved, axis=-1) / steps_s / deviation
        weights = sure / (1 + speed**2 / outlier**2)
        weights = weights * REFERENCE_HZ / (deviation**2 * steps_s)
        heights = None
        if seen.ground is not None:
            heights = self.planted.heights(posed, seen.ground, seen.times_s, seen.eye_m)
        self.planted.add(system, posed, weights, heights, travel)

    def _add_smoothness(self, system: BandedSystem, seen: Seen, state: State) -> None:
        times_s, settings = seen.times_s, self.settings
        if len(times_s) < 3:
            return
        relative = np.swapaxes(state.rotations[:-1], -1, -2) @ state.rotations[1:]
        speed = np.zeros((len(times_s) - 1, len(self.unknowns)))
        place_m = state.root_m if seen.eye_m is None else state.root_m + seen.eye_m
        speed[:, ROOT] = np.diff(place_m, axis=0)
        speed[:, ANGLES] = to_axis_angle(relative[:, self.unknowns.moving]).reshape(len(speed), -1)
        coefficients = terms.second_difference(times_s)
        acceleration = coefficients[:, 2:] * speed[1:] - coefficients[:, :1] * speed[:-1]
        deviation = settings.acceleration / self._lever_m
        deviation[ROOT] = settings.root_acceleration
        if seen.ground is not None:
            deviation = deviation * seen.ground.looseness.factors()[1:-1]
        size = (acceleration / deviation).reshape(len(acceleration), -1, 3)
        strike = 1 + (size**2).sum(-1, keepdims=True) / OUTLIER_DEVIATIONS**2
        weights = np.repeat(1 / strike[..., 0], 3, axis=-1) / deviation**2
        seconds = (times_s[2:] - times_s[:-2]) / 2
        system.add_squares(coefficients, weights * (REFERENCE_HZ * seconds)[:, None], acceleration)

"""Cameras and points that explain where corners were seen: bundle adjustment (Triggs et al., 2000).

A camera is a turn R (3, 3), from the world's axes to its own, and a place c (3,): it sees a point X
at the ray R (X - c).  Gauss-Newton, with points eliminated (the Schur complement) and outliers
weighed down (Geman-McClure).
"""

from typing import NamedTuple

import numpy as np

from staf_backend.geometry import from_axis_angle
from staf_backend.world.background import unit_rays

_NEAREST = 0.02
"""Least depth of a point, in units of what the first two cameras are apart; what is nearer counts
as behind the camera.  Chosen."""
_DAMPING, _LEAST = 1e-6, 1e-12
"""Share of each diagonal element that is added to it, and the least that is: the bundle may turn,
move and grow as a whole.  Chosen."""
_POSE_ROUNDS, _WIDER = 10, 16.0
"""Rounds for one camera at known points, and by how much outliers may be farther off in the first
of them; each round halves it.  Chosen."""


class Views(NamedTuple):
    """turns (K, 3, 3) and places (K, 3) of cameras."""

    turns: np.ndarray
    places: np.ndarray

    def moved(self, steps: np.ndarray) -> "Views":
        """After steps (K, 6): rotation vectors in camera axes, and ways in the world's."""
        return Views(from_axis_angle(steps[:, :3]) @ self.turns, self.places + steps[:, 3:])


class Looks(NamedTuple):
    """N looks: numbers of cameras (N,) and of points (N,), no pair twice, and rays x/z, y/z
    (N, 2)."""

    views: np.ndarray
    points: np.ndarray
    flat: np.ndarray


class Bundle(NamedTuple):
    """K cameras, (P, 3) points, and the focal length over the one that rays were made with."""

    views: Views
    points: np.ndarray
    longer: float = 1.0


def residuals(bundle: Bundle, looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """How far off looks are (N, 2), x/z and y/z, and whether what they see is ahead (N,)."""
    seen = _in_camera_axes(bundle, looks)
    return _off(seen, bundle.longer, looks), seen[:, 2] > _NEAREST


def adjusted(
    bundle: Bundle, looks: Looks, free: np.ndarray, scale: float, rounds: int, doubt: float = 0.0
) -> Bundle:
    """A bundle after some rounds of Gauss-Newton.

    Args:
        bundle: of K cameras and P points.
        looks: of these cameras at these points.
        free: (K,) bool, which cameras may move.
        scale: x/z from which a look counts less.
        rounds: how many.
        doubt: deviation of the logarithm of the focal length that the rays were made with; 0 where
            it is known.
    """
    loose = np.r_[np.repeat(free, 6), doubt > 0]
    tie = (scale / doubt) ** 2 if doubt > 0 else 0.0
    for _ in range(rounds):
        system = _System.of(bundle, looks, scale, tie)
        steps, shifts = system.solved(looks, loose, len(bundle.points))
        views, longer = bundle.views.moved(steps[:-1].reshape(-1, 6)), float(steps[-1])
        bundle = Bundle(views, bundle.points + shifts, bundle.longer + longer)
    return bundle


def lens_doubt(bundle: Bundle, looks: Looks, free: np.ndarray, scale: float, doubt: float) -> float:
    """Deviation of the logarithm of the focal length that is left; see `adjusted`."""
    if doubt <= 0:
        return 0.0
    loose = np.r_[np.repeat(free, 6), True]
    system = _System.of(bundle, looks, scale, (scale / doubt) ** 2)
    whole = system.reduced(looks, loose, len(bundle.points)).whole
    last = np.linalg.solve(whole, np.eye(len(whole))[-1])[-1]
    return float(scale * np.sqrt(max(last, 0.0)) / bundle.longer)


def posed(
    view: Views, points: np.ndarray, flat: np.ndarray, scale: float
) -> tuple[Views, np.ndarray]:
    """One camera moved to where it sees known points; and how far off each still is (N,).

    Args:
        view: of one camera, where it may be.
        points: (N, 3).
        flat: (N, 2) their rays.
        scale: x/z from which a look counts less, in the end.
    """
    looks = Looks(np.zeros(len(points), int), np.arange(len(points)), flat)
    for wider in np.maximum(_WIDER / 2.0 ** np.arange(_POSE_ROUNDS), 1):
        system = _System.of(Bundle(view, points), looks, scale * wider, 0.0)
        whole, pull = system.of_views(looks, 1)
        whole, pull = whole[:6, :6], pull[:6]
        whole += np.eye(6) * (_DAMPING * np.trace(whole) + _LEAST)
        view = view.moved(-np.linalg.solve(whole, pull)[None])
    off, ahead = residuals(Bundle(view, points), looks)
    return view, np.where(ahead, np.linalg.norm(off, axis=1), np.inf)


def triangulated(views: Views, looks: Looks, count: int) -> np.ndarray:
    """(P, 3) points nearest to all their rays.

    Args:
        views: of K cameras.
        looks: of these.
        count: of points.
    """
    ways = (unit_rays(looks.flat)[:, None] @ views.turns[looks.views])[:, 0]
    across = np.eye(3) - ways[:, :, None] * ways[:, None]
    left = _sums(across, looks.points, count)
    right = _sums((across @ views.places[looks.views][..., None])[..., 0], looks.points, count)
    return np.linalg.solve(left + 1e-9 * np.eye(3), right[..., None])[..., 0]


class _Reduced(NamedTuple):
    """The normal equations of what may change of cameras and focal length, their right side, and
    what points follow from: (6 K + 1, 3 P), (P, 3, 3) and (P, 3)."""

    whole: np.ndarray
    right: np.ndarray
    wide: np.ndarray
    inverse: np.ndarray
    push: np.ndarray


class _System(NamedTuple):
    """What a step is found from: derivatives by a camera (N, 2, 6), by a point (N, 2, 3) and by the
    focal length (N, 2), residuals (N, 2), weights (N,), and how the focal length is tied to what it
    was: a weight, and that times how far it is."""

    by_view: np.ndarray
    by_point: np.ndarray
    by_longer: np.ndarray
    off: np.ndarray
    weights: np.ndarray
    tie: tuple[float, float]

    @classmethod
    def of(cls, bundle: Bundle, looks: Looks, scale: float, tie: float) -> "_System":
        """The system of a bundle; see `adjusted`."""
        seen, longer = _in_camera_axes(bundle, looks), bundle.longer
        off, ahead = _off(seen, longer, looks), np.maximum(seen[:, 2], _NEAREST)
        weights = (scale**2 / ((off**2).sum(1) + scale**2)) ** 2 * (seen[:, 2] > _NEAREST)
        flat = np.zeros((len(seen), 2, 3))
        flat[:, 0, 0] = flat[:, 1, 1] = longer / ahead
        flat[:, :, 2] = -longer * seen[:, :2] / ahead[:, None] ** 2
        x, y, z = seen.T
        none = np.zeros_like(x)
        turning = np.stack([none, z, -y, -z, none, x, y, -x, none], -1).reshape(-1, 3, 3)
        by_point = flat @ bundle.views.turns[looks.views]
        by_view = np.concatenate([flat @ turning, -by_point], -1)
        by_longer = (off + looks.flat) / longer
        return cls(by_view, by_point, by_longer, off, weights, (tie, tie * (longer - 1)))

    def solved(self, looks: Looks, loose: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps (6 K + 1,) of cameras and of the focal length, and of points (P, 3).

        Args:
            looks: of cameras at points.
            loose: (6 K + 1,) bool, what may change.
            count: of points.
        """
        from scipy.linalg import solve

        known = self.reduced(looks, loose, count)
        steps = np.zeros(len(loose))
        steps[loose] = solve(known.whole, known.right[loose], assume_a="sym")
        lean = (steps @ known.wide).reshape(-1, 3)
        return steps, -(known.inverse @ (known.push + lean)[..., None])[..., 0]

    def reduced(self, looks: Looks, loose: np.ndarray, count: int) -> "_Reduced":
        """The system without its points; see `solved`."""
        whole, pull = self.of_views(looks, len(loose) // 6)
        own, push = self._of_points(looks, count)
        inverse = np.linalg.inv(own)
        shared = self._shared(looks, len(loose) // 6, count)
        inner = (shared[:, :, None] @ inverse).reshape(len(loose), -1)
        wide = shared.reshape(len(loose), -1)
        whole = (whole - inner @ wide.T)[np.ix_(loose, loose)]
        np.einsum("ii->i", whole)[...] += _DAMPING * np.abs(np.diag(whole)) + _LEAST
        return _Reduced(whole, inner @ push.reshape(-1) - pull, wide, inverse, push)

    def of_views(self, looks: Looks, cameras: int) -> tuple[np.ndarray, np.ndarray]:
        """The normal equations of cameras and focal length: (6 K + 1, 6 K + 1) and (6 K + 1,)."""
        weighted = self.by_view.swapaxes(1, 2) * self.weights[:, None, None]
        right = np.stack([self.off, self.by_longer], axis=-1)
        blocks = _sums(weighted @ self.by_view, looks.views, cameras)
        pull, beside = np.moveaxis(_sums(weighted @ right, looks.views, cameras), -1, 0)
        whole, rows = np.zeros((6 * cameras + 1, 6 * cameras + 1)), np.arange(cameras)
        whole[:-1, :-1].reshape(cameras, 6, cameras, 6)[rows, :, rows] += blocks
        whole[-1, :-1] = whole[:-1, -1] = beside.reshape(-1)
        longer = self.weights[:, None] * self.by_longer
        whole[-1, -1] = (longer * self.by_longer).sum() + self.tie[0]
        return whole, np.r_[pull.reshape(-1), (longer * self.off).sum() + self.tie[1]]

    def _of_points(self, looks: Looks, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The normal equations of points: (P, 3, 3) and (P, 3)."""
        weighted = self.by_point.swapaxes(1, 2) * self.weights[:, None, None]
        own = _sums(weighted @ self.by_point, looks.points, count)
        push = _sums((weighted @ self.off[..., None])[..., 0], looks.points, count)
        least = _DAMPING * np.trace(own, axis1=1, axis2=2) + _LEAST
        return own + least[:, None, None] * np.eye(3), push

    def _shared(self, looks: Looks, cameras: int, count: int) -> np.ndarray:
        """(6 K + 1, P, 3) of the normal equations: cameras and focal length beside points."""
        weighted = self.by_view.swapaxes(1, 2) * self.weights[:, None, None]
        pairs = np.zeros((cameras, count, 6, 3))
        pairs[looks.views, looks.points] = weighted @ self.by_point  # once each
        shared = np.zeros((6 * cameras + 1, count, 3))
        shared[:-1] = pairs.transpose(0, 2, 1, 3).reshape(-1, count, 3)
        longer = self.by_longer * self.weights[:, None]
        shared[-1] = _sums((longer[:, None] @ self.by_point)[:, 0], looks.points, count)
        return shared


def _in_camera_axes(bundle: Bundle, looks: Looks) -> np.ndarray:
    """(N, 3) where looks see their points."""
    away = bundle.points[looks.points] - bundle.views.places[looks.views]
    return (bundle.views.turns[looks.views] @ away[..., None])[..., 0]


def _off(seen: np.ndarray, longer: float, looks: Looks) -> np.ndarray:
    return longer * seen[:, :2] / np.maximum(seen[:, 2:], _NEAREST) - looks.flat


def _sums(values: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """(count, ...) sums of the values (N, ...) that have each number (N,)."""
    if count == 1:
        return values.sum(0)[None]
    flat = values.reshape(len(values), -1)
    columns = [np.bincount(numbers, column, count) for column in flat.T]
    return np.stack(columns, axis=-1).reshape(count, *values.shape[1:])

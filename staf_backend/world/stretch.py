"""One stretch of film whose frames can be compared, and how the camera was turned at each."""

from collections.abc import Sequence

import numpy as np

from staf_backend.world.background import Key, Lens, Seen, between, look, new_key
from staf_backend.world.corners import Corners
from staf_backend.world.odometry import Journey, journey

_WORN = 0.5
"""Share of the corners once found below which another key frame is taken.  Chosen."""
_NEAR_RAD = np.radians(8)
"""An older key this near is taken again, which closes the loop.  Chosen: most of it is in view."""
_MOST_KEYS = 40
"""Kept.  Chosen: 5 MB at most."""
_LONGEST = 20_000
"""Frames of a journey, at most.  Chosen: 50 MB of corners."""
_MOST_BLIND = 6
"""Frames in a row that tell nothing, after which a stretch has ended.  Chosen: a flash is over."""


class Stretch:
    """Frames from `first` on.

    Attributes:
        first: number of the first frame.
        turns: (3, 3) of each frame, from the first one's camera axes to its own.
        seen: what each said; None where it told nothing.

    Args:
        lens: of the camera.
        first: number of the first frame.
        travels: whether the camera may travel.
    """

    def __init__(self, lens: Lens, first: int, travels: bool = True) -> None:
        self.first = first
        self.turns: list[np.ndarray] = []
        self.seen: list[Seen | None] = []
        self._lens = lens
        self._keys: list[Key] = []
        self._most_found = 0
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._blind: list[tuple[np.ndarray, np.ndarray]] = []
        self._corners = Corners(lens) if travels else None
        self._journey: tuple[int, Journey | None] | None = None

    def __len__(self) -> int:
        return len(self.turns)

    def at_rest(self, grey: np.ndarray, boxes_px: np.ndarray) -> Seen | None:
        """A frame beside the first one, whose turn is none."""
        if not self._keys:
            return None
        return look(self._lens, self._keys[0], grey, boxes_px, np.eye(3))

    def rest(self, seen: Seen, count: int) -> None:
        """Frames whose camera is as it was at the first."""
        self.turns += [np.eye(3)] * count
        self.seen += [seen._replace(turn=np.eye(3))] * count

    def add(self, grey: np.ndarray, boxes_px: np.ndarray) -> Sequence[tuple]:
        """The next frame: its small picture, and people (P, 4) in it.

        Returns:
            frames (as given) that belong to another stretch, since they tell nothing here.
        """
        seen = self._compare(grey, boxes_px) if self._keys else None
        turn = seen.turn if seen else self._latest()
        if not self._keys:
            self._take_key(grey, boxes_px, turn)
        elif seen:
            self._renew(seen, grey, boxes_px)
        self.turns.append(turn)
        self.seen.append(seen if seen or len(self) > 1 else _begun(self._keys))
        if self._corners is not None:
            self._corners.add(grey, boxes_px)
            if len(self._corners.frames) > _LONGEST:
                self._corners = None
        if seen or not self._keys:
            self._before, self._blind = (grey, boxes_px), []
            return ()
        if len(self) > 1:
            self._blind.append((grey, boxes_px))
        return self._end() if len(self._blind) > _MOST_BLIND else ()

    def filled_turns(self) -> np.ndarray:
        """(T, 3, 3) the turns; those of frames that told nothing lie between their neighbours."""
        known = np.flatnonzero([seen is not None for seen in self.seen])
        return between(np.array(self.turns), known)

    def journey(self, lens_doubt: float) -> Journey | None:
        """The journey of the camera, (T,) frames; None where the corners do not tell of one.

        Args:
            lens_doubt: see `odometry.journey`.
        """
        if self._corners is None:
            return None
        if self._journey is None or self._journey[0] != len(self):
            found = journey(self._corners.frames, self._lens, lens_doubt)
            self._journey = len(self), found and found.after(len(self) - len(found.known))
        return self._journey[1]

    def _latest(self) -> np.ndarray:
        return self.turns[-1] if self.turns else np.eye(3)

    def _compare(self, grey: np.ndarray, boxes_px: np.ndarray) -> Seen | None:
        """By the newest key where the turn goes on, or stops; else by the frame before."""
        latest = self._latest()
        step = latest @ self.turns[-2].T if len(self) > 1 else np.eye(3)
        guesses = (step @ latest, latest)
        for guess in guesses:
            seen = look(self._lens, self._keys[-1], grey, boxes_px, guess)
            if seen:
                return seen
        if self._before is None or not self._take_key(*self._before, latest):
            return None
        found = (look(self._lens, self._keys[-1], grey, boxes_px, guess) for guess in guesses)
        return next((seen for seen in found if seen), None)

    def _renew(self, seen: Seen, grey: np.ndarray, boxes_px: np.ndarray) -> None:
        """Another key where the newest has lost too many of its corners: an old one, or a new."""
        self._most_found = max(self._most_found, seen.found)
        if seen.found >= _WORN * self._most_found:
            return
        others = self._keys[:-1]
        away = [_angle_rad(key.turn, seen.turn) for key in others]
        if others and min(away) < _NEAR_RAD:
            self._keys.append(self._keys.pop(int(np.argmin(away))))
            self._most_found = 0
        else:
            self._take_key(grey, boxes_px, seen.turn)

    def _take_key(self, grey: np.ndarray, boxes_px: np.ndarray, turn: np.ndarray) -> bool:
        key = new_key(self._lens, grey, boxes_px, turn)
        if key is None:
            return False
        self._keys = [*self._keys[-_MOST_KEYS + 1 :], key]
        self._most_found = 0
        return True

    def _end(self) -> Sequence[tuple]:
        """Give the blind frames at the end away."""
        count, blind = len(self._blind), self._blind
        del self.turns[-count:], self.seen[-count:]
        if self._corners is not None:
            self._corners.drop(count)
        self._blind = []
        return blind


def _begun(keys: list[Key]) -> Seen | None:
    """Of a first frame, which is its own key."""
    return Seen(np.eye(3), len(keys[0].rays), 1.0, 0.0, 1.0) if keys else None


def _angle_rad(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.arccos(np.clip((np.trace(one @ other.T) - 1) / 2, -1, 1)))

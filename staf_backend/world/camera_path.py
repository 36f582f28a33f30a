"""Whether and how the camera turned while it filmed: decided while other steps look at the frames.

    first frame ──► key ──► every fourth frame: nothing moved? ──► still, nothing is changed
                                │ it did
                                └─► every frame against its key ──► turns of a stretch of film

A stretch ends where frames cannot be compared: at a cut, and where the camera whips.  All people of
a stretch share one set of axes: those of its frame that looks most nearly where all do on average.
"""

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from staf_backend.choices import CameraChoice
from staf_backend.geometry import Camera, CameraMotion, to_axis_angle
from staf_backend.people import Track
from staf_backend.video import Picture
from staf_backend.world.background import Lens
from staf_backend.world.odometry import Journey
from staf_backend.world.stretch import Stretch

_log = logging.getLogger(__name__)

_EVERY = 4
"""Frames of which one is looked at while the camera rests.  Chosen: an eighth of a second."""
_REST_PX = 0.35
"""Median way of the background's corners below which the camera rests.  Chosen: noise of film."""
_REST_SHARE = 0.35
"""Of the corners that stay exactly: then the camera rests, and other things move.  Chosen."""
_STILL_PX, _STILL_SHARE = 0.6, 0.98
"""A camera stood still where it turned by less than this (pixels of the small picture, about 0.06
degrees) in this share of its frames.  Chosen: 5 mm at 5 m, less than the noise of landmarks."""
_TURNED_SHARE, _TELLING_SHARE = 0.6, 0.3
"""Of the corners that must agree on a rotation, as a median over frames: above the first the
camera turned on the spot, below the second nobody can tell.  Chosen: real footage turned by known
angles gave 0.69 to 1.00."""
_SURELY_TURNED = 0.95
"""Of the corners, above which nobody asks whether the camera travelled.  Chosen."""
_LENS_DOUBT = 0.2
"""Deviation of the logarithm of a focal length that is assumed.  Chosen, as in `walk_lens`."""
_LEAST_WAY = 0.05
"""Of how far away the background is, that a camera which travels gets about.  Chosen: hands sway by
1 % of it."""
_MOST_BLIND = 0.1
"""Share of frames that may tell nothing.  Chosen: between two that do, a turn is drawn straight."""
_WIDE = np.cos(np.radians(65))
"""Cosine of the angle to a stretch's axes from which a turn without its way misleads.  Chosen: who
stands inside a half circle would be carried round the camera."""
_PAD = 0.15
"""Of a person's height, around the key points.  Chosen: hands, feet and hair."""

_UNSURE = {
    "dark": "The background shows too little to tell whether the camera moves",
    "broken": "The camera moves too fast, or before too little background, to be followed",
    "wide": "The camera goes so far round that its way cannot be told",
    "doubt": "What moves in the background does not tell how the camera moves",
}


class CameraFollower:
    """Feed frames in order with `see`; afterwards ask for the turns of a track's frames.

    Args:
        camera: that filmed.
        tracks: everybody who was found, also those whose motion is not asked for.
        choice: what the user says of the camera.
    """

    def __init__(self, camera: Camera, tracks: Sequence[Track], choice: CameraChoice) -> None:
        self._lens, self._choice = Lens.of(camera), choice
        self._lens_doubt = _LENS_DOUBT if camera.focal_source == "assumed" else 0.0
        factor = self._lens.focal_px / camera.focal_px
        self._people = [(int(t.frames[0]), _boxes(t) * factor) for t in tracks]
        self._stretches: list[Stretch] = []
        self._waiting: list[tuple[int, Picture]] = []
        self._resting = True
        self._travels = choice in ("auto", "moving")
        self._told: set[str] = set()

    def see(self, frame: int, picture: Picture) -> None:
        """The next frame: its number and its picture."""
        if self._choice == "still":
            return
        self._waiting.append((frame, picture))
        if not self._resting or len(self._waiting) >= _EVERY:
            self._take()

    def kind(self, frames: np.ndarray) -> CameraMotion:
        """How the camera behaved during consecutive frames (T,) of a track, all seen."""
        return self._decided(frames)[0]

    def turns(self, frames: np.ndarray) -> np.ndarray | None:
        """Turns (T, 3, 3) from the motion's camera axes to those of each frame's camera.

        Args:
            frames: (T,) consecutive numbers of a track's frames, all seen.

        Returns:
            None where nothing is to be turned: the camera stood still, or nobody can tell.
        """
        kind, stretch = self._decided(frames)
        if stretch is None or kind in ("still", "unsure"):
            return None
        return self._reference(stretch)[0][frames - stretch.first]

    def journey(self, frames: np.ndarray) -> tuple[int, Journey] | None:
        """The journey of a camera that travels, in the axes of `turns`, and the number of its first
        frame.

        Args:
            frames: (T,) consecutive numbers of a track's frames, all seen.

        Returns:
            None where the camera does not travel, or nobody can tell how.
        """
        kind, stretch = self._decided(frames)
        if stretch is None or kind != "moving":
            return None
        journey = self._reference(stretch)[1]
        return None if journey is None else (stretch.first, journey)

    def places_m(self, _frames: np.ndarray) -> None:
        """Nobody has measured the way yet."""

    def floor_up(self, _frames: np.ndarray) -> None:
        """Nobody has looked for a floor yet."""

    def _decided(self, frames: np.ndarray) -> tuple[CameraMotion, Stretch | None]:
        if self._choice == "still":
            return "still", None
        self._take()
        stretch = next((s for s in reversed(self._stretches) if s.first <= frames[0]), None)
        if stretch is None or frames[-1] >= stretch.first + len(stretch):
            return self._unsure("broken"), None
        told = [seen for seen in stretch.seen if seen]
        if self._journey(stretch) is not None:
            return "moving", stretch
        if len(told) < (1 - _MOST_BLIND) * len(stretch):
            return self._unsure("dark"), None
        if _is_still(stretch, self._lens):
            return "still", None
        share = float(np.median([seen.agree for seen in told]))
        if share < _TELLING_SHARE:
            return self._unsure("doubt"), None
        if self._partial_journey(stretch) is not None and self._is_wide(stretch):
            return self._unsure("wide"), None
        travels = self._choice == "moving" or (self._choice == "auto" and share < _TURNED_SHARE)
        return "moving" if travels else "rotating", stretch

    def _journey(self, stretch: Stretch) -> Journey | None:
        """The journey of a camera that did not only turn; None where it cannot be told."""
        journey = self._partial_journey(stretch)
        told = journey is not None and journey.known.mean() >= 1 - _MOST_BLIND
        return journey if told else None

    def _partial_journey(self, stretch: Stretch) -> Journey | None:
        """The same, of which frames may be missing."""
        told = [seen.agree for seen in stretch.seen if seen]
        turned = len(told) > (1 - _MOST_BLIND) * len(stretch) and np.median(told) > _SURELY_TURNED
        if self._choice == "auto" and (turned or (told and _is_still(stretch, self._lens))):
            return None
        journey = stretch.journey(self._lens_doubt)
        if journey is None:
            return None
        way = np.ptp(journey.places[journey.known], axis=0)
        away = np.linalg.norm(journey.points - journey.places[journey.known].mean(0), axis=1)
        return journey if np.linalg.norm(way) > _LEAST_WAY * np.median(away) else None

    def _reference(self, stretch: Stretch) -> tuple[np.ndarray, Journey | None]:
        """(T, 3, 3) turns from the frame that looks most nearly where all do on average, and the
        journey in the axes of its camera, which begins where the first frame was filmed."""
        journey = self._journey(stretch)
        if journey is None:
            return _about(stretch.filled_turns())[0], None
        full = journey.filled()
        turns, reference = _about(full.turns)
        moved = [(points - full.places[0]) @ reference.T for points in (full.places, full.points)]
        return turns, dataclasses.replace(full, turns=turns, places=moved[0], points=moved[1])

    def _is_wide(self, stretch: Stretch) -> bool:
        return bool((self._reference(stretch)[0][:, 2, 2] < _WIDE).any())

    def _unsure(self, why: str) -> CameraMotion:
        self._say(f"{_UNSURE[why]}: it is taken as still.")
        return "unsure"

    def _say(self, sentence: str) -> None:
        """Once a video."""
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s", sentence)

    def _take(self) -> None:
        """Take the frames that wait: all as still, where the camera rests and the last says so."""
        waiting, self._waiting = self._waiting, []
        if self._resting and waiting and self._stretches:
            frame, picture = waiting[-1]
            seen = self._stretches[-1].at_rest(self._lens.grey(picture), self._boxes_px(frame))
            if seen and (seen.moved_px < _REST_PX or seen.fixed > _REST_SHARE):
                self._stretches[-1].rest(seen, len(waiting))
                return
            self._resting = False
        for frame, picture in waiting:
            if not self._stretches:
                self._stretches.append(Stretch(self._lens, frame, self._travels))
            away = self._stretches[-1].add(self._lens.grey(picture), self._boxes_px(frame))
            if away:
                self._stretches.append(Stretch(self._lens, frame + 1 - len(away), self._travels))
                for grey, boxes_px in away:
                    self._stretches[-1].add(grey, boxes_px)

    def _boxes_px(self, frame: int) -> np.ndarray:
        """(P, 4) people on a frame, in the small picture."""
        here = [b[frame - first] for first, b in self._people if 0 <= frame - first < len(b)]
        return np.array(here).reshape(-1, 4)


def _boxes(track: Track) -> np.ndarray:
    """(T, 4) x0, y0, x1, y1 around a person's key points, and some more."""
    points, sides = track.keypoints_px[..., :2].astype(float), track.boxes_px[:, 2:]
    low, high = points.min(1) - _PAD * sides, points.max(1) + _PAD * sides
    return np.concatenate([low, high], 1)


def _is_still(stretch: Stretch, lens: Lens) -> bool:
    """Whether nearly all frames look where their median does."""
    turns = np.array([turn for turn, seen in zip(stretch.turns, stretch.seen, strict=True) if seen])
    vectors = to_axis_angle(turns)
    away_px = np.linalg.norm(vectors - np.median(vectors, 0), axis=1) * lens.focal_px
    return bool(np.quantile(away_px, _STILL_SHARE) < _STILL_PX)


def _about(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns (T, 3, 3) from the frame that looks most nearly where all do on average, and the turn
    (3, 3) to that from the axes they were in."""
    mean = turns[:, 2].sum(0)
    reference = turns[int((turns[:, 2] @ mean).argmax())]
    return turns @ reference.T, reference

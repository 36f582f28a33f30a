"""One person while they are followed: what is remembered of them."""

from dataclasses import dataclass, field

import numpy as np

from staf_backend.people.gallery import Gallery
from staf_backend.people.hits import Hit, HitLog
from staf_backend.people.predict import Prediction

SURE_SCORE = 0.35
"""Usual score of a person seen clearly.  Chosen: the detector's chance finds stay below."""
_SURE_HITS = 3
"""Chosen: chance finds do not come three times at one spot."""
_TRUSTED_SHARE = 0.6
"""Of a person's usual score: a hit below tells no velocity.  Measured on somebody who goes behind a
pillar: of half a person the detector makes a small one, who seems to fall."""
_SCORE_SHARE, _CLOTHES_SHARE = 0.2, 0.1
"""Of a new hit in what is remembered.  Chosen: five and ten hits, light changes more slowly."""


@dataclass
class Tracklet:
    """One person while they are followed.

    Attributes:
        shot: number of the shot (cuts so far); over a cut only looks join people.
        prediction: where they should be.
        score: their usual score, 0..1.
        clothes: (2, 216) the usual histograms of their clothes.
        hits: where they were seen.
        missed: frames on which the detector ran and they were not seen.
        gallery: looks at them.
    """

    shot: int
    prediction: Prediction
    score: float
    clothes: np.ndarray
    hits: HitLog = field(default_factory=HitLog)
    missed: set[int] = field(default_factory=set)
    gallery: Gallery = field(default_factory=Gallery)

    @classmethod
    def start(cls, shot: int, hit: Hit) -> "Tracklet":
        """A tracklet of one hit."""
        tracklet = cls(shot, Prediction(hit), hit.score, hit.clothes)
        tracklet.hits.append(hit)
        return tracklet

    @property
    def sure(self) -> bool:
        """Seen often and clearly enough to be a real person."""
        return len(self.hits) >= _SURE_HITS and self.score >= SURE_SCORE

    def add(self, hit: Hit, unobstructed: bool) -> None:
        """Seen again; the clothes are remembered only where nobody else is in the way."""
        self.prediction.correct(hit, hit.score >= _TRUSTED_SHARE * self.score)
        self.score += _SCORE_SHARE * (hit.score - self.score)
        if unobstructed:
            self.clothes = self.clothes + _CLOTHES_SHARE * (hit.clothes - self.clothes)
            if hit.look and self.gallery.wants(hit.time_s):
                self.gallery.add(hit.look.vector, hit.time_s)
        self.hits.append(hit)

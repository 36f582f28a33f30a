"""Looks at one person, spread over the time they were seen: who a new look is alike."""

import numpy as np

_APART_S = 0.25
"""Least time between two looks that are kept.  Chosen: nearer ones show the same side."""
_MOST = 12
"""Looks that are kept.  Chosen; beyond, every second goes, and they are kept half as often."""
_BEST_SHARE = 0.34
"""Of the most alike looks whose mean counts.  Chosen: a person seen from two sides is alike only
those of the one side."""


class Gallery:
    """Looks at one person on which nobody was in the way."""

    def __init__(self) -> None:
        self._looks: list[np.ndarray] = []
        self._last_s = -np.inf
        self._apart_s = _APART_S

    def __len__(self) -> int:
        return len(self._looks)

    def wants(self, time_s: float) -> bool:
        """Whether a look of this time would be kept."""
        return time_s - self._last_s >= self._apart_s

    def add(self, look: np.ndarray, time_s: float) -> None:
        """Keep a look (D,), if it is time."""
        if not self.wants(time_s):
            return
        self._looks.append(look)
        self._last_s = time_s
        if len(self._looks) > _MOST:
            del self._looks[1::2]
            self._apart_s *= 2

    def cosine(self, look: np.ndarray) -> float:
        """How alike a look (D,) is to the most alike ones: the mean of their cosines."""
        return _best(np.stack(self._looks) @ look)

    def cosine_to(self, other: "Gallery") -> float:
        """How alike another person's looks are."""
        return _best((np.stack(self._looks) @ np.stack(other._looks).T).ravel())


def _best(cosines: np.ndarray) -> float:
    count = max(1, round(_BEST_SHARE * len(cosines)))
    return float(np.sort(cosines)[-count:].mean())

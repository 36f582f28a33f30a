"""Begin and end: who is newly followed, and who no longer."""

from collections.abc import Sequence

from staf_backend.people.hits import Frame, Hit
from staf_backend.people.look_closer import CLEAR_SCORE, CloserLook
from staf_backend.people.match import is_same_person
from staf_backend.people.tracklet import Tracklet

_LONGEST_FOLLOWED_S = 0.5
"""Out of sight for longer, and nobody is expected any more.  Chosen: a prediction is worth nothing
by then; whoever comes back is joined by way, size and clothes (`join`)."""


def newcomers(
    frame: Frame, strangers: Sequence[Hit], known: Sequence[Hit], closer_look: CloserLook
) -> list[Hit]:
    """Strangers to follow from now on; of those seen badly, the clearest gets a closer look.

    Args:
        frame: the frame.
        strangers: hits that were matched with nobody.
        known: hits of those who are followed.
        closer_look: for the second look.
    """
    strangers = [hit for hit in strangers if not is_same_person(hit, known)]
    weak = [hit for hit in strangers if hit.score < CLEAR_SCORE]
    clear = [hit for hit in strangers if hit.score >= CLEAR_SCORE]
    begun: list[Hit] = []
    for hit in clear + closer_look.at_strangers(frame, weak, [*known, *clear]):
        if not is_same_person(hit, [*known, *begun]):
            begun.append(hit)
    return begun


def is_over(tracklet: Tracklet, time_s: float) -> bool:
    """Whether a person has been out of sight for too long."""
    return time_s - tracklet.prediction.last_s > _LONGEST_FOLLOWED_S

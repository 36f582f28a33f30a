"""Two ways to name the head points of motion-capture sets among the 49.

Human3.6M and MPI-INF-3DHP label a point in the face and the top of the head.  SPIN, and so the
paper's first stage, calls them jaw and head; VIBE, and so the paper's second stage and its scores,
calls them head and top of the head.
"""

HEADS = ("paper", "spin")
"""Whose names: STAF's second stage and its scores, VIBE's; or SPIN's, of the first stage."""
_NAMES = {"paper": {"face": "head", "top": "head_top"}, "spin": {"face": "jaw", "top": "head"}}


def named(points: tuple[str, ...], heads: str) -> tuple[str, ...]:
    """Points with "face" and "top" by the names of `heads`, "paper" or "spin"."""
    return tuple(_NAMES[heads].get(point, point) for point in points)

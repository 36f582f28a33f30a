"""Synthetic people as plain as they come: whole, alone, without flaws of a camera."""

import pytest

from training.synthetic import Degradation, Looks, SyntheticError, SyntheticRecipe, Views, draw

PLAIN = SyntheticRecipe(
    frames=(5, 9),
    part_frames=4,
    bodies=(("open-neutral", 1.0),),
    looks=Looks(0, 0, 1, 0, 0, 0, 0, 0, 0),
    views=Views(truncated=0.0),
    degradation=Degradation(0, 1, 0, 0, 0, 0, 0, 0),
)


def skip_without_drawing() -> None:
    """Skips the test where nothing can draw."""
    try:
        draw.renderer(PLAIN.pixels)
    except SyntheticError as error:
        pytest.skip(str(error))

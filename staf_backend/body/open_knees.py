"""The open bodies' knees, where thigh and shank meet.

hip     o          o     The file has the knee joint on the thigh, above where the skin goes over
        |          |     from thigh to shank: the shank came out 1.11 of the thigh, and behind a
knee    o          |     bent knee the calf stepped back.  The joint moves along the shank; mesh,
        |   ->     o     shapes and all other joints stay bit for bit.
        |          |
ankle   o          o
"""

import dataclasses

import numpy as np

from staf_backend.body.files import BodyArrays

_DOWN = 0.0514
"""Of the shank, by which the joint moves: makes it as long as the thigh, in the mean of the three
bodies, as people have it (0.246 and 0.245 of the height: Drillis and Contini 1966, in Winter,
"Biomechanics and Motor Control of Human Movement").  Knees then stand at 0.283 to 0.286 of the
height (people's at 0.285; in the file at 0.296 to 0.299), and behind them the skin is half the
thigh's and half the shank's at 0.280 to 0.288."""


def with_knees_in_place(arrays: BodyArrays) -> BodyArrays:
    """An open body whose knees are regressed to where they belong, in every shape.

    Args:
        arrays: of the body as its file has it, 24 joints.
    """
    regressor = np.array(arrays.regressor)
    for side in ("left", "right"):
        knee, ankle = (arrays.skeleton.index(f"{side}_{part}") for part in ("knee", "ankle"))
        regressor[knee] += _DOWN * (regressor[ankle] - regressor[knee])
    return dataclasses.replace(arrays, regressor=regressor)

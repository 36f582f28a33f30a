# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion of a person whose height is known: everything as many times as large.

One camera cannot tell a small person near by from a large one far off, so the picture stays the
same when person, way, and the camera's height above the floor grow together.  numpy only.
"""

import dataclasses

import numpy as np

from .body_file import BodyShape
from .motion_file import MotionClip


def height_m(body: BodyShape, betas: np.ndarray) -> float:
    """Of a body at rest."""
    return float(np.ptp(body.rest_vertices_m(betas)[:, 1]))


def resized(clip: MotionClip, factor: float) -> MotionClip:
    """The motion with every length times a factor."""
    film = clip.camera
    places = None if film.positions_m is None else film.positions_m * factor
    camera = dataclasses.replace(film, position_m=film.position_m * factor, positions_m=places)
    return dataclasses.replace(
        clip,
        root_m=clip.root_m * factor,
        rest_joints_m=clip.rest_joints_m * factor,
        contacts=tuple(
            dataclasses.replace(span, floor_m=span.floor_m * factor) for span in clip.contacts
        ),
        camera=camera,
    )


def resized_body(body: BodyShape, factor: float) -> BodyShape:
    """The body with every length times a factor."""
    names = ("template_m", "shape_directions", "joint_template_m", "joint_shape_directions")
    return dataclasses.replace(body, **{name: getattr(body, name) * factor for name in names})

"""Motions to USD (.usd, .usda, .usdc): skeletons, skinned bodies and their animation.

    /characters                   y up, metres
    └── person_1                  a SkelRoot; invisible where nobody was seen
        ├── skeleton              root ─ Pelvis ─ ...; the rest pose is the T-pose, soles at y = 0
        ├── animation             keys at the motion's own times
        ├── body                  the skinned mesh, bound to the skeleton
        └── material

Time code 0 is the first key of the file; there are as many time codes a second as the clip has
frames.  Several motions of one person follow each other in one animation, since a stage plays one.
Names are made valid for USD: `mixamorig:Hips` becomes `mixamorig_Hips`.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from staf_backend.body import Body
from staf_backend.choices import Look, RootMotion
from staf_backend.export.character import characters, checked_style
from staf_backend.files import OutputError, replace_atomically
from staf_backend.motion import Motion


def check_usd() -> None:
    """Refuse where USD cannot be written.

    Raises:
        OutputError: the package that writes it is not installed.
    """
    if importlib.util.find_spec("pxr") is None:
        raise OutputError("Writing USD needs the package usd-core.", "pip install usd-core")


def write_usd(
    path: str | os.PathLike[str],
    motions: Sequence[Motion],
    bodies: Mapping[str, Body],
    *,
    bone_names: str = "smpl",
    root_motion: RootMotion = "root",
    mesh: bool = True,
    look: Look = "textured",
) -> None:
    """Write motions as one stage, whole or not at all.

    Args:
        path: its suffix says which: .usda is text, .usdc and .usd are binary.
        motions, bodies, bone_names, root_motion, mesh, look: see `gltf.write_glb`.

    Raises:
        OutputError: the file cannot be written, or usd-core is not installed.
        MotionError: a motion's skeleton is neither SMPL's nor SMPL-H's, or not that of its body.
        ValueError: no motions, an unknown scheme, look or kind of root motion, or a body that
            is missing.
    """
    check_usd()
    from staf_backend.export.usd_stage import write_stage

    style = checked_style(motions, bodies, bone_names, root_motion, mesh, look)
    cast = characters(motions, bodies)
    with replace_atomically(path) as temporary:
        write_stage(temporary, Path(path), cast, style)

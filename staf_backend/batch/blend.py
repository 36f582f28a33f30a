"""Blender files of each clip: the add-on in a Blender without a window, as a child of its worker.

motions ─► motion files ─► blender --background (or Python with bpy) ─┬─► stem.blend
                                                 RIG.blend ───────────┴─► stem-RIG.blend
"""

import dataclasses
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from staf_backend.batch.rig import Rig
from staf_backend.blender.headless import BlendError, Program, run_inside
from staf_backend.motion import Motion, save_motion

_SCRIPT = "staf_blend.py"
"""Of the add-on, for inside Blender."""


@dataclass(frozen=True)
class Blending:
    """What Blender makes of each clip.

    Attributes:
        program: what to run.
        blend: a .blend with the clip's people, their camera and the footage behind them.
        rig: a .blend of the user's own, onto which they are put, too; None for none.
    """

    program: Program
    blend: bool
    rig: Rig | None

    def key(self) -> dict[str, Any]:
        """For `Recipe`: whatever changes the files changes it.

        Raises:
            RigError: a file of the rig cannot be read.
        """
        rig = self.rig.key() if self.rig else None
        return {"name": self.program.name, "blend": self.blend, "rig": rig}

    def as_values(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Blending":
        """Of `as_values`."""
        rig = values["rig"]
        return cls(Program(**values["program"]), values["blend"], Rig(**rig) if rig else None)


def check_rig(program: Program, rig: Rig) -> None:
    """Have Blender open the rig and find its bones, before the night.

    Raises:
        BlendError: it cannot wear a motion, or there is none in its file.
    """
    with tempfile.TemporaryDirectory(prefix="staf-rig-") as folder:
        work = Path(folder)
        run_inside(program, _SCRIPT, work, {"rig": dataclasses.asdict(rig)}, io.StringIO())


def write_blends(
    stem: Path,
    motions: Sequence[Motion],
    video: Path | None,
    kept: Path | None,
    blending: Blending,
    log: IO[str],
) -> list[Path]:
    """Write the .blend files of a clip, or of a character's takes.

    Args:
        stem: path of the files without their endings; its folder is used for what it takes
            meanwhile.
        motions: of the clip.
        video: the footage; None, or a folder of pictures: none.
        kept: the folder in which the motion files will lie; None where they are not kept.
        blending: what to make.
        log: gets what Blender says.

    Raises:
        BlendError: Blender refuses, or dies.
    """
    work = stem.with_name(f"{stem.name}.for-blender")
    work.mkdir()
    files = []
    for motion in motions:
        file = work / f"{motion.name}.npz"
        save_motion(file, motion)
        files.append({"file": str(file), "kept": str(kept / file.name) if kept else ""})
    made = stem.with_name(f"{stem.name}.blend") if blending.blend else None
    rig = blending.rig
    worn = stem.with_name(f"{stem.name}{rig.ending}") if rig else None
    order = {
        "motions": files,
        "video": str(video.resolve()) if video and video.is_file() else "",
        "blend": str(made) if made else "",
        "rig": dataclasses.asdict(rig) if rig else None,
        "worn": str(worn) if worn else "",
    }
    run_inside(blending.program, _SCRIPT, work, order, log)
    paths = [path for path in (made, worn) if path]
    for path in paths:
        if not path.is_file():
            raise BlendError(f"{blending.program.name} ended well, but wrote no {path.name}.")
    shutil.rmtree(work)
    return paths

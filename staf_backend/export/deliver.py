"""Motions to the files that were asked for: names, formats, one person or several.

A format is one row of `WRITERS`, and one module beside this that writes it.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend.choices import BoneScheme, BvhUnit, Look, OverlayView, RootMotion
from staf_backend.export.amass import save_amass
from staf_backend.export.bvh import write_bvh
from staf_backend.export.fbx import program_for_fbx, write_fbx
from staf_backend.export.gltf import write_glb
from staf_backend.export.usd import check_usd, write_usd
from staf_backend.export.vrma import write_vrma
from staf_backend.files import OutputError, real_path
from staf_backend.motion import Motion, part_names, person_name, save_motion

if TYPE_CHECKING:
    from staf_backend.pipeline import Solved
    from staf_backend.reporting import Report


@dataclass(frozen=True)
class Outputs:
    """The files a user wants of one video.

    Attributes:
        output: a file with a suffix of `WRITERS`, or a folder for .glb files.
        motion, amass, overlay, report: more files, or None.
        overlay_view: see `overlay.write_overlay`.
        bone_names, root_motion, mesh, look: see `gltf.write_glb`.
        together: one .glb, .fbx or .usd for all people instead of one each.
        bvh_unit: see `bvh.write_bvh`.
        blender: what writes .fbx, see `fbx.write_fbx`.
    """

    output: Path
    motion: Path | None = None
    amass: Path | None = None
    overlay: Path | None = None
    overlay_view: OverlayView = "side"
    report: Path | None = None
    bone_names: BoneScheme = "smpl"
    root_motion: RootMotion = "root"
    mesh: bool = True
    look: Look = "textured"
    together: bool = False
    bvh_unit: BvhUnit = "m"
    blender: Path | None = None

    def of(self, stem: str) -> "Outputs":
        """With every folder replaced by a file in it that is named after the video."""
        named = {
            name: _in_folder(getattr(self, name), stem, suffix)
            for name, suffix in (
                ("output", ".glb"),
                ("motion", ".npz"),
                ("amass", "_amass.npz"),
                ("overlay", ".mp4"),
                ("report", ".html"),
            )
        }
        return dataclasses.replace(self, **named)

    def check(self, source: Path | None = None) -> None:
        """Refuse what cannot be written before the work is done, not after it.

        Args:
            source: the footage, which no result may replace.

        Raises:
            OutputError: an unknown format, a place that cannot be written to, two results of one
                name, one with the name of the footage, or what writes the format is not installed.
            BlenderError: .fbx is wanted, and there is no Blender.
        """
        wanted = (
            (self.output, tuple(WRITERS)),
            (self.motion, (".npz",)),
            (self.amass, (".npz",)),
            (self.overlay, (".mp4", ".mov", ".mkv")),
            (self.report, (".html",)),
        )
        for path, suffixes in wanted:
            if path is not None:
                _check_place(path, suffixes)
        if self.motion is not None and self.output.suffix.lower() == ".npz":
            raise OutputError(f"{self.output} is the motion file already.", "Leave --motion out.")
        _check_apart([path for path, _ in wanted if path is not None], source)
        WRITERS[self.output.suffix.lower()].check(self)


@dataclass(frozen=True)
class Written:
    """What was written of one motion, and the precision that its estimator computed in."""

    motion: Motion
    files: tuple[Path, ...]
    motion_file: Path | None
    precision: str


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes:
        write: the file, its motions, what they stand on, the options for it, and who is told.
        paths: the file of each motion; motions of one path go into one file.
        slow: whether each file is worth a line of progress.
        check: refuses where what writes it is not installed.
    """

    write: Callable[[Path, Sequence[Motion], "Solved", Outputs, "Report"], None]
    paths: Callable[[Path, Sequence[Motion], Outputs], list[Path]]
    slow: bool = False
    check: Callable[[Outputs], object] = lambda _outputs: None


def is_folder(path: Path | str) -> bool:
    """Whether a path, as a user wrote it, means a folder."""
    return _is_dir(Path(path)) or str(path).endswith(("/", os.sep))


def _is_dir(path: Path) -> bool:
    """Raises OutputError where the system cannot even look: a name too long, say."""
    try:
        return path.is_dir()
    except OSError as error:
        raise OutputError.from_os(path, error) from error


def deliver(solved: "Solved", outputs: Outputs, report: "Report") -> list[Written]:
    """Write everything, each file whole or not at all.

    Args:
        solved: the motions.
        outputs: with files for all folders, see `Outputs.of`.
        report: told about progress.

    Raises:
        OutputError: a file cannot be written.
    """
    motions = solved.motions
    files: list[list[Path]] = [[] for _ in motions]
    motion_files: list[Path] | None = None
    report("write", 0, len(motions), "writing")
    for path, writer in _wanted(outputs):
        paths = writer.paths(path, motions, outputs)
        _write_all(writer, paths, solved, outputs, report)
        motion_files = paths if writer is MOTION_FILE else motion_files
        for written, one in zip(files, paths, strict=True):
            written.append(one)
    report("write", len(motions), len(motions), "written")
    return [
        Written(
            motion,
            tuple(files[i]),
            motion_files[i] if motion_files else None,
            solved.precision,
        )
        for i, motion in enumerate(motions)
    ]


def _wanted(outputs: Outputs) -> list[tuple[Path, Writer]]:
    """What to write, in order: the motion file first, so that it is there whatever comes after;
    what is drawn last, since it takes longest."""
    output = (outputs.output, WRITERS[outputs.output.suffix.lower()])
    more = [(outputs.motion, MOTION_FILE), (outputs.amass, AMASS_FILE)]
    drawn = [(outputs.overlay, OVERLAY), (outputs.report, PAGE)]
    first, last = ([one for one in some if one[0] is not None] for some in (more, drawn))
    asked = [output, *first] if output[1] is MOTION_FILE else [*first, output]
    return [(path, writer) for path, writer in [*asked, *last] if path is not None]


def _write_all(
    writer: Writer, paths: Sequence[Path], solved: "Solved", outputs: Outputs, report: "Report"
) -> None:
    for path in dict.fromkeys(paths):
        members = [i for i, one in enumerate(paths) if one == path]
        if writer.slow:
            report("write", members[0], len(paths), f"writing {path.name}")
        writer.write(path, [solved.motions[i] for i in members], solved, outputs, report)


def _write_motion(path: Path, motions: Sequence[Motion], *_: object) -> None:
    save_motion(path, motions[0])


def _write_amass(path: Path, motions: Sequence[Motion], *_: object) -> None:
    save_amass(path, motions[0])


def _skinned(write: Callable[..., None]) -> Callable[..., None]:
    """With `write_glb` or `write_usd`, which take the same words."""

    def written(
        path: Path, motions: Sequence[Motion], solved: "Solved", outputs: Outputs, _: "Report"
    ) -> None:
        write(
            path,
            motions,
            {solved.body.name: solved.body},
            bone_names=outputs.bone_names,
            root_motion=outputs.root_motion,
            mesh=outputs.mesh,
            look=outputs.look,
        )

    return written


def _write_bvh(
    path: Path, motions: Sequence[Motion], _solved: "Solved", outputs: Outputs, _: "Report"
) -> None:
    write_bvh(
        path,
        motions[0],
        bone_names=outputs.bone_names,
        root_motion=outputs.root_motion,
        unit=outputs.bvh_unit,
    )


def _write_vrma(
    path: Path, motions: Sequence[Motion], solved: "Solved", outputs: Outputs, _: "Report"
) -> None:
    write_vrma(path, motions[0], solved.body, root_motion=outputs.root_motion)


def _write_fbx(
    path: Path, motions: Sequence[Motion], _solved: "Solved", outputs: Outputs, _: "Report"
) -> None:
    write_fbx(
        path,
        motions,
        bone_names=outputs.bone_names,
        root_motion=outputs.root_motion,
        mesh=outputs.mesh,
        look=outputs.look,
        blender=outputs.blender,
    )


def _write_overlay(
    path: Path, motions: Sequence[Motion], solved: "Solved", outputs: Outputs, report: "Report"
) -> None:
    from staf_backend.export.overlay import write_overlay

    bodies = {solved.body.name: solved.body}
    write_overlay(path, solved.video, motions, bodies, report, outputs.overlay_view)


def _write_page(
    path: Path, motions: Sequence[Motion], solved: "Solved", _: Outputs, report: "Report"
) -> None:
    from staf_backend.export.report import write_report

    write_report(path, solved.video, motions, {solved.body.name: solved.body}, report)


def _one_a_motion(path: Path, motions: Sequence[Motion], _outputs: Outputs) -> list[Path]:
    names = part_names(path.stem, [motion.person for motion in motions])
    return [path.with_name(name + path.suffix) for name in names]


def _one_a_person(path: Path, motions: Sequence[Motion], outputs: Outputs) -> list[Path]:
    people = [motion.person for motion in motions]
    stems = [path.stem if outputs.together else person_name(path.stem, p, people) for p in people]
    return [path.with_name(stem + path.suffix) for stem in stems]


def _one_for_all(path: Path, motions: Sequence[Motion], _outputs: Outputs) -> list[Path]:
    return [path] * len(motions)


MOTION_FILE = Writer(_write_motion, _one_a_motion)
AMASS_FILE = Writer(_write_amass, _one_a_motion)
OVERLAY = Writer(_write_overlay, _one_for_all)
PAGE = Writer(_write_page, _one_for_all)
_USD = Writer(_skinned(write_usd), _one_a_person, slow=True, check=lambda _outputs: check_usd())
WRITERS = {
    ".glb": Writer(_skinned(write_glb), _one_a_person, slow=True),
    ".npz": MOTION_FILE,
    ".html": PAGE,
    ".bvh": Writer(_write_bvh, _one_a_motion),
    ".fbx": Writer(
        _write_fbx,
        _one_a_person,
        slow=True,
        check=lambda outputs: program_for_fbx(outputs.blender),
    ),
    ".vrma": Writer(_write_vrma, _one_a_motion),
    **dict.fromkeys((".usd", ".usda", ".usdc"), _USD),
}
"""What `--output` can end in."""


def _in_folder(path: Path | None, stem: str, suffix: str) -> Path | None:
    return path / (stem + suffix) if path is not None and is_folder(path) else path


def _check_place(path: Path, suffixes: Sequence[str]) -> None:
    if path.suffix.lower() not in suffixes:
        known = ", ".join(suffixes[:-1]) + " or " * (len(suffixes) > 1) + suffixes[-1]
        raise OutputError(f"cannot write {path}: the name must end in {known}.", "Rename it.")
    folder = path.parent
    if not _is_dir(folder):
        advice = "Create the folder first, or check the path."
        raise OutputError(f"cannot write {path}: its folder does not exist.", advice)
    if _is_dir(path) or not os.access(folder, os.W_OK):
        advice = "Choose a place that you may write to."
        raise OutputError(f"cannot write {path}: permission denied.", advice)


def _check_apart(paths: Sequence[Path], source: Path | None) -> None:
    taken = set() if source is None else {real_path(source)}
    for path in paths:
        if real_path(path) in taken:
            reason = "the footage or another result has that name."
            raise OutputError(f"cannot write {path}: {reason}", "Choose another name.")
        taken.add(real_path(path))

"""Motions to the files that were asked for: names, formats, one person or several."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend.export.amass import save_amass
from staf_backend.export.gltf import RootMotion, write_glb
from staf_backend.files.atomic import OutputError
from staf_backend.motion.motion import Motion, save_motion

if TYPE_CHECKING:
    from staf_backend.pipeline import Solved
    from staf_backend.reporting import Report

FORMATS = (".glb", ".npz")


@dataclass(frozen=True)
class Wanted:
    """The files a user wants of one video.

    Attributes:
        output: a .glb, a motion file .npz, or a folder for .glb files.
        motion, amass, overlay: more files, or None.
        bone_names, root_motion, mesh: see `gltf.write_glb`.
        together: one .glb for all people instead of one each.
    """

    output: Path
    motion: Path | None = None
    amass: Path | None = None
    overlay: Path | None = None
    bone_names: str = "smpl"
    root_motion: RootMotion = "root"
    mesh: bool = True
    together: bool = False

    def of(self, stem: str) -> "Wanted":
        """With every folder replaced by a file in it that is named after the video."""
        named = {
            name: _in_folder(getattr(self, name), stem, suffix)
            for name, suffix in (
                ("output", ".glb"),
                ("motion", ".npz"),
                ("amass", "_amass.npz"),
                ("overlay", ".mp4"),
            )
        }
        return dataclasses.replace(self, **named)

    def check(self, source: Path | None = None) -> None:
        """Refuse what cannot be written before the work is done, not after it.

        Args:
            source: the footage, which no result may replace.

        Raises:
            OutputError: an unknown format, a place that cannot be written to, two results of one
                name, or one with the name of the footage.
        """
        wanted = (
            (self.output, FORMATS),
            (self.motion, (".npz",)),
            (self.amass, (".npz",)),
            (self.overlay, (".mp4", ".mov", ".mkv")),
        )
        for path, suffixes in wanted:
            if path is not None:
                _check_place(path, suffixes)
        if self.motion is not None and self.output.suffix.lower() == ".npz":
            raise OutputError(f"{self.output} is the motion file already.", "Leave --motion out.")
        _check_apart([path for path, _ in wanted if path is not None], source)


@dataclass(frozen=True)
class Delivered:
    """What was written of one motion."""

    motion: Motion
    files: tuple[Path, ...]
    motion_file: Path | None


def is_folder(path: Path | str) -> bool:
    """Whether a path, as a user wrote it, means a folder."""
    return Path(path).is_dir() or str(path).endswith(("/", os.sep))


def deliver(solved: "Solved", wanted: Wanted, report: "Report") -> list[Delivered]:
    """Write everything, each file whole or not at all.

    Args:
        solved: the motions.
        wanted: with files for all folders, see `Wanted.of`.
        report: told about progress.

    Raises:
        OutputError: a file cannot be written.
    """
    motions = solved.motions
    files: dict[int, list[Path]] = {i: [] for i in range(len(motions))}
    motion_files = _motion_files(motions, wanted)
    report("write", 0, len(motions), "writing")
    for i, path in motion_files.items():
        save_motion(path, motions[i])
        files[i].append(path)
    if wanted.amass is not None:
        for i, path in enumerate(_numbered(motions, wanted.amass)):
            save_amass(path, motions[i])
            files[i].append(path)
    if wanted.output.suffix.lower() == ".glb":
        for path, members in _glb_files(motions, wanted).items():
            report("write", members[0], len(motions), f"writing {path.name}")
            _write_glb(path, [motions[i] for i in members], solved, wanted)
            for i in members:
                files[i].append(path)
    report("write", len(motions), len(motions), "written")
    if wanted.overlay is not None:
        from staf_backend.export.overlay import write_overlay

        write_overlay(
            wanted.overlay, solved.video, motions, {solved.body.name: solved.body}, report
        )
        for i in files:
            files[i].append(wanted.overlay)
    return [Delivered(m, tuple(files[i]), motion_files.get(i)) for i, m in enumerate(motions)]


def _write_glb(path: Path, motions: list[Motion], solved: "Solved", wanted: Wanted) -> None:
    bodies = {solved.body.name: solved.body}
    write_glb(
        path,
        motions,
        bodies,
        bone_names=wanted.bone_names,
        root_motion=wanted.root_motion,
        mesh=wanted.mesh,
    )


def _motion_files(motions: Sequence[Motion], wanted: Wanted) -> dict[int, Path]:
    """Motion number -> its motion file."""
    base = wanted.output if wanted.output.suffix.lower() == ".npz" else wanted.motion
    return {} if base is None else dict(enumerate(_numbered(motions, base)))


def _numbered(motions: Sequence[Motion], path: Path) -> list[Path]:
    """One path a motion: "clip-1.npz", "clip-2.npz", "clip-2.2.npz" when there are several."""
    stems = [_stem(path, motions, motion.person) for motion in motions]
    parts = [stems[:i].count(stem) + 1 for i, stem in enumerate(stems)]
    names = [stem if part == 1 else f"{stem}.{part}" for stem, part in zip(stems, parts)]
    return [path.with_name(name + path.suffix) for name in names]


def _glb_files(motions: Sequence[Motion], wanted: Wanted) -> dict[Path, list[int]]:
    """Path -> the motions in it."""
    grouped: dict[Path, list[int]] = {}
    for i, motion in enumerate(motions):
        stem = (
            wanted.output.stem if wanted.together else _stem(wanted.output, motions, motion.person)
        )
        grouped.setdefault(wanted.output.with_name(stem + wanted.output.suffix), []).append(i)
    return grouped


def _stem(path: Path, motions: Sequence[Motion], person: int) -> str:
    several = len({motion.person for motion in motions}) > 1
    return f"{path.stem}-{person}" if several else path.stem


def _in_folder(path: Path | None, stem: str, suffix: str) -> Path | None:
    return path / (stem + suffix) if path is not None and is_folder(path) else path


def _check_place(path: Path, suffixes: Sequence[str]) -> None:
    if path.suffix.lower() not in suffixes:
        known = " or ".join(suffixes)
        raise OutputError(f"cannot write {path}: the name must end in {known}.", "Rename it.")
    folder = path.parent
    if not folder.is_dir():
        advice = "Create the folder first, or check the path."
        raise OutputError(f"cannot write {path}: its folder does not exist.", advice)
    if path.is_dir() or not os.access(folder, os.W_OK):
        advice = "Choose a place that you may write to."
        raise OutputError(f"cannot write {path}: permission denied.", advice)


def _check_apart(paths: Sequence[Path], source: Path | None) -> None:
    taken = set() if source is None else {source.resolve()}
    for path in paths:
        if path.resolve() in taken:
            reason = "the footage or another result has that name."
            raise OutputError(f"cannot write {path}: {reason}", "Choose another name.")
        taken.add(path.resolve())

"""Takes of one person, from many clips, in one .glb: `--one-glb-per-person`.

people.json ─► takes ─► motion files ─► one shape ─┬─► OUT/people/NAME.glb with an animation each
                                      RIG.blend ───┴─► OUT/people/NAME-RIG.blend with an action each
"""

import dataclasses
import hashlib
import io
import json
import logging
import shutil
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from staf_backend import StafError
from staf_backend.batch.blend import Blending, write_blends
from staf_backend.batch.clips import Clip
from staf_backend.batch.entry import CHARACTERS
from staf_backend.batch.inside import place_for, plain_file, remove
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleList, Take, read_people, write_people
from staf_backend.batch.recipe import Recipe
from staf_backend.body import Body, known_bodies, load_body
from staf_backend.export.gltf import write_glb
from staf_backend.files import OutputError, make_folder, sha256, shown
from staf_backend.motion import Motion, MotionError, load_motion, part_names, plain_name

_log = logging.getLogger(__name__)
_FAULT = "This is a fault of the program; please report it with what -v tells."
FOLDER = "people"
"""Of the characters' files, below the output folder."""


def merge_takes(
    journal: Journal,
    clips: Sequence[Clip],
    recipe: Recipe,
    force: bool,
    blending: Blending | None = None,
) -> list[dict[str, Any]]:
    """Write the files of each character of the list, unless nothing of it changed.

    Args:
        journal: says which clips are done, and remembers the files.
        clips: of this batch, whose people are proposed where the list lacks them.
        recipe: how files are written.
        force: write them again.
        blending: whose rig plays the takes, too.

    Returns:
        `name`, `status` ("done", "failed" or "waiting"), `takes`, `files` and `message` of each.

    Raises:
        PeopleError: the list cannot be understood.
        OutputError: the list or the journal cannot be written.
    """
    people = read_people(journal.out)
    if people.add(take for clip in clips for take in _motion_files(journal, clip.place)):
        write_people(journal.out, people)
    _drop_others(journal, people)
    writer = _Writer(journal, recipe, force, blending if blending and blending.rig else None)
    return [writer.merged(name, takes) for name, takes in people.characters.items()]


def _motion_files(journal: Journal, place: str) -> dict[Take, list[str]]:
    """Motion files of each person of a clip that is done, in order of time."""
    entry = journal.last(place)
    if entry is None or entry["event"] != "done":
        return {}
    numbers = [person["person"] for person in entry["people"]]
    path = PurePosixPath(place)
    found: dict[Take, list[str]] = {}
    for number, name in zip(numbers, part_names(path.name, numbers), strict=True):
        file = str(path.parent / f"{name}.npz")
        if file in entry["files"]:
            found.setdefault(Take(place, number), []).append(file)
    return found


def _drop_others(journal: Journal, people: PeopleList) -> None:
    """Remove files of characters that the list knows no more."""
    for place in journal.places(CHARACTERS):
        if place.removeprefix(CHARACTERS) not in people.characters:
            for name in journal.files_of(place):
                remove(journal.out, name)


@dataclass(frozen=True)
class _Writer:
    """Writes characters; see `merge_takes`."""

    journal: Journal
    recipe: Recipe
    force: bool
    blending: Blending | None

    def merged(self, name: str, takes: Sequence[Take]) -> dict[str, Any]:
        """What became of a character."""
        journal = self.journal
        files = [
            (take, file)
            for take in takes
            for file in _motion_files(journal, take.place).get(take, ())
        ]
        told = {"name": name, "takes": [str(take) for take in takes], "files": []}
        if not files:
            return told | {"status": "waiting", "message": "No take of it is done."}
        place, stem = f"{CHARACTERS}{name}", f"{FOLDER}/{name}"
        if any(one.casefold() == stem.casefold() for one in journal.places("")):
            message = f"A clip's files have the name {stem}; give it another one in people.json."
            return told | {"status": "failed", "message": message}
        key, last = self._key(files), journal.last(place)
        targets = [f"{stem}{ending}" for ending in self._endings()]
        if not self.force and last and last.get("recipe") == key and _holds(journal.out, last):
            return told | {"status": "done", "files": targets}
        journal.write({"event": "moving", "place": place, "files": targets})
        try:
            self._write(stem, files)
        except StafError as error:
            return told | {"status": "failed", "message": str(error)}
        except Exception as error:  # one character's fault is not the others'
            _log.info("unexpected", exc_info=True)
            message = f"{type(error).__name__}: {shown(str(error))}. {_FAULT}"
            return told | {"status": "failed", "message": message}
        self._remove_stale(place, targets)
        sums = {target: sha256(journal.out / target) for target in targets}
        journal.write({"event": "done", "place": place, "recipe": key, "files": sums, "people": []})
        return told | {"status": "done", "files": targets}

    def _endings(self) -> list[str]:
        rig = self.blending.rig if self.blending else None
        return [".glb", *([rig.ending] if rig else [])]

    def _key(self, files: Sequence[tuple[Take, str]]) -> str:
        sums = [[str(take), file, _sum(self.journal, take, file)] for take, file in files]
        return hashlib.sha256(json.dumps([self.recipe.digest, sums]).encode()).hexdigest()

    def _write(self, stem: str, files: Sequence[tuple[Take, str]]) -> None:
        """Raises MotionError, BodyError, OutputError, BlendError."""
        target = place_for(self.journal.out, f"{stem}.glb")
        motions, body = _in_one_body([_readable(self.journal.out, file) for _, file in files])
        names = _names([PurePosixPath(file).with_suffix("") for _, file in files])
        alike = [
            dataclasses.replace(motion, name=name, person=1)
            for motion, name in zip(in_one_shape(motions, body), names, strict=True)
        ]
        chosen = ("bone_names", "root_motion", "mesh", "look")
        words = {word: self.recipe.outputs[word] for word in chosen}
        write_glb(target, alike, {body.name: body}, **words)
        if self.blending is not None:
            self._put_on_rig(target.with_suffix(""), alike, self.blending)

    def _put_on_rig(self, stem: Path, takes: Sequence[Motion], blending: Blending) -> None:
        work = self.journal.work / uuid.uuid4().hex[:12]
        make_folder(work)
        alone = dataclasses.replace(blending, blend=False)
        try:
            with io.StringIO() as log:
                (made,) = write_blends(work / stem.name, takes, None, None, alone, log)
            made.replace(stem.with_name(made.name))
        except OSError as error:
            raise OutputError.from_os(stem, error) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _remove_stale(self, place: str, targets: Sequence[str]) -> None:
        for name in self.journal.files_of(place) - set(targets):
            remove(self.journal.out, name)


def _sum(journal: Journal, take: Take, file: str) -> str:
    entry = journal.last(take.place)
    assert entry is not None
    return entry["files"][file]


def _holds(out: Path, entry: dict[str, Any]) -> bool:
    try:
        return all(sha256(plain_file(out, name)) == sum_ for name, sum_ in entry["files"].items())
    except OSError:
        return False


def _readable(out: Path, file: str) -> Path:
    try:
        return plain_file(out, file)
    except OSError as error:
        message = f"{out / file} cannot be read: {error.strerror}."
        raise MotionError(message, "Delete it, and its clip is converted again.") from error


def _in_one_body(paths: Sequence[Path]) -> tuple[list[Motion], Body]:
    motions = [load_motion(path) for path in paths]
    bodies = {motion.body for motion in motions}
    unknown = sorted(bodies.difference(known_bodies()))
    if unknown:  # a file's word is a name, and never the path of another file
        advice = "Add its file with: staf body add FILE"
        raise MotionError(f"its takes' body {shown(unknown[0])} is not known here.", advice)
    if len(bodies) > 1:
        advice = "Convert all of them with one body, or list them apart in people.json."
        raise MotionError(f"its takes have different bodies: {', '.join(sorted(bodies))}.", advice)
    body = load_body(motions[0].body)
    if len({motion.betas.shape for motion in motions}) > 1:
        raise MotionError("its takes have different numbers of betas.", "Convert them again.")
    return motions, body


def _names(files: Sequence[PurePosixPath]) -> list[str]:
    """A plain name for each take: its file's, with its folders where another has the same.

    Where files are called alike but for letters that a plain name lacks, with a number.
    """
    uses = Counter(file.name for file in files)
    chosen = [file.name if uses[file.name] == 1 else "-".join(file.parts) for file in files]
    plain = [plain_name(name) for name in chosen]
    places = [plain[:at].count(name) for at, name in enumerate(plain)]
    return [f"{n}.{place + 1}" if place else n for n, place in zip(plain, places, strict=True)]


def in_one_shape(motions: Sequence[Motion], body: Body) -> list[Motion]:
    """The motions with one shape, the mean of theirs, each clip counting as long as it was seen.

    A person who comes out larger walks farther by as much: the path about the ground's origin
    grows with the height of the hips, so that soles stay on the floor and steps keep their length
    to the legs.
    """
    weights = np.array([motion.observed.sum() + 1 for motion in motions], float)
    betas = np.average([motion.betas for motion in motions], axis=0, weights=weights)
    rest_m = body.rest_joints_m(betas)
    hips_m = _hip_height_m(body, betas)
    return [
        dataclasses.replace(
            motion,
            betas=betas,
            rest_joints_m=rest_m,
            root_m=motion.root_m * (hips_m / _hip_height_m(body, motion.betas)),
            raw_root_m=None,
            raw_rotations_wxyz=None,
        )
        for motion in motions
    ]


def _hip_height_m(body: Body, betas: np.ndarray) -> float:
    """Of the pelvis above the soles in the rest pose."""
    return float(body.rest_joints_m(betas)[0, 1] - body.rest_vertices_m(betas)[:, 1].min())

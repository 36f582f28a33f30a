"""Small whole files of every kind that a stranger may send, and what reads each of them."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from addon.retarget.joints import REQUIRED
from addon.retarget.map_file import read_map
from addon.scene.body_file import read_body
from addon.scene.motion_file import read_motion
from staf_backend.batch.clips import PATTERNS, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleList, Take, read_people, write_people
from staf_backend.body import read_body_file
from staf_backend.commands import export_body
from staf_backend.files import content_digest, describe_file
from staf_backend.motion import PARTS, ContactSpan, load_motion, save_motion
from staf_backend.people import Track, read_tracks, write_tracks
from staf_backend.reporting import Terminal
from staf_backend.video import open_video
from staf_backend.weights import read_info
from staf_backend.world import read_contacts, write_contacts
from tests.support.make_body_files import model_arrays, write_npz, write_official_pickle
from tests.support.make_clips import picture, write_clip
from tests.support.places import REPOSITORY
from tests.support.sample_motions import with_all

OPEN_SET = REPOSITORY / "staf_backend" / "assets" / "staf-open"


class Sample(NamedTuple):
    """A small whole file.

    Attributes:
        file: its name below a folder.
        make: writes it there.
        read: reads it.
        text: whether it is JSON or the like.
    """

    file: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    text: bool = False


def _video(path: Path) -> Path:
    return write_clip(path, ticks=range(8), sound=path.suffix not in (".avi", ".webm"))


def _webm(path: Path) -> Path:
    return write_clip(path, ticks=range(8), codec="libvpx")


def _all_frames(path: Path) -> object:
    return [frame.shape for frame in open_video(path).frames()]


def _pictures(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture(1))
    return path


def _motion(path: Path) -> Path:
    save_motion(path, with_all())
    return path


def _weights(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    shutil.copy(OPEN_SET / "weights.json", path)
    return path


def _people(path: Path) -> Path:
    people = PeopleList({"hero": [Take("x/a", 1), Take("x/b", 2)]}, [Take("c", 3)])
    write_people(path.parent, people)
    return path


def _journal(path: Path) -> Path:
    journal = Journal(path.parents[1])
    for place in ("a", "x/b"):
        journal.write({"event": "moving", "place": place, "files": [f"{place}.glb"]})
        done = {"files": {f"{place}.glb": "0" * 64}, "people": [], "seconds": 1.0}
        journal.write({"event": "done", "place": place, **done})
    journal.close()
    return path


def _read_journal(path: Path) -> object:
    journal = Journal(path.parents[1])
    with contextlib.closing(journal):
        return [journal.last(place) for place in journal.places("")]


def _list(path: Path) -> Path:
    path.write_text("# tonight\na.mp4\nx/b.mp4\ny/c.mp4\n", encoding="utf-8")
    return path


def _any(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    return path


def _body(path: Path) -> Path:
    return write_npz(path, model_arrays())


def _body_pickle(path: Path) -> Path:
    return write_official_pickle(path, model_arrays())


def _addons_body(path: Path) -> Path:
    export_body("open-female", path, Terminal(quiet=True))
    return path


def _bone_map(path: Path) -> Path:
    bones = {joint: f"bone {joint}" for joint in REQUIRED}
    switches = [{"bone": "thigh", "property": "IK_FK", "value": 1.0}]
    text = {"kind": "staf-bone-map", "format": 1, "bones": bones, "switches": switches}
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


def _track(person: int, at_s: float = 0.0) -> Track:
    frames = np.arange(8)
    rng = np.random.default_rng(person)
    boxes, keypoints = rng.uniform(1, 90, (8, 3)), rng.uniform(0, 90, (8, 17, 3))
    return Track(person, 1, frames, at_s + frames / 30, boxes, keypoints, np.ones(8, bool))


def _tracks(path: Path) -> Path:
    path.parent.mkdir()
    clip = write_clip(path.with_name("clip.mp4"), ticks=range(8))
    write_tracks(path, open_video(clip), [_track(1), _track(2)], {1: "person-1.png"})
    text = path.read_text(encoding="utf-8")
    edit = '{"do": "swap", "person": 1, "with": 2, "from_frame": 3}'
    path.write_text(text.replace('"edits": [', f'"edits": [\n{edit}'), encoding="utf-8")
    return path


def _read_tracks(path: Path) -> object:
    return read_tracks(path, open_video(path.with_name("clip.mp4")))


def _contacts(path: Path) -> Path:
    spans = tuple(ContactSpan(part, 2.5, 2.6, 0.0) for part in PARTS[:2])
    plain = with_all()
    probability = np.zeros((len(plain.times_s), len(PARTS)))
    write_contacts(
        path, [replace(plain, contacts=spans, contact_names=PARTS, contact_probability=probability)]
    )
    return path


def _read_contacts(path: Path) -> object:
    return read_contacts(path, with_all().source, [_track(1, 2.5)])


def _checkpoint(path: Path, **words: Any) -> Path:
    import torch

    state = {"model": {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}}
    torch.save(
        {**state, "gen_optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, path, **words
    )
    return path


def _old_checkpoint(path: Path) -> Path:
    return _checkpoint(path, _use_new_zipfile_serialization=False)


def _read_checkpoint(path: Path) -> object:
    from staf_backend.weights.checkpoint_file import optimised_shapes, read_checkpoint, state_dicts

    content = read_checkpoint(path)
    return state_dicts(content), optimised_shapes(content)


def _set_of_weights(path: Path) -> Path:
    """The open set's, but with few tensors: damage to the plan is told before they are missed."""
    shutil.copytree(OPEN_SET, path.parent, ignore=shutil.ignore_patterns("*.safetensors"))
    for file in ("encoder.safetensors", "network.safetensors"):
        _tensors(path.with_name(file))
    return path


def _tensors(path: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.ones(3, 4), "b": torch.ones(2)}, path)
    return path


def _read_tensors(path: Path) -> object:
    """The reader alone: a whole set takes a second."""
    from staf_backend.weights import store

    return store._read_tensors(path)  # pyright: ignore[reportPrivateUsage]


def _load_set(path: Path) -> object:
    """As whoever damages a file on purpose would have it: with its right checksum."""
    from staf_backend.weights.store import load_weights

    info = path.with_name("weights.json")
    whole = info.read_bytes()
    content = json.loads(whole)
    for file in content["files"]:
        content["files"][file] = hashlib.sha256(path.with_name(file).read_bytes()).hexdigest()
    info.write_text(json.dumps(content))
    try:
        return load_weights(path.parent.name, root=path.parents[1])
    finally:
        info.write_bytes(whole)


_JSON = True
SAMPLES = {
    **{
        f"clip{suffix}": Sample(f"clip{suffix}", make, _all_frames)
        for make, suffixes in ((_video, (".mp4", ".mov", ".mkv", ".avi")), (_webm, (".webm",)))
        for suffix in suffixes
    },
    **{
        f"pictures{suffix}": Sample(
            f"frames{suffix}/1{suffix}", _pictures, lambda path: _all_frames(path.parent)
        )
        for suffix in (".png", ".jpg")
    },
    "motion": Sample("motion.npz", _motion, load_motion),
    "weights.json": Sample(
        "home/odd/weights.json", _weights, lambda path: read_info("odd", path.parents[1]), _JSON
    ),
    "people.json": Sample("people.json", _people, lambda path: read_people(path.parent), _JSON),
    "journal": Sample("out/.staf-batch/journal.jsonl", _journal, _read_journal, _JSON),
    "list": Sample(
        "list.txt", _list, lambda path: find_clips([path], PATTERNS, None, path.parent), _JSON
    ),
    "body.npz": Sample("body.npz", _body, read_body_file),
    "body.pkl": Sample("body.pkl", _body_pickle, read_body_file),
    "tracks": Sample("tracks/clip.tracks.json", _tracks, _read_tracks, _JSON),
    "contacts": Sample("contacts.json", _contacts, _read_contacts, _JSON),
    "checkpoint": Sample("checkpoint.pt", _checkpoint, _read_checkpoint),
    "old checkpoint": Sample("checkpoint.pth.tar", _old_checkpoint, _read_checkpoint),
    "plan": Sample("plans/set/encoder.json", _set_of_weights, _load_set, _JSON),
    "tensors": Sample("a.safetensors", _tensors, _read_tensors),
    "add-on: motion": Sample("scene.npz", _motion, read_motion),
    "add-on: body": Sample("shape.npz", _addons_body, lambda path: read_body(path, "a")),
    "add-on: bone map": Sample("map.json", _bone_map, read_map, _JSON),
    "describe": Sample("any", _any, describe_file),
    "digest": Sample("digest", _any, content_digest),
}
VIDEOS = [name for name in SAMPLES if name.startswith(("clip", "pictures"))]

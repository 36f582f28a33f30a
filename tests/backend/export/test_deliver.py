"""Which files come out, what they are called, and what is refused before the work."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.blender.error import BlenderError
from staf_backend.body import load_body
from staf_backend.export.deliver import Outputs, deliver, is_folder
from staf_backend.files import OutputError
from staf_backend.motion import load_motion
from staf_backend.pipeline import Solved
from tests.support.bvh_reader import read_bvh
from tests.support.glb_reader import read_glb
from tests.support.real_clips import silent
from tests.support.sample_motions import sample_motion, swaying

NO_VIDEO: Any = None  # only the overlay asks for the footage


def solved(*people: tuple[int, str]) -> Solved:
    """Motions of the given person numbers and names."""
    motions = tuple(
        sample_motion(swaying(6, seed=n), person=person, name=name)
        for n, (person, name) in enumerate(people)
    )
    return Solved(NO_VIDEO, motions, load_body("open-neutral"))


ONE = ((1, "clip"),)
TWO = ((1, "clip-1"), (2, "clip-2"))
TWO_IN_PARTS = ((1, "clip-1"), (2, "clip-2"), (2, "clip-2.2"))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("people", "together", "expected"),
    [
        (ONE, False, ["out.glb"]),
        (ONE, True, ["out.glb"]),
        (TWO, False, ["out-1.glb", "out-2.glb"]),
        (TWO, True, ["out.glb"]),
        (TWO_IN_PARTS, False, ["out-1.glb", "out-2.glb"]),
    ],
)
def test_character_files(tmp_path: Path, people: Any, together: bool, expected: list[str]):
    told = deliver(solved(*people), Outputs(tmp_path / "out.glb", together=together), silent)
    assert names(tmp_path) == expected
    clips = [a["name"] for name in expected for a in read_glb(tmp_path / name).json["animations"]]
    assert sorted(clips) == [name for _, name in people], "every motion is in exactly one file"
    for delivered in told:
        (path,) = delivered.files
        found = [a["name"] for a in read_glb(path).json["animations"]]
        assert delivered.motion.name in found
        assert delivered.motion_file is None


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (ONE, ["out.npz"]),
        (TWO, ["out-1.npz", "out-2.npz"]),
        (TWO_IN_PARTS, ["out-1.npz", "out-2.2.npz", "out-2.npz"]),
    ],
)
def test_motion_files(tmp_path: Path, people: Any, expected: list[str]):
    given = solved(*people)
    told = deliver(given, Outputs(tmp_path / "out.npz"), silent)
    assert names(tmp_path) == expected
    for delivered in told:
        assert delivered.motion_file is not None
        assert delivered.files == (delivered.motion_file,)
        loaded = load_motion(delivered.motion_file)
        assert loaded.name == delivered.motion.name
        assert np.array_equal(loaded.rotations_wxyz, delivered.motion.rotations_wxyz)


@pytest.mark.parametrize(
    ("suffix", "together", "expected"),
    [
        (".bvh", False, ["out-1", "out-2", "out-2.2"]),
        (".bvh", True, ["out-1", "out-2", "out-2.2"]),
        (".vrma", False, ["out-1", "out-2", "out-2.2"]),
        (".usda", False, ["out-1", "out-2"]),
        (".usdc", True, ["out"]),
    ],
)
def test_other_formats(tmp_path: Path, suffix: str, together: bool, expected: list[str]):
    """A file holds as many motions as its format can; each is told the file that it is in."""
    wanted = Outputs(tmp_path / f"out{suffix}", together=together)
    wanted.check()
    told = deliver(solved(*TWO_IN_PARTS), wanted, silent)
    assert names(tmp_path) == sorted(f"{stem}{suffix}" for stem in expected)
    assert {path.name for one in told for path in one.files} == set(names(tmp_path))


def test_choices_reach_the_other_formats(tmp_path: Path):
    words: dict[str, Any] = {"bone_names": "mixamo", "root_motion": "in-place", "bvh_unit": "cm"}
    given = solved(*ONE)
    deliver(given, Outputs(tmp_path / "a.bvh", **words), silent)
    places = read_bvh(tmp_path / "a.bvh").positions()["mixamorig:Hips"]
    assert np.ptp(places[:, 0]) < 1e-3
    np.testing.assert_allclose(places[:, 1], 100 * given.motions[0].root_m[:, 1], atol=1e-3)
    for mesh in (True, False):
        deliver(given, Outputs(tmp_path / f"{mesh}.usda", mesh=mesh, **words), silent)
        assert "mixamorig_Hips" in (tmp_path / f"{mesh}.usda").read_text()
    sizes = [(tmp_path / f"{mesh}.usda").stat().st_size for mesh in (True, False)]
    assert sizes[0] > 5 * sizes[1]


def test_everything_at_once(tmp_path: Path):
    wanted = Outputs(tmp_path / "a.glb", motion=tmp_path / "b.npz", amass=tmp_path / "c.npz")
    told = deliver(solved(*TWO), wanted, silent)
    assert names(tmp_path) == ["a-1.glb", "a-2.glb", "b-1.npz", "b-2.npz", "c-1.npz", "c-2.npz"]
    for delivered in told:
        assert len(delivered.files) == 3
        assert all(str(delivered.motion.person) in p.name for p in delivered.files)


def test_a_second_motion_file_is_written_and_not_forgotten(tmp_path: Path):
    """-o a.npz --motion b.npz: either both are there, or the wish is refused."""
    wanted = Outputs(tmp_path / "a.npz", motion=tmp_path / "b.npz")
    try:
        wanted.check()
    except OutputError:
        return
    deliver(solved(*ONE), wanted, silent)
    assert names(tmp_path) == ["a.npz", "b.npz"]


@pytest.mark.parametrize(
    "wishes",
    [
        {"output": "a.npz", "amass": "a.npz"},
        {"output": "a.glb", "motion": "m.npz", "amass": "m.npz"},
        {"output": "a.glb", "motion": "m.npz", "amass": "./m.npz"},
    ],
    ids=str,
)
def test_two_results_never_get_one_name(tmp_path: Path, wishes: dict[str, str]):
    """The second would silently replace the first."""
    paths: dict[str, Any] = {k: Path(f"{tmp_path}/{v}") for k, v in wishes.items()}
    with pytest.raises(OutputError):
        Outputs(**paths).check()


def test_choices_reach_the_character_file(tmp_path: Path):
    wanted = Outputs(tmp_path / "a.glb", bone_names="mixamo", root_motion="in-place", mesh=False)
    deliver(solved(*ONE), wanted, silent)
    glb = read_glb(tmp_path / "a.glb")
    bones = {node.get("name", "") for node in glb.json["nodes"]}
    assert any(name.startswith("mixamorig") for name in bones)
    assert len(glb.attribute("POSITION")) < 1000, "a thin proxy, not the body"
    paths = [joints[0] for joints in (glb.joints_m(0, "clip", key) for key in range(6))]
    assert np.ptp(np.array(paths), axis=0).max() < 1e-6, "the root stays in place"


class TestNames:
    def test_a_folder_gets_files_named_after_the_video(self, tmp_path: Path):
        wanted = Outputs(tmp_path, motion=tmp_path, amass=tmp_path, overlay=tmp_path).of("holiday")
        found = (wanted.output, wanted.motion, wanted.amass, wanted.overlay)
        expected = ("holiday.glb", "holiday.npz", "holiday_amass.npz", "holiday.mp4")
        assert found == tuple(tmp_path / name for name in expected)

    def test_files_stay_as_they_are(self, tmp_path: Path):
        wanted = Outputs(tmp_path / "a.glb", motion=tmp_path / "b.npz")
        assert wanted.of("holiday") == wanted

    def test_dots_in_a_videos_name_stay(self, tmp_path: Path):
        assert Outputs(tmp_path).of("take.2.final").output == tmp_path / "take.2.final.glb"

    @pytest.mark.parametrize(
        ("text", "expected"), [("new/", True), ("new", False), ("new.glb", False)]
    )
    def test_a_slash_at_the_end_means_a_folder(self, text: str, expected: bool):
        assert is_folder(text) is expected

    def test_a_folder_that_exists_needs_no_slash(self, tmp_path: Path):
        assert is_folder(str(tmp_path))


class TestRefusals:
    @pytest.mark.parametrize("name", ["a.obj", "a", "a.glb.txt", "a.mp4", ".glb"])
    def test_a_format_that_is_not_written(self, tmp_path: Path, name: str):
        with pytest.raises(OutputError, match=r"\.glb, \.npz, \.html.* or \.usdc") as caught:
            Outputs(tmp_path / name).check()
        assert name in caught.value.message
        assert caught.value.exit_code == 5

    @pytest.mark.parametrize(
        ("field", "name", "known"),
        [
            ("motion", "m.glb", ".npz"),
            ("amass", "m.pkl", ".npz"),
            ("overlay", "o.avi", ".mp4"),
        ],
    )
    def test_each_result_has_its_own_formats(
        self, tmp_path: Path, field: str, name: str, known: str
    ):
        other: dict[str, Any] = {field: tmp_path / name}
        with pytest.raises(OutputError, match=known):
            Outputs(tmp_path / "a.glb", **other).check()

    def test_fbx_where_there_is_no_blender(self, tmp_path: Path):
        with pytest.raises(BlenderError, match="tells no version"):
            Outputs(tmp_path / "a.fbx", blender=Path("/bin/true")).check()

    def test_usd_where_its_package_is_not_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.delitem(sys.modules, "pxr", raising=False)
        with pytest.raises(OutputError, match="usd-core") as caught:
            Outputs(tmp_path / "a.usd").check()
        assert caught.value.advice == "pip install usd-core"

    def test_capitals_are_fine(self, tmp_path: Path):
        wanted = Outputs(tmp_path / "A.GLB")
        wanted.check()
        deliver(solved(*ONE), wanted, silent)
        assert names(tmp_path) == ["A.GLB"]

    def test_a_folder_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(OutputError, match="folder does not exist"):
            Outputs(tmp_path / "gone" / "a.glb").check()

    def test_a_folder_of_that_name(self, tmp_path: Path):
        (tmp_path / "a.glb").mkdir()
        with pytest.raises(OutputError):
            Outputs(tmp_path / "a.glb").check()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_one_may_not_write_to(self, tmp_path: Path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="permission denied"):
            Outputs(tmp_path / "a.glb").check()

    def test_what_was_there_stays_when_writing_fails(self, tmp_path: Path):
        (tmp_path / "out.glb").write_bytes(b"precious")
        given = solved(*ONE)
        strange = dataclasses.replace(given.motions[0], body="gone")
        broken = Solved(NO_VIDEO, (strange,), given.body)
        with pytest.raises(Exception, match="gone"):
            deliver(broken, Outputs(tmp_path / "out.glb"), silent)
        assert (tmp_path / "out.glb").read_bytes() == b"precious"
        assert names(tmp_path) == ["out.glb"]


def test_progress_ends_where_it_said_it_would(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    wanted = Outputs(tmp_path / "a.glb", motion=tmp_path / "b.npz")
    deliver(solved(*TWO), wanted, lambda stage, done, total, _: told.append((stage, done, total)))
    assert {stage for stage, _, _ in told} == {"write"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told), "never backwards"
    assert told[-1] == ("write", 2, 2)

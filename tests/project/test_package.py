"""What is packed: checksums and licences of others' data, versions and extras."""

import hashlib
import re
import tomllib

import pytest

from tests.support.places import REPOSITORY


class TestNotice:
    ROWS = re.findall(
        r"^  (\S+)\n    sha256 ([0-9a-f]{64})$", (REPOSITORY / "NOTICE").read_text(), re.M
    )

    @pytest.mark.parametrize(("name", "digest"), ROWS, ids=[name for name, _ in ROWS])
    def test_checksums_are_right(self, name: str, digest: str):
        assert hashlib.sha256((REPOSITORY / name).read_bytes()).hexdigest() == digest

    def test_everything_from_others_is_in_it(self):
        told = {name for name, _ in self.ROWS}
        theirs = [p for p in (REPOSITORY / "examples" / "footage").iterdir() if p.suffix == ".mp4"]
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("OPENBODY_*.npz")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("pose_landmark_*.onnx")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("movenet_*.onnx")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("hand_*.onnx")
        theirs += (REPOSITORY / "staf_backend" / "assets").glob("open_fingers.npz")
        assert len(theirs) >= 10
        assert {p.relative_to(REPOSITORY).as_posix() for p in theirs} <= told

    def test_its_licence_texts_are_there(self):
        named = re.findall(r"[\w/]*LICENSE[\w.-]*[\w]", (REPOSITORY / "NOTICE").read_text())
        assert len(set(named)) >= 4
        assert [name for name in named if not (REPOSITORY / name).is_file()] == []


class TestPackage:
    METADATA = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    def test_every_dependency_is_bounded(self):
        optional = [p for extra in self.METADATA["optional-dependencies"].values() for p in extra]
        for line in [*self.METADATA["dependencies"], *optional]:
            if not line.startswith("staf-backend"):
                assert re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line), line

    def test_the_promised_extras_are_there(self):
        promised = {"staf", "torch", "training", "blender", "usd", "smplx", "test", "docs"}
        assert promised <= set(self.METADATA["optional-dependencies"])

    def test_the_default_needs_no_torch(self):
        assert not any(line.startswith("torch") for line in self.METADATA["dependencies"])

    def test_the_command_is_installed(self):
        assert self.METADATA["scripts"] == {"staf": "staf_backend.__main__:main"}

"""Users' model files: read by content, refused in words, and nothing in them is ever run."""

import io
import os
import pickle
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.body import BodyError, add_body, data_folder, known_bodies, load_body
from staf_backend.body.pickles import RefusedNameError, read_pickled_arrays
from staf_backend.geometry import Skeleton, forward_kinematics
from tests.support.make_body_files import (
    SIZES,
    fake_chumpy,
    model_arrays,
    tree,
    write_npz,
    write_official_pickle,
)
from tests.support.sample_motions import swaying


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STAF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("kind", "form"),
    [*((kind, form) for kind in SIZES for form in ("npz", "pickle")), ("smpl", "pickle-5")],
)
def test_kinds_are_told_by_content_not_name(kind: str, form: str, tmp_path: Path):
    path, arrays = tmp_path / "MODEL_FEMALE.dat", model_arrays(kind)
    if form == "npz":
        write_npz(tmp_path / "m.npz", arrays).rename(path)
    else:
        write_official_pickle(path, arrays, protocol=5 if form == "pickle-5" else 2)
    body = load_body(path)
    assert (body.kind, body.gender) == (kind, "female")
    assert body.name.startswith(f"{kind}-female-")
    np.testing.assert_allclose(body.template_m, arrays["v_template"])
    expected = arrays["shapedirs"][..., :10]
    np.testing.assert_allclose(body.shape_directions, expected, atol=1e-8)
    assert body.pose_directions is not None
    assert body.pose_directions.shape[2] == 207


@pytest.mark.parametrize("kind", ["smplh", "smplx"])
def test_fingers_follow_the_hand(kind: str, tmp_path: Path):
    """Folding 52 or 55 joints to 24 changes nothing while the extra joints are at rest."""
    arrays = model_arrays(kind)
    body = load_body(write_npz(tmp_path / "m.npz", arrays))
    betas, joints = np.linspace(-1, 1, 10), SIZES[kind][1]
    shaped = arrays["v_template"] + arrays["shapedirs"][..., :10] @ betas
    rest_m = arrays["J_regressor"] @ shaped
    rotations = swaying(1)[0]
    rotations[22:] = np.eye(3)
    whole = np.concatenate([rotations[:22], np.tile(np.eye(3), (joints - 22, 1, 1))])
    fingers = Skeleton(tuple(f"joint{k}" for k in range(joints)), tuple(tree(kind).tolist()))
    turned, placed = forward_kinematics(whole, rest_m, np.zeros(3), fingers)
    features = (whole[1:] - np.eye(3)).ravel()
    bent = shaped + arrays["posedirs"] @ features
    local = turned @ (bent[:, None] - rest_m)[..., None]
    expected = (arrays["weights"][..., None] * (local[..., 0] + placed)).sum(1)
    posed = body.vertices_m(rotations, betas, np.zeros(3))
    np.testing.assert_allclose(posed, expected, atol=1e-6)
    middle = {"smplh": 25, "smplx": 28}[kind]
    np.testing.assert_allclose(body.rest_joints_m(betas)[22], rest_m[middle], atol=1e-6)


def test_object_members_that_nobody_needs_are_left_alone(tmp_path: Path):
    arrays = model_arrays("smplx") | {"joint2num": np.array({"Pelvis": 0}, dtype=object)}
    assert load_body(write_npz(tmp_path / "m.npz", arrays)).kind == "smplx"


def test_texture_coordinates_of_smplx_are_kept(tmp_path: Path):
    arrays = model_arrays("smplx")
    arrays |= {"vt": np.random.default_rng(0).uniform(size=(11313, 2)), "ft": arrays["f"]}
    body = load_body(write_npz(tmp_path / "m.npz", arrays))
    assert body.uvs is not None
    np.testing.assert_allclose(body.uvs, arrays["vt"], atol=1e-7)


class Trap:
    """Pickles to a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("place", ["key", "value"])
@pytest.mark.parametrize(
    ("function", "words"),
    [(os.system, "system"), (os.mkdir, "mkdir"), (eval, "eval"), (np.save, "save")],
)
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(
    function: Any, words: str, place: str, protocol: int, tmp_path: Path
):
    spoil = tmp_path / "spoil"
    arguments = {
        os.system: (f"touch {spoil}",),
        os.mkdir: (str(spoil),),
        eval: (f"open({str(spoil)!r}, 'w')",),
        np.save: (str(spoil), 1),
    }
    trap = Trap(function, *arguments[function])
    content = {"v_template": trap} if place == "value" else {trap: np.zeros(3)}
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(BodyError, match=f"refused: it asks Python for .*{words}") as caught:
        load_body(path)
    assert (caught.value.kind, caught.value.exit_code) == ("body", 7)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name",
    [
        b"cchumpy.ch\nCh.__init__\n",
        b"cchumpy\nos.system\n",
        b"cscipy.sparse\nload_npz\n",
        b"cnumpy\nload\n",
        b"cbuiltins\ngetattr\n",
        b"cnumpy.core.multiarray\nfromfile\n",
    ],
)
def test_names_near_the_allowed_ones_are_refused(name: bytes, tmp_path: Path):
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x02" + name + b".")
    with pytest.raises(BodyError, match="refused: it asks Python for"):
        load_body(path)


def test_shared_lists_and_loops_cannot_fill_the_memory(tmp_path: Path):
    bomb: list[Any] = [1.0] * 100
    for _ in range(6):
        bomb = [bomb] * 100  # 10^14 numbers in a few hundred bytes
    with fake_chumpy() as chumpy:
        loop = chumpy.Ch()
        loop.__dict__["x"] = loop
        content = {"v_template": np.zeros((6890, 3)), "weights": bomb, "f": loop}
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(BodyError, match="an SMPL file without f, J_regressor, weights"):
        load_body(tmp_path / "m.pkl")


def test_one_damaged_byte_cannot_fill_the_memory():
    """A memo index of 2^26: Python's reader in C would take a gigabyte for it."""
    tracemalloc.start()
    assert read_pickled_arrays(b"\x80\x02}r\0\0\0\x04.") == {}
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_a_sparse_matrix_whose_starts_lie_is_left_out(tmp_path: Path):
    arrays = model_arrays() | {"posedirs": np.zeros((6890, 3, 207), np.float16)}
    path = tmp_path / "m.pkl"
    from scipy.sparse import csc_matrix

    matrix = csc_matrix(arrays["J_regressor"])
    matrix.indptr[5] = 2**31 - 1
    path.write_bytes(pickle.dumps(arrays | {"J_regressor": matrix}, protocol=2))
    with pytest.raises(BodyError, match="an SMPL file without J_regressor"):
        load_body(path)


@pytest.mark.parametrize(
    ("name", "gender"),
    [
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "male"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "female"),
        ("SMPLX_FEMALE.npz", "female"),
        ("male/model.npz", "male"),
        ("m/model.npz", "neutral"),
        ("SMPL_NEUTRAL.npz", "neutral"),
    ],
)
def test_the_gender_comes_from_the_name(name: str, gender: str, tmp_path: Path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(official_bytes())
    assert load_body(path).gender == gender


@cache
def official_bytes() -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **model_arrays())
    return file.getvalue()


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, Path("/data/staf")),
        ("linux", {}, Path("/home/ann/.local/share/staf")),
        ("darwin", {}, Path("/home/ann/Library/Application Support/staf")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/staf")),
        ("win32", {"STAF_HOME": "/mine"}, Path("/mine")),
    ],
)
def test_where_the_list_is_kept(
    platform: str, variables: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("STAF_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    monkeypatch.setattr("sys.platform", platform)
    assert data_folder() == expected


@pytest.mark.parametrize("name", ["v_template", "weights", "posedirs", "J_regressor", "f"])
def test_what_is_missing_is_said(name: str, tmp_path: Path):
    arrays = {key: value for key, value in model_arrays("smplx").items() if key != name}
    words = "not a body model" if name == "v_template" else f"an SMPL-X file without {name}"
    with pytest.raises(BodyError, match=words):
        load_body(write_npz(tmp_path / "m.npz", arrays))


def changed(name: str, change: Any) -> dict[str, Any]:
    arrays = model_arrays()
    arrays[name] = change(arrays[name])
    return arrays


def _with(place: Any, value: float) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("v_template", _with((3, 1), np.nan), "v_template must hold finite numbers"),
        ("weights", lambda a: a[:, :23], r"weights has shape \(6890, 23\)"),
        ("weights", lambda a: 2 * a, "weights do not sum to 1"),
        ("J_regressor", lambda a: 0 * a, "J_regressor rows do not sum to 1"),
        ("f", lambda a: a + 9000, "f names vertices"),
        ("shapedirs", lambda a: a[..., :3], "fewer than 10 shapes"),
        ("posedirs", lambda a: a[..., :93], "posedirs has shape"),
        ("kintree_table", _with((0, 5), 9), "not SMPL's tree"),
        ("kintree_table", lambda a: a[:, :23], "6890 vertices and 23 joints"),
        ("v_template", lambda a: a[:778], "a MANO hand model"),
        ("v_template", lambda a: a[:5023], "a FLAME head model"),
        ("v_template", lambda a: a[:100], "100 vertices and 24 joints"),
        ("weights", lambda a: a.astype(object), "Python objects, which could run code"),
    ],
)
def test_a_wrong_layout_is_refused(name: str, change: Any, words: str, tmp_path: Path):
    with pytest.raises(BodyError, match=words):
        load_body(write_npz(tmp_path / "m.npz", changed(name, change)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<html><body>Sign in", "an HTML page"),
        (b"\x93NUMPY\x01\0", "a single NumPy array"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch checkpoint"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"vt 0.1 0.2\nf 1/1 2/2 3/3\n", "a Wavefront OBJ mesh"),
        (b"PK\x03\x04 cut off", "a damaged or truncated zip"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (pickle.dumps([1, 2]), "does not hold a dictionary"),
        (
            pickle.dumps({"pose": np.zeros(3), "shape": np.zeros(1), "cam": np.zeros(3)}),
            "SMPL mean parameters",
        ),
        (pickle.dumps({"a": 1})[:-3], "damaged pickle"),
    ],
)
def test_another_file_is_told_by_its_content(content: bytes, words: str, tmp_path: Path):
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(content)
    with pytest.raises(BodyError, match=words):
        load_body(path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"poses": np.zeros(3), "trans": np.zeros(3)}, "an AMASS motion"),
        ({"vt": np.zeros(3), "ft": np.zeros(3)}, "an SMPL UV file"),
        ({"A": np.zeros(1), "U": np.zeros(1), "D": np.zeros(1)}, "a mesh downsampling file"),
    ],
)
def test_another_archive_is_told_by_its_arrays(arrays: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(BodyError, match=words):
        load_body(write_npz(tmp_path / "m.npz", arrays))


def test_zips_that_hold_something_else(tmp_path: Path):
    for name, words in (("a/data.pkl", "PyTorch checkpoint"), ("SMPL.pkl", "unpack it first")):
        path = tmp_path / "m.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(BodyError, match=words):
            load_body(path)


@pytest.mark.parametrize("protocol", [2, 5])
def test_damaged_pickles_are_refused_or_read_never_crash(protocol: int, tmp_path: Path):
    names = ("v_template", "weights", "shapedirs", "J_regressor", "f")
    small = {name: model_arrays()[name][:3, :8] for name in names}
    whole = write_official_pickle(tmp_path / "m.pkl", small, protocol).read_bytes()
    assert len(read_pickled_arrays(whole)) == 5
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] = rng.integers(256)
        try:
            read_pickled_arrays(bytes(broken))
        except (ValueError, RefusedNameError):
            refused += 1
    assert refused > 50


def test_truncated_files_are_refused(tmp_path: Path):
    for name, write in (("m.pkl", write_official_pickle), ("m.npz", write_npz)):
        whole = write(tmp_path / name, model_arrays()).read_bytes()
        for size in (3, 100, len(whole) // 2, len(whole) - 2):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(BodyError):
                load_body(tmp_path / name)


def test_a_body_is_remembered_by_name(tmp_path: Path, home: Path):
    path = write_npz(tmp_path / "SMPL_MALE.npz", model_arrays())
    body = add_body(path)
    assert body.name in known_bodies()
    assert load_body(body.name).name == body.name
    assert sorted(p.name for p in home.iterdir()) == ["bodies.json"]
    assert home.joinpath("bodies.json").stat().st_size < 1000
    named = add_body(path, gender="female")
    assert named.gender == load_body(named.name).gender == "female"


def test_a_remembered_file_that_moved_or_changed(tmp_path: Path):
    path = write_npz(tmp_path / "m.npz", model_arrays())
    name = add_body(path).name
    write_npz(path, model_arrays(seed=1))
    with pytest.raises(BodyError, match="has changed since it was added"):
        load_body(name)
    path.unlink()
    with pytest.raises(BodyError, match="is gone"):
        load_body(name)


def test_a_broken_list_of_bodies(home: Path):
    home.mkdir()
    for text in (
        "{",
        "[]",
        '{"format": 9, "bodies": []}',
        '{"format": 1, "bodies": [{"name": 1}]}',
    ):
        home.joinpath("bodies.json").write_text(text)
        with pytest.raises(BodyError, match="list of bodies"):
            known_bodies()


def test_adding_something_else(tmp_path: Path, home: Path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BodyError, match="a text file, not a body model"):
        add_body(tmp_path / "notes.txt")
    with pytest.raises(BodyError, match="gender"):
        add_body(write_npz(tmp_path / "m.npz", model_arrays()), gender="other")
    with pytest.raises(BodyError, match="no body or file"):
        add_body(tmp_path / "none.npz")
    assert not home.exists()


def test_a_link_in_a_circle_is_no_body(tmp_path: Path):
    (tmp_path / "smpl.npz").symlink_to("smpl.npz")
    with pytest.raises(BodyError, match="there is no body or file named"):
        add_body(tmp_path / "smpl.npz")

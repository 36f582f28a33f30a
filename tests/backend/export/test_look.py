"""How characters look: one set of colours, in the body file, the .glb and the .usd."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import WITH_FINGERS, load_body, look_arrays, skin_colours
from staf_backend.export.gltf import write_glb
from tests.support.glb_reader import read_glb
from tests.support.node_checks import run_node
from tests.support.sample_motions import sample_motion, swaying

BODY = load_body("open-neutral")
BODIES = {"open-neutral": BODY, "open-male": load_body("open-male")}


def from_srgb(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded < 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def near(joint: int, share: tuple[float, float]) -> np.ndarray:
    """(V,) bool: vertices that a joint moves by that share."""
    weight = BODY.dense_weights[:, joint]
    return (weight >= share[0]) & (weight <= share[1])


def test_joints_are_darker_and_hollows_draw_the_shape():
    light = skin_colours(BODY).mean(1)
    knee = WITH_FINGERS.names.index("L_Knee")
    shin, seam = near(knee, (0.98, 1.0)), near(knee, (0.45, 0.55))
    assert light[seam].mean() < 0.75 * light[shin].mean()
    assert np.ptp(light[near(WITH_FINGERS.names.index("Head"), (0.98, 1.0))]) > 0.1, "a face"
    assert ((skin_colours(BODY) >= 0) & (skin_colours(BODY) <= 1)).all()


def test_left_and_right_look_the_same():
    """The open body mirrors in x: what a vertex and its twin look like differs by little."""
    from scipy.spatial import KDTree

    colours, places = skin_colours(BODY), BODY.template_m
    far_m, twin = KDTree(places).query(places * [-1, 1, 1])
    paired, twins = far_m < 1e-3, np.asarray(twin)
    assert paired.mean() > 0.5
    assert abs(colours[paired] - colours[twins[paired]]).mean() < 0.01


def test_the_body_file_of_the_addon_has_the_colours_that_exports_write(tmp_path: Path):
    """What a scene shows and what `staf convert` writes are one look."""
    write_glb(tmp_path / "m.glb", [sample_motion()], BODIES)
    glb = read_glb(tmp_path / "m.glb")
    from addon.scene.body_file import open_body_path, read_body

    shown = read_body(open_body_path("open-neutral"), "open-neutral")
    assert BODY.uvs is not None
    assert BODY.uv_faces is not None
    pairs = BODY.faces.astype(np.int64) * len(BODY.uvs) + BODY.uv_faces
    vertices = np.unique(pairs) // len(BODY.uvs)
    linear = from_srgb(shown.skin_colours)[vertices]
    np.testing.assert_allclose(glb.attribute("COLOR_0")[:, :3], linear, atol=0.006)
    np.testing.assert_array_equal(glb.attribute("COLOR_0")[:, 3], 1)
    surface = glb.json["materials"][0]["pbrMetallicRoughness"]
    assert surface["roughnessFactor"] == float(shown.skin_roughness)
    assert surface.get("baseColorFactor", [1] * 4) == [1] * 4, "nothing dims the colours"
    write_glb(tmp_path / "c.glb", [sample_motion()], BODIES, look="clay")
    clay = read_glb(tmp_path / "c.glb")
    surface = clay.json["materials"][0]["pbrMetallicRoughness"]
    assert "COLOR_0" not in clay.primitive()["attributes"]
    assert surface["baseColorFactor"] == [*shown.clay_colour, 1]
    assert surface["roughnessFactor"] == float(shown.clay_roughness)


@pytest.mark.parametrize("name", ["open-neutral", "open-male", "open-female"])
@pytest.mark.parametrize("fingers", [False, True])
def test_the_addons_body_files_are_up_to_date(name: str, fingers: bool):
    from addon.scene.body_file import open_body_path, read_body

    kept = read_body(open_body_path(name), name, fingers)
    made = look_arrays(load_body(name, fingers=fingers))
    np.testing.assert_array_equal(np.rint(kept.skin_colours * 255), made["skin_colours"])
    for word in ("skin_roughness", "clay_colour", "clay_roughness"):
        np.testing.assert_array_equal(getattr(kept, word), made[word])


def test_a_clip_grows_by_less_than_a_seventh_and_is_valid(tmp_path: Path):
    """The shortest clip, of which most is the mesh."""
    sizes = []
    for look in ("clay", "textured"):
        write_glb(tmp_path / f"{look}.glb", [sample_motion(swaying(1))], BODIES, look=look)
        sizes.append((tmp_path / f"{look}.glb").stat().st_size)
    assert sizes[1] < 1.15 * sizes[0], sizes
    path = str(tmp_path / "textured.glb")
    issues = run_node("validate.mjs", path)[path]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues


def test_what_is_no_body_is_of_clay(tmp_path: Path):
    write_glb(tmp_path / "m.glb", [sample_motion()], BODIES, mesh=False)
    assert "COLOR_0" not in read_glb(tmp_path / "m.glb").primitive()["attributes"]

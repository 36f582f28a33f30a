"""Synthetic people: what is drawn is where the targets say, the same twice, and bad input."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("moderngl")

import torch

from staf_backend.body import load_body
from staf_backend.geometry import SMPL, forward_kinematics
from staf_backend.staf.body import BodyPoints, tables_from_body
from tests.support.places import REPOSITORY
from tests.support.plain_people import PLAIN, skip_without_drawing
from training.joints import HIPS, JOINTS_49
from training.moves import NONE, MocapError, Movement
from training.synthetic import (
    Degradation,
    Looks,
    SyntheticError,
    SyntheticImages,
    SyntheticRecipe,
    SyntheticSequences,
    Views,
    draw,
    scene,
    sheet,
    studio,
)
from training.synthetic.degrade import Flaws, degrade
from training.synthetic.meshes import Things
from training.targets import BodyJoints, crop_turns

LEFT, RIGHT = SMPL.indices("shoulder")


@pytest.fixture(scope="module", autouse=True)
def _drawing():
    skip_without_drawing()


@pytest.fixture(scope="module")
def mocap(tmp_path_factory) -> Path:
    """Two subjects that swing: the first the left arm, the second the right one."""
    swing = np.sin(np.arange(90) / 9)
    arrays = {}
    for name, joint in (("01_01", LEFT), ("02_01", RIGHT)):
        poses = np.zeros((90, 24, 3))
        poses[:, joint, 1] = swing
        arrays |= {f"{name}/poses": poses.reshape(90, 72), f"{name}/trans_m": np.zeros((90, 3))}
    path = tmp_path_factory.mktemp("mocap") / "swings.npz"
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def whole(source: SyntheticSequences, index: int) -> np.ndarray:
    return np.concatenate([part.images for part in source.parts(index)])


def silhouette(recipe: SyntheticRecipe, take: studio.Take, frame: int) -> np.ndarray:
    """Where the person changes the picture (S, S) bool."""
    drawing = draw.renderer(recipe.pixels)
    drawing.begin(take.shot)
    with_person = drawing.picture(frame, frame).astype(int)
    drawing.begin(_empty(take.shot))
    return np.abs(with_person - drawing.picture(frame, frame)).max(-1) > 3


def _empty(shot: draw.Shot) -> draw.Shot:
    """The same shot, its person far below the floor."""
    actor = shot.actors[0]
    bones = actor.person.bones.copy()
    bones[..., 3] -= (0, 500, 0)
    person = replace(actor.person, bones=bones)
    return replace(shot, actors=(replace(actor, person=person),))


def test_the_same_seed_gives_the_same_bytes_and_others_differ():
    recipe = SyntheticRecipe(frames=(3, 3))
    first, again = (SyntheticSequences(recipe, 4, 7) for _ in range(2))
    one = whole(first, 1)
    whole(again, 2)  # what was drawn before must not matter
    assert np.array_equal(one, whole(again, 1))
    other_seed = SyntheticSequences(recipe, 4, 8)
    for other in (whole(first, 2), whole(other_seed, 1)):
        assert np.abs(one.astype(int) - other).mean() > 5


def test_images_are_new_at_each_draw_and_repeat_with_the_generator():
    source = SyntheticImages(SyntheticRecipe(), 4, 0)
    image, targets = source.image(1, np.random.default_rng(3))
    same, _ = source.image(1, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    others = [source.image(1, rng)[0] for _ in range(2)]
    assert image.shape == (224, 224, 3)
    assert targets.keypoints.shape == (49, 3)
    assert np.array_equal(image, same)
    assert not np.array_equal(others[0], others[1])


def test_parts_are_bounded_and_do_not_change_the_pixels():
    fine, coarse = (
        SyntheticSequences(
            replace(PLAIN, part_frames=n, degradation=Degradation(motion_blur=1)), 3, 0
        )
        for n in (3, 100)
    )
    parts = list(fine.parts(0))
    assert all(len(part.images) <= 3 for part in parts)
    assert np.array_equal(whole(fine, 0), whole(coarse, 0))
    times = np.concatenate([part.times_s for part in parts])
    rate = 1 / np.diff(times)
    assert (rate > 24.9).all()
    assert (rate < 30.1).all()
    assert np.allclose(rate, rate[0])


def test_the_first_picture_of_a_renderer_is_as_the_second():
    take = SyntheticSequences(PLAIN, 1, 0).take(0)
    drawing = draw.Renderer(224)
    drawing.begin(take.shot)
    assert np.array_equal(drawing.picture(0, 0), drawing.picture(0, 0))


def test_another_thread_draws_the_same():
    source, drawn = SyntheticSequences(PLAIN, 2, 0), []
    thread = threading.Thread(target=lambda: drawn.append(whole(source, 0)))
    thread.start()
    thread.join()
    assert np.array_equal(whole(source, 0), drawn[0])


@pytest.mark.parametrize("index", range(4))
def test_the_drawn_person_is_where_the_body_projects(index):
    recipe = replace(PLAIN, cell_m=0.0)
    source = SyntheticSequences(recipe, 4, 3)
    take = source.take(index)
    frame = 2
    person, camera = take.shot.actors[0].person, take.shot.camera
    body = load_body("open-neutral")
    rest = body.rest_joints_m(person.betas)
    root = person.bones[frame, 0] @ np.append(rest[0], 1)
    vertices = body.vertices_m(person.rotations[frame], person.betas, root)
    one = replace(camera, view=camera.view[[frame]], place_m=camera.place_m[[frame]])
    x, y, side = take.shot.squares[frame]
    pixels = ((one.project(vertices[None])[0] - (x, y)) / side + 0.5) * recipe.pixels
    rows, columns = np.nonzero(silhouette(recipe, take, frame))
    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    expected = np.concatenate([pixels.min(0), pixels.max(0)])
    # clothes, shoes and hair stand off by a few centimetres
    slack = 0.04 * camera.focal / one.seen(root[None, None])[0, 0, 2] / side * recipe.pixels + 3
    assert np.abs(drawn - np.clip(expected, 0, recipe.pixels)).max() < slack


def test_the_coarser_mesh_looks_like_the_whole_one():
    masks = []
    for cell_m in (0.0, SyntheticRecipe.cell_m):
        recipe = replace(PLAIN, cell_m=cell_m)
        masks.append(silhouette(recipe, SyntheticSequences(recipe, 1, 3).take(0), 1))
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.94


def test_targets_are_those_of_the_body_they_name():
    take = SyntheticSequences(PLAIN, 3, 1).take(2)
    targets, body = take.targets, load_body("open-neutral")
    frames = len(take.times_s)
    betas = targets.betas[0]
    zero = np.zeros((frames, 3))
    vertices = body.vertices_m(targets.rotations.astype(float), betas, zero)
    _, joints = forward_kinematics(targets.rotations.astype(float), body.rest_joints_m(betas), zero)
    points = BodyPoints(torch.from_numpy(vertices).float(), torch.from_numpy(joints).float())
    expected = BodyJoints(tables_from_body(body))(points).numpy()
    expected -= expected[:, list(HIPS)].mean(1, keepdims=True)
    assert np.abs(targets.joints_m[..., :3] - expected).max() < 1e-5
    assert (targets.joints_m[..., 3] == 1).all()


def test_the_crops_camera_sees_the_joints_where_the_crop_has_them():
    """Keypoints from joints_m by a camera turned at the crop: true but for the crop's slant."""
    take = SyntheticSequences(PLAIN, 6, 1).take(4)
    camera, squares = take.shot.camera, take.shot.squares
    person = take.shot.actors[0].person
    turn = crop_turns(squares, camera.focal) @ camera.view
    seen = (person.joints_m - camera.place_m[:, None]) @ turn.swapaxes(-1, -2)
    middle = seen[:, list(HIPS)].mean(1, keepdims=True)
    assert np.abs(seen - middle - take.targets.joints_m[..., :3]).max() < 1e-5
    ray = np.einsum(
        "tij,tj->ti",
        np.linalg.inv(camera.view),
        np.concatenate([squares[:, :2] / camera.focal, np.ones((len(squares), 1))], -1),
    )
    ahead = np.einsum("tij,tj->ti", turn, ray)
    assert np.abs(ahead[:, :2]).max() < 1e-9
    assert (ahead[:, 2] > 0).all()


def test_somebody_who_faces_the_camera_has_the_left_side_on_the_right_and_the_head_up():
    rng = np.random.default_rng(0)
    local = np.tile(np.eye(3), (2, 24, 1, 1))
    person = scene.stand("open-neutral", Movement(local, np.zeros((2, 3))), rng)
    place = np.tile([0.0, 1.0, 4.0], (2, 1))
    view = scene.looking(place, np.tile([0.0, 1.0, 0.0], (2, 1)), 0.0)
    camera = scene.Camera(view, place, 1.0)
    squares = scene.crop_squares(person, camera, 30.0, Views(truncated=0.0), rng)
    points = scene.truth(person, camera, squares, True).keypoints[0]
    at = {name: points[JOINTS_49.index(name)] for name in JOINTS_49}
    assert at["left_wrist"][0] > 0.5 > -0.5 > at["right_wrist"][0]
    assert at["head_top"][1] < at["pelvis"][1] < at["left_ankle"][1]
    assert np.abs(points[:, :2]).max() < 1
    assert abs(person.box_m[..., 1].min()) < 1e-6


def test_people_fill_their_crops_and_boxes_are_steady():
    source = SyntheticSequences(replace(PLAIN, frames=(40, 40)), 8, 2)
    for index in range(8):
        take = source.take(index)
        inside = np.abs(take.targets.keypoints[..., :2]).max(-1) < 1
        assert inside.mean() > 0.9
        centre, side = take.shot.squares[:, :2], take.shot.squares[:, 2:]
        assert np.abs(np.diff(centre, axis=0) / side[1:]).max() < 0.15
        assert (take.targets.betas == take.targets.betas[0]).all()


def test_other_bodies_betas_are_unknown():
    recipe = replace(PLAIN, bodies=(("open-neutral", 1e-9), ("open-male", 1.0)))
    source = SyntheticSequences(recipe, 1, 0)
    targets = source.take(0).targets
    assert source.body == "open-neutral"
    assert not targets.has_betas.any()
    assert not targets.betas.any()
    assert targets.has_pose.all()
    assert source.take(0).shot.actors[0].person.body.name == "open-male"


def test_parts_are_split_by_subject(mocap):
    for part, joint in (("train", LEFT), ("held-out", RIGHT)):
        recipe = replace(
            PLAIN, mocap=str(mocap), held_out=("02",), part=part, sampled=0.0, variety=NONE
        )
        source = SyntheticSequences(recipe, 1, 0)
        (clip,) = source.studio.clips
        moved = np.abs(clip.rotations - np.eye(3)).max((0, 2, 3))
        assert moved.argmax() == joint
        whole_turns = source.take(0).shot.actors[0].person.rotations[:, 1:]
        assert (np.abs(whole_turns - np.eye(3)).max((0, 2, 3)) > 0.01).sum() == 1


def test_flaws_blacken_beyond_the_picture_and_keeps_the_rest():
    picture = np.full((336, 336, 3), 100, np.uint8)
    flaws = Flaws(np.ones(3), 1.0, 0.0, 224, 0.0, 0, (-np.inf, -np.inf, 0.25, np.inf))
    crop = degrade(picture, flaws, np.array([0.0, 0.0, 1.0]), np.random.default_rng(0))
    assert (crop[:, :168] == 100).all()
    assert (crop[:, 168:] == 0).all()


def test_noise_is_new_each_frame():
    still = SyntheticRecipe(frames=(2, 2), degradation=Degradation(0, 1, 0, 0, 0.5, 0, 0, 0))
    source = SyntheticSequences(still, 1, 0)
    take = source.take(0)
    flaws = replace(take.flaws, noise=0.05)
    square = take.shot.squares[0]
    picture = np.full((224, 224, 3), 128, np.uint8)
    a, b = (degrade(picture, flaws, square, np.random.default_rng([1, frame])) for frame in (0, 1))
    assert not np.array_equal(a, b)
    assert 2 < a.std() < 30


def test_recipes_travel_as_json():
    recipe = SyntheticRecipe(frames=(9, 20), looks=Looks(skirt=0.5), held_out=("05",))
    assert SyntheticRecipe.from_json(recipe.to_json()) == recipe
    assert SyntheticRecipe.from_json("{}") == SyntheticRecipe()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"colour": 1}',
        '{"part": "test"}',
        '{"looks": {"skirt": 2}}',
        '{"looks": 3}',
        '{"bodies": [["smpl", 1]]}',
        '{"frames": [9]}',
        '{"frames": "ab"}',
        '{"pixels": 100}',
        '{"frames": [20, 9]}',
        '{"sampled": null}',
        '{"bodies": []}',
    ],
)
def test_bad_recipes_are_refused(text):
    with pytest.raises(SyntheticError, match="recipe"):
        SyntheticRecipe.from_json(text)


def test_bad_input_is_named(tmp_path, mocap):
    with pytest.raises(SyntheticError, match="nowhere"):
        SyntheticRecipe.read(tmp_path / "nowhere.json")
    with pytest.raises(SyntheticError, match="no photographs"):
        SyntheticSequences(replace(PLAIN, photos=str(tmp_path)), 1, 0)
    with pytest.raises(MocapError, match="missing"):
        SyntheticSequences(replace(PLAIN, mocap=str(tmp_path / "missing.npz")), 1, 0)
    with pytest.raises(MocapError, match="leaves one side empty"):
        SyntheticSequences(replace(PLAIN, mocap=str(mocap), held_out=("77",)), 1, 0)
    with pytest.raises(ValueError, match="count"):
        SyntheticSequences(PLAIN, 0, 0)
    with pytest.raises(IndexError, match="numbered 5"):
        SyntheticSequences(PLAIN, 2, 0).take(5)


def test_the_recipe_for_frozen_encoders_is_the_default_made_milder():
    clear = SyntheticRecipe.read(REPOSITORY / "training" / "recipes" / "clear.json")
    default = SyntheticRecipe()
    for name in ("motion_blur", "defocus", "coarse", "noise", "jpeg"):
        assert 0 < getattr(clear.degradation, name) < getattr(default.degradation, name)
    for name in ("upper_swap", "bend", "crouch", "free_arm", "free_leg", "tilt"):
        assert 0 < getattr(clear.variety, name) < getattr(default.variety, name)
    assert clear.looks.occluders < default.looks.occluders
    assert clear.views.steep < default.views.steep
    assert (clear.bodies, clear.pixels, clear.part) == (default.bodies, default.pixels, "train")


def test_a_broken_photograph_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    recipe = replace(PLAIN, photos=str(tmp_path), looks=replace(PLAIN.looks, photo=1.0))
    with pytest.raises(SyntheticError, match=r"broken\.jpg"):
        SyntheticSequences(recipe, 1, 0).take(0)


def test_photographs_are_seen(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "green.png"), np.full((64, 96, 3), (0, 255, 0), np.uint8))
    looks = replace(PLAIN.looks, photo=1.0)
    images = SyntheticImages(replace(PLAIN, photos=str(tmp_path), looks=looks), 6, 0)
    rng = np.random.default_rng(0)
    green = [(images.image(i, rng)[0] == (0, 255, 0)).all(-1).mean() for i in range(6)]
    assert max(green) > 0.3


def test_a_fork_that_cannot_draw_says_so():
    whole(SyntheticSequences(PLAIN, 1, 0), 0)
    code = (
        "import os, sys; from staf_backend import StafError\n"
        "from training.synthetic import *\n"
        "source = SyntheticSequences(SyntheticRecipe(frames=(1, 1)), 1, 0); list(source.parts(0))\n"
        "child = os.fork()\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "try: list(source.parts(0))\n"
        "except StafError as error: print(error, flush=True); os._exit(error.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 6
    assert "forked" in done.stdout


def test_no_renderer_is_a_clear_error(monkeypatch):
    import moderngl

    def nothing(**_: object) -> None:
        raise RuntimeError("libEGL.so.1 cannot be loaded")

    monkeypatch.setattr(moderngl, "create_standalone_context", nothing)
    with pytest.raises(SyntheticError, match="libEGL") as caught:
        draw.Renderer(224)
    assert "apt install" in str(caught.value.advice)


def test_a_sheet_is_written_with_targets(tmp_path):
    import cv2

    path = tmp_path / "sheet.png"
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"frames": [2, 3], "pixels": 224}))
    sheet.main(["--out", str(path), "--recipe", str(recipe), "--videos"])
    drawn = cv2.imread(str(path))
    assert drawn is not None
    assert drawn.shape == (6 * 224, 8 * 224, 3)
    assert ((drawn == (80, 255, 80)).all(-1)).sum() > 1000
    with pytest.raises(SyntheticError, match="cannot be written"):
        sheet.main(["--out", str(tmp_path / "no" / "a.png")])


def test_things_add_up():
    zero = np.zeros((3, 3))
    part = Things(zero, zero, zero, np.zeros(3), np.array([[0, 1, 2]]))
    assert np.array_equal((part + part).faces, [[0, 1, 2], [3, 4, 5]])

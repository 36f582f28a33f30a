"""The encoder of painted landmarks, on a real clip beside ONNX Runtime and the clip's own truth."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from staf_backend.assets import AssetError, asset_path
from staf_backend.body.markers import COUNT, indices
from staf_backend.body.markers import LANDMARKS as PLACES
from staf_backend.landmarks.names import COUNT as LANDMARKS
from staf_backend.runtime import open_network, run
from staf_backend.staf import cut, squares_around
from staf_backend.staf.body import rotations_from_6d
from staf_backend.staf.encoders import EncoderPlan, FieldsEncoder, FieldsPlan, read_plan
from staf_backend.staf.encoders.field_maps import CHANNELS, paint
from staf_backend.staf.encoders.frame_lifter import FrameLifter, rest_6d
from staf_backend.video import open_video
from tests.support.balance_truth import _SEEN, _aligned, world_m
from tests.support.places import FOOTAGE
from training.model import FIELDS, make_encoder, plan_of

FRAME, BOX_PX = 60, (523.4, 831.1, 814.2)  # the man leans by some thirty degrees there


@pytest.fixture(scope="module")
def encoder() -> FieldsEncoder:
    made = make_encoder(FIELDS).eval()
    assert isinstance(made, FieldsEncoder)
    return made


def standing(count: int = 1) -> torch.Tensor:
    """Landmarks (count, 27, 6) of somebody upright in the middle of the crop, arms to the sides."""
    places = {
        "nose": (0, -0.6),
        "eye": (0.03, -0.63),
        "ear": (0.06, -0.6),
        "shoulder": (0.15, -0.45),
        "elbow": (0.4, -0.45),
        "wrist": (0.6, -0.45),
        "pinky": (0.65, -0.43),
        "index": (0.66, -0.46),
        "thumb": (0.63, -0.48),
        "hip": (0.1, 0.0),
        "knee": (0.1, 0.35),
        "ankle": (0.1, 0.7),
        "heel": (0.1, 0.75),
        "foot_index": (0.12, 0.8),
    }
    points = torch.zeros(COUNT, 6)
    for name, (x, y) in places.items():
        for place, side in zip(indices(name), (1, -1)):
            points[place, :2] = torch.tensor([x * side, y])
    points[:, 2:4], points[:, 5] = points[:, :2], 1
    return points.expand(count, -1, -1).clone()


class TestPainting:
    def test_a_landmark_is_where_it_is_seen(self):
        maps = paint(standing(), rest_6d(torch.device("cpu"))[None], torch.zeros(1, 10))
        assert maps.shape == (1, CHANNELS, 7, 7)
        wrist = maps[0, indices("left_wrist")[0]]
        row, column = divmod(int(wrist.argmax()), 7)
        assert (column, row) == (5, 1), "cells span two sevenths of the crop"
        assert (wrist < 0.01).float().mean() > 0.5, "and nowhere else"

    def test_a_rotation_lies_on_its_limb(self):
        pose = rest_6d(torch.device("cpu"))[None].clone()
        pose[0, 18 * 6] += 1.0  # the left elbow's
        maps = paint(standing(), pose, torch.zeros(1, 10))
        elbow = maps[0, 2 * COUNT + 18 * 6]
        assert elbow[1, 5] == elbow.max() > 0.3, "the forearm crosses this cell"
        assert elbow[1, :3].max() < 0.01
        assert elbow[5:].max() < 0.01

    def test_a_hidden_landmark_is_fainter(self):
        points = standing()
        points[..., 5] = 0.25
        pose, betas = rest_6d(torch.device("cpu"))[None], torch.zeros(1, 10)
        clear, faint = (paint(p, pose, betas)[:, :COUNT] for p in (standing(), points))
        assert torch.allclose(faint, clear * 0.25)

    def test_alone_equals_in_a_batch(self):
        rng = torch.Generator().manual_seed(0)
        points, pose = torch.rand(5, COUNT, 6, generator=rng), torch.rand(5, 144, generator=rng)
        betas = torch.rand(5, 10, generator=rng)
        alone = paint(points[3:4], pose[3:4], betas[3:4])
        assert torch.equal(alone[0], paint(points, pose, betas)[3])

    def test_landmarks_of_another_shape_are_refused(self):
        with pytest.raises(ValueError, match=r"landmarks must be \(N, 27, 6\)"):
            paint(torch.zeros(2, 33, 6), torch.zeros(2, 144), torch.zeros(2, 10))


def test_an_untrained_lifter_says_that_people_stand_before_the_camera():
    pose6d, betas = FrameLifter(width=32, blocks=1)(standing(2))
    turns = rotations_from_6d(pose6d)
    assert torch.allclose(turns[:, 0], torch.diag(torch.tensor([1.0, -1, -1])).expand(2, 3, 3))
    assert torch.allclose(turns[:, 1:], torch.eye(3).expand(2, 23, 3, 3))
    assert not betas.any()


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    """The man of the balance clip, (1, 224, 224, 3)."""
    frame = next(iter(open_video(FOOTAGE / "balance_cam01.mp4").frames(FRAME, FRAME + 1)))
    (square,) = squares_around(np.array([BOX_PX]), 1.2)
    return torch.from_numpy(cut(frame, square))[None]


class TestLooking:
    def test_one_look_is_the_landmark_network(self, encoder: FieldsEncoder, crop: torch.Tensor):
        """Against ONNX Runtime with the published graph, on the same enlarged picture."""
        once = FieldsEncoder(dataclasses.replace(encoder.plan, looks=1))
        crop = crop.clone()
        crop[:, [0, -1]], crop[:, :, [0, -1]] = 0, 0  # beyond the edge one repeats, one is black
        seen = once.see(once.normalise(crop))[0].numpy()
        large = cv2.resize(crop[0].numpy().astype(np.float32), (256, 256)) / 255
        session = open_network(asset_path("pose_landmark_heavy.onnx"), threads=1)
        found = run(session, image=large.transpose(2, 0, 1)[None])
        points = found["landmarks"][0, :LANDMARKS, :2][PLACES] / 128 - 1
        assert np.abs(seen[:, :2] - points).max() < 1e-3
        assert np.abs(seen[:, 2:5] - found["world"][0, :LANDMARKS][PLACES]).max() < 1e-3

    def test_looking_again_brings_the_truth_nearer(
        self, encoder: FieldsEncoder, crop: torch.Tensor
    ):
        """Seen upright, his limbs are found."""
        once = FieldsEncoder(dataclasses.replace(encoder.plan, looks=1))
        errors = [_error_mm(one.see(one.normalise(crop))[0].numpy()) for one in (once, encoder)]
        assert errors[1] < 0.7 * errors[0], errors

    def test_a_picture_of_nothing_gives_finite_maps(self, encoder: FieldsEncoder):
        black = torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
        assert torch.isfinite(encoder(encoder.normalise(black))).all()

    def test_landmarks_are_taken_as_they_are(self, encoder: FieldsEncoder):
        points = standing(2)
        with torch.inference_mode():
            pose6d, betas = encoder.lifter(points)
            assert torch.equal(encoder(encoder.normalise(points)), paint(points, pose6d, betas))
        with pytest.raises(ValueError, match="landmarks must be"):
            encoder.normalise(torch.zeros(2, 33, 6))


def _error_mm(seen: np.ndarray) -> float:
    """PA-MPJPE of landmarks (27, 6) against the clip's frame."""
    order = [int(np.flatnonzero(place == PLACES)[0]) for place in _SEEN]
    ours, truth = seen[order, 2:5].astype(float)[None], world_m()[FRAME : FRAME + 1]
    return 1e3 * float(np.linalg.norm(_aligned(ours, truth) - truth, axis=-1).mean())


class TestPlan:
    def test_text_and_back(self, encoder: FieldsEncoder):
        plan = plan_of(encoder)
        assert isinstance(plan, FieldsPlan)
        assert read_plan(plan.to_json()) == plan
        with pytest.raises(ValueError, match="another kind"):
            EncoderPlan.from_json(plan.to_json())

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"world": "nowhere"}, "no layer gives"),
            ({"looks": 0}, "looks must be a whole number"),
            ({"blocks": 3_000_000}, "blocks must be a whole number"),
            ({"digest": "abc"}, "no SHA-256"),
        ],
    )
    def test_nonsense_is_refused(self, encoder: FieldsEncoder, change: dict, words: str):
        with pytest.raises(ValueError, match=words):
            dataclasses.replace(encoder.plan, **change)

    def test_other_outputs_are_refused(self, encoder: FieldsEncoder):
        plan = dataclasses.replace(encoder.plan, landmarks=encoder.plan.world)
        with pytest.raises(ValueError, match="does not give 39 landmarks"):
            FieldsEncoder(plan)

    def test_only_the_lifter_is_stored_and_trained(self, encoder: FieldsEncoder):
        assert all(name.startswith("lifter.") for name in encoder.state_dict())
        assert all(name.startswith("lifter.") for name, _ in encoder.named_parameters())

    def test_another_landmark_network_is_refused(self, encoder: FieldsEncoder):
        foreign = FieldsEncoder(dataclasses.replace(encoder.plan, digest="0" * 64))
        with pytest.raises(AssetError, match="trained with another"):
            foreign.see(torch.zeros(1, 3, 224, 224))


def test_the_landmark_network_has_one_file_of_numbers():
    """The published graph reads the file that PyTorch reads."""
    graph = asset_path("pose_landmark_heavy.onnx").stat().st_size
    assert graph < 200_000
    assert Path(asset_path("pose_landmark_heavy.safetensors")).stat().st_size > 27_000_000

"""Simulated landmarks: they mean what footage means, teach, and are refused where they cannot."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from staf_backend.body.markers import indices
from staf_backend.files import sha256
from staf_backend.geometry import SMPL
from staf_backend.staf import StafConfig
from staf_backend.staf.any_network import make_network
from staf_backend.staf.network import Staf
from staf_backend.weights.store import load_weights
from tests.support.make_mocap import SILENT, save, steps
from training import stage_image, stage_video
from training.data.batches import ImageMix
from training.data.sources import DataError, check_readable, open_images, open_sequences
from training.joints import ANNOTATED, JOINTS_49
from training.lifting import train_frames
from training.lifting.train_frames import FrameLifterConfig
from training.model import FIELDS, LossConfig, Losses, make_encoder
from training.moves import Cameras, MocapError, Variety
from training.run import RunError, linear_start, networks
from training.simulated.simulated import Simulation, Simulator
from training.synthetic import SyntheticError, SyntheticRecipe, clips_of

EXACT = Simulation(
    variety=Variety(0, 0, 0, 0, 0, 0, 0),
    cameras=Cameras(bone_width=0, off_axis=(0.9, 0.1)),
    noise=dataclasses.replace(SILENT),
    drift=0,
    jitter=0,
    part=0,
)
"""Nothing errs but the places that a landmark network calls a joint."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names somebody's marching on the spot, and somebody else's."""
    folder = tmp_path_factory.mktemp("simulated")
    arrays = {}
    for number, name in enumerate(("01_01", "01_02", "03_01")):
        poses, trans_m = steps(90, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    save(folder / "steps.npz", arrays)
    content = {"mocap": str(folder / "steps.npz"), "part": "train", "held_out": ["03"]}
    (folder / "recipe.json").write_text(json.dumps(content))
    return folder / "recipe.json"


@pytest.fixture(scope="module")
def exact(recipe: Path) -> tuple[np.ndarray, train_frames.Targets]:
    clips = clips_of(SyntheticRecipe.read(recipe))
    return Simulator(clips, EXACT).draw(16, np.random.default_rng(0))


PAIRS = [
    (f"{side}_{part}", f"{side}_{part}")
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "knee", "ankle")
]


class TestMeaning:
    @pytest.mark.parametrize(("marker", "joint"), PAIRS)
    def test_landmarks_are_seen_where_the_joints_are(self, exact, marker: str, joint: str):
        """On the crop within a few of its 224 pixels: a landmark is a centimetre off its joint."""
        seen, targets = exact
        place, number = indices(marker)[0], JOINTS_49.index(joint)
        off = seen[:, :, place, :2] - targets.keypoints[:, :, number, :2]
        assert np.median(np.linalg.norm(off, axis=-1)) * 112 < 4

    @pytest.mark.parametrize(("marker", "joint"), PAIRS)
    def test_world_points_are_in_the_crops_axes(self, exact, marker: str, joint: str):
        """As the joints are, also of people far from the middle of the picture.

        Limbs have the lengths that the landmark network likes; a turn missed costs 30 cm.
        """
        seen, targets = exact
        place, number = indices(marker)[0], JOINTS_49.index(joint)
        off = seen[:, :, place, 2:5] - targets.joints_m[:, :, number, :3]
        assert np.linalg.norm(off, axis=-1).mean() < 0.15

    def test_people_fill_their_crops(self, exact):
        points = exact[1].keypoints[..., ANNOTATED, :2]
        span = (points.max(2) - points.min(2)).max(-1)
        assert np.all((span > 1.2) & (span < 2)), "the crop is 2 wide, a fifth of it is margin"

    def test_the_left_arm_hangs_on_the_left(self, exact):
        """Seen from the front, on the right of the picture."""
        seen, targets = exact
        to_camera = -targets.rotations[:, :, 0, 2, 2] > 0.8
        left, right = (seen[:, :, indices(f"{side}_wrist")[0], 0] for side in ("left", "right"))
        assert to_camera.any()
        assert np.mean((left > right)[to_camera]) > 0.99

    def test_rotations_are_the_bodys_own(self, exact):
        """Of somebody on the spot whose spine never bends."""
        turns = exact[1].rotations[:, :, SMPL.index("spine1")]
        assert np.allclose(turns, np.eye(3), atol=1e-3)

    def test_the_same_seed_gives_the_same(self, recipe: Path):
        one, other, third = (
            next(open_sequences(f"simulated:3:{seed}", recipe=recipe).parts(2))
            for seed in (5, 5, 6)
        )
        assert np.array_equal(one.images, other.images)
        assert not np.array_equal(one.images, third.images)
        assert one.images.shape == (32, 27, 6)
        frames = open_images("simulated:600:5", recipe=recipe)
        image, targets = frames.image(599, np.random.default_rng(0))
        again, _ = open_images("simulated:600:5", recipe=recipe).image(599, None)  # type: ignore[arg-type]
        assert len(frames) == 600
        assert np.array_equal(image, again)
        assert targets.has_pose == 1

    def test_parts_are_of_other_people(self, recipe: Path, tmp_path: Path):
        content = json.loads(recipe.read_text()) | {"part": "held-out"}
        (tmp_path / "held.json").write_text(json.dumps(content))
        one, other = (
            next(open_sequences("simulated:1:5", recipe=file).parts(0))
            for file in (recipe, tmp_path / "held.json")
        )
        assert not np.array_equal(one.images, other.images)


class TestRefusals:
    def test_motion_must_be_named(self):
        with pytest.raises(SyntheticError, match="names none") as caught:
            open_images("simulated")
        assert "mocap" in caught.value.advice

    def test_the_motion_must_be_there(self, tmp_path: Path):
        (tmp_path / "recipe.json").write_text(json.dumps({"mocap": str(tmp_path / "no.npz")}))
        with pytest.raises(MocapError, match=r"no\.npz"):
            open_sequences("simulated", recipe=tmp_path / "recipe.json")

    @pytest.mark.parametrize("words", ["simulated:0", "simulated:a", "simulated:1:2:3"])
    def test_other_words_are_refused(self, words: str):
        with pytest.raises(DataError, match="is no data source") as caught:
            open_images(words)
        assert "simulated:COUNT" in caught.value.advice

    def test_an_encoder_of_pictures_cannot_read_them(self):
        with pytest.raises(DataError, match="no pictures") as caught:
            check_readable(["simulated:5"], make_encoder("blazepose-full"))
        assert FIELDS in caught.value.advice

    def test_they_do_not_mix_with_pictures(self):
        with pytest.raises(DataError, match="cannot be mixed"):
            check_readable(["simulated:5", "synthetic"], make_encoder(FIELDS))


@pytest.fixture(scope="module")
def lifter(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a few seconds."""
    mocap = Path(json.loads(recipe.read_text())["mocap"])
    config = FrameLifterConfig(steps=40, batch=48)
    return train_frames.train([mocap], tmp_path_factory.mktemp("lifter"), config)


@pytest.mark.slow
def test_the_lifter_learns(recipe: Path, lifter: Path):
    report = json.loads(lifter.with_suffix(".json").read_text())
    assert (report["config"]["steps"], report["config"]["batch"]) == (40, 48)
    encoder = make_encoder(FIELDS, lifter)
    objective = train_frames.FrameObjective(FrameLifterConfig())
    simulator = Simulator(clips_of(SyntheticRecipe.read(recipe)), Simulation())
    batch = train_frames.draw_block(simulator, 256, seed=1, number=0)[0]
    trained, fresh = (
        objective.score(one.lifter, batch)["mpjpe_mm"]  # type: ignore[union-attr]
        for one in (encoder, make_encoder(FIELDS))
    )
    assert trained < 0.7 * fresh


@pytest.mark.slow
def test_the_same_seed_gives_the_same_lifter(recipe: Path, tmp_path: Path):
    mocap = Path(json.loads(recipe.read_text())["mocap"])
    config = FrameLifterConfig(steps=3, batch=16, width=32, blocks=1)
    one, other = (train_frames.train([mocap], tmp_path / name, config) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_a_lifter_goes_on_from_another(recipe: Path, lifter: Path, tmp_path: Path):
    mocap = Path(json.loads(recipe.read_text())["mocap"])
    again = train_frames.train([mocap], tmp_path, FrameLifterConfig(steps=1, averaging=0.0), lifter)
    report = json.loads(again.with_suffix(".json").read_text())
    assert report["config"]["begun_from"] == sha256(lifter)
    one, other = (make_encoder(FIELDS, file).state_dict() for file in (lifter, again))
    assert all(torch.allclose(one[name], other[name], atol=0.05) for name in one)
    with pytest.raises(RunError, match="cannot be begun from"):
        train_frames.train([mocap], tmp_path, FrameLifterConfig(steps=1, width=64), lifter)


def test_a_lifter_of_unknown_motion_is_refused(tmp_path: Path):
    with pytest.raises(MocapError, match=r"no\.npz"):
        train_frames.train([tmp_path / "no.npz"], tmp_path, FrameLifterConfig(steps=1))


@pytest.fixture(scope="module")
def batches(recipe: Path) -> list:
    mix = ImageMix([open_images("simulated:4000:3", recipe=recipe)], [1.0], 64, 0)
    return [mix.batch(step) for step in range(62)]


class TestLinearStart:
    def network(self) -> Staf:
        torch.manual_seed(0)
        config = StafConfig(
            frames=1,
            channels=16,
            average_target=False,
            tcfm_stage=None,
            safm_stage=None,
            map_channels=make_encoder(FIELDS).channels,
        )
        made = make_network(config, networks.body_tables("open-neutral"), networks.start_values())
        assert isinstance(made, Staf)
        return made

    @pytest.mark.slow
    def test_the_first_regressor_knows_much_at_once(self, batches: list, lifter: Path):
        encoder, network = make_encoder(FIELDS, lifter).eval(), self.network()
        losses = Losses(network.body, LossConfig.paper_image()).eval()

        def loss() -> float:
            batch = batches[-1]
            with torch.no_grad():
                maps = encoder(encoder.normalise(batch.images))
                outputs = network.eval()(maps[:, None])
                return float(losses(outputs.stages[:1], batch.targets)["joints_3d"])

        before, others = loss(), [one.clone() for one in network.regressors[1].parameters()]
        linear_start.fit(network, encoder, batches[:-1])
        assert loss() < 0.25 * before
        assert all(map(torch.equal, others, network.regressors[1].parameters()))

    def test_labels_must_be_known(self, batches: list):
        blind = batches[0]._replace(targets=batches[0].targets._replace(has_betas=torch.zeros(64)))
        with pytest.raises(RunError, match="pose and betas"):
            linear_start.fit(self.network(), make_encoder(FIELDS), [blind])

    def test_dropout_is_refused(self):
        with pytest.raises(ValueError, match="dropout 0"):
            stage_image.ImageStageConfig(linear_start=True)


@pytest.mark.slow
def test_both_stages_learn_from_them_and_the_weights_run_on_footage(
    recipe: Path, lifter: Path, tmp_path: Path
):
    short = f"--epochs 1 --iterations 3 --batch 4 --dropout 0 --recipe {recipe}"
    image = f"--data simulated:600 --encoder {FIELDS} --encoder-weights {lifter} --encoder-rate 0"
    image += f" --channels 16 --no-dense --linear-start --out {tmp_path / 'base'}"
    video = f"--data-3d simulated:4 --schedule constant --run {tmp_path / 'base'}"
    stage_image.main(f"{image} {short}".split())
    stage_video.main(f"{video} --out {tmp_path / 'staf'} {short}".split())
    loaded = load_weights("weights", root=tmp_path / "staf")
    assert loaded.info.encoder == FIELDS
    assert (tmp_path / "staf/weights/encoder.safetensors").stat().st_size < 20_000_000
    crop = torch.randint(0, 255, (1, 224, 224, 3), dtype=torch.uint8)
    maps = loaded.encoder(loaded.encoder.normalise(crop))
    found = loaded.network(maps[:, None].expand(-1, 9, -1, -1, -1)).result
    assert torch.isfinite(found.rotations).all()

"""Settings of both stages check themselves; presets are the paper's; validation."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.staf import StafConfig  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from training.model import DenseConfig  # noqa: E402
from training.run import (  # noqa: E402
    ImageStageConfig,
    PositionScores,
    RunError,
    VideoStageConfig,
    networks,
)


@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"encoder_rate": -1.0}])
def test_image_configurations_check_themselves(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ImageStageConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"share_2d": 1.5}, {"stride": 0}, {"dropout": -0.1}, {"fusion_gain": 0.0}]
)
def test_video_configurations_check_themselves(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VideoStageConfig(**wrong)


def test_presets_are_the_papers():
    """Reference section 6.1."""
    one, two = ImageStageConfig.coco(), ImageStageConfig.mixed()
    assert (one.loop.epochs, one.loop.batch, one.loop.learning_rate) == (175, 64, 5e-5)
    assert (two.loop.epochs, two.loop.batch, two.loop.schedule) == (60, 64, "constant")
    assert one.dense == DenseConfig(parts=1.0, regions=1.0, coordinates=0.5)
    assert one.network(2048) == StafConfig(
        frames=1, average_target=False, tcfm_stage=None, safm_stage=None
    )


def test_mean_parameters(tmp_path):
    mean = networks.start_values()
    assert mean.pose6d[:6].tolist() == [1, 0, 0, -1, 0, 0]
    path = tmp_path / "mean.npz"
    np.savez(path, pose=np.arange(144.0), shape=np.zeros(10), cam=np.ones(3))
    assert networks.start_values(path).pose6d[1] == 1
    np.savez(path, pose=np.zeros(72), shape=np.zeros(10), cam=np.ones(3))
    with pytest.raises(RunError, match="another form"):
        networks.start_values(path)
    path.write_bytes(b"no")
    with pytest.raises(RunError, match="holds no mean parameters"):
        networks.start_values(path)


def test_validation_scores_are_of_frames_with_all_joints():
    truth = made.tensors(made.people(4, 1)).joints_m
    off = truth[..., :3].clone()
    off[:, 36, 0] += 0.014  # the left wrist, one of fourteen
    scores = PositionScores()
    truth[3, 25, 3] = 0
    off[3] += 9
    scores.add(off, truth)
    assert scores.frames == 3
    assert scores.means()["mpjpe_mm"] == pytest.approx(1.0, abs=1e-3)
    larger = PositionScores()
    larger.add(1.3 * truth[:3, :, [1, 2, 0]], truth[:3])
    assert larger.means()["mpjpe_mm"] > 100
    assert larger.means()["pa_mpjpe_mm"] < 1e-3
    with pytest.raises(RunError, match="no frame with all fourteen"):
        PositionScores().means()

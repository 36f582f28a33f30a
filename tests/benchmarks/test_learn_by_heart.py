"""A tiny network learns 64 synthetic windows by heart: about ten minutes of one core."""

from pathlib import Path

import pytest

from tests.support import make_stages as made
from training import stage_video
from training.data.feature_cache import build_cache
from training.model import LossConfig
from training.run import LoopConfig, run_folder


def test_a_tiny_network_learns_64_synthetic_windows_by_heart(tmp_path: Path):
    """Below 10 mm MPJPE: the losses, the network and the labels mean the same."""
    pytest.importorskip("moderngl")
    from training.synthetic import SyntheticRecipe, SyntheticSequences

    recipe = SyntheticRecipe(frames=(9, 9), bodies=(("open-neutral", 1.0),))
    given = made.base()
    cache = build_cache(SyntheticSequences(recipe, 64, 0), given.encoder, tmp_path / "maps")
    assert len(cache.windows(3, 9)) == 64
    loop = LoopConfig(
        epochs=6,
        iterations=200,
        batch=32,
        learning_rate=8e-4,
        schedule="onecycle",
        clip_norm=5.0,
        save_every=10_000,
    )
    losses = LossConfig(keypoints_2d=30.0)
    network = made.network(given, frames=3)
    config = made.video_config(given, loop=loop, network=network, stride=9, losses=losses)
    caches = stage_video.VideoCaches(three_d=(cache,), validation=cache)
    stage_video.train_video(config, caches, given, tmp_path / "run", made.CPU)
    scores = [e["scores"] for e in run_folder.reports(tmp_path / "run") if "scores" in e]
    print("\n" + "  ".join(f"{score['mpjpe_mm']:.1f}" for score in scores) + " mm")
    assert scores[-1]["mpjpe_mm"] < 10

"""The training of the lifter of single frames: its batches by step, and how a run goes on."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("tensorboard")

from tests.support.make_mocap import save, steps  # noqa: E402
from training.lifting import train_frames  # noqa: E402
from training.lifting.train_frames import FrameLifterConfig  # noqa: E402
from training.moves import figure_of, open_clips  # noqa: E402
from training.run import checkpoints, run_folder  # noqa: E402
from training.simulated.simulated import Simulation, Simulator  # noqa: E402

SMALL = FrameLifterConfig(steps=7, batch=200, width=32, blocks=1, held_out=("03",))


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Path:
    arrays = {}
    for number, name in enumerate(("01_01", "03_01")):
        poses, trans_m = steps(90, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    path = tmp_path_factory.mktemp("mocap") / "steps.npz"
    save(path, arrays)
    return path


def test_a_batch_depends_on_its_step_alone(motion):
    clips = open_clips([motion], figure_of("open-neutral"))
    simulator = Simulator(clips, Simulation())
    whole = list(train_frames.feed(simulator, SMALL, 0, 7))
    assert [len(batch.seen) for batch in whole] == [200, 200, 112, 200, 200, 112, 200]
    later = list(train_frames.feed(simulator, SMALL, 2, 5))
    for one, other in zip(whole[2:5], later, strict=True):
        assert torch.equal(one.seen, other.seen)
        assert torch.equal(one.truth.betas, other.truth.betas)


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(motion, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    feed = train_frames.feed

    def feed_until(simulator, config, first, _last):
        yield from feed(simulator, config, first, 5)
        raise Killed

    monkeypatch.setattr(train_frames, "_REPORT_EVERY", 2)
    whole = train_frames.train([motion], tmp_path / "whole", SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(train_frames, "feed", feed_until)
        with pytest.raises(Killed):
            train_frames.train([motion], tmp_path / "parts", SMALL)
    assert checkpoints.read_progress(tmp_path / "parts" / run_folder.LAST).step == 4
    parts = train_frames.train([motion], tmp_path / "parts", SMALL, resume=True)
    assert whole.read_bytes() == parts.read_bytes()
    assert whole.with_suffix(".json").read_text() == parts.with_suffix(".json").read_text()


def test_scores_come_every_500_steps_or_at_the_end():
    assert (FrameLifterConfig().loop.epochs, FrameLifterConfig().loop.iterations) == (14, 500)
    assert (SMALL.loop.epochs, SMALL.loop.iterations) == (1, 7)

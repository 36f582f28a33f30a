"""The training loop: what a run stores, how it goes on, how it stops."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402
from torch.optim.lr_scheduler import ReduceLROnPlateau  # noqa: E402

from staf_backend.files import OutputError  # noqa: E402
from tests.support.make_training_run import LOOP, SmallConfig, small_run  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from training.run import (  # noqa: E402
    LoopConfig,
    Machine,
    RunError,
    Stopped,
    VideoStageConfig,
    checkpoints,
    run_folder,
    train,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that was never interrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    train(small_run(folder))
    return folder


def process(code: list[str], **options) -> subprocess.CompletedProcess:
    paths = str(REPOSITORY)
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def same(one: Path, other: Path) -> None:
    """Equal bit for bit: weights, optimiser, schedule, progress, log."""
    for name in (run_folder.LAST, run_folder.BEST):
        header, tensors = checkpoints.read_checkpoint(one / name)
        header2, tensors2 = checkpoints.read_checkpoint(other / name)
        assert tensors.keys() == tensors2.keys()
        assert any(key.startswith("optimiser/") for key in tensors)
        for key in tensors:
            assert torch.equal(tensors[key], tensors2[key]), key
        assert header["progress"] == header2["progress"]
        assert header["groups"] == header2["groups"]
    assert run_folder.reports(one) == run_folder.reports(other)


def test_a_run_lowers_its_loss_and_says_what_it_ran_with(whole):
    reports = run_folder.reports(whole)
    losses = [entry["losses"]["total"] for entry in reports if "losses" in entry]
    assert losses[-1] < 0.7 * losses[0]
    assert [entry["step"] for entry in reports if "scores" in entry] == [5, 10, 15, 20]
    described = run_folder.describe(whole)
    assert described["config"]["loop"]["learning_rate"] == LOOP.learning_rate
    assert set(described["starts"][0]) == {"time", "git", "software", "device", "processes"}
    header, _ = checkpoints.read_checkpoint(whole / run_folder.LAST)
    assert header["run"]["config"] == described["config"]
    assert header["progress"]["finished"]
    assert any((whole / "tensorboard").iterdir())


def test_the_best_state_is_that_of_the_best_score(whole):
    scores = {e["step"]: e["scores"]["score"] for e in run_folder.reports(whole) if "scores" in e}
    header, _ = checkpoints.read_checkpoint(whole / run_folder.BEST)
    step = min(scores, key=scores.__getitem__)
    assert header["progress"]["step"] == header["progress"]["best_step"] == step
    again = small_run(whole)
    best = checkpoints.read_model(whole / run_folder.BEST)
    checkpoints.load_strictly(again.objective, best, whole)
    again.objective.eval()
    assert again.validate is not None
    assert again.validate()["score"] == scores[step]


def test_epochs_may_be_shorter_than_from_report_to_report(tmp_path):
    """Of a small set, without validation."""
    rare = replace(LOOP, report_every=50, schedule="constant")
    assert train(small_run(tmp_path, loop=rare, validate=None)).finished
    assert [entry["step"] for entry in run_folder.reports(tmp_path)] == [20]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "number"), [("killed", 1), ("killed", 13), ("save", 1), ("save", 2), ("save", 5)]
)
def test_killed_and_resumed_equals_uninterrupted(what, number, whole, tmp_path):
    """SIGKILL before any save, between steps, and in the middle of a save; dropout is on."""
    made = str(REPOSITORY / "tests" / "support" / "make_training_run.py")
    done = process([made, str(tmp_path), what, str(number)])
    assert done.returncode == -signal.SIGKILL, done.stderr
    if what == "save":
        assert list(tmp_path.glob(".*.safetensors"))
    progress = train(small_run(tmp_path, resume=True))
    assert progress.finished
    assert not list(tmp_path.glob(".*.safetensors"))
    same(whole, tmp_path)


def test_pausing_by_the_clock_changes_nothing(whole, tmp_path):
    progress = train(small_run(tmp_path, minutes=0.0))
    assert (progress.step, progress.finished) == (1, False)
    while not progress.finished:
        progress = train(small_run(tmp_path, minutes=0.0, resume=True))
    same(whole, tmp_path)
    assert len(run_folder.describe(tmp_path)["starts"]) == LOOP.steps


def test_a_signal_saves_and_stops(whole, tmp_path):
    def ask(batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return batch

    run = small_run(tmp_path)
    asked = replace(run, feed=lambda first, last: map(ask, run.feed(first, last)))
    with pytest.raises(Stopped) as stopped:
        train(asked)
    assert stopped.value.exit_code == 143
    assert "step 1" in str(stopped.value)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert train(small_run(tmp_path, resume=True)).finished
    same(whole, tmp_path)


def test_another_seed_drops_out_other_units(tmp_path, whole):
    train(small_run(tmp_path, loop=replace(LOOP, seed=1)))
    _, one = checkpoints.read_checkpoint(whole / run_folder.LAST)
    _, other = checkpoints.read_checkpoint(tmp_path / run_folder.LAST)
    assert not torch.equal(one["model/out.weight"], other["model/out.weight"])


def test_seeds_of_steps_and_ranks_are_all_different():
    drawn = set()
    for seed in range(3):
        for step in range(20):
            for rank in range(3):
                Machine(torch.device("cpu"), rank, 3).seed(seed, step)
                drawn.add(tuple(torch.rand(3).tolist()))
    assert len(drawn) == 3 * 20 * 3


def test_the_plateau_schedule_is_the_papers():
    """The rate falls after more than five epochs without a best, to a tenth."""
    config = VideoStageConfig().loop
    assert (config.schedule, config.factor, config.patience) == ("plateau", 0.1, 5)
    assert (config.epochs, config.iterations, config.batch) == (45, 500, 32)
    optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(1))], config.learning_rate)
    schedule = config.make_schedule(optimiser)
    assert isinstance(schedule, ReduceLROnPlateau)
    rates = []
    for score in (60.0, 50.0, *[55.0] * 7):
        schedule.step(score)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([5e-5] * 7 + [5e-6] * 2)


@pytest.mark.slow
def test_the_one_cycle_schedule_resumes(tmp_path):
    loop = replace(LOOP, schedule="onecycle")
    train(small_run(tmp_path / "whole", loop=loop))
    train(small_run(tmp_path / "parts", loop=loop, minutes=0.0))
    train(small_run(tmp_path / "parts", loop=loop, resume=True))
    same(tmp_path / "whole", tmp_path / "parts")
    rates = [e["rate"] for e in run_folder.reports(tmp_path / "whole") if "rate" in e]
    assert max(rates) > 0.5 * LOOP.learning_rate > 0.1 * LOOP.learning_rate > rates[-1]


@pytest.mark.parametrize("step", [0, 7])
def test_a_loss_that_is_not_finite_stops_the_run(step, tmp_path):
    with pytest.raises(RunError, match=f"Batch {step} gave a value that is not finite") as failed:
        train(small_run(tmp_path, bad=step))
    last = tmp_path / run_folder.LAST
    if step == 0:
        assert not last.exists()
        return
    assert str(last) in str(failed.value)
    header, tensors = checkpoints.read_checkpoint(last)
    assert header["progress"]["step"] == 6
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert train(small_run(tmp_path, resume=True)).finished


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Parameter(torch.zeros(2))

        def forward(self, _batch):
            return {"total": self.x.norm() + (self.x.square().sum()).sqrt()}

    objective = Steep()
    optimisers = [LOOP.adam([{"params": [objective.x]}])]
    run = replace(small_run(tmp_path), objective=objective, optimisers=optimisers)
    with pytest.raises(RunError, match=r"Batch 0 .* \(gradient\)"):
        train(run)
    assert torch.equal(objective.x.detach(), torch.zeros(2))


def test_a_validation_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(RunError, match="score"):
        train(replace(small_run(tmp_path), validate=lambda: {"score": float("nan")}))


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    """A process whose files may not grow is refused in the middle of a save."""
    train(small_run(tmp_path, minutes=0.0))
    before = (tmp_path / run_folder.LAST).read_bytes()
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.support.make_training_run import small_run\n"
        "from training.run.loop import train\n"
        "from staf_backend.files.atomic import OutputError\n"
        "run = small_run(Path(sys.argv[1]), resume=True)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try: train(run)\n"
        "except OutputError as error: print(error); sys.exit(error.exit_code)\n"
    )
    done = process(["-c", code, str(tmp_path), str(len(before) - 100)])
    assert done.returncode == OutputError.exit_code, done.stderr
    assert run_folder.LAST in done.stdout
    assert (tmp_path / run_folder.LAST).read_bytes() == before
    assert not list(tmp_path.glob(".*.safetensors"))


def test_a_finished_run_that_goes_on_stays_as_it_is(whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    progress = train(small_run(run, resume=True))
    assert (progress.step, progress.finished) == (20, True)
    assert (run / run_folder.LAST).read_bytes() == (whole / run_folder.LAST).read_bytes()
    assert run_folder.reports(run) == run_folder.reports(whole)


def test_a_folder_with_a_run_is_not_taken(whole, tmp_path):
    with pytest.raises(RunError, match=r"holds a run\. Add --resume"):
        train(small_run(whole))
    (tmp_path / run_folder.LAST).write_bytes(b"")
    with pytest.raises(RunError, match=r"has last\.safetensors and no run\.json"):
        train(small_run(tmp_path))


def test_another_configuration_is_refused_by_its_fields(tmp_path):
    train(small_run(tmp_path, minutes=0.0))
    loop = replace(LOOP, learning_rate=0.5, batch=9)
    with pytest.raises(RunError, match=r"loop.batch was 8, now 9, loop.learning_rate was 0.01"):
        train(small_run(tmp_path, loop=loop, resume=True))
    with pytest.raises(RunError, match="image stage, not the video stage"):
        train(small_run(tmp_path, stage="video", resume=True))
    run = small_run(tmp_path, resume=True)
    with pytest.raises(RunError, match="width was 6, now 7"):
        train(replace(run, config=SmallConfig(width=7)))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    train(small_run(tmp_path, minutes=0.0))
    run = small_run(tmp_path, resume=True)
    del run.objective.norm
    run = replace(run, optimisers=[LOOP.adam([{"params": list(run.objective.parameters())}])])
    with pytest.raises(RunError, match=r"does not fit this network \(unexpected: norm"):
        train(run)


def test_a_folder_in_use_is_refused(tmp_path):
    with run_folder.claim(tmp_path), pytest.raises(RunError, match="Another process is training"):
        train(small_run(tmp_path))
    assert train(small_run(tmp_path)).finished


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 40])
def test_a_damaged_checkpoint_is_an_error_that_names_it(content, tmp_path):
    train(small_run(tmp_path, minutes=0.0))
    last = tmp_path / run_folder.LAST
    last.write_bytes(content)
    with pytest.raises(RunError, match=r"last\.safetensors cannot be read"):
        train(small_run(tmp_path, resume=True))


def test_foreign_safetensors_are_no_checkpoint(tmp_path):
    train(small_run(tmp_path, minutes=0.0))
    last = tmp_path / run_folder.LAST
    save_file(load_file(last), last)
    with pytest.raises(RunError, match="no checkpoint of this version"):
        train(small_run(tmp_path, resume=True))


def test_a_damaged_description_is_an_error(tmp_path):
    train(small_run(tmp_path, minutes=0.0))
    (tmp_path / run_folder.RUN_FILE).write_text("{")
    with pytest.raises(RunError, match=r"run\.json cannot be read"):
        train(small_run(tmp_path, resume=True))
    with pytest.raises(RunError, match="is not the folder of a run"):
        run_folder.describe(tmp_path / "nowhere")


def test_without_git_a_run_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert train(small_run(tmp_path / "run")).finished
    assert run_folder.describe(tmp_path / "run")["starts"][0]["git"]["commit"] is None
    assert "git does not tell" in caplog.text


def test_git_tells_the_commit():
    state = run_folder.git_state()
    assert state["commit"] is None or len(state["commit"]) == 40


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        train(small_run(tmp_path / "file" / "run"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"schedule": "stairs"},
        {"precision": "float8"},
        {"clip_norm": 0.0},
        {"factor": 1.0},
        {"seed": -1},
        {"weight_decay": -1.0},
    ],
)
def test_configurations_check_themselves(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoopConfig(**wrong)


def test_the_log_survives_a_torn_line(whole, tmp_path):
    log = tmp_path / run_folder.LOG_FILE
    lines = (whole / run_folder.LOG_FILE).read_text().splitlines(keepends=True)
    log.write_text("".join(lines) + '{"step": 2')
    run_folder.cut_log(tmp_path, 10)
    assert max(json.loads(line)["step"] for line in log.read_text().splitlines()) == 10

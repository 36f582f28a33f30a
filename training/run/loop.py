"""The loop of all that is trained: steps, reports, validation, schedule, checkpoints.

    batches(step) ─► objective ─► losses ─► backward ─► optimisers
                        │ every epoch:  validate ─► schedule, best
                        └ every so often:  report, last.safetensors

A run that was killed goes on from its last checkpoint as if nothing had happened: on the CPU bit
for bit.  A run stops by itself at a loss or a gradient that is not finite.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.drawing.curves import draw_reports
from training.run import run_folder
from training.run.checkpoints import Progress, load_checkpoint, save_checkpoint
from training.run.config import LoopConfig
from training.run.machine import Machine
from training.run.run_error import RunError
from training.run.run_folder import BEST, LAST

_log = logging.getLogger(__name__)

Feed = Callable[[int, int], Iterator[Any]]
"""Batches of the steps from the first number to before the second, for this process; batch t must
depend on t alone."""
Validate = Callable[[], Mapping[str, float]]
_ASK_EVERY = 10
"""Steps between questions of several processes to each other (chosen: one may stop so late)."""


class Stopped(RunError):
    """A signal asked the run to stop, and it has saved."""

    def __init__(self, folder: Path, step: int, number: int) -> None:
        super().__init__(f"Stopped at step {step}; saved.", f"Go on with --resume in {folder}.")
        self.exit_code = 128 + number


@dataclass(frozen=True)
class Run:
    """What is trained, on what, and where.

    Attributes:
        folder: of the run, see `run_folder`.
        stage: "image", "video", or what else is trained; stored, and compared on resuming.
        config: of the stage, whose `loop` is a LoopConfig; stored, and compared on resuming.
        objective: batch to losses with the sum under "total"; its parameters are trained.
        optimisers: of the objective's parameters, no parameter in two; PyTorch's own schedules
            move the first alone.
        feed: batches, already this process's share.
        validate: scores by name; called with the objective in eval mode, in the first process.
        watch: the score that decides about best and schedule.
        after_step: called with the number of steps done, before anything is saved.
        idle: whether some parameters get no gradient on purpose.
        machine: where it runs.
        resume: go on with the run of the folder.
        minutes: save and pause after this long.
    """

    folder: Path
    stage: str
    config: Any
    objective: nn.Module
    optimisers: Sequence[torch.optim.Optimizer]
    feed: Feed
    machine: Machine
    validate: Validate | None = None
    watch: str = ""
    after_step: Callable[[int], None] = lambda _done: None
    idle: bool = False
    resume: bool = False
    minutes: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.loop, LoopConfig):
            raise TypeError("config.loop must be a LoopConfig")
        if self.loop.schedule == "plateau" and self.validate is None:
            raise ValueError("the plateau schedule needs validation")

    @property
    def loop(self) -> LoopConfig:
        """How it is trained."""
        return self.config.loop


def train(run: Run) -> Progress:
    """Trains to the end, or until `minutes` are up; a run that is at its end stays as it is.

    Returns:
        Where the run is; `finished` unless the time was up.

    Raises:
        Stopped: SIGTERM or SIGINT came; the state is saved.
        RunError: the folder holds another run, or is in use; the loss is not finite; the
            checkpoint is damaged.
        OutputError: the folder cannot be written to.
    """
    if not run.machine.first:
        return _Training(run).run()
    with run_folder.claim(run.folder):
        run_folder.begin(
            run.folder,
            run.stage,
            run.config,
            resume=run.resume,
            device=str(run.machine.device),
            world=run.machine.world,
        )
        return _Training(run).run()


class _Training:
    """A run under way."""

    def __init__(self, run: Run) -> None:
        self.run_, self.config, self.machine = run, run.loop, run.machine
        self.optimisers = run.optimisers
        self.rates = [group["lr"] for group in self._groups()]
        self.schedule = self.config.make_schedule(self.optimisers[0])
        self.progress = self._resumed()
        self.spent_minutes = self.progress.minutes
        self.shared = run.machine.shared(run.objective, idle=run.idle)
        self.begun_s = time.monotonic()
        self.curves = self._curves()
        self.parameters = [p for group in self._groups() for p in group["params"]]

    def run(self) -> Progress:
        """Steps until the end."""
        progress, config = self.progress, self.config
        if progress.finished:
            return progress
        self.run_.objective.train()
        with _stop_signals() as stopped:
            for batch in self.run_.feed(progress.step, config.steps):
                self.step(batch)
                finished = self._share() >= 1
                if finished or progress.step % config.report_every == 0:
                    self._report()
                ended = finished or progress.step % config.iterations == 0
                if ended:
                    self._end_epoch()
                    self._draw()
                progress.finished = finished
                pause = self._pauses(stopped) and not finished
                if ended or pause or progress.step % config.save_every == 0:
                    self._save(LAST)
                if pause:
                    return self._paused(stopped)
                if finished:
                    break
        return progress

    def step(self, batch: Any) -> None:
        """One optimiser step."""
        step = self.progress.step
        self.machine.seed(self.config.seed, step)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        losses = self.shared(self.machine.upload(batch))
        values = self._values(losses)
        self._refuse_nonfinite(values, step)
        losses["total"].backward()
        limit = self.config.clip_norm or float("inf")
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        self._refuse_nonfinite({"gradient": norm}, step)
        self._set_rates()
        for optimiser in self.optimisers:
            optimiser.step()
        if self.config.schedule == "onecycle":
            self.schedule.step()  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        sums = self.progress.sums
        for name, value in (values | {"gradient": norm}).items():
            sums[name] = sums.get(name, 0.0) + value
        self.progress.summed += 1
        self.progress.step += 1
        if self.config.budget_minutes is not None:
            self.progress.minutes = self.machine.agree(self.spent_minutes + self._minutes())
        self.run_.after_step(self.progress.step)

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimiser in self.optimisers for group in optimiser.param_groups]

    def _set_rates(self) -> None:
        """What the cosine schedule says of the coming step."""
        if self.config.schedule == "cosine":
            factor = self.config.cosine(self.progress.step, self._share())
            for group, rate in zip(self._groups(), self.rates, strict=True):
                group["lr"] = rate * factor

    def _share(self) -> float:
        """How much of the run is done, 1 at its end, by steps or by the clock."""
        budget = self.config.budget_minutes or float("inf")
        return max(self.progress.step / self.config.steps, self.progress.minutes / budget)

    def _minutes(self) -> float:
        """Since this process went to work."""
        return (time.monotonic() - self.begun_s) / 60

    def _values(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """All losses of the whole batch, in one transfer from the device."""
        stacked = torch.stack([value.detach().float() for value in losses.values()])
        return dict(zip(losses, self.machine.mean(stacked).tolist()))

    def _resumed(self) -> Progress:
        """The stored state, or the beginning."""
        last = self.run_.folder / LAST
        if not (self.run_.resume and self.machine.agree(last.exists())):
            if self.machine.first:  # reports of a run that was killed before it saved
                run_folder.cut_log(self.run_.folder, 0)
            return Progress()
        progress = load_checkpoint(last, self.run_.objective, self.optimisers)
        if self.schedule is not None:
            self.schedule.load_state_dict(progress.schedule)
        if self.machine.first:
            run_folder.cut_log(self.run_.folder, progress.step)
        _log.info("going on at step %d of %d", progress.step, self.config.steps)
        return progress

    def _refuse_nonfinite(self, values: Mapping[str, float], step: int) -> None:
        bad = [name for name, value in values.items() if not abs(value) < float("inf")]
        if bad:
            last = self.run_.folder / LAST
            kept = f"{last} keeps the latest good state." if last.exists() else "Nothing was saved."
            raise RunError(
                f"Batch {step} gave a value that is not finite ({', '.join(bad)}). {kept}",
                "Look at that batch, lower the learning rate, or train in float32.",
            )

    def _report(self) -> None:
        progress = self.progress
        means = {name: total / progress.summed for name, total in progress.sums.items()}
        rate = self._groups()[0]["lr"]
        entry = {"step": progress.step, "rate": rate, "losses": means}
        progress.sums, progress.summed = {}, 0
        self._write(entry, {"rate": rate, **{f"loss/{n}": v for n, v in means.items()}})

    def _end_epoch(self) -> None:
        """Validates, lowers the rate where due, keeps the best."""
        if self.run_.validate is None:
            return
        self.run_.objective.eval()
        with torch.no_grad():
            scores = dict(self.run_.validate()) if self.machine.first else None
        self.run_.objective.train()
        scores = self.machine.agree(scores)
        self._refuse_nonfinite(scores, self.progress.step)
        watched = scores[self.run_.watch]
        if self.config.schedule == "plateau":
            self.schedule.step(watched)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        self.progress.scores = scores
        best = self.progress.best
        if best is None or watched < best:
            self.progress.best, self.progress.best_step = watched, self.progress.step
            self._save(BEST)  # before LAST: a run killed in between repeats this epoch
        entry = {"step": self.progress.step, "scores": scores}
        self._write(entry, {f"score/{name}": value for name, value in scores.items()})

    def _save(self, name: str) -> None:
        if self.schedule is not None:
            self.progress.schedule = self.schedule.state_dict()
        if self.machine.first:
            run = {"stage": self.run_.stage, **run_folder.describe(self.run_.folder)}
            path = self.run_.folder / name
            save_checkpoint(path, self.run_.objective, self.optimisers, self.progress, run)

    def _write(self, entry: dict[str, Any], curves: dict[str, float]) -> None:
        if not self.machine.first:
            return
        run_folder.report(self.run_.folder, entry)
        _log.info("%s", entry)
        for name, value in curves.items():
            self.curves.add_scalar(name, value, self.progress.step)
        self.curves.flush()

    def _curves(self) -> Any:
        if not self.machine.first:
            return None
        from torch.utils.tensorboard import SummaryWriter

        folder = self.run_.folder / "tensorboard"
        return SummaryWriter(str(folder), purge_step=self.progress.step + 1)

    def _draw(self) -> None:
        """All reports so far as one picture, once an epoch."""
        if self.machine.first:
            folder = self.run_.folder
            draw_reports(run_folder.reports(folder), folder / run_folder.CURVES)

    def _pauses(self, stopped: list[int]) -> bool:
        """Whether to stop here; several processes ask each other only now and then."""
        if self.machine.world > 1 and self.progress.step % _ASK_EVERY:
            return False
        late = self.run_.minutes is not None and self._minutes() >= self.run_.minutes
        return self.machine.agree(bool(stopped) or late)

    def _paused(self, stopped: list[int]) -> Progress:
        if stopped:
            raise Stopped(self.run_.folder, self.progress.step, stopped[0])
        _log.info("the time is up at step %d of %d", self.progress.step, self.config.steps)
        return self.progress


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT for the block, so that a run ends between steps; a second one
    acts as usual."""
    caught: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _frame: Any) -> None:
        caught.append(number)
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: signals are somebody else's
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Tables of networks: every row once, in order, by one recipe; what is done is not done again."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.support import make_stages as made  # noqa: E402
from training import stage_video, table_runs  # noqa: E402
from training.run import Base, Progress, RunError, run_folder, save_checkpoint  # noqa: E402
from training.scoring import EvaluationError, SetScores, Summary  # noqa: E402

RECIPE = ["--run", "R", "--data-3d", "S", "--schedule", "constant", "--iterations", "4"]
ROWS = ["base", "base + APM", "base + STAF", "base + STAF + APM"]


class Trainer:
    """Leaves the folder of a run at a step, as `stage_video.main` does, without the network."""

    def __init__(self, base: Base) -> None:
        self.base, self.asked, self.until = base, [], 4
        self.power_cut_at = ""

    def __call__(self, words: list[str]) -> None:
        options = stage_video.arguments().parse_args(words)
        self.asked.append((options.network, options.resume))
        if options.dry_run:
            return
        config = stage_video.config_of(options, self.base)
        options.out.mkdir(exist_ok=True)
        run_folder.begin(options.out, "video", config, resume=options.resume, device="cpu", world=1)
        model = nn.Linear(1, 1)
        progress = Progress(step=self.until, finished=self.until == config.loop.iterations)
        last = options.out / run_folder.LAST
        save_checkpoint(last, model, [torch.optim.Adam(model.parameters())], progress, {})
        if options.network == self.power_cut_at:
            self.power_cut_at = ""
            raise EvaluationError("power cut")


@pytest.fixture
def trainer(monkeypatch) -> Trainer:
    base = made.base()
    monkeypatch.setattr(table_runs, "read_base", lambda path, body: base)  # noqa: ARG005
    return Trainer(base)


def scored(folder: Path, base: Base) -> SetScores:
    assert table_runs.finished(folder)
    assert base.body == "open-neutral"
    number = [table_runs.folder_name(name) for name in ROWS].index(folder.name)
    return SetScores("made", Summary(9, 7, 81.0 + number, 50, None, 9, 1), 1, 0, 0)


def table(out: Path, recipe: list[str] | None = None) -> table_runs.TableRun:
    return table_runs.TableRun(4, out, "3dpw", recipe or RECIPE)


def test_a_table_goes_on_where_it_stopped(tmp_path, trainer):
    """A row that finished training before the power cut is scored and not trained again."""
    trainer.power_cut_at = "base + APM"
    with pytest.raises(EvaluationError, match="power cut"):
        table(tmp_path).complete(RECIPE, scored, trainer)
    text = (tmp_path / "table-4.md").read_text()
    assert "| base | 81.0 |" in text
    assert "| base + APM | " not in text
    text = table(tmp_path).complete(RECIPE, scored, trainer)
    assert trainer.asked == [(name, False) for name in ROWS]
    assert "| base + APM | 82.0 |" in text
    assert "| base + APM, paper on 3DPW | 81.8 | 48.4 | 96.9 | 8.1 | - |" in text
    content = json.loads((tmp_path / "table-4.json").read_text())
    assert list(content["rows"]) == list(content["paper"]) == ROWS
    assert content["paper"]["base"]["mpjpe_mm"] == 83.5
    table(tmp_path).complete(RECIPE, scored, trainer)
    assert len(trainer.asked) == 4


def test_a_row_that_paused_is_resumed_and_not_scored_before(tmp_path, trainer):
    trainer.until = 2
    text = table(tmp_path).complete(RECIPE, scored, trainer)
    assert trainer.asked == [("base", False)]
    assert "| base | " not in text
    trainer.until = 4
    table(tmp_path).complete(RECIPE, scored, trainer)
    assert trainer.asked[1:] == [("base", True), *((name, False) for name in ROWS[1:])]


def test_rows_of_another_recipe_are_refused(tmp_path, trainer):
    """Also where only the runs are left to tell, and before anything is scored."""
    trainer.until = 2
    table(tmp_path).complete(RECIPE, scored, trainer)
    other = [*RECIPE, "--seed", "1"]
    with pytest.raises(EvaluationError, match="another recipe"):
        table(tmp_path, other)
    (tmp_path / "table-4.json").unlink()
    with pytest.raises(RunError, match=r"loop\.seed was 0, now 1"):
        table(tmp_path, other).complete(other, scored, trainer)
    (tmp_path / "table-4.json").write_text("{")
    with pytest.raises(EvaluationError, match="cannot be read"):
        table(tmp_path)


def test_a_dry_run_names_every_row_and_leaves_nothing(tmp_path, trainer):
    out = tmp_path / "table"
    table(out).complete([*RECIPE, "--dry-run"], scored, trainer)
    assert trainer.asked == [(name, False) for name in ROWS]
    assert not out.exists()


@pytest.mark.parametrize("word", ["--network=HMR", "--out", "--resume"])
def test_recipes_decide_nothing_that_the_table_decides(tmp_path, trainer, word: str):
    with pytest.raises(EvaluationError, match=f"sets {word[:5]}"):
        table(tmp_path).complete([*RECIPE, word], scored, trainer)


def test_a_recipe_without_a_base_is_a_usage_error(tmp_path, trainer, capsys):
    with pytest.raises(SystemExit, match="2"):
        table(tmp_path).complete(["--data-3d", "S"], scored, trainer)
    assert "--run" in capsys.readouterr().err


def test_folders_are_named_after_rows():
    assert table_runs.folder_name("TCFM1 + SAFM2") == "tcfm1-safm2"
    names = [table_runs.folder_name(name) for name in stage_video.ROWS]
    assert len(set(names)) == len(names)


def test_maps_of_a_set_prepared_anew_are_other_maps(tmp_path):
    """The name of the folder does not tell what lies in it."""
    for name in ("index.json", "report.json"):
        (tmp_path / name).write_text("{}")
    before = stage_video._marks(str(tmp_path), None)
    (tmp_path / "report.json").write_text(json.dumps({"asked": {"heads": "spin"}}))
    assert stage_video._marks(str(tmp_path), None) != before
    assert stage_video._marks("synthetic:4", None) == []

"""Both stages from the command line: to weights, paused, and told what is wrong."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.assets import asset_path  # noqa: E402
from staf_backend.body import load_body  # noqa: E402
from staf_backend.staf import StafConfig  # noqa: E402
from staf_backend.staf.pooled import PooledNetwork  # noqa: E402
from staf_backend.weights.store import load_weights  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from training import stage_image, stage_video  # noqa: E402
from training.model import LossConfig, digest, make_encoder  # noqa: E402
from training.run import ImageStageConfig, RunError, checkpoints, networks, run_folder  # noqa: E402


@pytest.fixture
def sources(monkeypatch):
    """Words of the command line that mean the made people."""
    monkeypatch.setattr(stage_image, "open_images", lambda spec, **_: made.Photos(8, spec))
    for stage in (stage_image, stage_video):
        monkeypatch.setattr(stage, "open_sequences", lambda spec, **_: made.Videos(3, name=spec))


SHORT = ["--epochs", "1", "--iterations", "2", "--batch", "4", "--device", "cpu"]


@pytest.mark.slow
@pytest.mark.usefixtures("sources")
def test_both_stages_from_the_command_line_to_weights(tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    first = [
        "--data",
        "a=0.5",
        "--data",
        "b=0.5",
        "--encoder",
        "blazepose-full",
        "--channels",
        "16",
        "--workers",
        "0",
        "--validation",
        "c",
        "--out",
        str(one),
        *SHORT,
    ]
    stage_image.main([*first, "--dry-run"])
    plan = json.loads(capsys.readouterr().out)
    assert plan["steps"] == 2
    assert plan["images"] == 16
    assert plan["config"]["data"] == ["a=0.5", "b=0.5"]
    assert not one.exists()
    stage_image.main(first)
    loaded = load_weights("weights", root=one, body=load_body("open-neutral"))
    assert loaded.info.encoder == "blazepose-full"
    assert loaded.network.config.frames == 1

    second = [
        "--run",
        str(one),
        "--data-2d",
        "wild",
        "--data-3d",
        "studio",
        "--validation",
        "c",
        "--stride",
        "3",
        "--out",
        str(two),
        *SHORT,
    ]
    stage_video.main(second)
    loaded = load_weights("weights", root=two, body=load_body("open-neutral"))
    assert loaded.network.config == StafConfig(channels=16, map_channels=288)
    best = networks.load_network(two).state_dict()
    state = loaded.network.state_dict()
    assert all(torch.equal(best[name], tensor) for name, tensor in state.items())
    weights = networks.read_base(one / "weights", "open-neutral")
    run = networks.read_base(one, "open-neutral")
    assert all(torch.equal(weights.tensors[n], tensor) for n, tensor in run.tensors.items())
    shutil.rmtree(two / "weights")
    stage_video.main([*second, "--resume"])  # at its end: writes what is missing
    again = load_weights("weights", root=two, body=load_body("open-neutral")).network.state_dict()
    assert all(torch.equal(best[name], tensor) for name, tensor in again.items())
    with pytest.raises(RunError, match="network of stage 2"):
        networks.read_base(two / "weights", "open-neutral")
    with pytest.raises(RunError, match="a run of the video stage"):
        networks.read_base(two, "open-neutral")
    begun = ["--begin", str(one), "--preset", "mixed", "--no-dense", "--data", "a"]
    rest = [*first[4 : -len(SHORT) - 2], "--out", str(tmp_path / "three"), *SHORT]
    stage_image.main([*begun, *rest])
    assert run_folder.describe(tmp_path / "three")["config"]["begun_from"]


@pytest.mark.usefixtures("sources")
def test_a_resnet_without_weights_says_that_it_starts_from_nothing(tmp_path, caplog):
    words = ["--data", "a", "--channels", "16", "--no-dense", "--out", str(tmp_path), *SHORT]
    stage_image.main([*words, "--dry-run"])
    (said,) = [one.getMessage() for one in caplog.records if "random numbers" in one.getMessage()]
    assert "--encoder-weights" in said
    assert "\n" not in said
    caplog.clear()
    file = tmp_path / "resnet50.pth"
    classes = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(make_encoder("resnet50").state_dict() | classes, file)
    stage_image.main([*words, "--dry-run", "--encoder-weights", str(file)])
    stage_image.main([*words, "--dry-run", "--encoder", "blazepose-full"])
    assert "random numbers" not in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(
    "given", [[], ["--encoder-weights", asset_path("pose_landmark_full.onnx")]]
)
def test_white_encoder_is_fitted_before_stage_1_and_found_by_stage_2(given, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    short = [*SHORT, "--schedule", "constant"]
    first = [
        "--data",
        "a",
        "--encoder",
        "blazepose-full-white",
        "--encoder-rate",
        "0",
        "--channels",
        "16",
        "--workers",
        "0",
        "--no-dense",
        "--out",
        str(one),
        *short,
        *map(str, given),
    ]
    stage_image.main(first)
    stage_image.main([*first, "--resume"])  # fitted to the same pictures again
    base = networks.read_base(one)
    fresh = make_encoder("blazepose-full-white").state_dict()
    moved = {
        name for name, t in base.encoder.state_dict().items() if not torch.equal(t, fresh[name])
    }
    assert moved == {"white.weight", "white.bias"}
    stage_video.main(
        ["--run", str(one), "--data-3d", "studio", "--stride", "3", "--out", str(two), *short]
    )
    loaded = load_weights("weights", root=two, body=load_body("open-neutral"))
    assert loaded.info.encoder == "blazepose-full-white"
    assert digest(loaded.encoder) == digest(base.encoder)


@pytest.mark.slow
def test_video_training_pauses_and_goes_on_exactly(base, caches, tmp_path):
    config = made.video_config(base, dropout=0.5)
    for out, minutes in (("whole", None), ("parts", 0.0)):
        stage_video.train_video(config, caches, base, tmp_path / out, made.CPU, minutes=minutes)
    stage_video.train_video(config, caches, base, tmp_path / "parts", made.CPU, resume=True)
    _, whole = checkpoints.read_checkpoint(tmp_path / "whole" / run_folder.LAST)
    _, parts = checkpoints.read_checkpoint(tmp_path / "parts" / run_folder.LAST)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
def test_a_row_of_table_v_trains_and_opens(base, caches, tmp_path):
    config = made.video_config(base, network=stage_video.row("HMR + HAFI", base))
    weights = stage_video.train_video(config, caches, base, tmp_path / "run", made.CPU)
    network = networks.load_network(tmp_path / "run")
    assert isinstance(network, PooledNetwork)
    assert network.config == config.network
    kept = load_weights(weights.name, root=weights.parent, body=load_body("open-neutral"))
    assert kept.info.configuration == "HMR + HAFI"
    state = network.state_dict()
    assert all(torch.equal(state[name], t) for name, t in kept.network.state_dict().items())
    with pytest.raises(RunError, match=r"holds HMR \+ HAFI, a network of stage 2"):
        networks.read_base(weights, "open-neutral")


def test_labels_count_only_for_the_named_sets(base, caches):
    losses = replace(LossConfig.released_video(), smpl_sets=("studio",))
    mix = stage_video.open_mix(made.video_config(base, losses=losses), caches)
    targets = mix.batch(0).targets
    names = [cache.source for cache, _ in mix.samples(0)]
    assert targets.has_pose[:, 0].tolist() == [float(name == "studio") for name in names]
    half = mix.batch(0, 1, 2).targets
    assert torch.equal(half.has_pose, targets.has_pose[1::2])


@pytest.mark.parametrize(("losses", "kept"), [("paper", False), ("released", True)])
def test_the_released_losses_keep_the_betas_of_other_genders(base, caches, losses, kept):
    worn = replace(caches.three_d[0], source="3dpw-train", body="smpl-gendered")
    config = made.video_config(base, losses=stage_video.LOSSES[losses](), body="smpl-neutral")
    mix = stage_video.open_mix(config, stage_video.VideoCaches(three_d=(worn,)))
    assert bool(mix.batch(0).targets.has_betas.any()) == kept


def test_words_of_sources():
    assert stage_image.Share.parse("set=0.25") == stage_image.Share("set", 0.25)
    assert stage_image.Share.parse("synthetic:20") == stage_image.Share("synthetic:20")
    assert stage_image.Share.parse("a=b/c") == stage_image.Share("a=b/c")
    with pytest.raises(RunError, match="not above 0"):
        stage_image.Share.parse("set=0")


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((), "nothing to train on"),
        (("a=0.5", "b"), "Give all or none"),
        (("a=1", "b=1e-9"), "cannot be mixed"),
    ],
)
def test_data_that_cannot_be_mixed_is_refused(data, message):
    with pytest.raises(RunError, match=message):
        stage_image.open_mix(replace(made.IMAGE, data=data))


def test_stage_2_without_windows_or_data_is_refused(base, caches, capsys):
    with pytest.raises(RunError, match="nothing to train on"):
        stage_video.VideoCaches()
    only = stage_video.VideoCaches(three_d=caches.three_d)
    config = made.video_config(base, network=made.network(base, frames=27))
    with pytest.raises(RunError, match="cannot be mixed: no sequence"):
        stage_video.open_mix(config, only)
    for words in (["--run", "x", "--out", "y"], ["--run", "x", "--out", "y", "--data-3d", "z"]):
        with pytest.raises(SystemExit, match="2"):
            stage_video.main(words)
    assert "plateau schedule needs --validation" in capsys.readouterr().err


@pytest.mark.parametrize("stage", [stage_image, stage_video])
def test_help_names_all_options(stage, capsys):
    with pytest.raises(SystemExit, match="0"):
        stage.main(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("--out", "--minutes", "--resume", "--recipe", "--rate"))


@pytest.mark.parametrize("stage", [stage_image, stage_video])
def test_weights_of_the_loss_are_options(stage, base, capsys):
    def config(*words):
        if stage is stage_video:
            return stage.config_of(
                stage.arguments().parse_args(["--out", "y", "--run", "x", *words]), base
            )
        return stage.config_of(
            stage.arguments(ImageStageConfig()).parse_args(["--out", "y", *words])
        )

    changed = config("--weight", "keypoints_2d=30", "--weight", "vertices=1e1").losses
    assert (changed.keypoints_2d, changed.vertices) == (30.0, 10.0)
    assert replace(changed, keypoints_2d=300.0, vertices=0.0) == config().losses
    with pytest.raises(ValueError, match="pose must be a weight"):
        config("--weight", "pose=-1")
    for words, said in (("bones=1", "'bones' is none of keypoints_2d"), ("pose", "pose=NUMBER")):
        with pytest.raises(SystemExit, match="2"):
            config("--weight", words)
        assert said in capsys.readouterr().err


def test_an_unknown_network_and_a_missing_run_are_named(base, tmp_path):
    with pytest.raises(RunError, match="no network called 'MAED'"):
        stage_video.row("MAED", base)
    with pytest.raises(RunError, match="is not the folder of a run"):
        networks.read_base(tmp_path, "open-neutral")


def test_errors_of_the_command_lines_are_one_line(tmp_path):
    words = f"--run {tmp_path}/none --out {tmp_path}/out --data-3d x --schedule constant"
    done = subprocess.run(
        [sys.executable, "-m", "training.stage_video", *words.split()],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == RunError.exit_code
    assert len(done.stderr.strip().splitlines()) == 1
    assert "none is not the folder of a run" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(("saved", "fitted"), [(False, 1), (True, 0)])
def test_a_run_that_was_killed_before_it_saved_starts_linear_again(
    tmp_path, monkeypatch, saved, fitted
):
    """What was fitted before the first step was in the killed process alone."""
    calls = []
    monkeypatch.setattr(stage_image.linear_start, "fit", lambda *given: calls.append(given))
    monkeypatch.setattr(stage_image, "train_images", lambda *_, **__: None)
    if saved:
        (tmp_path / run_folder.LAST).touch()
    words = "--data a --encoder blazepose-full --channels 16 --dropout 0 --no-dense --linear-start"
    stage_image.main([*words.split(), "--resume", "--out", str(tmp_path), *SHORT])
    assert len(calls) == fitted

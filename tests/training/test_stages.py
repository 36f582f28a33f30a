"""Both stages: everything learns that should, many processes are one, one stage begins the next."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from torch import nn  # noqa: E402

from staf_backend.assets import asset_path  # noqa: E402
from staf_backend.body.body import load_body  # noqa: E402
from staf_backend.export.raster import nearest_faces  # noqa: E402
from staf_backend.staf.body import SmplBody, project  # noqa: E402
from staf_backend.staf.config import StafConfig  # noqa: E402
from staf_backend.weights.store import load_weights  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from training import stage_image, stage_video  # noqa: E402
from training.model import dense  # noqa: E402
from training.model.ablations import TABLE_V, PooledNetwork  # noqa: E402
from training.model.dense import DenseConfig  # noqa: E402
from training.model.encoders import digest, make_encoder  # noqa: E402
from training.model.losses import LossConfig  # noqa: E402
from training.run import checkpoints, networks, run_folder  # noqa: E402
from training.run.config import ImageStageConfig, VideoStageConfig  # noqa: E402
from training.run.run_error import RunError  # noqa: E402
from training.run.synchronised import GlooBatchNorm, synchronise  # noqa: E402
from training.run.validation import PositionScores  # noqa: E402
from training.targets.samples import ImageBatch, Targets, WindowBatch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base() -> networks.Base:
    return made.base()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of kept maps."""
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def caches(base, folder) -> stage_video.VideoCaches:
    return made.caches(base, folder)


def batch(count: int, frames: int | None, channels: int = 0) -> ImageBatch | WindowBatch:
    people = [made.people(frames or 1, seed) for seed in range(count)]
    targets = made.tensors(Targets(*map(np.stack, zip(*people))))
    rng = torch.Generator().manual_seed(0)
    if frames is None:
        crops = torch.randint(256, (count, 224, 224, 3), dtype=torch.uint8, generator=rng)
        return ImageBatch(crops, targets.map(lambda field: field[:, 0]))
    maps = torch.rand(count, frames, channels, 7, 7, generator=rng)
    return WindowBatch(maps.half(), targets)


def moved(objective: nn.Module, a_batch: ImageBatch | WindowBatch) -> tuple[set[str], set[str]]:
    """Names of the parameters that one step moved, and of those that it left."""
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    optimiser = torch.optim.Adam(objective.parameters(), 1e-3)
    objective.train()
    objective(a_batch)["total"].backward()
    optimiser.step()
    went = {name for name, p in objective.named_parameters() if not torch.equal(p, before[name])}
    return went, before.keys() - went


# --- every parameter learns


def test_one_step_of_stage_1_moves_every_parameter():
    objective = stage_image.make_objective(made.IMAGE, made.CPU)
    went, stayed = moved(objective, batch(2, None))
    assert stayed == set()
    assert {name.split(".")[0] for name in went} == {"encoder", "network", "dense"}


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_one_step_of_stage_2_moves_every_parameter(base, gain: float):
    config = made.video_config(base, fusion_gain=gain)
    objective = stage_video.make_objective(config, base, made.CPU)
    went, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    assert stayed == set()
    modules = {".".join(name.split(".")[1:3]) for name in went}
    assert modules >= {"tcfm.query", "tcfm.mix", "safm.embed", "safm.score",
                       *(f"{part}.{i}" for part in ("deconv", "points", "regressors")
                         for i in range(3))}  # fmt: skip


def test_supervising_the_last_stage_leaves_what_the_released_trainer_leaves(base):
    """Reference section 9.1: no gradient for the fusions, two regressors and two point MLPs."""
    losses = replace(LossConfig.released_video(), smpl_sets=None)
    config = made.video_config(base, losses=losses)
    objective = stage_video.make_objective(config, base, made.CPU)
    _, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    modules = {".".join(name.split(".")[1:]) for name in stayed}
    idle = ("tcfm.", "safm.", "points.0.", "points.1.", "regressors.0.", "regressors.1.")
    every = {name.removeprefix("network.") for name, _ in objective.named_parameters()}
    assert modules == {name for name in every if name.startswith(idle)}


@pytest.mark.parametrize("name", TABLE_V)
def test_rows_of_table_v_learn(name, base):
    config = made.video_config(base, network=stage_video.row(name, base))
    objective = stage_video.make_objective(config, base, made.CPU)
    assert isinstance(objective.network, PooledNetwork)
    _, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    assert stayed == set()


@pytest.mark.parametrize("encoder", ["blazepose-full", "resnet50"])
def test_a_frozen_encoder_stays_in_stage_1(encoder):
    """Running means of its normalisations included."""
    config = replace(made.IMAGE, encoder=encoder, encoder_rate=0.0)
    objective = stage_image.make_objective(config, made.CPU)
    groups = stage_image._groups(config, objective)
    trained = {id(p) for group in groups for p in group["params"]}
    assert not trained & {id(p) for p in objective.encoder.parameters()}
    assert trained == {id(p) for p in objective.parameters() if p.requires_grad}
    before = {name: tensor.clone() for name, tensor in objective.encoder.state_dict().items()}
    objective.train()(batch(2, None))
    after = objective.encoder.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert objective.network.training


# --- from stage to stage


def test_stage_2_begins_with_all_of_the_base_but_the_fusions(base):
    config = made.video_config(base)
    state = stage_video.make_objective(config, base, made.CPU).network.state_dict()
    fresh = {name for name in state if name.startswith(networks.FRESH)}
    assert state.keys() - fresh == base.tensors.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in base.tensors.items())


@pytest.mark.parametrize(("harm", "message"), [
    (lambda t: t.pop("deconv.1.conv.weight"), r"missing: deconv\.1\.conv\.weight"),
    (lambda t: t.update({"tcfm.mix.weight": torch.zeros(1, 2)}), r"unexpected: tcfm\.mix\.weight"),
    (lambda t: t.update({"mean_camera": torch.zeros(4)}), "misshapen: mean_camera"),
    (lambda t: t["mean_betas"].fill_(float("nan")), "not finite: mean_betas"),
])  # fmt: skip
def test_a_base_that_is_not_quite_one_is_refused(harm, message, base):
    tensors = {name: tensor.clone() for name, tensor in base.tensors.items()}
    harm(tensors)
    broken = replace(base, tensors=tensors)
    with pytest.raises(RunError, match=message):
        networks.load_base(
            networks.make_network(
                made.network(base), networks.body_tables("open-neutral"), networks.start_values()
            ),
            broken,
        )


@pytest.fixture
def sources(monkeypatch):
    """Words of the command line that mean the made people."""
    monkeypatch.setattr(stage_image, "open_images", lambda spec, **_: made.Photos(8, spec))
    for stage in (stage_image, stage_video):
        monkeypatch.setattr(stage, "open_sequences", lambda spec, **_: made.Videos(3, name=spec))


SHORT = ["--epochs", "1", "--iterations", "2", "--batch", "4", "--device", "cpu"]


@pytest.mark.usefixtures("sources")
def test_both_stages_from_the_command_line_to_weights(tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    first = ["--data", "a=0.5", "--data", "b=0.5", "--encoder", "blazepose-full", "--channels",
             "16", "--workers", "0", "--validation", "c", "--out", str(one), *SHORT]  # fmt: skip
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

    second = ["--run", str(one), "--data-2d", "wild", "--data-3d", "studio", "--validation", "c",
              "--stride", "3", "--out", str(two), *SHORT]  # fmt: skip
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
    first = ["--data", "a", "--encoder", "blazepose-full-white", "--encoder-rate", "0",
             "--channels", "16", "--workers", "0", "--no-dense", "--out", str(one), *short,
             *map(str, given)]  # fmt: skip
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


def test_video_training_pauses_and_goes_on_exactly(base, caches, tmp_path):
    config = made.video_config(base, dropout=0.5)
    for out, minutes in (("whole", None), ("parts", 0.0)):
        stage_video.train_video(config, caches, base, tmp_path / out, made.CPU, minutes=minutes)
    stage_video.train_video(config, caches, base, tmp_path / "parts", made.CPU, resume=True)
    _, whole = checkpoints.read_checkpoint(tmp_path / "whole" / run_folder.LAST)
    _, parts = checkpoints.read_checkpoint(tmp_path / "parts" / run_folder.LAST)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_row_of_table_v_trains_and_opens(base, caches, tmp_path):
    config = made.video_config(base, network=stage_video.row("HMR + HAFI", base))
    run = stage_video.train_video(config, caches, base, tmp_path / "run", made.CPU)
    network = networks.load_network(run)
    assert isinstance(network, PooledNetwork)
    assert network.config == config.network


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


# --- many processes are one


def processes(world: int, stage: str, folder: Path, out: Path) -> list[dict[str, float]]:
    """Losses, and gradients' lengths, of the steps of a run of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = str(REPOSITORY)
    shared = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "WORLD_SIZE": str(world),
              "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
    command = [
        sys.executable,
        str(REPOSITORY / "tests" / "support" / "make_stages.py"),
        stage,
        str(folder),
        str(out),
    ]
    running = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(world)
    ]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors.decode()
    return [entry["losses"] for entry in run_folder.reports(out) if "losses" in entry]


@pytest.mark.usefixtures("caches")
@pytest.mark.parametrize("stage", ["video", pytest.param("image", marks=pytest.mark.slow)])
def test_two_processes_give_the_curve_of_one(stage, folder, tmp_path):
    """Labels are spread unevenly over the two, and batch norms need both."""
    one = processes(1, stage, folder, tmp_path / "one")
    two = processes(2, stage, folder, tmp_path / "two")
    assert len(one) == 4
    totals = [[step["total"] for step in run] for run in (one, two)]
    np.testing.assert_allclose(*totals, rtol=1e-4)
    assert two[0]["gradient"] == pytest.approx(one[0]["gradient"], rel=1e-3)
    _, single = checkpoints.read_checkpoint(tmp_path / "one" / run_folder.LAST)
    _, double = checkpoints.read_checkpoint(tmp_path / "two" / run_folder.LAST)
    for name in single:
        if "running_" in name:
            torch.testing.assert_close(double[name], single[name], rtol=1e-4, atol=1e-5)


def test_one_process_batch_norm_is_pytorchs(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        norm = nn.BatchNorm2d(3)
        nn.init.normal_(norm.weight)
        ours = synchronise(nn.Sequential(norm), torch.device("cpu"))
        joined = ours.get_submodule("0")
        assert isinstance(joined, GlooBatchNorm)
        inputs = torch.randn(4, 3, 5, 5) * 3 + 7
        both = [inputs.clone().requires_grad_() for _ in range(2)]
        results = [module(x) for module, x in zip((norm, ours), both)]
        weights = torch.randn(results[0].shape)
        for result in results:
            (result * weights).sum().backward()
        torch.testing.assert_close(results[1], results[0])
        torch.testing.assert_close(both[1].grad, both[0].grad)
        torch.testing.assert_close(dict(joined.named_buffers()), dict(norm.named_buffers()))
        norm.eval()
        ours.eval()
        torch.testing.assert_close(ours(inputs), norm(inputs))
    finally:
        torch.distributed.destroy_process_group()


# --- the dense head


def test_the_camera_behind_keypoints_is_found():
    targets = made.tensors(made.people(3, 5))
    points = made.joints_of(
        made.StageParams(torch.zeros(3, 144), targets.betas, torch.zeros(3, 3), targets.rotations)
    )
    camera, placed = dense.fit_camera(points, targets.keypoints)
    assert placed.all()
    torch.testing.assert_close(
        project(points, camera), targets.keypoints[..., :2], rtol=0, atol=1e-4
    )
    few = targets.keypoints.clone()
    few[:, 5:, 2] = 0
    assert not dense.fit_camera(points, few)[1].any()
    same = torch.zeros_like(few) + torch.tensor([0.1, 0.2, 1.0])
    assert not dense.fit_camera(torch.zeros_like(points), same)[1].any()


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_dense_maps_are_what_a_rasteriser_draws(zoom):
    """No holes, an outline that is little wider, and the same parts."""
    tables = networks.body_tables("open-neutral")
    targets = made.tensors(made.people(1, 3))
    targets.keypoints[..., :2] *= zoom
    maps = dense.DenseTargets(tables)(targets)
    points = SmplBody(tables)(targets.betas, targets.rotations)
    joints = made.joints_of(
        made.StageParams(torch.zeros(1, 144), targets.betas, torch.zeros(1, 3), targets.rotations)
    )
    camera, _ = dense.fit_camera(joints, targets.keypoints)
    pixels = (project(points.vertices_m, camera)[0].numpy() + 1) * 28
    faces = nearest_faces(pixels, points.vertices_m[0, :, 2].numpy() + 40, tables.faces, (56, 56))
    parts = tables.skin_weights.argmax(1)[tables.faces[:, 0]] + 1
    drawn = np.where(faces >= 0, parts[faces], 0)
    ours = maps.parts[0].numpy()
    both = (drawn > 0) & (ours > 0)
    assert both.sum() > 250
    assert ((drawn > 0) & (ours == 0)).sum() <= 0.01 * both.sum()
    assert ((drawn == 0) & (ours > 0)).sum() < 0.2 * both.sum()
    assert (drawn[both] == ours[both]).mean() > 0.9
    assert ((maps.regions[0].numpy() > 0) == (ours > 0)).all()
    assert maps.coordinates.min() >= 0
    assert maps.coordinates.max() <= 1


def test_left_and_right_of_a_dense_map_are_the_persons():
    """Somebody who faces the camera has the left arm at the picture's right."""
    tables = networks.body_tables("open-neutral")
    targets = made.tensors(made.people(1, 3))
    regions = dense.DenseTargets(tables)(targets).regions[0].numpy()
    left_leg, right_leg = (np.isin(regions, pair) for pair in ((8, 10), (9, 11)))
    assert np.nonzero(left_leg)[1].mean() > np.nonzero(right_leg)[1].mean()
    head, feet = regions == 14, np.isin(regions, (4, 5))
    assert np.nonzero(head)[0].mean() < np.nonzero(feet)[0].mean()


def test_people_without_mesh_labels_do_not_move_the_dense_head():
    head = dense.DenseHead(16, networks.body_tables("open-neutral"), DenseConfig())
    maps = torch.rand(2, 16, 56, 56)
    known = made.tensors(Targets(*map(np.concatenate, zip(made.people(1, 0), made.people(1, 1)))))
    half = known._replace(has_pose=torch.tensor([1.0, 0.0]))
    first = known.map(lambda field: field[:1])
    for name, term in head(maps, half).items():
        torch.testing.assert_close(term, head(maps[:1], first)[name])
    none = head(maps, known._replace(has_betas=torch.zeros(2)))
    assert all(term.item() == 0 for term in none.values())


# --- refusals


def test_words_of_sources():
    assert stage_image.Share.parse("set=0.25") == stage_image.Share("set", 0.25)
    assert stage_image.Share.parse("synthetic:20") == stage_image.Share("synthetic:20")
    assert stage_image.Share.parse("a=b/c") == stage_image.Share("a=b/c")
    with pytest.raises(RunError, match="not above 0"):
        stage_image.Share.parse("set=0")


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(("data", "message"), [
    ((), "nothing to train on"), (("a=0.5", "b"), "Give all or none"),
    (("a=1", "b=1e-9"), "cannot be mixed"),
])  # fmt: skip
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

"""Losses: every term by hand, the whole against numpy, and what is not known moves nothing."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.spatial.transform import Rotation  # noqa: E402

from staf_backend.staf.body import rotations_from_6d  # noqa: E402
from staf_backend.staf.network import StageParams  # noqa: E402
from tests.support import parity_network  # noqa: E402
from tests.support import parity_recipe as recipe  # noqa: E402
from tests.support.places import REPOSITORY  # noqa: E402
from tests.support.reference_body import body_points, camera_points, joints_49  # noqa: E402
from training import joints  # noqa: E402
from training.model import LossConfig, Losses, axis_angle, losses  # noqa: E402
from training.targets import TARGET_SHAPES, PosedJoints, Targets  # noqa: E402

BATCH, FRAMES = 3, 9
HIPS = (2, 3)


def made(name: str, *shape: int) -> np.ndarray:
    return (2 * recipe.uniform(f"losses/{name}", shape) - 1).astype(np.float32)


def made_rotations(name: str, *axes: int) -> np.ndarray:
    vectors = 1.4 * made(name, *axes, 24, 3)
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*axes, 24, 3, 3)


def made_targets(*axes: int) -> Targets:
    """Labels of every kind, some unknown (confidence zero, flags zero), all finite."""
    fields = {
        name: made(name, *axes, *shape) for name, shape in zip(Targets._fields, TARGET_SHAPES)
    }
    fields["rotations"] = made_rotations("rotations", *axes).astype(np.float32)
    fields["keypoints"][..., 2] = np.round(np.abs(fields["keypoints"][..., 2]) * 2) / 2
    fields["joints_m"][..., 3] = np.abs(fields["joints_m"][..., 3]) > 0.3
    fields["joints_m"][..., list(joints.HIPS), 3] = 1
    for name in ("has_pose", "has_betas"):
        fields[name] = (fields[name] > 0).astype(np.float32)
    fields["joints_m"][0, ..., 3] = 0  # a sample of two dimensions only
    for name, confidence in (("keypoints", 2), ("joints_m", 3)):
        known = fields[name][..., confidence:] > 0
        fields[name][..., :confidence] *= known
    return Targets(**fields)


def tensors(targets: Targets) -> Targets:
    return targets.map(lambda field: torch.from_numpy(field.copy()))


def made_stage(name: str, *axes: int) -> StageParams:
    pose6d = torch.from_numpy(made(f"{name}/pose", *axes, 144)).requires_grad_()
    camera = torch.from_numpy(np.abs(made(f"{name}/camera", *axes, 3)) + 0.2).requires_grad_()
    betas = torch.from_numpy(made(f"{name}/betas", *axes, 10)).requires_grad_()
    return StageParams(pose6d, betas, camera, rotations_from_6d(pose6d))


@pytest.fixture(scope="module")
def parity_stages() -> tuple[StageParams, ...]:
    network = parity_network.staf()
    windows = torch.cat([parity_network.window("walk", 3 * index) for index in range(BATCH)])
    with torch.no_grad():
        return network(windows).stages


class Independent:
    """Means of each term over samples, which the tests fill in double precision."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}

    def put(self, term: str, entries: np.ndarray) -> None:
        self.sums.setdefault(term, []).append(float(np.mean(entries)))

    def of(self, term: str) -> float:
        return float(np.mean(self.sums[term])) if term in self.sums else 0.0


def paper_terms(stages, targets: Targets) -> dict[str, float]:
    """Eq. 11 over every stage's frames."""
    totals: dict[str, float] = {}
    for params in stages:
        terms = Independent()
        given = params.betas.shape[1]
        for sample in range(BATCH):
            for frame in range(given):
                row = FRAMES // 2 if given == 1 else frame
                truth = targets.map(lambda field, s=sample, r=row: np.asarray(field[s, r], float))
                one = [np.float64(tensor[sample, frame].detach()) for tensor in params]
                paper_sample(terms, one, truth)
        for name in ("keypoints_2d", "joints_3d", "pose", "shape", "camera"):
            totals[name] = totals.get(name, 0) + terms.of(name)
    return totals


def paper_sample(terms: Independent, params, truth: Targets) -> None:
    _, betas, camera, rotations = params
    _, points = body_points(betas, rotations)
    off = (camera_points(points, camera) - truth.keypoints[:, :2]) ** 2
    terms.put("keypoints_2d", off * truth.keypoints[:, 2:])
    annotated, known = points[25:], truth.joints_m[25:]
    if known[:, 3].any():
        off = annotated - annotated[[2, 3]].mean(0) - (known[:, :3] - known[[2, 3], :3].mean(0))
        terms.put("joints_3d", off**2 * known[:, 3:])
    if truth.has_pose:
        terms.put("pose", (rotations - truth.rotations) ** 2)
    if truth.has_betas:
        terms.put("shape", (betas - truth.betas) ** 2)
    terms.put("camera", np.exp(-20 * camera[0]))


def test_the_papers_loss_with_parity_weights_equals_an_independent_computation(parity_stages):
    targets = made_targets(BATCH, FRAMES)
    found = Losses(parity_network.body(), LossConfig(camera=1.0))(parity_stages, tensors(targets))
    expected = paper_terms(parity_stages, targets)
    weights = {"keypoints_2d": 300, "joints_3d": 300, "pose": 60, "shape": 0.06, "camera": 1}
    assert set(found) == {*weights, "total"}
    for name, weight in weights.items():
        assert found[name].item() == pytest.approx(weight * expected[name], rel=2e-5), name
    total = sum(weight * expected[name] for name, weight in weights.items())
    assert found["total"].item() == pytest.approx(total, rel=2e-5)


def test_the_target_alone_of_early_stages(parity_stages):
    targets = made_targets(BATCH, FRAMES)
    config = LossConfig(early_frames="target")
    found = Losses(parity_network.body(), config)(parity_stages, tensors(targets))
    middles = [
        StageParams(*(t[:, t.shape[1] // 2 : t.shape[1] // 2 + 1] for t in stage))
        for stage in parity_stages
    ]
    expected = paper_terms(middles, targets)
    assert found["joints_3d"].item() == pytest.approx(300 * expected["joints_3d"], rel=2e-5)


def test_the_released_loss_equals_an_independent_computation(parity_stages):
    """Section by section of the released trainer: last stage, 14 joints, float16, axis-angle."""
    targets = made_targets(BATCH, FRAMES)
    config, sets = LossConfig.released_video(), ("3dpw-train", "h36m", "3dpw")
    counts = [config.has_smpl(name) for name in sets]
    assert counts == [True, False, True]
    targets.has_pose[:] = targets.has_betas[:] = np.array(counts)[:, None]
    found = Losses(parity_network.body(), config)(parity_stages, tensors(targets))
    half = targets.map(lambda field: field[:, FRAMES // 2].astype(np.float16).astype(float))
    last = [tensor[:, 0].double().numpy() for tensor in parity_stages[-1]]
    terms = Independent()
    for sample in range(BATCH):
        _, betas, camera, rotations = (field[sample] for field in last)
        points = body_points(betas, rotations)[1]
        keypoints, truth_m = half.keypoints[sample], half.joints_m[sample, 25:39]
        off = camera_points(points, camera) - keypoints[:, :2]
        terms.put("keypoints_2d", keypoints[:, 2:] * off**2)
        if truth_m[:, 3].any():
            lsp, truth = points[25:39], truth_m[:, :3]
            centred = lsp - (lsp[2] + lsp[3]) / 2
            terms.put("joints_3d", (centred - (truth - (truth[2] + truth[3]) / 2)) ** 2)
        if sample != 1:
            matrices = targets.rotations[sample, FRAMES // 2].astype(np.float64)
            vectors = np.float64(np.float16(Rotation.from_matrix(matrices).as_rotvec()))
            terms.put("pose", (rotations - Rotation.from_rotvec(vectors).as_matrix()) ** 2)
            terms.put("shape", (betas - half.betas[sample]) ** 2)
    for name, weight in (("keypoints_2d", 300), ("joints_3d", 300), ("pose", 60), ("shape", 0.06)):
        assert found[name].item() == pytest.approx(weight * terms.of(name), rel=1e-4), name


def test_posed_joints_are_those_of_the_whole_body():
    body = parity_network.body()
    stage = made_stage("posed", 4)
    extra = recipe.parity_data()["J_regressor_extra"]
    expected = joints_49(body(stage.betas, stage.rotations), extra)
    few = PosedJoints(body.tables)
    torch.testing.assert_close(few(stage.betas, stage.rotations), expected, atol=2e-6, rtol=0)
    assert few.body.get_buffer("skin_weights").shape[0] < 100


def test_terms_by_hand():
    predicted, keypoints = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 4, 0.5], [9, 9, 0]]])
    assert losses.keypoints_2d_rows(predicted, keypoints).item() == 0.5 * 25 / 4
    predicted_m = torch.tensor([[[1.0, 0, 0], [-1, 0, 0], [0, 2, 0]]])
    truth_m = torch.tensor([[[1.0, 5, 0, 1], [-1, 5, 0, 1], [0, 6, 0, 1]]])
    assert losses.joints_3d_rows(predicted_m, truth_m, (0, 1)).item() == pytest.approx(1 / 9)
    assert losses.pose_rows(torch.eye(3).expand(1, 24, 3, 3), torch.zeros(1, 24, 3, 3)) == 1 / 3
    assert losses.shape_rows(torch.full((1, 10), 2.0), torch.zeros(1, 10)) == 4
    assert losses.vertices_rows(torch.ones(1, 5, 3), -torch.ones(1, 5, 3)) == 2
    assert losses.camera_rows(torch.tensor([[0.1, 7, 7]])).item() == pytest.approx(np.exp(-2))
    rows, known = torch.tensor([3.0, float("nan"), 5.0]), torch.tensor([1.0, 0, 1])
    assert losses.mean_of_known(rows, known) == 4
    assert losses.mean_of_known(rows, torch.zeros(3)) == 0


def test_unknown_entries_move_no_gradient():
    """Whatever stands where nothing is known, even NaN, the gradient is the same number."""
    config = LossConfig(camera=1.0, vertices=1.0)
    module = Losses(parity_network.body(), config)
    gradients = []
    for rubbish in (0.0, 1e6, float("nan")):
        targets = tensors(made_targets(BATCH, FRAMES))
        for field, confidence in ((targets.keypoints, 2), (targets.joints_m, 3)):
            field[..., :confidence][field[..., confidence] == 0] = rubbish
        targets.rotations[targets.has_pose == 0] = rubbish
        targets.betas[targets.has_betas == 0] = rubbish
        stage = made_stage("stage", BATCH, 1)
        module([stage], targets)["total"].backward()
        gradients.append([field.grad for field in stage[:3]])
    for gradient in gradients[1:]:
        for one, other in zip(gradient, gradients[0], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("field", "confidence"), [("keypoints", 2), ("joints_m", 3), ("rotations", 0), ("betas", 0)]
)
def test_known_entries_do_move_it(field: str, confidence: int):
    """The counterpart: the same change where labels are known changes the loss."""
    module = Losses(parity_network.body(), LossConfig())
    stage, targets = made_stage("stage", BATCH, 1), tensors(made_targets(BATCH, FRAMES))
    targets.has_pose[:], targets.has_betas[:] = 1, 1
    before = module([stage], targets)["total"].item()
    array = getattr(targets, field)
    if confidence:
        array[:, FRAMES // 2, 30, :2] += 0.5
    else:
        array[:, FRAMES // 2] *= 0.5
    assert module([stage], targets)["total"].item() != pytest.approx(before, rel=1e-6)


def test_nothing_known_gives_zero_and_finite_gradients():
    module = Losses(parity_network.body(), LossConfig())
    stage = made_stage("stage", BATCH, 1)
    empty = Targets(*(torch.zeros(BATCH, FRAMES, *shape) for shape in TARGET_SHAPES))
    total = module([stage], empty)["total"]
    total.backward()
    assert total.item() == 0
    for field in stage[:3]:
        assert field.grad is not None
        assert field.grad.abs().max() == 0


def test_joints_without_hips_have_no_root_and_do_not_count():
    targets = tensors(made_targets(BATCH, FRAMES))
    targets.joints_m[..., joints.HIPS[0], :] = 0
    found = Losses(parity_network.body(), LossConfig())([made_stage("s", BATCH, 1)], targets)
    assert found["joints_3d"].item() == 0


def test_openpose_joints_weigh_nothing_in_stage_1():
    module = Losses(parity_network.body(), LossConfig.paper_image())
    stage, targets = made_stage("stage", BATCH, 1), tensors(made_targets(BATCH))
    before = module([stage], targets)["keypoints_2d"].item()
    targets.keypoints[:, :25, :2] += 1
    assert module([stage], targets)["keypoints_2d"].item() == before
    targets.keypoints[:, 25:, :2] += 1
    assert module([stage], targets)["keypoints_2d"].item() != before


def test_images_and_windows_of_one_frame_are_the_same():
    module = Losses(parity_network.body(), LossConfig.paper_image())
    stage, targets = made_stage("stage", BATCH), tensors(made_targets(BATCH))
    flat = module([stage], targets)
    wide = module(
        [StageParams(*(f[:, None] for f in stage))], targets.map(lambda field: field[:, None])
    )
    assert {n: t.item() for n, t in flat.items()} == {n: t.item() for n, t in wide.items()}


def test_every_stage_is_supervised_or_the_last():
    targets = tensors(made_targets(BATCH, FRAMES))
    every, last = LossConfig(), LossConfig(supervise="last")
    for config, expected in ((every, [True] * 3), (last, [False, False, True])):
        stages = [made_stage(str(number), BATCH, 1) for number in range(3)]
        Losses(parity_network.body(), config)(stages, targets)["total"].backward()
        assert [stage.betas.grad is not None for stage in stages] == expected


def test_vertices_against_the_mesh_written_out():
    stage, targets = made_stage("stage", 2, 1), made_targets(2, 1)
    targets.has_pose[:], targets.has_betas[:] = 1, 1
    config = LossConfig(0, 0, 0, 0, vertices=2.0)
    found = Losses(parity_network.body(), config)([stage], tensors(targets))["total"].item()
    off = []
    for sample in range(2):
        betas, rotations = (f[sample, 0].detach().double().numpy() for f in (stage[1], stage[3]))
        truth = body_points(targets.betas[sample, 0], targets.rotations[sample, 0])[0]
        off.append(np.abs(body_points(betas, rotations)[0] - truth).mean())
    assert found == pytest.approx(2 * np.mean(off), rel=1e-5)


def test_axis_angle_and_back():
    vectors = np.concatenate([made("turns", 200, 3) * 3, np.zeros((1, 3)), [[1e-7, 0, 0]]])
    vectors[:5] *= np.pi / np.linalg.norm(vectors[:5], axis=1, keepdims=True)
    matrices = Rotation.from_rotvec(vectors).as_matrix()
    found = axis_angle.axis_angle(torch.from_numpy(matrices))
    np.testing.assert_allclose(
        Rotation.from_rotvec(found.numpy()).as_matrix(), matrices, atol=1e-12
    )
    assert np.linalg.norm(found, axis=1).max() <= np.pi + 1e-9
    np.testing.assert_allclose(axis_angle.from_axis_angle(found), matrices, atol=1e-7)
    spread = torch.from_numpy(0.9 * vectors[5:50]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: axis_angle.axis_angle(axis_angle.from_axis_angle(v)), (spread,), atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"pose": -1.0}, "pose"),
        ({"shape": float("nan")}, "shape"),
        ({"supervise": "first"}, "supervise"),
        ({"target_type": "float64"}, "target_type"),
        (dict.fromkeys(losses.TERMS, 0.0), "zero"),
    ],
)
def test_bad_configurations_are_named(changes: dict, word: str):
    with pytest.raises(ValueError, match=word):
        LossConfig(**changes)


def test_shapes_that_do_not_belong_together_are_refused():
    module = Losses(parity_network.body(), LossConfig())
    with pytest.raises(ValueError, match="5 frames"):
        module([made_stage("s", BATCH, 5)], tensors(made_targets(BATCH, FRAMES)))
    with pytest.raises(ValueError, match="2 results for 3"):
        module([made_stage("s", 2, 1)], tensors(made_targets(BATCH, FRAMES)))


def test_the_presets_are_the_papers_numbers():
    for config in (LossConfig.paper_image(), LossConfig.paper_video()):
        assert dataclasses.astuple(config)[:4] == (300, 300, 60, 0.06)
        assert config.supervise == "every"
    assert LossConfig.paper_image().camera == 1
    assert LossConfig.released_video().supervise == "last"


_TWO = """
import os, sys
import torch
sys.path[:0] = {paths!r}
from tests.training.model.test_losses import BATCH, FRAMES, made_stage, made_targets, tensors
from tests.support import parity_network
from staf_backend.staf.network import StageParams
from training.model.losses import LossConfig, Losses  # noqa: E402
rank = int(sys.argv[1])
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[2])
torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
part = slice(0, 1) if rank == 0 else slice(1, BATCH)  # parts of one and of two samples
stage = made_stage("stage", BATCH, 1)
module = Losses(parity_network.body(), LossConfig(camera=1.0))
targets = tensors(made_targets(BATCH, FRAMES)).map(lambda field: field[part])
total = module([StageParams(*(f[part] for f in stage))], targets)["total"]
total.backward()
gradient = stage.betas.grad / 2
torch.distributed.all_reduce(gradient)
loss = total.detach() / 2
torch.distributed.all_reduce(loss)
if rank == 0:
    print(loss.item(), gradient.double().pow(2).sum().item())
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_give_the_loss_and_gradient_of_one(unused_port: int):
    code = _TWO.format(paths=[str(REPOSITORY)])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(unused_port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    loss, gradient = map(float, said[0].split()[-2:])
    stage = made_stage("stage", BATCH, 1)
    module = Losses(parity_network.body(), LossConfig(camera=1.0))
    total = module([stage], tensors(made_targets(BATCH, FRAMES)))["total"]
    (slope,) = torch.autograd.grad(total, stage.betas)
    assert loss == pytest.approx(total.item(), rel=1e-5)
    assert gradient == pytest.approx(slope.double().pow(2).sum().item(), rel=1e-4)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

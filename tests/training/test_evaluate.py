"""Evaluation: the same numbers as written out by hand, whatever the parts; rubbish is named."""

import dataclasses
import json
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.spatial import procrustes  # noqa: E402

from staf_backend import StafError  # noqa: E402
from staf_backend.staf import TABLE_IV, TABLE_V, TABLE_VI, AnyConfig, StafConfig  # noqa: E402
from staf_backend.staf.body import H36M_TO_14  # noqa: E402
from staf_backend.staf.encoders import Encoder  # noqa: E402
from tests.support import parity_network  # noqa: E402
from tests.support import parity_recipe as recipe  # noqa: E402
from tests.support.make_training_videos import (  # noqa: E402
    FPS,
    SMALL,
    WIDTH,
    Crops,
    MadeVideos,
    by_windows,
    small_network,
)
from tests.support.reference_body import joints_49  # noqa: E402
from training import evaluate as room  # noqa: E402
from training.data.feature_cache import build_cache  # noqa: E402
from training.scoring import (  # noqa: E402
    PROTOCOLS,
    CachedVideos,
    EvaluationError,
    Protocol,
    ScoreError,
    SourceVideos,
    joined_params,
    make_recoverer,
    paper_tables,
    read_regressor,
)

H36M = recipe.parity_data()["J_regressor_h36m"].astype(np.float32)
EXTRA = recipe.parity_data()["J_regressor_extra"]
CONFIGS = {
    "STAF": SMALL,
    "base": dataclasses.replace(TABLE_IV["base"], channels=16, map_channels=WIDTH),
    "TCFM2 + SAFM3": dataclasses.replace(
        TABLE_VI["TCFM2 + SAFM3"], channels=16, map_channels=WIDTH
    ),
    "MPS-Net": dataclasses.replace(TABLE_V["MPS-Net with HAFI"], map_channels=WIDTH),
    "one frame": StafConfig(1, 16, False, None, None, map_channels=WIDTH),
}


def network_of(config: AnyConfig = SMALL) -> room.Network:
    return room.Network("made", small_network(config), None, parity_network.body().tables)


OPTIONS = room.Options(regressor=H36M, device="cpu")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("edges", ["repeat", "replicate"])
def test_parts_of_videos_give_each_frame_its_own_window(name: str, edges):
    network = small_network(CONFIGS[name])
    recoverer = make_recoverer(network, edges=edges, batch=4)
    videos = MadeVideos(1, 5, 8, 9, 20)
    for index, part in ((0, 1), (1, 2), (2, 7), (3, 9), (4, 6)):
        videos.part = part
        found = [recoverer.push(piece.frames) for piece in videos.parts(index)]
        found = joined_params([*found, recoverer.finish()])
        expected = by_windows(network, videos.videos[index].frames, edges)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def written_out(network, videos: MadeVideos, protocol: str) -> dict[str, float]:
    """The scores by section 7 of the notes on the paper: whole videos, plain numpy and SciPy."""
    body, lists = parity_network.body(), {"mpjpe": [], "pa": [], "pve": [], "accel": []}
    for video in videos.videos:
        params = by_windows(network, video.frames)
        labels = torch.from_numpy(video.targets.betas), torch.from_numpy(video.targets.rotations)
        with torch.no_grad():
            ours, true = body(params.betas, params.rotations), body(*labels)
            all_49 = joints_49(ours, EXTRA).double().numpy()
        mesh, true_mesh = (p.vertices_m.double().numpy() for p in (ours, true))
        rows = H36M[list(H36M_TO_14)].astype(np.float64)
        if protocol == "3dpw":
            predicted, truth = rows @ mesh, rows @ true_mesh
        elif protocol == "h36m":
            predicted, truth = rows @ mesh, video.targets.joints_m[:, 25:39, :3].astype(float)
        else:
            seventeen = [38, 37, 33, 32, 31, 34, 35, 36, 27, 26, 25, 28, 29, 30, 39, 41, 43]
            predicted = all_49[:, seventeen]
            truth = video.targets.joints_m[:, seventeen, :3].astype(float)
        middle = [14] if protocol == "mpii3d" else [2, 3]
        predicted, truth = (x - x[:, middle].mean(1)[:, None] for x in (predicted, truth))
        lists["mpjpe"] += np.linalg.norm(predicted - truth, axis=2).mean(1).tolist()
        lists["pve"] += np.linalg.norm(mesh - true_mesh, axis=2).mean(1).tolist()
        for one, other in zip(predicted, truth, strict=True):
            size = np.linalg.norm(other - other.mean(0))
            standard, fitted, _ = procrustes(other, one)
            lists["pa"].append(np.linalg.norm(standard - fitted, axis=1).mean() * size)
        second = [x[:-2] - 2 * x[1:-1] + x[2:] for x in (predicted, truth)]
        lists["accel"] += np.linalg.norm(second[0] - second[1], axis=2).mean(1).tolist()
    return {name: 1000 * float(np.mean(values)) for name, values in lists.items()}


@pytest.mark.parametrize("protocol", ["3dpw", "h36m", "mpii3d"])
def test_scores_equal_those_written_out(protocol: str):
    network, videos = network_of(), MadeVideos(13, 4, 10, part=5)
    # SciPy's fit may reflect, ours may not: labels near the results, so that neither does
    for video in videos.videos:
        params = by_windows(network.network, video.frames)
        points = parity_network.body()(params.betas, params.rotations)
        joints = joints_49(points, EXTRA).numpy()
        video.targets.joints_m[..., :3] = joints + 0.1 * video.targets.joints_m[..., :3]
        video.targets.rotations[:] = params.rotations.numpy()
        video.targets.rotations[:, 5] = video.targets.rotations[:, 4]
    scores = room.evaluate(network, videos, PROTOCOLS[protocol], OPTIONS)
    expected = written_out(network.network, videos, protocol)
    found = scores.summary
    assert (found.frames, found.triples, scores.videos) == (27, 11 + 2 + 8, 3)
    assert found.mpjpe_mm == pytest.approx(expected["mpjpe"], rel=1e-4)
    assert found.pa_mpjpe_mm == pytest.approx(expected["pa"], rel=1e-4)
    assert found.acceleration_mm_per_frame2 == pytest.approx(expected["accel"], rel=1e-4)
    assert found.acceleration_m_per_s2 == pytest.approx(expected["accel"] * FPS**2 / 1e3, rel=1e-4)
    if protocol == "3dpw":
        assert found.pve_mm == pytest.approx(expected["pve"], rel=1e-4)
    else:
        assert found.pve_mm is None


def test_labels_that_are_the_prediction_score_nothing():
    network, videos = network_of(), MadeVideos(12)
    params = by_windows(network.network, videos.videos[0].frames)
    videos.videos[0].targets.rotations[:] = params.rotations.numpy()
    videos.videos[0].targets.betas[:] = params.betas.numpy()
    found = room.evaluate(network, videos, Protocol(), OPTIONS).summary
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm", "acceleration_mm_per_frame2"):
        assert getattr(found, name) == pytest.approx(0, abs=0.02), name


def test_valid_flags_and_the_authors_way_without_them():
    network, videos = network_of(), MadeVideos(12, 5, 11)
    videos.videos[0].valid[3] = False
    protocol = PROTOCOLS["mpii3d"]
    ours = room.evaluate(network, videos, protocol, OPTIONS)
    theirs = room.evaluate(network, videos, protocol.as_the_authors(), OPTIONS)
    assert (ours.summary.frames, ours.summary.triples, ours.short) == (27, 7 + 3 + 9, 0)
    assert (theirs.summary.frames, theirs.summary.triples, theirs.short) == (23, 21, 1)


def test_frames_without_labels_are_left_out_and_counted():
    network, videos = network_of(), MadeVideos(12)
    videos.videos[0].targets.has_pose[:4] = 0
    videos.videos[0].targets.joints_m[7, 30] = 0
    scores = room.evaluate(network, videos, Protocol(), OPTIONS)
    assert (scores.summary.frames, scores.unlabelled) == (8, 4)
    scores = room.evaluate(network, videos, PROTOCOLS["mpii3d"], OPTIONS)
    assert (scores.summary.frames, scores.unlabelled) == (11, 1)
    joints = room.evaluate(network, videos, PROTOCOLS["synthetic"], OPTIONS)
    assert (joints.summary.frames, joints.unlabelled) == (11, 1)  # PVE of those with betas alone
    kept = MadeVideos(12)
    kept.videos[0].targets.joints_m[[0, 1, 2, 3, 7], 30] = 0
    fewer = room.evaluate(network, kept, PROTOCOLS["synthetic"], OPTIONS).summary
    assert joints.summary.pve_mm == pytest.approx(fewer.pve_mm)


def test_no_window_reaches_across_a_gap():
    network, whole, gap = network_of(), MadeVideos(22, part=5), MadeVideos(22, part=5)
    gap.videos[0].times_s[13:] += 3
    apart = MadeVideos(22, part=5)
    first = apart.videos[0]
    pieces = [slice(0, 13), slice(13, 22)]
    apart.videos = [
        first._replace(
            frames=first.frames[p],
            times_s=first.times_s[p],
            valid=first.valid[p],
            targets=first.targets.map(lambda field, p=p: field[p]),
        )
        for p in pieces
    ]
    one, two, joined = (
        room.evaluate(network, videos, Protocol(), OPTIONS).summary
        for videos in (gap, apart, whole)
    )
    assert (one.frames, one.triples) == (two.frames, two.triples) == (22, 18)
    assert one.mpjpe_mm == pytest.approx(two.mpjpe_mm)
    assert one.mpjpe_mm != pytest.approx(joined.mpjpe_mm, rel=1e-6)


def test_labels_of_men_and_women_on_their_own_bodies():
    network, videos = network_of(), MadeVideos(6, 6)
    wider = dataclasses.replace(network.tables, template_m=1.1 * network.tables.template_m)
    protocol = Protocol(gender="labelled")
    same = room.Options(
        gendered=tuple((g, network.tables) for g in ("male", "female")), device="cpu"
    )
    other = room.Options(gendered=(("male", network.tables), ("female", wider)), device="cpu")
    neutral = room.evaluate(network, videos, Protocol(), OPTIONS).summary
    assert room.evaluate(network, videos, protocol, same).summary == neutral
    assert room.evaluate(network, videos, protocol, other).summary.pve_mm != neutral.pve_mm
    with pytest.raises(EvaluationError, match="male body"):
        room.evaluate(network, videos, protocol, OPTIONS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A set of weights for the open body, and a cache of its encoder's maps."""
    from staf_backend.staf.any_network import make_network
    from staf_backend.weights.store import load_weights, save_weights
    from training.run.networks import body_tables, start_values

    folder = tmp_path_factory.mktemp("evaluate")
    torch.manual_seed(0)
    config = StafConfig(channels=16)
    network = make_network(config, body_tables("open-neutral"), start_values())
    encoder = Encoder()
    save_weights(
        folder / "weights",
        encoder=encoder.state_dict(),
        network=network.state_dict(),
        config=config,
    )
    loaded = load_weights("weights", root=folder, body=room.load_body("open-neutral"))
    build_cache(Crops(10, 3), loaded.encoder, folder / "cache")
    return folder


def test_kept_maps_score_like_crops(stored):
    network = room.open_network(str(stored / "weights"), "open-neutral")
    protocol = Protocol()
    crops = room.evaluate(network, SourceVideos(Crops(10, 3)), protocol, OPTIONS).summary
    cached = room.open_videos(str(stored / "cache"), network.encoder)
    assert isinstance(cached, CachedVideos)
    maps = room.evaluate(dataclasses.replace(network, encoder=None), cached, protocol, OPTIONS)
    assert maps.summary.frames == crops.frames == 13
    assert maps.summary.mpjpe_mm == pytest.approx(crops.mpjpe_mm, rel=1e-3)
    assert maps.summary.pve_mm == pytest.approx(crops.pve_mm, rel=1e-3)


def test_the_command_writes_a_table_and_json(stored, tmp_path, capsys):
    arguments = [
        str(stored / "weights"),
        "--body",
        "open-neutral",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "scores"),
        "--data",
        f"3dpw={stored / 'cache'}",
        "--no-regressor",
        "--table",
        "1",
    ]
    room.main(arguments)
    said = capsys.readouterr().out
    text = (tmp_path / "scores" / "scores.md").read_text()
    assert said.strip() == text.strip()
    assert "13 frames of 2 videos" in text
    assert "| STAF, paper, trained with 3DPW | 80.6 | 48.0 | 95.3 | 8.2 | - |" in text
    assert "| GraphCMR, paper | - | 70.2 | - | - | - |" in text
    assert text.count(", paper") == 19
    content = json.loads((tmp_path / "scores" / "scores.json").read_text())
    one = content["sets"][0]
    assert one["protocol"]["regressor"] is False
    assert f"| {one['summary']['mpjpe_mm']:.1f} | {one['summary']['pa_mpjpe_mm']:.1f} |" in text


def test_tables_know_the_papers_rows():
    assert [len(rows) for rows in paper_tables.ABLATIONS.values()] == [4, 6, 12]
    for number, rows in paper_tables.ABLATIONS.items():
        assert list(paper_tables.PUBLISHED[number]) == list(rows)
    assert [len(paper_tables.paper_rows(*one)) for one in (("3dpw", 1), ("h36m", 3))] == [19, 6]
    assert [row.pa_mpjpe_mm for row in paper_tables.paper_rows("mpii3d")] == [59.6, 58.8]


def test_a_table_without_rows_for_a_set_is_refused(stored, tmp_path):
    words = [
        str(stored / "weights"),
        "--body",
        "open-neutral",
        "--out",
        str(tmp_path / "scores"),
        "--data",
        f"3dpw={stored / 'cache'}",
        "--table",
        "3",
    ]
    with pytest.raises(EvaluationError, match="Table III of the paper has no rows for 3dpw"):
        room.main(words)
    assert not (tmp_path / "scores").exists()


def test_sizes_are_told_beside_the_papers(stored, tmp_path, capsys):
    words = [str(stored / "weights"), "--body", "open-neutral", "--table", "2"]
    room.main([*words, "--out", str(tmp_path / "sizes")])
    content = json.loads((tmp_path / "sizes" / "table-2.json").read_text())
    assert content["bytes"] == 4 * content["parameters"] > 0
    said = capsys.readouterr().out
    assert f"| {content['parameters'] / 1e6:.2f} | {content['bytes'] / 1e6:.1f} |" in said
    assert "| TCMR, paper | 108.89 | 1073.0 |" in said


# What cannot be scored says why


def test_an_empty_set_and_one_without_labels():
    network = network_of()
    with pytest.raises(EvaluationError, match="no video"):
        room.evaluate(network, MadeVideos(), Protocol(), OPTIONS)
    videos = MadeVideos(10)
    videos.videos[0].targets.has_betas[:] = 0
    with pytest.raises(EvaluationError, match="10 lack labels"):
        room.evaluate(network, videos, Protocol(), OPTIONS)
    short = dataclasses.replace(Protocol(), shortest=9)
    with pytest.raises(EvaluationError, match="1 videos are too short"):
        room.evaluate(network, MadeVideos(8), short, OPTIONS)


@pytest.mark.parametrize("name", ["STAF", "base"])
def test_predictions_that_are_no_numbers_name_the_video(name: str):
    network, videos = network_of(CONFIGS[name]), MadeVideos(10, 12)
    videos.videos[1].frames[6] = torch.nan
    with pytest.raises(ScoreError, match="made, video 1: The prediction of frame"):
        room.evaluate(network, videos, Protocol(), OPTIONS)


@pytest.mark.parametrize(
    ("body", "fits"), [("open-neutral", False), ("none", False), ("synthetic", True)]
)
def test_betas_of_another_body_are_refused_unless_joints_suffice(body: str, fits: bool):
    network, videos = network_of(), MadeVideos(9)
    videos.body = body
    if fits:
        room.evaluate(network, videos, Protocol(), OPTIONS)
    else:
        with pytest.raises(EvaluationError, match=r"labels of pose|labelled with the body"):
            room.evaluate(network, videos, Protocol(), OPTIONS)
    joints = Protocol(truth="joints", vertices=False)
    assert room.evaluate(network, videos, joints, OPTIONS).summary.frames == 9


def test_weights_of_another_encoder_or_without_one(stored):
    small = network_of()
    cached = room.open_videos(str(stored / "cache"), None)
    with pytest.raises(EvaluationError, match=f"maps of 2048 channels.* reads {WIDTH}"):
        room.evaluate(small, cached, Protocol(truth="joints", vertices=False), OPTIONS)
    with pytest.raises(EvaluationError, match="without an encoder"):
        room.evaluate(small, SourceVideos(Crops(3)), PROTOCOLS["mpii3d"], OPTIONS)
    torch.manual_seed(9)
    with pytest.raises(StafError, match="other weights"):
        room.open_videos(str(stored / "cache"), Encoder())


def test_weights_without_their_body_are_refused(stored):
    with pytest.raises(StafError, match="without a body"):
        room.open_network(str(stored / "weights"), None)
    with pytest.raises(StafError, match="There is no folder"):
        room.open_network(str(stored / "nothing"), None)


def test_regressors_that_are_missing_or_no_regressor(tmp_path):
    network, videos = network_of(), MadeVideos(9)
    with pytest.raises(EvaluationError, match="needs H36M's joint regressor"):
        room.evaluate(network, videos, PROTOCOLS["3dpw"], room.Options(device="cpu"))
    narrow = room.Options(regressor=H36M[:, :100], device="cpu")
    with pytest.raises(EvaluationError, match="reads 100 vertices"):
        room.evaluate(network, videos, PROTOCOLS["3dpw"], narrow)
    path = tmp_path / "J_regressor_h36m.npy"
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_regressor(path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_regressor(path)
    np.save(path, H36M[:9])
    with pytest.raises(EvaluationError, match="17 joints"):
        read_regressor(path)
    np.save(path, H36M)
    assert (read_regressor(path) == H36M).all()
    np.savez(tmp_path / "a.npz", J_regressor_h36m=H36M)
    assert (read_regressor(tmp_path / "a.npz") == H36M).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_a_regressor_that_is_a_pipe_or_a_bomb(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    np.savez_compressed(tmp_path / "bomb.npz", J_regressor_h36m=np.zeros((17, 2_000_000)))
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 and no more")
    for name, words in (("pipe.npy", "a pipe"), ("bomb.npz", "far more"), ("cut.npz", "")):
        with pytest.raises(
            EvaluationError, match=f"cannot be read as a joint regressor: .*{words}"
        ):
            read_regressor(tmp_path / name)

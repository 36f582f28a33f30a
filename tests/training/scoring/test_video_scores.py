"""Scores of single videos, and of people who are labelled on bodies of their own gender."""

import dataclasses
import json
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from staf_backend.staf import StafConfig  # noqa: E402
from tests.support import parity_network  # noqa: E402
from tests.support import parity_recipe as recipe  # noqa: E402
from tests.support.make_feeding import tiny_encoder  # noqa: E402
from tests.support.make_training_videos import FPS, WIDTH, Crops, MadeVideos, small_network  # noqa: E402
from training import evaluate as room  # noqa: E402
from training.data.crops import PreparedSequences  # noqa: E402
from training.data.feature_cache import build_cache  # noqa: E402
from training.datasets import Annotations, PreparedSet, open_set, write_set  # noqa: E402
from training.scoring import (  # noqa: E402
    CachedVideos,
    EvaluationError,
    Protocol,
    SourceVideos,
    Summary,
)

BASE = StafConfig(1, 16, False, None, None, map_channels=WIDTH)
OPTIONS = room.Options(device="cpu")


def small(encoder: Any = None) -> room.Network:
    return room.Network("made", small_network(BASE), encoder, parity_network.body().tables)


WORN = ("male", "female", "neutral")


@pytest.fixture
def worn(tmp_path) -> PreparedSet:
    """A set like 3DPW: a man, a woman, and somebody whose body is not told, six frames each."""
    rows, people = 18, np.repeat(np.arange(3), 6)
    rng = np.random.default_rng(1)
    quaternions = rng.normal(size=(rows, 24, 4))
    quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
    names = [f"{WORN[who]}/{frame}.png" for who in range(3) for frame in range(6)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        crop = recipe.crop_rgb(name)
        assert cv2.imwrite(str(tmp_path / name), crop)
    labels = Annotations(
        "3dpw",
        "test",
        "smpl-gendered",
        FPS,
        names,
        np.arange(rows, dtype=np.int32),
        np.tile(np.array([[112, 112, 180]], np.float32), (rows, 1)),
        np.zeros((rows, 49, 3), np.float32),
        np.zeros((rows, 49, 4), np.float32),
        quaternions.astype(np.float32),
        rng.normal(size=(rows, 10)).astype(np.float32),
        np.ones(rows, np.float32),
        np.ones(rows, np.float32),
        np.array([1, 2, 0], np.int8)[people],
        people.astype(np.int32),
        np.tile(np.arange(6, dtype=np.int32), 3),
        np.ones(rows, bool),
    )
    write_set(tmp_path / "set", labels, {}, root=tmp_path)
    return open_set(tmp_path / "set")


def test_a_gendered_set_is_posed_by_each_persons_own_body(worn, tmp_path):
    """Through crops and through kept maps; the woman's body alone is another than the network's."""
    encoder: Any = tiny_encoder(WIDTH)
    tables = dataclasses.replace(parity_network.body().tables, name="smpl-neutral")
    wide = dataclasses.replace(tables, template_m=1.1 * tables.template_m)
    network = room.Network("made", small_network(BASE), encoder, tables)
    protocol = Protocol(gender="labelled")
    bodies = room.Options(
        gendered=(("male", tables), ("female", wide), ("neutral", tables)), device="cpu"
    )
    build_cache(PreparedSequences(worn), encoder, tmp_path / "cache")
    for videos in (
        SourceVideos(PreparedSequences(worn)),
        room.open_videos(str(tmp_path / "cache"), encoder),
    ):
        assert tuple(videos.gender(index) for index in range(3)) == WORN
        neutral = room.evaluate(network, videos, Protocol(), OPTIONS).each
        own = room.evaluate(network, videos, protocol, bodies).each
        assert [one.name for one in own] == [f"3dpw-test/{n:06d} {WORN[n]}" for n in range(3)]
        assert (own[0], own[2]) == (neutral[0], neutral[2])
        assert own[1].summary.pve_mm != pytest.approx(neutral[1].summary.pve_mm, rel=1e-3)
        lacking = dataclasses.replace(bodies, gendered=bodies.gendered[:1])
        with pytest.raises(EvaluationError, match="female body, which was not given"):
            room.evaluate(network, videos, protocol, lacking)


def test_sets_that_do_not_tell_genders_are_refused_where_they_matter(tmp_path):
    source: Any = Crops(6)
    source.body = "synthetic"
    encoder: Any = tiny_encoder(WIDTH)
    network = small(encoder)
    cache = build_cache(source, encoder, tmp_path / "cache")
    for videos in (SourceVideos(source), CachedVideos(cache)):
        assert room.evaluate(network, videos, Protocol(), OPTIONS).summary.frames == 6
        with pytest.raises(EvaluationError, match="do not say which body"):
            room.evaluate(network, videos, Protocol(gender="labelled"), OPTIONS)


@pytest.mark.parametrize("authors", [False, True])
def test_each_videos_scores_are_those_of_it_alone(authors: bool):
    network, videos = small(), MadeVideos(12, 5, 11)
    videos.videos[0].valid[3] = False
    videos.videos[2].targets.has_pose[:2] = 0
    protocol = Protocol().as_the_authors() if authors else Protocol()
    scores = room.evaluate(network, videos, protocol, OPTIONS)
    assert [one.name for one in scores.each] == ["made/0", "made/1", "made/2"]
    apart = dataclasses.replace(protocol, across_joins=False)
    for number, one in enumerate(scores.each):
        alone = MadeVideos(12, 5, 11)
        alone.videos = [videos.videos[number]]
        if authors and number == 1:
            assert one.summary == Summary(0, 0, None, None, None, None, None)
            continue
        assert one.summary == room.evaluate(network, alone, apart, OPTIONS).summary
    whole, frames = scores.summary, [one.summary.frames for one in scores.each]
    assert frames == ([12, 0, 9] if authors else [11, 5, 9])
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm"):
        values = [getattr(one.summary, name) or 0.0 for one in scores.each]
        assert getattr(whole, name) == pytest.approx(np.average(values, weights=frames))


def test_the_json_has_a_row_for_every_video(tmp_path, monkeypatch):
    encoder: Any = tiny_encoder(WIDTH)
    build_cache(Crops(10, 3), encoder, tmp_path / "cache")
    monkeypatch.setattr(room, "open_network", lambda *_: small(encoder))
    room.main(
        ["W", "--device", "cpu", "--out", str(tmp_path), "--data", f"mpii3d={tmp_path / 'cache'}"]
    )
    (one,) = json.loads((tmp_path / "scores.json").read_text())["sets"]
    rows = one["each"]
    assert [row["name"] for row in rows] == ["0", "1"]
    frames, errors = ([row["summary"][key] for row in rows] for key in ("frames", "mpjpe_mm"))
    assert frames == [10, 3]
    assert np.average(errors, weights=frames) == pytest.approx(one["summary"]["mpjpe_mm"])
    assert all(row["summary"].keys() == one["summary"].keys() for row in rows)

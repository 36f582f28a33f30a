"""Which estimator runs, where people are found, what is refused before a video is read."""

from pathlib import Path

import pytest

from staf_backend import StafError
from staf_backend.commands import convert, list_people
from staf_backend.estimators import (
    EstimatorSettings,
    check_device,
    detection_device,
    used_precision,
)
from staf_backend.export.deliver import Outputs
from staf_backend.pipeline import Settings, solve
from staf_backend.reporting import Terminal
from tests.support.places import FOOTAGE
from tests.support.real_clips import silent

CLIP = FOOTAGE / "balance_cam02.mp4"


def test_staf_finds_people_on_a_device_that_onnx_runtime_has():
    """PyTorch may have CUDA or MPS where ONNX Runtime has only the processor."""
    wanted = EstimatorSettings(device="mps")
    assert detection_device(wanted, "staf") == "auto"
    assert detection_device(wanted, "landmarks") == "mps"
    assert detection_device(EstimatorSettings(device="cpu"), "staf") == "cpu"


@pytest.fixture
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a video fails."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the video was opened")

    monkeypatch.setattr("staf_backend.pipeline.open_video", refuse)
    monkeypatch.setattr("staf_backend.commands.open_video", refuse)


ABSENT = ["cuda", "cuda:0", "cuda:99", "cpu:1", "abacus", "mps:3"]


@pytest.mark.usefixtures("no_video")
@pytest.mark.parametrize("estimator", ["landmarks", "staf"])
@pytest.mark.parametrize("device", ABSENT)
def test_an_absent_device_is_refused_before_the_video_is_read(device: str, estimator: str):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() and device in ("cuda", "cuda:0"):
        pytest.skip("this computer has it")
    with pytest.raises(StafError) as caught:
        solve(CLIP, Settings(estimator=estimator, device=device), silent)  # pyright: ignore[reportArgumentType]
    assert caught.value.exit_code == 6
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_video")
def test_it_is_refused_once_for_many_videos_and_for_people(tmp_path: Path, caplog):
    settings = Settings(device="cuda:99")
    with pytest.raises(StafError, match="cuda:99"):
        convert([CLIP, tmp_path / "b.mp4"], settings, Outputs(tmp_path), Terminal())
    assert caplog.text == ""
    with pytest.raises(StafError, match="cuda:99"):
        list_people(CLIP, settings, None, Terminal())


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0"])
def test_what_is_there_is_accepted(device: str):
    check_device(EstimatorSettings(device=device), "landmarks")
    pytest.importorskip("torch")
    check_device(EstimatorSettings(device=device), "staf")


@pytest.mark.usefixtures("no_video")
@pytest.mark.parametrize("word", ["tf32", "fp16"])
def test_a_precision_that_the_device_has_not_is_refused_before_the_video_is_read(word):
    pytest.importorskip("torch")
    with pytest.raises(StafError, match=f"The device cpu does not compute in {word}") as caught:
        solve(CLIP, Settings(estimator="staf", device="cpu", precision=word), silent)
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (6, False)


@pytest.mark.usefixtures("no_video")
@pytest.mark.parametrize("word", ["tf32", "bf16", "fp16"])
def test_the_landmark_estimator_has_one_precision(word):
    with pytest.raises(StafError, match=f"does not compute in {word}") as caught:
        solve(CLIP, Settings(estimator="landmarks", precision=word), silent)
    assert caught.value.exit_code == 2
    for fine in ("auto", "float32"):
        settings = EstimatorSettings(precision=fine)  # pyright: ignore[reportArgumentType]
        assert used_precision(settings, "landmarks") == "float32"


def test_a_precision_that_means_nothing_is_refused():
    with pytest.raises(StafError, match="There is no precision 'int8'"):
        EstimatorSettings(precision="int8")  # pyright: ignore[reportArgumentType]

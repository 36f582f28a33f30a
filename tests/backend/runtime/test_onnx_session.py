"""Opening networks: devices, threads, and files that are none."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from staf_backend.assets import AssetError, asset_path
from staf_backend.runtime import onnx_session
from tests.support.command_line import environment


def test_the_processor_is_always_there():
    assert onnx_session.devices()[-1] == "cpu"


def test_a_device_that_is_not_here_is_named_with_those_that_are():
    with pytest.raises(AssetError, match="'abacus'") as caught:
        onnx_session.open_network(asset_path("movenet_multipose.onnx"), device="abacus")
    assert "auto" in caught.value.advice
    assert "cpu" in caught.value.advice
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x07" * 50], ids=len)
def test_a_file_that_is_no_network_is_named(content: bytes, tmp_path: Path):
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=r"odd\.onnx") as caught:
        onnx_session.open_network(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(AssetError, match=r"gone\.onnx"):
        onnx_session.open_network(tmp_path / "gone.onnx")


def test_threads_are_those_asked_for_or_the_cores_of_this_process():
    path = asset_path("movenet_multipose.onnx")
    options = onnx_session.open_network(path, threads=1).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    default = onnx_session.open_network(path).get_session_options()
    assert default.intra_op_num_threads == onnx_session.usable_cores() >= 1


def test_outputs_come_by_name_and_do_not_depend_on_threads():
    path = asset_path("pose_landmark_full.onnx")
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, 256, 256)).astype(np.float32)
    one, two = (
        onnx_session.run(onnx_session.open_network(path, threads=n), image=image) for n in (1, 2)
    )
    assert set(one) == {"landmarks", "presence", "mask", "heatmap", "world"}
    assert one["world"].shape == (1, 39, 3)
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name


class _Session:
    """A session as ONNX Runtime gives it where a device's libraries are missing: the CPU's."""

    def __init__(self, _path: Path, _options: object, *, providers: list, enable_fallback: int):
        self.asked = providers
        assert enable_fallback == 0  # it would print

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.fixture
def without_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", _Session)


@pytest.mark.usefixtures("without_its_libraries")
def test_a_device_that_does_not_start_is_an_error_and_no_silent_cpu():
    path = asset_path("movenet_multipose.onnx")
    with pytest.raises(AssetError, match="could not start on the device 'cuda:1'"):
        onnx_session.open_network(path, device="cuda:1")
    session: object = onnx_session.open_network(path, device="auto")
    assert session.asked == [("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.usefixtures("without_its_libraries")
def test_what_a_device_says_is_known_before_a_network_is_opened():
    with pytest.raises(AssetError, match="could not start on the device 'cuda:1'"):
        onnx_session.started_device("cuda:1")
    assert onnx_session.started_device() == "cpu"


def test_a_number_that_a_device_does_not_have_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    """ONNX Runtime raises where the driver knows no such number."""
    import onnxruntime

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failure 101: invalid device ordinal\nat line 7")

    monkeypatch.setattr(onnx_session, "devices", lambda: ("cuda", "cpu"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(AssetError, match="could not start on the device 'cuda:7'"):
        onnx_session.started_device("cuda:7")


def test_the_processor_starts():
    assert onnx_session.started_device("cpu") == onnx_session.started_device("cpu:0") == "cpu"
    assert "CPUExecutionProvider" in onnx_session.providers()
    with pytest.raises(AssetError, match="not available"):
        onnx_session.started_device("cpu:1")


def test_one_of_several_devices_is_its_providers_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_session, "devices", lambda: ("cuda", "cpu"))
    assert onnx_session._chosen("cuda:1") == [("CUDAExecutionProvider", {"device_id": "1"})]
    for odd in ("cuda:", "cuda:x", "rocm:0"):
        with pytest.raises(AssetError, match="not available"):
            onnx_session._chosen(odd)


@pytest.mark.parametrize(("provider", "most"), [("Dml", 1), ("CPU", 3)])
def test_where_only_one_may_run_at_a_time_threads_take_turns(
    provider: str, most: int, monkeypatch: pytest.MonkeyPatch
):
    """There is no DirectML here; the turns are real."""
    import onnxruntime

    names = [f"{provider}ExecutionProvider", "CPUExecutionProvider"]
    running, seen, together = [0], [0], threading.Barrier(most, timeout=30)

    class Session:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return names

        def get_outputs(self) -> list[object]:
            return []

        def run(self, *_: object) -> list[object]:
            running[0] += 1
            seen[0] = max(seen[0], running[0])
            together.wait()  # all that may be here are here
            running[0] -= 1
            return []

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    device = "directml" if provider == "Dml" else "cpu"
    session = onnx_session.open_network(asset_path("movenet_multipose.onnx"), device=device)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: onnx_session.run(session), range(9)))
    assert seen == [most]


_WORKED = """
import numpy as np
from pathlib import Path
from staf_backend.assets import asset_path
from staf_backend.runtime import give_back_memory, open_network, run

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

names = ("movenet_multipose.onnx", "pose_landmark_full.onnx", "lift.onnx")
detect, landmarks, lift = (open_network(asset_path(name), threads=1) for name in names)
opened = resident_mb()
run(detect, image=np.zeros((1, 3, 288, 512), np.float32))
run(landmarks, image=np.zeros((8, 3, 256, 256), np.float32))
worked = resident_mb()
give_back_memory(lift)
print(opened, worked, resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_networks_worked_in_is_shared_and_given_back():
    command = [sys.executable, "-c", _WORKED]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    opened, worked, after = map(float, told.stdout.split())
    assert worked - opened > 30
    assert after - opened < 0.5 * (worked - opened)

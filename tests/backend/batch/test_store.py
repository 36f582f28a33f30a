"""Results that go to a store: a folder as fsspec sees it, and a real S3 server where moto is."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from staf_backend.batch.store import Store
from staf_backend.files import OutputError
from tests.backend.batch.test_batch import CLIP, WORDS, report, results, states
from tests.support.command_line import environment, staf

fsspec = pytest.importorskip("fsspec")


def test_files_are_whole_or_not_there(tmp_path):
    made = tmp_path / "made.glb"
    made.write_bytes(b"1234")
    store = Store(f"file://{tmp_path}/store")
    store.check()
    store.put({"day 1/take.glb": made})
    assert store.holds("day 1/take.glb", 4)
    assert not store.holds("day 1/take.glb", 5)
    assert not store.holds("other.glb", 4)
    kept = [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert kept == ["take.glb"]
    store.remove("day 1/take.glb")
    store.remove("day 1/take.glb")
    assert not store.holds("day 1/take.glb", 4)


@pytest.mark.parametrize("url", ["nothing-of-the-kind://x", "file:///proc/nowhere"])
def test_a_place_that_takes_nothing_is_told(url):
    with pytest.raises(OutputError, match="cannot write to"):
        Store(url).check()


def convert_to(url: str, tmp_path: Path, **variables: str) -> None:
    """A batch into a store; then with a clip that changed; then without motion files."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(CLIP, folder / name)
    (folder / "bad.mp4").touch()
    words = ("batch", folder, "--out", out, "--store", url, "--workers", 1, *WORDS)
    env = environment(**variables)
    ran = staf(*words, cwd=tmp_path, env=env)
    assert ran.returncode == 3, ran.stderr
    assert states(out) == {"a": "done", "b": "done", "bad": "failed"}
    assert not results(out)
    with (folder / "a.mp4").open("ab") as file:
        file.write((8).to_bytes(4, "big") + b"free")
    assert staf(*words, cwd=tmp_path, env=env).returncode == 3
    assert {clip["place"] for clip in report(out)["clips"] if not clip["before"]} == {"a"}
    assert staf(*words[:-1], cwd=tmp_path, env=env).returncode == 3


@pytest.mark.slow
def test_a_folder_as_a_store(tmp_path):
    convert_to(f"file://{tmp_path}/store", tmp_path)
    assert sorted(results(tmp_path / "store")) == ["a.glb", "b.glb"]


@pytest.fixture
def s3_server() -> Iterator[str]:
    """A server that speaks S3, with a bucket."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        running.terminate()


def test_a_real_s3_server(s3_server, tmp_path, monkeypatch):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    keys |= {"FSSPEC_S3_ENDPOINT_URL": s3_server}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    import s3fs  # pyright: ignore[reportMissingImports]

    system = s3fs.S3FileSystem(
        endpoint_url=s3_server, key="a", secret="b", use_listings_cache=False
    )
    system.mkdir("studio")
    with pytest.raises(OutputError):
        Store("s3://no-such-bucket/x").check()
    convert_to("s3://studio/night", tmp_path, **keys)
    kept = sorted(name.removeprefix("studio/night/") for name in system.find("studio"))
    assert kept == ["a.glb", "b.glb"]
    assert system.cat_file("studio/night/a.glb")[:4] == b"glTF"

"""Weights of the shipped lifting network come back, to begin another run from."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from staf_backend.landmarks.features import FEATURES  # noqa: E402
from staf_backend.landmarks.windows import WINDOW  # noqa: E402
from staf_backend.runtime import open_network, run  # noqa: E402
from training.lifting import ensemble, recover  # noqa: E402
from training.lifting import network as lift_network  # noqa: E402
from training.run import RunError  # noqa: E402

SIZE = lift_network.Size(width=64, blocks=2, heads=2, inner=96)


@pytest.mark.slow
def test_the_shipped_members_are_got_back_and_begun_from(tmp_path):
    """What the mean of the recovered networks says is what the file says."""
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = lift_network.LiftNetwork(SIZE).eval()
        for parameter in network.parameters():  # equal ones would be exported as one
            torch.nn.init.normal_(parameter, std=0.05)
        lift_network.export(network, tmp_path / f"{seed}.onnx")
        networks.append(tmp_path / f"{seed}.onnx")
    joined = tmp_path / "lift.onnx"
    ensemble.join(networks, joined)
    features = np.random.default_rng(1).normal(0, 1, (2, WINDOW, FEATURES)).astype(np.float32)
    said = run(open_network(joined, threads=1), features=features)
    with torch.no_grad():
        both = [recover.recovered(joined, k, SIZE)(torch.from_numpy(features)) for k in (0, 1)]
    for name in ("rotations", "betas", "up"):
        mean = np.mean([getattr(one, name).numpy() for one in both], 0)
        assert np.allclose(said[name], mean, atol=1e-4), name
    with pytest.raises(RunError, match="Member 2 of"):
        recover.recovered(joined, 2)
    damaged = tmp_path / "torn.onnx"
    damaged.write_bytes(b"\x08torn")
    with pytest.raises(RunError, match=r"torn\.onnx cannot be recovered"):
        recover.recovered(damaged, 0)

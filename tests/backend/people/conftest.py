"""What tests of finding people share."""

import pytest

from staf_backend.assets import asset_path
from staf_backend.people import AppearanceNetwork, PersonDetector
from staf_backend.runtime import open_network


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    """The shipped network, on one thread."""
    session = open_network(asset_path("movenet_multipose.onnx"), device="cpu", threads=1)
    return PersonDetector(session)


@pytest.fixture(scope="module")
def appearance() -> AppearanceNetwork:
    """The shipped network, on one thread."""
    session = open_network(asset_path("appearance.onnx"), device="cpu", threads=1)
    return AppearanceNetwork(session)

"""Caches of two small sets, in three dimensions and in two."""

import pytest

from tests.support import make_feeding as made
from tests.support.make_feeding import ENCODER
from training.data.feature_cache import FeatureCache, build_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("caches") / "3d"
    return build_cache(made.Sequences((20, 3, 30)), ENCODER, folder, batch=4)

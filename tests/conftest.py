"""Fixtures that more than one test file needs."""

import importlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import peers
from tests.helpers.paths import shared

settings.register_profile(
    "default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def facts() -> dict:
    """Sizes, checksums and ratios of the published programs' streams."""
    return json.loads(shared("facts.json").read_text())


@pytest.fixture(scope="session")
def phantom():
    """A small synthetic volume, 16 x 96 x 150 voxels of uint64."""
    from compresso.codec import Extent
    from experiments.datasets.synthetic import Phantom

    return Phantom(size=Extent("150x96x16")).labels()


@pytest.fixture
def zarr():
    zarr = pytest.importorskip("zarr")
    importlib.import_module("compresso.adapters.zarr")  # registers the codec
    return zarr


@pytest.fixture
def numcodecs():
    numcodecs = pytest.importorskip("numcodecs")
    adapter = importlib.import_module("compresso.adapters.numcodecs")
    numcodecs.register_codec(adapter.CompressoCodec)
    return numcodecs


@pytest.fixture(scope="session")
def pypi(pytestconfig):
    """PyPI's compresso, to evaluate Python with."""
    cache = Path(pytestconfig.cache.mkdir("peers"))
    peer = peers.Peer(peers.interpreter(cache, "numpy", "compresso"))
    yield peer
    peer.close()

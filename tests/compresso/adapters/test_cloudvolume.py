"""CloudVolume with this package installed where PyPI's compresso was."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import peers
from tests.helpers import stores as depots
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow
SCRIPT = ROOT / "tests" / "helpers" / "peer_cloudvolume.py"


@pytest.fixture(scope="module")
def cache(pytestconfig):
    return Path(pytestconfig.cache.mkdir("peers"))


@pytest.fixture(scope="module")
def theirs(cache):
    """A Python with CloudVolume and PyPI's compresso."""
    return peers.interpreter(cache, "cloud-volume", "compresso")


@pytest.fixture(scope="module")
def ours(cache):
    """A Python with CloudVolume and this checkout."""
    return peers.interpreter(cache, "cloud-volume", ours=True)


def run(python, task, folder, path):
    """Run CloudVolume; returns where its compresso is."""
    done = subprocess.run(
        [python, "-I", SCRIPT, task, folder, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def chunks(folder):
    """The streams of a volume that is not sharded, by name."""
    return {
        path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes())
        for path in folder.rglob("*_*.gz")
    }


def boxes(dtype):
    """Labels [x, y, z] of 3 x 2 x 3 chunks."""
    coarse = np.kron(np.arange(60).reshape(5, 4, 3), np.ones((28, 26, 14), int))
    labels = (coarse * 1_000_003).astype(dtype)
    labels[np.random.default_rng(0).random(labels.shape) < 0.01] = np.iinfo(dtype).max
    return labels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_both_ways(tmp_path, theirs, ours, dtype):
    """Each reads what the other wrote, sharded too; the chunks are the same bytes."""
    labels = boxes(dtype)
    path = tmp_path / "labels.npy"
    np.save(path, np.asfortranarray(labels))
    assert run(theirs, "write", tmp_path / "theirs", path).suffix == ".so"
    assert run(ours, "write", tmp_path / "ours", path).name == "__init__.py"
    for python in (theirs, ours):
        for folder in ("theirs", "ours"):
            run(python, "read", tmp_path / folder, path)
    written = chunks(tmp_path / "ours" / "plain")
    assert len(written) == 3 * 2 * 3
    assert written == chunks(tmp_path / "theirs" / "plain")


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_its_volumes_are_stores(tmp_path, theirs, dtype):
    """Whatever it writes is read as a store, in files and in shards."""
    labels = boxes(dtype)
    path = tmp_path / "labels.npy"
    np.save(path, labels)
    run(theirs, "store", tmp_path / "cv", path)
    folders = sorted((tmp_path / "cv").iterdir())
    assert len(folders) == (4 if dtype == np.uint16 else 6)
    for folder in folders:
        depots.same(folder, np.ascontiguousarray(labels.T))
        depots.same(f"{folder}:box=12-90x21-99x33-50", labels[2:80, 1:79, 3:20].T)


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_it_reads_compressed_segmentation_of_ours(tmp_path, theirs, dtype):
    codec, offset = "compressed_segmentation", (10, 20, 30)
    labels = np.ascontiguousarray(boxes(dtype).T)
    folder = depots.precomputed(tmp_path / "seg", labels, codec, offset)
    depots.encode_again(folder, labels, codec, offset)
    np.save(tmp_path / "labels.npy", labels.T)
    run(theirs, "compare", folder, tmp_path / "labels.npy")

"""CloudVolume with this package installed where PyPI's compresso was."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
import peers
import pytest

SCRIPT = Path(__file__).with_name("peer_cloudvolume.py")


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
    return peers.with_ours(cache, "cloud-volume")


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


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_both_ways(tmp_path, theirs, ours, dtype):
    """Each reads what the other wrote, sharded too; the chunks are the same bytes."""
    boxes = np.kron(np.arange(60).reshape(5, 4, 3), np.ones((28, 26, 14), int))
    labels = (boxes * 1_000_003).astype(dtype)
    labels[np.random.default_rng(0).random(labels.shape) < 0.01] = np.iinfo(dtype).max
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

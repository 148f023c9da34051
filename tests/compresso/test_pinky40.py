"""A whole real volume, 256 x 512 x 512, through every door, bit for bit."""

import h5py
import numpy as np
import pytest

import compresso as C
from tests.helpers import stores as depots
from tests.helpers.paths import shared
from tests.helpers.program import invoke

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path():
    return shared("data/pinky40-z000-255.h5")


@pytest.fixture(scope="module")
def labels(path):
    with h5py.File(path) as file:
        return file["main"][:]


def same(found, labels):
    assert (found.dtype, found.shape) == (labels.dtype, labels.shape)
    assert np.array_equal(found, labels)


@pytest.mark.parametrize(
    "encoding", ["compresso", "cpso", "neuroglancer", "compressed_segmentation"]
)
def test_library(tmp_path, labels, encoding):
    frame = C.dumps(labels, encoding=encoding, compression="zstd", threads=2)
    same(C.loads(frame), labels)
    (tmp_path / "a.cps").write_bytes(frame)
    with C.open(tmp_path / "a.cps") as array:
        same(array[:], labels)
        same(array[100:131, 5:300:7, -1], labels[100:131, 5:300:7, -1])
        values, counts = np.unique(labels, return_counts=True)
        assert array.counts() == dict(zip(values.tolist(), counts.tolist(), strict=True))
        same(array.labels(), values)


def test_files(tmp_path, path, labels):
    frame, target = tmp_path / "a.cps", tmp_path / "a.npy"
    invoke("compress", path, frame, "--memory", "200M")
    invoke("verify", frame)
    invoke("decompress", frame, target)
    same(np.load(target), labels)


def test_precomputed(tmp_path, labels):
    folder, frame = tmp_path / "seg", tmp_path / "a.cps"
    how = {"chunk_size": [64, 64, 64], "sharding": depots.SHARDS}
    depots.precomputed(folder, labels, "compressed_segmentation", **how)
    same(depots.read(folder), labels)
    invoke("compress", f"precomputed://{folder}", frame)
    same(C.loads(frame.read_bytes()), labels)

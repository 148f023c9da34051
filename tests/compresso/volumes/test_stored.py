"""Which chunks a source has stored: the others hold its fill value, and need not be read."""

import gzip

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso import volumes
from compresso.volumes.volume import slices_of
from tests.helpers import stores as depots
from tests.helpers.stores import ts

SHAPE, CHUNK = (20, 33, 41), (8, 16, 16)
BLOCK = (slice(9, 18), slice(17, 20), slice(3, 5))
#: The chunks that have any of the block's voxels.
STORED = (slice(8, 20), slice(16, 32), slice(0, 16))


def stored(text):
    """The voxels of stored chunks, and the size of each chunk."""
    with volumes.open(str(text), 1 << 30) as volume:
        if volume.stored is None:
            return None, []
        seen, sizes = np.zeros(volume.shape, bool), []
        for box, size in volume.stored():
            seen[slices_of(box)] = True
            sizes.append(size)
        return seen, sizes


def opened(driver, path, **metadata):
    kvstore = {"driver": "file", "path": f"{path}/"}
    spec = {"driver": driver, "kvstore": kvstore, "metadata": metadata}
    return ts.open(spec, create=True).result()


def zarr2(separator):
    def make(path):
        array = opened(
            *("zarr", path), shape=SHAPE, chunks=CHUNK, dtype="<u4", dimension_separator=separator
        )
        array[BLOCK] = 5
        return path

    return make


def zarr3(path, **more):
    grid = {"name": "regular", "configuration": {"chunk_shape": CHUNK}}
    opened("zarr3", path, shape=SHAPE, chunk_grid=grid, data_type="uint32", **more)[BLOCK] = 5
    return path


def shards(path):
    inner = {"chunk_shape": [4, 8, 8], "codecs": [{"name": "bytes"}]}
    return zarr3(path, codecs=[{"name": "sharding_indexed", "configuration": inner}])


def n5(path):
    metadata = {"dataType": "uint32", "compression": {"type": "gzip"}}
    array = opened("n5", path, dimensions=SHAPE[::-1], blockSize=CHUNK[::-1], **metadata)
    array[BLOCK[::-1]] = 5
    return path


def precomputed(path):
    volume = np.zeros(SHAPE, np.uint32)
    depots.precomputed(path, volume, offset=(-10, 20, 30))
    for chunk in depots.chunks(path):
        chunk.unlink()
    kvstore = {"driver": "file", "path": f"{path}/"}
    array = ts.open({"driver": "neuroglancer_precomputed", "kvstore": kvstore}).result()
    z, y, x = BLOCK
    array[..., 0].translate_to[(0, 0, 0)][x, y, z] = 5
    return path


def packed(path):
    for chunk in depots.chunks(precomputed(path)):
        chunk.with_name(chunk.name + ".gz").write_bytes(gzip.compress(chunk.read_bytes()))
        chunk.unlink()
    return path


def hdf5(path):
    with h5py.File(f"{path}.h5", "w") as file:
        file.create_dataset("main", SHAPE, "u4", chunks=CHUNK, compression="gzip")[BLOCK] = 5
    return f"{path}.h5"


@pytest.mark.parametrize(
    "make",
    [zarr2("."), zarr2("/"), zarr3, shards, n5, precomputed, packed, hdf5],
    ids=["zarr2", "zarr2-nested", "zarr3", "shards", "n5", "precomputed", "gz", "hdf5"],
)
def test_stored_chunks_are_listed(tmp_path, make):
    text = make(tmp_path / "seg")
    seen, sizes = stored(text)
    expected = np.zeros(SHAPE, bool)
    expected[STORED] = True
    assert np.array_equal(seen, expected)
    assert len(sizes) == 2
    if make is shards:  # which may lack most of their chunks
        assert len(set(sizes)) == 1
    if make is not hdf5:
        with volumes.open(str(text), 1 << 30) as volume:
            assert volume.read_box(volume.box)[BLOCK].min() == 5


@pytest.mark.parametrize("make", [zarr3, n5])
def test_a_selected_box_counts_from_its_own_corner(tmp_path, make):
    text = make(tmp_path / "seg")
    seen, _ = stored(f"{text}:box=5-40x10-30x1-19")
    expected = np.zeros(SHAPE, bool)
    expected[STORED] = True
    assert np.array_equal(seen, expected[1:19, 10:30, 5:40])


def test_one_of_several_channels(tmp_path):
    grid = {"name": "regular", "configuration": {"chunk_shape": (1, *CHUNK)}}
    array = opened(
        "zarr3", tmp_path / "seg", shape=(2, *SHAPE), chunk_grid=grid, data_type="uint8",
        dimension_names=["c", "z", "y", "x"],
    )  # fmt: skip
    array[(1, *BLOCK)] = 5
    assert not stored(f"{tmp_path / 'seg'}:channel=0")[0].any()
    assert stored(f"{tmp_path / 'seg'}:channel=1")[0].any()


def test_arrays_of_the_own_codec(zarr, tmp_path):
    array = zarr.create_array(
        str(tmp_path / "seg"), shape=SHAPE, chunks=(4, 8, 8), shards=CHUNK, dtype="u4",
        serializer={"name": "compresso", "configuration": {"encoding": "cpso"}}, compressors=None,
    )  # fmt: skip
    array[BLOCK] = 5
    expected = np.zeros(SHAPE, bool)
    expected[STORED] = True
    assert np.array_equal(stored(tmp_path / "seg")[0], expected)


def test_sources_that_do_not_know(tmp_path):
    labels = np.zeros(SHAPE, np.uint64)
    np.save(tmp_path / "a.npy", labels)
    assert stored(tmp_path / "a.npy") == (None, [])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["written"] = labels
        file.create_dataset("empty", SHAPE, "u8")
    assert stored(f"{tmp_path / 'a.h5'}:written") == (None, [])
    assert not stored(f"{tmp_path / 'a.h5'}:empty")[0].any()
    depots.precomputed(tmp_path / "shards", labels, sharding=depots.SHARDS)
    assert stored(tmp_path / "shards") == (None, [])

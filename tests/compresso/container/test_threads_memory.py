"""Groups on several threads, and memory: the same bytes, labels and errors as on one thread."""

import io
import threading
from functools import partial

import numpy as np
import pytest

import compresso as C
from compresso import container, files
from compresso.container import description
from tests.helpers.memory import peak

PAIRS = [("compresso", "lzma"), ("neuroglancer", "zstd"), ("cpso", "zlib"), ("none", "lz78")]
SHAPE, DEPTH = (256, 128, 128), 8
VOLUME = 4 * 256 * 128 * 128  # bytes, 16 MiB
GROUP = VOLUME * DEPTH // SHAPE[0]  # half a MiB


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", [np.int64, np.uint16])
@pytest.mark.parametrize("depth", [3, 9])
def test_bytes_and_labels_are_those_of_one_thread(phantom, pair, dtype, depth):
    """In six groups, and in two."""
    labels = phantom.astype(dtype) - dtype(100 if dtype is np.int64 else 0)
    data = C.dumps(labels, *pair, depth=depth)
    for threads in (2, 6, 0):
        assert C.dumps(labels, *pair, threads=threads, depth=depth) == data
        assert np.array_equal(C.loads(data, threads=threads), labels)


def broken(phantom):
    """A file of 16 groups, three of which are damaged, and the volume with these zeroed."""
    data = bytearray(C.dumps(phantom, compression="zlib", depth=1))
    left = phantom.copy()
    heads = [at for at in range(len(data)) if data[at : at + 4] == b"GRP\0"]
    for number in (2, 3, 11):
        data[heads[number] + 70] ^= 1
        left[number] = 0
    return bytes(data), left


@pytest.mark.parametrize("missing", [False, True])
def test_damaged_groups_are_listed_in_order_and_filled_with_zeros(tmp_path, phantom, missing):
    data, left = broken(phantom)
    one = list(container.Reader(io.BytesIO(data)).damage())
    assert [part.z0 for part in one] == [2, 3, 11]
    # Without its end, groups are found by their marks, from any thread.
    (tmp_path / "x.cps").write_bytes(data[:-8] if missing else data)
    faults = set()
    for threads in (1, 2, 8, 0):
        assert list(container.Reader(io.BytesIO(data)).damage(threads)) == one
        with pytest.raises(C.DecodeError, match="slices 2 to 2 are damaged"):
            C.loads(data, threads=threads)
        places = tmp_path / "x.cps", tmp_path / "y.npy"
        options = {"threads": threads, "force": True}
        faults.add(files.decompress_file(*places, salvage=True, **options).faults)
        assert np.array_equal(np.load(tmp_path / "y.npy"), left)
    (found,) = faults
    assert sum("filled with 0" in fault for fault in found) == 3


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_first_label_that_does_not_fit_is_named(tmp_path, phantom, threads, monkeypatch):
    monkeypatch.setattr(description, "GROUP_VOXELS", 96 * 150)  # a slice
    labels = phantom.copy()
    for z in (7, 5, 12):
        labels[z, 3, 4] = 2**64 - 1
    np.save(tmp_path / "in.npy", labels)
    with pytest.raises(C.LabelError) as error:
        C.dumps(labels, "compresso", threads=threads)
    assert error.value.voxel == (5, 3, 4)
    places = str(tmp_path / "in.npy"), tmp_path / "x.cps"
    with pytest.raises(C.EncodeError, match=r"in\.npy: label 18446.*\(5, 3, 4\)"):
        files.compress_file(*places, "compresso", "zstd", threads=threads)
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_source_that_fails_half_way(phantom, threads):
    before = threading.active_count()

    def read(z0, z1):
        if z0 == 9:
            raise C.FileError("in.h5: slice 9 is damaged")
        return phantom[z0:z1]

    shown = container.describe(phantom.shape, phantom.dtype, "none", "zlib", depth=1)
    with pytest.raises(C.FileError, match=r"in\.h5: slice 9"):
        container.write(io.BytesIO(), shown, read, threads)
    assert threading.active_count() == before


MEMORY = 36 * 96 * 150  # what a slice of the phantom takes


def test_the_memory_sets_the_depth_and_not_the_threads(tmp_path, phantom):
    np.save(tmp_path / "in.npy", phantom)
    source, target, seen = str(tmp_path / "in.npy"), tmp_path / "x.cps", set()
    for threads in (1, 8, 0):
        done = files.compress_file(source, target, memory=3 * MEMORY, threads=threads, force=True)
        assert done.description.depth == 3
        seen.add(target.read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize("threads", [1, 4])
def test_memory_is_that_of_a_group_a_thread(folder, threads, monkeypatch):
    """One group per thread, the one that is read, and the one that is written."""
    monkeypatch.setattr(description, "GROUP_VOXELS", DEPTH * SHAPE[1] * SHAPE[2])
    memory = threads * 26 * DEPTH * SHAPE[1] * SHAPE[2]
    work = {"threads": threads, "force": True}
    places = str(folder / "in.npy"), folder / "t.cps"
    for given in (work, work | {"threads": 8}):
        compress = partial(files.compress_file, *places, "compresso", "zlib", memory, **given)
        assert peak(compress) < memory
    with C.open(folder / "t.cps") as array:
        assert array.description.depth == DEPTH
    places = folder / "in.cps", folder / "t.npy"
    most = (threads + 1) * 4 * GROUP
    assert peak(lambda: files.decompress_file(*places, **work)) < most
    assert peak(lambda: files.verify_file(folder / "in.cps", threads)) < most
    limited = work | {"threads": 8, "limit": 2 * GROUP}  # of all groups at once
    assert peak(lambda: files.decompress_file(*places, **limited)) < 5 * GROUP
    places = folder / "in.cps", folder / "t.nrrd"
    assert peak(lambda: files.decompress_file(*places, **work)) < most + 4 * GROUP
    assert peak(lambda: C.loads((folder / "in.cps").read_bytes())) > VOLUME


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A volume and a file of 32 groups, after everything was imported and compiled."""
    path = tmp_path_factory.mktemp("memory")
    blocks = np.random.default_rng(0).integers(2**32, size=(256, 16, 16), dtype=np.uint32)
    labels = blocks.repeat(8, 1).repeat(8, 2)
    np.save(path / "in.npy", labels)
    (path / "in.cps").write_bytes(C.dumps(labels, "compresso", "zlib", depth=DEPTH))
    C.loads((path / "in.cps").read_bytes())
    return path


def test_an_array_holds_a_group_and_the_result(folder):
    def look():
        with C.open(folder / "in.cps") as array:
            array[::50]
            array[3:250, 5, 6]
            array.labels()
            assert sum(array.counts().values()) == VOLUME // 4

    assert peak(look) < VOLUME / 2

"""A compressed file as an array; NumPy's own indexing is the expectation."""

import gzip
import io
import mmap
import multiprocessing
import os
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso.container import Reader
from compresso.parallel import on_threads
from tests.helpers.strategies import volumes

LABELS = np.random.default_rng(0).integers(-3, 40, size=(11, 6, 7)).astype(np.int64) // 4


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.cps").write_bytes(C.dumps(LABELS, compression="zlib", depth=3))
    return tmp_path / "x.cps"


def of_kind(kind, path):
    """Everything that open() takes."""
    data = path.read_bytes()
    (path.parent / "x.gz").write_bytes(gzip.compress(data))
    return {
        **{"path": lambda: path, "text": lambda: str(path), "bytes": lambda: data},
        **{"bytearray": lambda: bytearray(data), "memoryview": lambda: memoryview(data)[:]},
        **{"numpy": lambda: np.frombuffer(data, np.uint8), "BytesIO": lambda: io.BytesIO(data)},
        **{"file": lambda: path.open("rb"), "unbuffered": lambda: path.open("rb", 0)},
        "mmap": lambda: mmap.mmap(os.open(path, os.O_RDONLY), 0, access=mmap.ACCESS_READ),
        "gzip": lambda: gzip.open(path.parent / "x.gz"),
    }[kind]()


BY_VALUE = ["path", "text", "bytes", "bytearray", "memoryview", "numpy", "BytesIO"]
STREAMS = ["file", "unbuffered", "mmap", "gzip"]


@pytest.mark.parametrize("kind", BY_VALUE + STREAMS)
def test_everything_that_can_be_opened(path, kind):
    with C.open(of_kind(kind, path)) as array:
        assert np.array_equal(np.asarray(array), LABELS)
        assert np.array_equal(array[0], LABELS[0])
    with pytest.raises(ValueError, match="closed"):
        array[5]


@pytest.mark.parametrize("wrong", [3, None, [b"x"], io.StringIO("x")])
def test_other_objects_cannot_be_opened(wrong):
    with pytest.raises(TypeError, match="cannot open"):
        C.open(wrong)


def test_it_is_like_the_array(path):
    with C.open(path) as array:
        assert (array.shape, array.dtype, array.ndim) == (LABELS.shape, LABELS.dtype, 3)
        assert (array.size, array.nbytes, len(array)) == (LABELS.size, LABELS.nbytes, 11)
        assert np.array_equal(np.asarray(array), LABELS)
        assert np.asarray(array, np.int16).dtype == np.int16
        assert np.array_equal(np.stack(list(array)), LABELS)
        assert "(11, 6, 7), int64, ristretto + zlib" in repr(array)


KEYS = [
    *(np.s_[...], np.s_[9:1:-3], np.s_[::4], np.s_[..., 2], np.s_[4, ..., 2], np.s_[4, 1, 2]),
    *(np.s_[2:5, 1:3, ::-2], np.s_[np.int32(3)], np.s_[4:5, ...], ()),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indices_are_numpys(path, key):
    with C.open(path) as array:
        found = array[key]
        assert np.array_equal(found, LABELS[key])
        assert np.shape(found) == LABELS[key].shape
        assert found.dtype == LABELS.dtype


part = st.builds(slice, *[st.none() | st.integers(-12, 12)] * 2, st.sampled_from([None, 1, 2, -1]))


@given(volumes(max_side=9), st.integers(1, 4), st.data())
def test_any_index_is_numpys(labels, depth, data):
    axes = [part | st.integers(-n, n - 1) if n else part for n in labels.shape]
    key = data.draw(st.tuples(*axes[: data.draw(st.integers(0, labels.ndim))]))
    array = C.open(io.BytesIO(C.dumps(labels, "none", "none", depth=depth)))
    assert np.array_equal(array[key], labels[key])
    assert array.shape == labels.shape


OUTSIDE = [11, -12, (0, 6), (0, 0, -8), np.s_[3:1, 6], np.s_[..., 7]]
NO_INDEX = [(0, 0, 0, 0), (..., ...), "a", [1, 2], True, None, np.zeros((999, 9), bool)]


@pytest.mark.parametrize("key", OUTSIDE + NO_INDEX, ids=str)
def test_other_indices_are_refused(path, key):
    with C.open(path) as array, pytest.raises(IndexError) as caught:
        array[key]
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("shape", [(5,), (4, 6), (0,), (0, 3), (3, 0), (0, 2, 2), (2, 2, 0)])
def test_fewer_dimensions_and_none_at_all(shape):
    labels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    array = C.open(io.BytesIO(C.dumps(labels)))
    assert (array.shape, len(array)) == (shape, shape[0])
    for key in (np.s_[:], np.s_[1:3], *([-1] if shape[0] else [])):
        assert np.array_equal(array[key], labels[key])
    assert array.counts() == {int(v): 1 for v in labels.ravel()}


def test_only_the_indexed_groups_are_decoded_and_each_once(path, monkeypatch):
    find = Mock(side_effect=Reader._find)
    monkeypatch.setattr(Reader, "_find", lambda *arguments: find(*arguments))
    with C.open(path) as array:
        for key, decoded in ((4, [1]), ((5, 2), [1]), (np.s_[7:10, 1], [1, 2, 3])):
            array[key]
            assert [call.args[1] for call in find.call_args_list] == decoded


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, ">u4"])
@pytest.mark.parametrize("depth", [2, 100])
def test_labels_and_counts(dtype, depth):
    labels = (LABELS % 2 if dtype is bool else LABELS + 3).astype(dtype)
    array = C.open(io.BytesIO(C.dumps(labels, "none", "zlib", depth=depth)))
    expected, counts = np.unique(labels, return_counts=True)
    assert np.array_equal(array.labels(), expected)
    assert array.labels().dtype == labels.dtype
    assert array.counts() == dict(zip(expected.tolist(), counts.tolist(), strict=True))


def right(array, seed):
    """Whether slices that are read in random order are those of the labels."""
    zs = np.random.default_rng(seed).integers(11, size=100).tolist()
    return all(np.array_equal(array[z], LABELS[z]) for z in zs)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "no.cps").write_bytes(b"no frame at all, but long enough")
    with pytest.raises(C.DecodeError, match="not a compresso file"):
        C.open(tmp_path / "no.cps")
    with pytest.raises(FileNotFoundError):
        C.open(tmp_path / "none.cps")
    with pytest.raises(IsADirectoryError, match=r"zarr\.open_array"):
        C.open(tmp_path)


def test_errors_name_the_file(path):
    """Undamaged groups can still be read."""
    data = bytearray(path.read_bytes())
    data[data.index(b"GRP\0\0") + 50] ^= 1
    path.write_bytes(data)
    refused = pytest.raises(C.DecodeError, match=f"^{re.escape(str(path))}: ")
    with C.open(path) as array:
        for use in (C.CompressedArray.counts, lambda array: array[0], np.asarray):
            with refused:
                use(array)
        assert np.array_equal(array[3:], LABELS[3:])
    path.write_bytes(data[:-9])
    with refused:
        C.open(path)


@pytest.mark.parametrize("kind", BY_VALUE + STREAMS)
def test_it_can_be_pickled(path, kind, monkeypatch):
    """With its limit, unless it is a stream; a path from the current folder is found elsewhere."""
    monkeypatch.chdir(path.parent)
    source = path.name if kind == "text" else of_kind(kind, path)
    with C.open(source, threads=2, limit=3 * 6 * 7 * 8) as array:
        array[4]
        if kind in STREAMS:
            with pytest.raises(TypeError, match="by its path"):
                pickle.dumps(array)
            return
        data = pickle.dumps(array)
    monkeypatch.chdir("/")
    with pickle.loads(data) as again:
        assert (again.shape, again.dtype, again.metadata) == (LABELS.shape, LABELS.dtype, {})
        assert np.array_equal(again[4:6], LABELS[4:6])
        with pytest.raises(C.DecodeError, match="limit"):
            np.asarray(again)


def test_a_frame_that_changed_after_it_was_pickled_is_refused(path):
    with C.open(path) as array:
        data = pickle.dumps(array)
    pickle.loads(data).close()
    path.write_bytes(C.dumps(LABELS[::-1], compression="zlib", depth=3))
    with pytest.raises(C.FileError, match=r"x\.cps"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["path", "bytes", *STREAMS])
def test_forked_processes_read_at_the_same_time(path, kind):
    """A stream that has one position for all processes is refused there."""
    context = multiprocessing.get_context("fork")
    with C.open(of_kind(kind, path), threads=2) as array, ProcessPoolExecutor(3, context) as pool:
        assert np.array_equal(np.asarray(array), LABELS)
        OPENED.append(array)
        errors = {type(found.exception()) for found in [pool.submit(read, n) for n in range(3)]}
        assert errors == {C.FileError if kind == "gzip" else type(None)}
        assert np.array_equal(OPENED.pop()[7], LABELS[7])


OPENED = []  # inherited by forked processes


def read(seed):
    assert right(OPENED[-1], seed)


@pytest.mark.parametrize("kind", ["path", "file"])
@pytest.mark.parametrize("offsets", [True, False])
def test_threads_share_an_array(path, kind, offsets, monkeypatch):
    """Also where the system cannot read at an offset."""
    if not offsets:
        monkeypatch.delattr(os, "pread", raising=False)
    with C.open(of_kind(kind, path), threads=3) as array:
        assert np.array_equal(np.asarray(array), LABELS)
        assert all(on_threads(lambda seed: right(array, seed), range(4), 4))


def test_dask_takes_it_as_an_array(path):
    dask = pytest.importorskip("dask.array")
    with C.open(path) as array:
        lazy = dask.from_array(array, chunks=(3, 6, 7))
        assert np.array_equal(lazy[2:8, 1:].compute(), LABELS[2:8, 1:])
    again = pickle.loads(pickle.dumps(lazy))
    assert np.array_equal(again.compute(scheduler="synchronous"), LABELS)

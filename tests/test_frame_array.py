"""A frame as an array: NumPy's own indexing is the oracle."""

import io
import pickle
import threading

import numpy as np
import pytest
from conftest import volumes
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso.frame import Reader

LABELS = np.random.default_rng(0).integers(-3, 40, size=(11, 6, 7)).astype(np.int64) // 4


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.cps").write_bytes(C.dumps(LABELS, compression="zlib", depth=3))
    return tmp_path / "x.cps"


def test_it_is_like_the_array(path):
    with C.open(path) as array:
        assert (array.shape, array.dtype, array.ndim) == (LABELS.shape, LABELS.dtype, 3)
        assert (array.size, array.nbytes, len(array)) == (LABELS.size, LABELS.nbytes, 11)
        assert np.array_equal(np.asarray(array), LABELS)
        assert np.asarray(array, np.int16).dtype == np.int16
        assert np.array_equal(np.stack(list(array)), LABELS)
        assert "(11, 6, 7), int64, compresso + zlib" in repr(array)
    with pytest.raises(ValueError, match="closed file"):
        array[0]


KEYS = [
    *(np.s_[5], np.s_[-1], np.s_[2:9], np.s_[:], np.s_[...], np.s_[10:20], np.s_[9:2]),
    *(np.s_[::-1], np.s_[9:1:-3], np.s_[::4], np.s_[1:9, :, 3], np.s_[..., 2], np.s_[4, ..., 2]),
    *(np.s_[4, 1, 2], np.s_[2:5, 1:3, ::-2], np.s_[:, -1], np.s_[np.int32(3)], np.s_[4:5, ...], ()),
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
    labels = (
        labels.reshape(labels.shape[3 - data.draw(st.integers(1, 3)) :])
        if (labels.shape[0] == 1 and labels.shape[1] == 1)
        else labels
    )
    axes = [part | st.integers(-n, n - 1) if n else part for n in labels.shape]
    key = data.draw(st.tuples(*axes[: data.draw(st.integers(0, labels.ndim))]))
    array = C.open(io.BytesIO(C.dumps(labels, "none", "none", depth=depth)))
    assert np.array_equal(array[key], labels[key])
    assert array.shape == labels.shape


@pytest.mark.parametrize(
    "key", [11, -12, (0, 6), (0, 0, 0, 0), (..., ...), "a", [1, 2], True, None]
)
def test_other_indices_are_refused(path, key):
    with C.open(path) as array, pytest.raises(IndexError):
        array[key]


@pytest.mark.parametrize("shape", [(5,), (4, 6), (0,), (0, 3), (3, 0), (0, 2, 2), (2, 2, 0)])
def test_fewer_dimensions_and_none_at_all(shape):
    labels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    array = C.open(io.BytesIO(C.dumps(labels)))
    assert array.shape == shape
    assert len(array) == shape[0]
    assert np.array_equal(np.asarray(array), labels)
    assert np.array_equal(array[1:3], labels[1:3])
    if shape[0]:
        assert np.array_equal(array[-1], labels[-1])
    assert array.counts() == {int(v): 1 for v in labels.ravel()}


def test_only_the_groups_asked_for_are_decoded_and_each_once(path, monkeypatch):
    decoded = []
    decode = Reader._decode

    def counted(self, number, out, threads):
        decoded.append(number)
        decode(self, number, out, threads)

    monkeypatch.setattr(Reader, "_decode", counted)
    with C.open(path) as array:
        array[4]
        assert decoded == [1]
        array[5, 2]
        assert decoded == [1]
        array[7:10, 1]
        assert decoded == [1, 2, 3]


def test_a_damaged_group_does_not_keep_from_reading_the_others(path):
    data = bytearray(path.read_bytes())
    data[data.index(b"GRP\0\1") + 60] ^= 1
    array = C.open(io.BytesIO(data))
    assert np.array_equal(array[:3], LABELS[:3])
    assert np.array_equal(array[6:], LABELS[6:])
    with pytest.raises(C.DecodeError, match="slices 3 to 5"):
        array[2:4]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, ">u4"])
@pytest.mark.parametrize("depth", [2, 100])
def test_labels_and_counts(dtype, depth):
    labels = (LABELS % 2 if dtype is bool else LABELS + 3).astype(dtype)
    array = C.open(io.BytesIO(C.dumps(labels, "none", "zlib", depth=depth)))
    expected, counts = np.unique(labels, return_counts=True)
    assert np.array_equal(array.labels(), expected)
    assert array.labels().dtype == labels.dtype
    assert array.counts() == dict(zip(expected.tolist(), counts.tolist(), strict=True))
    assert sum(array.counts().values()) == labels.size


def test_the_limit(path):
    with C.open(path, limit=3 * 6 * 7 * 8) as array:
        assert np.array_equal(array[2], LABELS[2])
        with pytest.raises(C.DecodeError, match="limit"):
            np.asarray(array)
        with pytest.raises(C.DecodeError, match="limit"):
            array[:]
        assert np.array_equal(array[:, 0], LABELS[:, 0])


def test_threads_share_an_array(path):
    wrong = []
    with C.open(path) as array:

        def look(seed):
            random = np.random.default_rng(seed)
            for z in random.integers(11, size=30):
                if not np.array_equal(array[z], LABELS[z]):
                    wrong.append(z)

        threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_what_is_read_may_be_changed(path):
    with C.open(path) as array:
        first = array[4]
        first[...] = 99
        assert np.array_equal(array[4], LABELS[4])


def test_what_is_no_frame_is_refused_and_closed(tmp_path):
    (tmp_path / "no.cps").write_bytes(b"no frame at all, but long enough")
    with pytest.raises(C.DecodeError, match="no compresso frame"):
        C.open(tmp_path / "no.cps")
    with pytest.raises(FileNotFoundError):
        C.open(tmp_path / "none.cps")


def test_errors_survive_a_process_boundary():
    error = pickle.loads(pickle.dumps(C.LabelError(7, (1, 2, 3), "here")))
    assert str(error) == "label 7 at voxel (z, y, x) = (1, 2, 3) does not fit here"


def test_dask_takes_it_as_an_array(path):
    dask = pytest.importorskip("dask.array")
    with C.open(path) as array:
        lazy = dask.from_array(array, chunks=(3, 6, 7))
        assert np.array_equal(lazy[2:8, 1:].compute(), LABELS[2:8, 1:])
        assert int(lazy.max().compute()) == LABELS.max()

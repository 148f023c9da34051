"""The ``cpso`` stream: byte for byte that of PyPI's compresso, read and written."""

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compresso import DecodeError, EncodeError, encodings
from compresso.codec import Extent
from compresso.encodings._cpso import Header, index_type, parse
from compresso.encodings.cpso import Cpso, TooManyWindowsError, decode, encode
from tests.helpers.cpso import GOLDEN, STREAMS, noise, windows
from tests.helpers.strategies import UNSIGNED, volumes


@pytest.mark.parametrize(("name", "number", "window", "connectivity", "index"), STREAMS)
def test_streams_of_the_package(name, number, window, connectivity, index):
    labels, stream = GOLDEN[f"labels{number}"], GOLDEN[name].tobytes()
    codec = Cpso(Extent("x".join(map(str, window))), connectivity, int(index))
    for threads in (1, 3):
        assert codec.encode(labels, threads) == stream
        assert np.array_equal(codec.decode(stream, labels.shape, labels.dtype, threads), labels)


#: Any volume, and any parameters.
VARIANTS = {
    "labels": volumes(largest=2**64 - 1),
    "window": windows(),
    "connectivity": st.sampled_from([4, 6]),
    "index": st.booleans(),
    "threads": st.integers(1, 3),
}


@given(**VARIANTS)
def test_round_trip(labels, window, connectivity, index, threads):
    try:
        stream = encode(labels, window[::-1], connectivity, index, threads)
    except TooManyWindowsError:
        assume(False)
    decoded = Cpso().decode(stream, labels.shape, threads=threads)
    assert np.array_equal(decoded, labels)
    out = np.empty(labels.shape, labels.dtype)
    Cpso().decode_into(stream, out, threads)
    assert np.array_equal(out, labels)


@given(volumes(largest=2**64 - 1), windows(), st.data())
def test_slices_by_the_index(labels, window, data):
    assume(labels.size)
    try:
        sections = parse(encode(labels, window[::-1]))
    except TooManyWindowsError:
        assume(False)
    z0 = data.draw(st.integers(0, labels.shape[0] - 1))
    z1 = data.draw(st.integers(z0, labels.shape[0]))
    out = np.empty((z1 - z0, *labels.shape[1:]), labels.dtype.newbyteorder("="))
    decode(sections, out, z0, threads=data.draw(st.integers(1, 2)))
    assert np.array_equal(out, labels[z0:z1])


def test_a_slice_is_read_without_the_rest():
    """What belongs to other slices may be damaged, and is not looked at."""
    labels = np.random.default_rng(3).integers(4, size=(6, 40, 50)).astype(np.uint16)
    stream = encode(labels, (1, 4, 4))
    sections = parse(stream)
    ids, locations = sections.ids.copy(), sections.locations.copy()
    starts = np.cumsum(sections.index.astype(int), axis=1)
    ids[: starts[0, 1]] = ids[starts[0, 2] :] = 99
    locations[: starts[1, 2]] = locations[starts[1, 3] :] = 5
    windows = sections.windows.copy()
    windows[-1] = 0
    damaged = dataclasses.replace(sections, ids=ids, locations=locations, windows=windows)
    out = np.empty((1, 40, 50), np.uint16)
    decode(damaged, out, 2)
    assert np.array_equal(out[0], labels[2])
    with pytest.raises(DecodeError):
        decode(damaged, np.empty(labels.shape, np.uint16))


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("index", [True, False])
def test_labels_next_to_the_codes(dtype, index):
    """Every label near the top, where a location needs two entries, and near the codes."""
    top = int(np.iinfo(dtype).max)
    palette = np.array([*range(9), *range(top - 9, top + 1)], dtype)
    labels = np.random.default_rng(1).permutation(np.tile(palette, 15)).reshape(3, 5, -1)
    stream = encode(labels, (1, 4, 4), index=index)
    spelled = parse(stream).locations
    assert (spelled == 6).any()
    assert np.array_equal(Cpso().decode(stream, dtype=dtype), labels)


def test_runs_are_cut():
    """A blank volume of n windows of 8 voxels: entries of 127 zeros, and the rest."""
    stream = encode(np.zeros((1, 1, 8 * 300), np.uint8), (1, 1, 8))
    assert parse(stream).windows.tolist() == [255, 255, 2 * 46 + 1]
    stream = encode(np.zeros((1, 1, 8 * 254), np.uint8), (1, 1, 8))
    assert parse(stream).windows.tolist() == [255, 255]


def test_index_type():
    """The smallest type whose maximum exceeds twice the voxels of a slice."""
    assert [index_type((1, 1, n)).itemsize for n in (1, 126, 127, 128)] == [1, 1, 1, 2]
    assert [index_type((1, 1, n)).itemsize for n in (32766, 32767, 32768)] == [2, 2, 4]
    assert index_type((1, 65535, 65535)).itemsize == 8


def test_too_many_windows():
    labels = noise()
    with pytest.raises(EncodeError, match="32768"):
        encode(labels, (1, 4, 4))
    stream = encodings.parse("cpso").encode(labels)
    assert Header.unpack(stream).step == (1, 8, 8)
    assert np.array_equal(encodings.parse("cpso").decode(stream), labels)
    with pytest.raises(EncodeError, match="128"):
        encodings.parse("cpso:window=2x2x2").encode(labels)


@pytest.mark.parametrize("shape", [(1, 1, 65536), (65536, 1, 1), (0, 65536, 1)])
def test_too_long(shape):
    with pytest.raises(EncodeError, match="65535"):
        encodings.parse("cpso").encode(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 0, 0), (3, 0, 4), (0, 2, 2)])
def test_empty(shape):
    stream = encodings.parse("cpso").encode(np.zeros(shape, np.uint32))
    expected = struct.pack("<4sBB3H3B", b"cpso", 0, 4, *shape[::-1], 4, 4, 1) + bytes(20) + b"\x04"
    assert stream == expected
    assert encodings.parse("cpso").decode(stream).shape == shape


@pytest.mark.parametrize(("connectivity", "index"), [(4, True), (4, False), (6, False)])
def test_every_prefix_is_refused(connectivity, index):
    labels = np.kron(np.arange(60).reshape(3, 4, 5), np.ones((2, 5, 4), int)).astype(np.uint16)
    labels[np.random.default_rng(2).random(labels.shape) < 0.05] = 65535
    stream = encode(labels, (1, 4, 4), connectivity, index)
    for size in range(len(stream)):
        with pytest.raises(DecodeError):
            encodings.parse("cpso").decode(stream[:size])
    with pytest.raises(DecodeError):
        encodings.parse("cpso").decode(stream + b"\0")


def test_claims_are_checked_before_memory_is_taken():
    header = Header(0, 8, (65535, 65535, 65535), (1, 8, 8), 70000, 1, 0, 4)
    body = bytes(70000 * 8 + 8) + struct.pack("<Q", 2 * (65535 * 8192 * 8192) + 1)
    with pytest.raises(DecodeError, match="claims"):
        encodings.parse("cpso").decode(header.pack() + body)


@settings(max_examples=200)
@given(**VARIANTS)
def test_byte_for_byte(pypi, labels, window, connectivity, index, threads):
    """The package writes what we write, or refuses it as we do; and reads it."""
    native = labels.astype(labels.dtype.newbyteorder("="))
    theirs = pypi("compresso.compress(v, *more)", v=native.T, more=(window, connectivity, index))
    try:
        mine = encode(labels, window[::-1], connectivity, index, threads)
    except TooManyWindowsError:
        assert "Too many windows" in theirs
        return
    assert mine == theirs
    assert np.array_equal(pypi("compresso.decompress(s)", s=mine).T, labels)

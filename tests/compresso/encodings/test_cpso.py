"""The ``cpso`` stream: byte for byte that of PyPI's compresso, read and written."""

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compresso import DecodeError, EncodeError, encodings
from compresso.codec import Extent
from compresso.encodings._cpso import Header, index_type, parse
from compresso.encodings.cpso import Cpso, TooManyWindowsError, decode, encode
from tests.helpers.cpso import GOLDEN, STREAMS, noise, windows
from tests.helpers.strategies import volumes


@pytest.mark.parametrize(("name", "number", "window", "connectivity", "index"), STREAMS)
def test_streams_of_the_package(name, number, window, connectivity, index):
    labels, stream = GOLDEN[f"labels{number}"], GOLDEN[name].tobytes()
    codec = Cpso(Extent("x".join(map(str, window))), connectivity, int(index))
    for threads in (1, 3):
        assert codec.encode(labels, threads) == stream
        assert np.array_equal(codec.decode(stream, labels.shape, labels.dtype, threads), labels)


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


def test_index_type():
    """The smallest type whose maximum exceeds twice the voxels of a slice."""
    sizes = {1: 1, 126: 1, 127: 1, 128: 2, 32767: 2, 32768: 4, 65535**2: 8}
    assert {n: index_type((1, 1, n)).itemsize for n in sizes} == sizes


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


@pytest.mark.parametrize("shape", [(0, 0, 0), (3, 0, 4)])
def test_empty(shape):
    stream = encodings.parse("cpso").encode(np.zeros(shape, np.uint32))
    expected = struct.pack("<4sBB3H3B", b"cpso", 0, 4, *shape[::-1], 4, 4, 1) + bytes(20) + b"\x04"
    assert stream == expected


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
@given(
    volumes(largest=2**64 - 1),
    windows(),
    st.sampled_from([4, 6]),
    st.booleans(),
    st.integers(1, 3),
    st.data(),
)
def test_byte_for_byte(pypi, labels, window, connectivity, index, threads, data):
    """The package writes what we write, or refuses it as we do; and reads it, as we do."""
    native = labels.astype(labels.dtype.newbyteorder("="))
    theirs = pypi("compresso.compress(v, *more)", v=native.T, more=(window, connectivity, index))
    try:
        mine = encode(labels, window[::-1], connectivity, index, threads)
    except TooManyWindowsError:
        assert "Too many windows" in theirs
        return
    assert mine == theirs
    assert np.array_equal(pypi("compresso.decompress(s)", s=mine).T, labels)
    assert np.array_equal(Cpso().decode(mine, labels.shape, threads=threads), labels)
    z0, z1 = (data.draw(st.integers(0, labels.shape[0])) for _ in range(2))
    part = Cpso().decode_slices(mine, z0, z1, labels.shape, native.dtype, threads)
    assert np.array_equal(part, labels[z0:z1])

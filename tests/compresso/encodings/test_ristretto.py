"""``ristretto``: round trips, slabs, ranges of slices, threads and damage."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import volumes
from compresso.encodings import _ristretto_layout as layout
from compresso.encodings.ristretto import Ristretto
from tests.helpers.paths import shared
from tests.helpers.ristretto import cells, check, columns_first

EFFORTS = [1, 2, 3]


def test_many_labels():
    """More labels than the tables begin with, and noise that needs more room than expected."""
    labels = np.arange(300 * 301, dtype=np.uint64).reshape(1, 300, 301) * 977 + 2**63
    check(labels)
    random = np.random.default_rng(1)
    check(random.permutation(labels.ravel()).reshape(3, 100, 301))
    check(random.integers(0, 1500, (4, 60, 60), np.uint16))
    check(random.integers(0, 2**64, (2, 500, 500), np.uint64))
    images = [random.permutation(1 << 14).reshape(128, 128) for _ in range(3)]
    check(np.stack(images).astype(np.uint32))


def test_labels_by_columns():
    """2-D slices that are numbered by columns cost less; some are almost numbered so."""
    images = np.stack([columns_first(cells((1, 60, 50), 20, seed)[0]) for seed in range(6)])
    by_columns = check(images.astype(np.uint32))
    other = np.random.default_rng(0).permutation(21)[images]
    assert len(by_columns) < len(check(other.astype(np.uint32)))
    images[2, 30:] += 3
    images[4, 0, 0] = 4096
    images[5, 40, 0] = 0
    check(images.astype(np.uint16))
    for other in (0, 2**64 - 1):
        check(np.array([[[1, 1, 2], [other, other, 3]]], np.uint64))


@pytest.mark.parametrize("tile", [16, layout.TILE])
@pytest.mark.parametrize("threads", [1, 3])
def test_watch_is_called_once_per_slice(monkeypatch, tile, threads):
    """Also if slices are wider than a tile, and cut; the threads change no byte."""
    monkeypatch.setattr(layout, "TILE", tile)
    labels, codec, seen = cells((45, 17, 20), 12, dtype=np.uint16), Ristretto(slab=20), []
    stream = codec.encode_volume(labels, threads, lambda a, b: seen.extend(range(a, b)))
    assert sorted(seen) == list(range(45))
    assert stream == codec.encode(labels)
    out, seen = np.empty_like(labels), []

    def watch(a, b):
        assert np.array_equal(out[a:b], labels[a:b])
        seen.extend(range(a, b))

    codec.decode_into(stream, out, threads, watch)
    assert sorted(seen) == list(range(45))


@cache
def slabs(effort=1):
    """A volume and its stream in slabs of five slices."""
    labels = cells((23, 24, 26), 30, dtype=np.uint32)
    return labels, Ristretto(effort=effort, slab=5).encode(labels)


def test_decode_slices_reads_their_slabs_only():
    labels, stream = slabs()
    _, pieces = layout.read(stream)
    damaged = bytearray(stream)
    damaged[-1 - len(pieces[-1].data)] ^= 1  # the last byte of the slab before the last
    for z0, z1 in ((0, 15), (20, 23), (3, 12), (21, 99), (-2, 23)):
        found = Ristretto().decode_slices(bytes(damaged), z0, z1, dtype=np.uint32)
        assert np.array_equal(found, labels[z0:z1])
    with pytest.raises(C.DecodeError, match="slab from slice 15"):
        Ristretto().decode_slices(bytes(damaged), 14, 16)


def test_damage_is_found():
    """Every flipped bit, every prefix, and trailing bytes."""
    labels = cells((4, 9, 12), 5, dtype=np.uint8)
    stream = Ristretto(slab=2).encode(labels)
    damaged = [stream[:size] for size in range(len(stream))] + [stream + b"\0"]
    for bit in range(8 * len(stream)):
        flipped = bytearray(stream)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for wrong in damaged:
        with pytest.raises(C.DecodeError):
            Ristretto().decode(wrong, labels.shape)


@pytest.mark.parametrize("effort", EFFORTS)
@given(data=st.data())
def test_any_bytes_under_a_right_checksum(effort, data):
    """Damage that the checksums do not find gives a volume or an error, and nothing worse."""
    labels, stream = slabs(effort)
    head, pieces = layout.read(stream)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    changed = []
    for piece in pieces:
        bytes_ = bytearray(piece.data)
        for _ in range(data.draw(st.integers(0, 4))):
            bytes_[random.integers(len(bytes_))] = random.integers(256)
        if data.draw(st.booleans()):
            bytes_ = bytearray(random.bytes(len(bytes_)))
        changed.append(layout.Piece(piece.box, piece.n_labels, bytes(bytes_), layout.check(bytes_)))
    if data.draw(st.booleans()):
        table = random.bytes(len(head.table))
        head = layout.Head(head.effort, head.start, head.shape, head.depth, head.n_labels, table)
    try:
        restored = Ristretto().decode(layout.write(head, changed), labels.shape)
    except C.DecodeError:
        return
    assert restored.shape == labels.shape


@pytest.mark.parametrize("shape", [(1 << 40, 1 << 20, 1), (1 << 16, 64, 64)])
def test_a_small_stream_claims_no_large_volume(shape):
    """The claimed shape is checked before anything is allocated or decoded."""
    stream = layout.write(layout.Head(1, 0, shape, 1, 0, b""), [])
    with pytest.raises(C.DecodeError):
        Ristretto().decode(stream, shape if shape[0] == 1 << 16 else None)


@pytest.mark.parametrize(
    ("name", "effort", "ratio"),
    [
        *(("spl-abdominal", 1, 1340), ("spl-abdominal", 2, 1430), ("spl-abdominal", 3, 1480)),
        pytest.param("spl-knee", 3, 4730, marks=pytest.mark.slow),
    ],
)
def test_real_volume(name, effort, ratio):
    with volumes.open(str(shared(f"data/{name}.nrrd"))) as volume:
        labels = volume.read(0, volume.shape[0])
    stream = check(np.ascontiguousarray(labels), Ristretto(effort=effort))
    assert labels.size * 8 / len(stream) >= ratio

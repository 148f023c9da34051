"""``ristretto``: round trips, slabs, ranges of slices, threads and damage."""

import numpy as np
import pytest
from conftest import UNSIGNED, shared, volumes
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from compresso.encodings import _ristretto_layout as layout
from compresso.encodings.ristretto import Ristretto

EFFORTS = [1, 2, 3]


def check(labels, codec=None, threads=1):
    """Round trip bit for bit; returns the stream."""
    codec = codec or Ristretto()
    stream = codec.encode(labels, threads)
    volume = labels.reshape((1,) * (3 - labels.ndim) + labels.shape)
    restored = codec.decode(stream, volume.shape, labels.dtype.newbyteorder("="), threads)
    assert restored.shape == volume.shape
    assert np.array_equal(restored, volume)
    return stream


def cells(shape, n, seed=0, dtype=np.uint64):
    """Regions nearest to random points, which drift from slice to slice."""
    random = np.random.default_rng(seed)
    points = random.random((n, 3)) * shape
    grid = np.stack(np.indices(shape), axis=-1)
    distance = ((grid[..., None, :] - points) ** 2).sum(axis=-1)
    return random.permutation(10 * n)[:n].astype(dtype)[distance.argmin(axis=-1)]


@pytest.mark.parametrize("effort", EFFORTS)
@given(data=st.data())
def test_round_trip(effort, data):
    labels = data.draw(volumes(UNSIGNED, 2**64 - 1))
    slab = data.draw(st.integers(0, 5))
    threads = data.draw(st.integers(1, 3))
    check(labels, Ristretto(effort=effort, slab=slab), threads)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("dtype", UNSIGNED)
def test_regions(effort, dtype):
    labels = cells((9, 70, 90), 25, dtype=dtype)
    stream = check(labels, Ristretto(effort=effort))
    assert len(stream) < labels.size / 12
    check(np.asfortranarray(labels))
    check(labels[::-1, ::2, ::-1])


@pytest.mark.parametrize(
    "shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0), (1, 1, 1), (7, 1, 1)]
)
def test_small_shapes(shape):
    check(np.full(shape, 2**64 - 1, np.uint64))
    check(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(1000,), (50, 30), (200, 1, 1), (1, 300, 1), (1, 1, 9000)])
def test_thin_shapes(shape):
    size = int(np.prod(shape))
    labels = (np.arange(size, dtype=np.uint64) // 7 % 5).reshape(shape)
    check(labels)
    check(np.random.default_rng(0).integers(0, 2**64, shape, np.uint64))


def test_many_labels():
    """More labels than the tables begin with, and more than are looked for one by one."""
    labels = np.arange(300 * 301, dtype=np.uint64).reshape(1, 300, 301) * 977 + 2**63
    check(labels)
    check(np.random.default_rng(1).permutation(labels.ravel()).reshape(3, 100, 301))
    check(np.random.default_rng(2).integers(0, 1500, (4, 60, 60), np.uint16))


def test_noise_takes_more_room_than_expected():
    check(np.random.default_rng(3).integers(0, 2**64, (2, 500, 500), np.uint64))


def test_other_dtypes():
    for dtype in (np.bool_, np.int8, np.int16, np.int32, np.int64):
        labels = cells((3, 20, 30), 9).astype(np.int64) - 20
        labels = (labels > 0) if dtype is np.bool_ else labels.astype(dtype)
        frame = C.dumps(labels, "ristretto", "none")
        restored = C.loads(frame)
        assert restored.dtype == labels.dtype
        assert np.array_equal(restored, labels)


def columns_first(picture):
    """A picture's labels as 1, 2, 3.. in the order of their first voxels, column after column."""
    _, first, inverse = np.unique(picture.T, return_index=True, return_inverse=True)
    return (np.argsort(np.argsort(first)) + 1)[inverse].reshape(picture.T.shape).T


def test_labels_by_columns():
    """Pictures that are numbered by columns cost less, and come back."""
    pictures = np.stack([columns_first(cells((1, 60, 50), 20, seed)[0]) for seed in range(6)])
    by_columns = check(pictures.astype(np.uint32))
    other = pictures.copy()
    for picture in other:
        picture[...] = np.random.default_rng(0).permutation(np.arange(21))[picture]
    assert len(by_columns) < len(check(other.astype(np.uint32)))
    pictures[2, 30:] += 3  # no longer by columns
    pictures[4, 0, 0] = 4096
    pictures[5, 40, 0] = 0
    check(pictures.astype(np.uint16))
    for other in (0, 2**64 - 1):
        check(np.array([[[1, 1, 2], [other, other, 3]]], np.uint64))


def test_pieces_smaller_than_slices(monkeypatch):
    """Slices wider than a tile are cut; nothing is left out and watch is told once of each."""
    monkeypatch.setattr(layout, "TILE", 16)
    labels = cells((5, 40, 50), 12, dtype=np.uint16)
    check(labels, Ristretto(slab=2), 2)
    told = []
    codec = Ristretto(slab=2)
    stream = codec.encode_volume(labels, 1, lambda a, b: told.extend(range(a, b)))
    assert sorted(told) == list(range(5))
    out, told = np.empty_like(labels), []
    codec.decode_into(stream, out, 2, lambda a, b: told.extend(range(a, b)))
    assert sorted(told) == list(range(5))
    assert np.array_equal(out, labels)


@pytest.mark.parametrize("threads", [1, 3])
def test_watch_is_told_of_each_slice_once(threads):
    labels = cells((70, 10, 12), 12, dtype=np.uint16)
    codec = Ristretto(slab=20)
    told = []
    stream = codec.encode_volume(labels, threads, lambda a, b: told.extend(range(a, b)))
    assert sorted(told) == list(range(70))
    out, told = np.empty_like(labels), []

    def watch(a, b):
        assert np.array_equal(out[a:b], labels[a:b])
        told.extend(range(a, b))

    codec.decode_into(stream, out, threads, watch)
    assert sorted(told) == list(range(70))


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_write_the_same_bytes(threads):
    labels = cells((40, 30, 33), 30)
    codec = Ristretto(slab=7)
    assert codec.encode(labels, threads) == codec.encode(labels, 1)


@given(a=st.integers(0, 23), b=st.integers(0, 23))
def test_decode_slices(a, b):
    labels, stream = slabs()
    z0, z1 = min(a, b), max(a, b)
    assert np.array_equal(Ristretto().decode_slices(stream, z0, z1, dtype=np.uint32), labels[z0:z1])


def slabs(made=[]):  # noqa: B006 - made once
    """A volume and its stream in slabs of five slices."""
    if not made:
        labels = cells((23, 24, 26), 30, dtype=np.uint32)
        made.append((labels, Ristretto(slab=5).encode(labels)))
    return made[0]


def test_decode_slices_touches_only_their_slabs():
    labels, stream = slabs()
    _, pieces = layout.read(stream)
    damaged = bytearray(stream)
    damaged[-1 - len(pieces[-1].data)] ^= 1  # the last byte of the slab before the last
    damaged = bytes(damaged)
    assert np.array_equal(Ristretto().decode_slices(damaged, 0, 15, dtype=np.uint32), labels[:15])
    assert np.array_equal(Ristretto().decode_slices(damaged, 20, 23, dtype=np.uint32), labels[20:])
    with pytest.raises(C.DecodeError, match="slab from slice 15"):
        Ristretto().decode_slices(damaged, 14, 16)


def test_decode_slices_clips_as_python_does():
    labels, stream = slabs()
    for z0, z1 in ((-3, 23), (5, 2), (20, 99), (-30, -19)):
        found = Ristretto().decode_slices(stream, z0, z1, labels.shape, np.uint32)
        assert np.array_equal(found, labels[z0:z1])


def test_every_flipped_bit_is_found():
    labels = cells((4, 9, 12), 5, dtype=np.uint8)
    stream = Ristretto(slab=2).encode(labels)
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(C.DecodeError):
            Ristretto().decode(bytes(damaged), labels.shape)


def test_every_prefix_is_refused():
    stream = Ristretto(slab=2).encode(cells((4, 9, 12), 5, dtype=np.uint8))
    for size in range(len(stream)):
        with pytest.raises(C.DecodeError):
            Ristretto().decode(stream[:size])
    with pytest.raises(C.DecodeError, match="follow its end"):
        Ristretto().decode(stream + b"\0")


@pytest.mark.parametrize("effort", EFFORTS)
@given(data=st.data())
def test_any_bytes_under_a_right_check(effort, data):
    """Damage that the checks do not find gives a volume or an error, and nothing worse."""
    labels, stream = slabs()
    stream = Ristretto(effort=effort, slab=5).encode(labels)
    head, pieces = layout.read(stream)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    forged = []
    for piece in pieces:
        bytes_ = bytearray(piece.data)
        for _ in range(data.draw(st.integers(0, 4))):
            bytes_[random.integers(len(bytes_))] = random.integers(256)
        if data.draw(st.booleans()):
            bytes_ = bytearray(random.bytes(len(bytes_)))
        forged.append(layout.Piece(piece.box, piece.n_labels, bytes(bytes_), layout.check(bytes_)))
    if data.draw(st.booleans()):
        table = random.bytes(len(head.table))
        head = layout.Head(head.effort, head.start, head.shape, head.depth, head.n_labels, table)
    try:
        restored = Ristretto().decode(layout.write(head, forged), labels.shape)
    except C.DecodeError:
        return
    assert restored.shape == labels.shape


def test_labels_that_do_not_fit():
    stream = Ristretto().encode(np.array([[1, 300]], np.uint16))
    with pytest.raises(C.DecodeError, match="300 does not fit uint8"):
        Ristretto().decode(stream, dtype=np.uint8)


def test_another_shape_is_refused():
    stream = Ristretto().encode(np.ones((2, 3, 4), np.uint8))
    with pytest.raises(C.DecodeError, match="not \\(2, 3, 5\\)"):
        Ristretto().decode(stream, (2, 3, 5))


def test_a_small_stream_claims_no_large_volume():
    """The claimed shape is checked before anything is allocated or walked over."""
    head = layout.Head(1, 0, (1 << 40, 1 << 20, 1), 1, 0, b"")
    with pytest.raises(C.DecodeError, match="decode it with its shape given"):
        Ristretto().decode(layout.write(head, []))
    head = layout.Head(1, 0, (1 << 16, 64, 64), 1, 0, b"")
    with pytest.raises(C.DecodeError, match="ristretto stream"):
        Ristretto().decode(layout.write(head, []), head.shape)


def test_bad_parameters():
    for spec in (
        "ristretto:effort=0",
        "ristretto:effort=9",
        "ristretto:slab=-1",
        "ristretto:start=99",
    ):
        with pytest.raises(C.SpecError):
            encodings.parse(spec)


@pytest.mark.parametrize(
    ("name", "effort", "ratio"),
    [
        ("spl-abdominal", 1, 1340),
        ("spl-abdominal", 2, 1430),
        ("spl-abdominal", 3, 1480),
        pytest.param("spl-knee", 1, 4060, marks=pytest.mark.slow),
        pytest.param("spl-knee", 3, 4730, marks=pytest.mark.slow),
    ],
)
def test_real_volume(name, effort, ratio):
    from compresso.volumes import open_file

    with open_file(shared(f"data/{name}.nrrd")) as reader:
        labels = reader.read(0, reader.shape[0])
    stream = check(np.ascontiguousarray(labels), Ristretto(effort=effort))
    assert labels.size * 8 / len(stream) >= ratio


@pytest.mark.parametrize(
    ("shape", "effort", "slabs"),
    [
        ((256, 512, 512), 1, 2),
        ((512, 512, 512), 1, 4),
        ((2696, 481, 321), 1, 8),
        ((1024, 1024, 1024), 1, 8),
        ((4096, 1024, 1024), 1, 32),
        ((119, 512, 512), 1, 1),
        ((256, 512, 512), 3, 1),
    ],
)
def test_default_slabs(shape, effort, slabs):
    """Two threads have something to do from 2**26 voxels on, eight from 2**28."""
    from compresso.encodings.ristretto import SLAB_VOXELS, _default_depth

    assert -(-shape[0] // _default_depth(shape, SLAB_VOXELS[effort])) == slabs

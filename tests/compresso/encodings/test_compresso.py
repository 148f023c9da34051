"""The compresso encoding: by hand, against the oracle, against the published bytes, round trips."""

import hashlib

import h5py
import nrrd
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from compresso.container.chunk import ChunkCodec, ChunkFormat
from tests.helpers import oracle
from tests.helpers.paths import shared
from tests.helpers.strategies import LARGEST, volumes

U64 = np.uint64


def words(*numbers):
    return np.array(numbers, "<u8").tobytes()


def test_by_hand():
    # Labels   5 5 7     Boundary map   0 1 1   voxel (0,1) differs to the right, (0,2) below,
    #          5 5 5                    0 0 0   the others from nothing.
    labels = np.array([[[5, 5, 7], [5, 5, 5]]], U64)
    # One component, label 5, from the first voxel; then the first boundary voxel, label 5.
    ids = (6, 6)
    # Window: bits 1 and 2 of row 0. Voxel (0,2) has boundary to its left and nothing above: it is
    # indeterminate; below it stands a non-boundary 5, not 7, so the label is spelled out, + 6.
    stream = words(1, 2, 3, 2, 1, 1, 1, 8, 8, *ids, 0b110, 13)
    assert C.COMPRESSO.compress(labels) == stream
    assert np.array_equal(C.COMPRESSO.decompress(stream), labels)


def test_windows_by_hand():
    # Two slices, the second one blank: windows 0b1 and 0, entries for indices 1, 0: the trailing
    # zero is not written. 1 is the second of the ascending values 0, 1, so its entry is 2.
    labels = np.array([[[3, 4]], [[4, 4]]], U64)
    stream = words(2, 1, 2, 3, 2, 1, 1, 8, 8, 4, 5, 5, 0, 1, 9) + np.array([2], "<u4").tobytes()
    assert C.COMPRESSO.compress(labels) == stream
    # The other way round a run of one zero window comes first, as 2 * 1 + 1.
    stream = words(2, 1, 2, 3, 2, 1, 1, 8, 8, 5, 4, 5, 0, 1, 9) + np.array([3, 2], "<u4").tobytes()
    assert C.COMPRESSO.compress(labels[::-1]) == stream


WINDOWS = "8x8x1 4x4x1 1x1x1 64x1x1 1x64x1 1x1x64 4x4x4 8x4x2 7x3x2 5x1x3 63x1x1"
windows = st.sampled_from(WINDOWS.split())


@given(volumes(max_side=12), windows, st.integers(1, 3))
@example(np.array([[[LARGEST, 1, LARGEST], [2, LARGEST, 3]]], U64), "8x8x1", 1)
@example(np.zeros((1, 1, 64), U64), "8x8x1", 1)
@example(np.arange(130, dtype=U64).reshape(1, 1, 130), "7x3x2", 1)
def test_equals_the_oracle(labels, window, threads):
    codec = encodings.parse(f"compresso:window={window}")
    size = tuple(int(n) for n in window.split("x"))
    expected = oracle.compresso(labels.astype(U64), size)
    assert codec.encode(labels, threads) == expected


@given(volumes(max_side=70), windows, st.integers(1, 3))
def test_round_trip(labels, window, threads):
    codec = encodings.parse(f"compresso:window={window}")
    stream = codec.encode(labels, threads)
    dtype = np.dtype(f"u{labels.dtype.itemsize}")
    decoded = codec.decode(stream, labels.shape, dtype, threads)
    assert decoded.dtype == dtype
    assert np.array_equal(decoded, labels)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize(
    ("dtype", "window"),
    [
        *(("u8", "8x8x1"), ("u4", "4x4x1"), ("u4", "4x2x2"), ("u2", "7x3x2"), ("u1", "64x1x1")),
        *(("u2", "4x4x4"), ("u8", "1x1x64")),
    ],
)
def test_rows_of_several_words(phantom, dtype, window, noise):
    """Windows inside and across words of 64 voxels, of few and of many values."""
    labels, codec = phantom[:5].astype(dtype), encodings.parse(f"compresso:window={window}")
    if noise:
        labels = np.random.default_rng(1).integers(2, size=(5, 40, 131)).astype(dtype)
    stream = codec.encode(labels, 2)
    assert stream == oracle.compresso(labels.astype(U64), tuple(map(int, window.split("x"))))
    assert np.array_equal(codec.decode(stream, labels.shape, labels.dtype, 2), labels)


@pytest.mark.parametrize("flip", [np.s_[:], np.s_[:, ::-1], np.s_[:, :, ::-1]])
def test_a_comb(flip):
    """One component that a raster scan meets as many, which join in its last rows or first."""
    teeth = np.zeros((20, 21), U64)
    teeth[:, ::2] = teeth[-1] = 1
    labels = np.kron(teeth, np.ones((3, 3), U64))[np.newaxis][flip]
    stream = C.COMPRESSO.compress(labels)
    assert stream == oracle.compresso(labels)
    assert np.array_equal(C.COMPRESSO.decompress(stream), labels)


def test_labels_that_do_not_fit_are_named():
    """Also signed ones, shifted so that the least is 0, in a file of many groups and in a chunk."""
    for label, dtype in ((2**64 - 1, U64), (-1, np.int64)):
        with pytest.raises(C.LabelError, match=rf"label {label} at .*\(0, 0, 0\).*cpso"):
            C.COMPRESSO.compress(np.full((1, 4, 4), label, dtype))
    labels = np.array([[[7, 7], [7, -(2**63)]], [[7, 2**63 - 1], [7, 7]]])
    chunk = ChunkFormat(ChunkCodec("compresso", "none", 1), labels.shape, labels.dtype)
    for encode in (chunk.encode, lambda labels: C.dumps(labels, "compresso", depth=1)):
        with pytest.raises(C.LabelError, match=rf"label {2**63 - 1} at .*\(1, 0, 1\)"):
            encode(labels)
    assert np.array_equal(C.loads(C.dumps(labels, "neuroglancer", depth=1)), labels)


def test_label_too_large_for_a_location():
    # Beside another label it has to be spelled out as label + 6; alone it is an id, label + 1.
    top = 2**64 - 6
    alone = np.full((1, 3, 3), top, U64)
    assert np.array_equal(C.COMPRESSO.decompress(C.COMPRESSO.compress(alone)), alone)
    with pytest.raises(C.EncodeError, match=r"18446744073709551610 .*\(0, 0, 0\).* label \+ 6"):
        C.COMPRESSO.compress(np.array([[[top, 1]]], U64))


def test_every_prefix_is_refused_or_decodes(phantom):
    """A bare stream has no checksum, and its last section may end early; nothing else may."""
    stream = C.COMPRESSO.compress(phantom[:2, :20, :20])
    counts = np.frombuffer(stream, "<u8", 9)[3:6]
    fixed = 72 + 8 * int(counts.sum())
    for size in range(fixed):
        with pytest.raises(C.DecodeError):
            C.COMPRESSO.decompress(stream[:size])


SPANS = {
    "[:]": np.s_[:],
    "[0:16, 0:200, 0:300]": np.s_[:16, :200, :300],
    "[10:11, 5:70, 7:131]": np.s_[10:11, 5:70, 7:131],
}


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer"])
def test_published_bytes_of_pinky40(facts, name, encoding):
    with h5py.File(shared("data/pinky40-z000-255.h5")) as file:
        labels = file["main"][SPANS[name]]
    published = facts[f"pinky40-z000-255{name}"]
    stream = encodings.parse(encoding).encode(labels)
    assert list(labels.shape) == published["shape"]
    assert len(stream) == published[f"{encoding}_bytes"]
    assert hashlib.sha256(stream).hexdigest() == published[f"{encoding}_sha256"]
    assert np.array_equal(encodings.parse(encoding).decode(stream, dtype=labels.dtype), labels)


@pytest.mark.parametrize("name", ["spl-knee", "spl-abdominal"])
def test_published_bytes_and_ratios_of_spl(facts, name):
    labels, _ = nrrd.read(str(shared(f"data/{name}.nrrd")), index_order="C")
    for encoding in ("compresso", "neuroglancer"):
        stream = encodings.parse(encoding).encode(labels)
        assert hashlib.sha256(stream).hexdigest() == facts[name][f"{encoding}_sha256"]
        for compression in ("none", "lzma", "bz2", "zlib", "zstd"):
            ratio = 8 * labels.size / len(C.compressors.parse(compression).compress(stream))
            assert round(ratio, 1) == facts[name][f"{encoding}+{compression}"]

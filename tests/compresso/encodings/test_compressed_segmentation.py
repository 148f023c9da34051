"""Neuroglancer's compressed_segmentation: by hand, against the packages that read it, damage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from compresso.encodings.compressed_segmentation import channel_of
from tests.helpers.strategies import UNSIGNED, volumes

MAX = 2**64 - 1
BLOCKS = st.sampled_from(["8x8x8", "8x4x2", "4x4x4", "1x1x1", "3x5x7", "16x16x2", "20x9x1"])


def codec(block="8x8x8"):
    return encodings.parse(f"compressed_segmentation:block={block}")


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_by_hand(dtype):
    # Two blocks along x; the first is 3 9 3 9 ... in rows of 8, the second one voxel of 9.
    # 1 channel; the headers are words 0 to 3 of it; tables {3, 9} and {9}; 512 / 32 = 16 words of
    # values, the first voxel in the lowest bit. A label takes `wide` words, the lower half first.
    labels = np.array([[[3, 9, 3, 9, 3, 9, 3, 9, 9]]], dtype)
    wide = np.dtype(dtype).itemsize // 4
    headers = [4 | 1 << 24, 4 + 3 * wide, 4 + 2 * wide, 4 + 3 * wide + 16]
    tables = [word for label in (3, 9, 9) for word in (label, 0)[:wide]]
    # Behind the row's 8 voxels come 7 rows and 7 layers that repeat it.
    words = [1, *headers, *tables, *[0xAAAAAAAA] * 16]
    stream = codec().encode(labels)
    assert stream == np.array(words, "<u4").tobytes()
    assert np.array_equal(codec().decode(stream, labels.shape, dtype), labels)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 256, 257, 512])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_number_of_labels_in_a_block(count, dtype):
    labels = (np.arange(512, dtype=dtype) * 7 % count).reshape(8, 8, 8)
    labels *= dtype(np.iinfo(dtype).max // count)
    stream = codec().encode(labels)
    bits = next(b for b in (0, 1, 2, 4, 8, 16) if 2**b >= count)
    assert len(stream) == 4 + 8 + 64 * bits + labels.itemsize * count
    assert np.array_equal(codec().decode(stream, labels.shape, dtype), labels)


def test_values_of_16_bits_stay_in_the_stream():
    """Wherever a table is, a value that leads after the stream's end is refused."""
    labels = np.arange(512, dtype=np.uint32).reshape(8, 8, 8)
    words = np.frombuffer(codec().encode(labels), "<u4").copy()
    last = 3 + 511  # the table is words 3 to 514, the values are the 256 behind it
    assert (words[last], words.size) == (511, 3 + 512 + 256)
    for value, right in ((512 + 255, True), (512 + 256, False), (65535, False)):
        words[-1] = words[-1] & 0xFFFF | value << 16
        if right:
            found = codec().decode(words.tobytes(), labels.shape, np.uint32)
            assert found[-1, -1, -1] == words[-1]
            assert np.array_equal(found.reshape(-1)[:-1], labels.reshape(-1)[:-1])
        else:
            with pytest.raises(C.DecodeError, match="block 0 points outside"):
                codec().decode(words.tobytes(), labels.shape, np.uint32)


@given(volumes(largest=MAX, max_side=30), BLOCKS, st.integers(1, 3))
def test_the_peer_reads_ours_and_we_the_peers(labels, block, threads):
    peer = pytest.importorskip("compressed_segmentation")
    labels = labels.astype(np.uint64 if labels.dtype.itemsize == 8 else np.uint32)
    size = {"block_size": codec(block).block, "order": "F"}
    ours = codec(block).encode(labels, threads)
    theirs = peer.compress(np.asfortranarray(labels.T), **size)
    assert len(ours) == len(theirs)
    found = peer.decompress(ours, labels.shape[::-1], labels.dtype, **size).T
    assert np.array_equal(found, labels)
    for stream in (ours, theirs):
        found = codec(block).decode(stream, labels.shape, labels.dtype, threads)
        assert np.array_equal(found, labels)


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("channels", [1, 3])
def test_tensorstore_reads_ours_and_we_what_it_writes(tmp_path, dtype, channels):
    """Values of up to 32 bits, in blocks that are wider than the packages know."""
    stores = pytest.importorskip("tests.helpers.stores")
    labels = np.random.default_rng(0).permutation(2**18).astype(dtype).reshape(-1, 32, 64, 64)
    labels = np.repeat(labels[:1], channels, axis=0)
    labels[:, 0, 0, 0] = np.iinfo(dtype).max
    scale = {"size": (64, 64, 32), "chunk_size": (64, 64, 32), "resolution": [1, 1, 1]}
    scale |= {"encoding": "compressed_segmentation"}
    scale |= {"compressed_segmentation_block_size": (64, 64, 32)}
    kind = {"type": "segmentation", "data_type": np.dtype(dtype).name, "num_channels": channels}
    metadata = {"multiscale_metadata": kind, "scale_metadata": scale}
    store = stores.created("neuroglancer_precomputed", tmp_path, **metadata)
    store.write(labels.T).result()
    path = tmp_path / "1_1_1" / "0-64_0-64_0-32"
    stream, large = path.read_bytes(), codec("64x64x32")
    for number, volume in enumerate(labels):
        found = large.decode(channel_of(stream, number), volume.shape, dtype)
        assert np.array_equal(found, volume)
    if channels > 1:
        with pytest.raises(C.DecodeError, match="3 channels"):
            large.decode(stream, volume.shape, dtype)
        with pytest.raises(C.DecodeError, match="channel 3"):
            channel_of(stream, 3)
    else:
        path.write_bytes(large.encode(labels[0]))
        assert np.array_equal(store.read().result().T, labels)


@pytest.mark.parametrize("block", ["8x8x8", "3x4x5"])
def test_slices_are_decoded_without_the_others(phantom, block):
    labels = phantom[:, :20, :30]
    data = bytearray(codec(block).encode(labels))
    whole = bytes(data)
    width, height, depth = codec(block).block
    n_bytes = 8 * -(-20 // height) * -(-30 // width)
    data[4 : 4 + n_bytes] = b"\xff" * n_bytes  # the headers of the first layer of blocks
    with pytest.raises(C.DecodeError):
        codec(block).decode(data, labels.shape)
    for z0, z1 in [(depth, 16), (depth + 1, depth + 2), (15, 99), (-3, -1)]:
        part = codec(block).decode_slices(data, z0, z1, labels.shape)
        assert np.array_equal(part, labels[z0:z1])
        part = codec(block).decode_slices(whole, z0, z1, labels.shape, np.uint64, 2)
        assert np.array_equal(part, labels[z0:z1])


def test_too_many_tables_are_refused():
    labels = np.arange(2**23 + 2**12, dtype=np.uint64).reshape(-1, 64, 64)
    with pytest.raises(C.EncodeError, match="24-bit"):
        codec().encode(labels)
    fits = labels[:1984]  # 8,126,464 labels of two words, 31,744 headers: less than 2**24 words
    assert np.array_equal(codec().decode(codec().encode(fits), fits.shape), fits)


@given(st.binary(max_size=400), st.sampled_from(UNSIGNED), BLOCKS)
def test_any_bytes(data, dtype, block):
    stream = b"\1\0\0\0" + data
    try:
        found = codec(block).decode(stream, (3, 9, 10), dtype)
    except C.DecodeError:
        return
    assert found.shape == (3, 9, 10)

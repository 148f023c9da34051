"""The paper's Neuroglancer encoding: by hand, against the oracle, round trips, damage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from tests.helpers import oracle
from tests.helpers.strategies import volumes

U64 = np.uint64
MAX = 2**64 - 1


def test_by_hand():
    # One block, reflected to 8 x 8 x 8: rows 3 9 3 9 ..., so 1 bit a voxel, 512 / 64 = 8 words of
    # 0101..., the first voxel in the top bit. Behind 7 + 1 header words the values begin at 8 and
    # the table at 16; it holds 3 and 9, then comes the word too many: 19 words.
    labels = np.array([[[3, 9]]], U64)
    values = [0x5555555555555555] * 8
    chunk = [19, 8, 8, 8, 1, 1, 2, 16 << 40 | 1 << 32 | 8, *values, 3, 9, 0]
    stream = np.array([1, 1, 2, *chunk], "<u8").tobytes()
    assert C.NEUROGLANCER.compress(labels) == stream
    assert np.array_equal(C.NEUROGLANCER.decompress(stream), labels)


@given(volumes(largest=MAX, max_side=20), st.integers(1, 3))
def test_equals_the_oracle(labels, threads):
    stream = encodings.parse("neuroglancer").encode(labels, threads)
    assert stream == oracle.neuroglancer(labels.astype(U64))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 256, 257, 512])
def test_number_of_labels_in_a_block(count):
    """Every width of packed values, and more labels than the small sort takes."""
    labels = (np.arange(512, dtype=U64) * U64(0x9E3779B97F4A7C15) % U64(count)).reshape(8, 8, 8)
    labels = np.unique(labels, return_inverse=True)[1].reshape(8, 8, 8).astype(U64) ** U64(2)
    stream = C.NEUROGLANCER.compress(labels)
    assert stream == oracle.neuroglancer(labels)
    assert np.array_equal(C.NEUROGLANCER.decompress(stream), labels)


def test_every_prefix_is_refused(phantom):
    stream = C.NEUROGLANCER.compress(phantom[:2, :20, :20])
    for size in range(len(stream)):
        with pytest.raises(C.DecodeError):
            C.NEUROGLANCER.decompress(stream[:size])

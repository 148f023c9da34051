"""The kernels that write and read labels, against plain numpy."""

import numpy as np
import pytest

from compresso.kernels import components, labels, words
from tests.compresso.kernels.test_kernels import bits_of, random_mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_blend_copies_what_the_mask_says(dtype):
    random = np.random.default_rng(5)
    array = random.integers(np.iinfo(dtype).max, size=200, dtype=dtype, endpoint=True)
    mask = random.integers(2**64, dtype=np.uint64)
    chosen = np.flatnonzero([int(mask) >> k & 1 for k in range(64)])
    for blend in (words.blend64, words._blend64_plain):
        blended = array.copy()
        labels_of(blend)(blended, 130, 3, mask)
        expected = array.copy()
        expected[130 + chosen] = array[3 + chosen]
        assert np.array_equal(blended, expected)


def labels_of(function):
    """A function that may be LLVM code only, called from Python."""
    from compresso.kernels import kernel

    @kernel
    def call(array, i, source, mask):
        function(array, i, source, mask)

    return call


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 70), (2, 17, 128), (1, 300, 5), (2, 9, 333)])
def test_fill(dtype, share, shape):
    mask = random_mask(6, shape, share)
    bits = bits_of(mask)
    component, _, counts = components.label_runs(bits, shape[2])
    starts = np.cumsum(counts) - counts
    ids = np.random.default_rng(7).integers(np.iinfo(dtype).max, size=counts.sum(), dtype=dtype)
    out = np.zeros(shape, dtype)
    labels.fill(bits, component, ids, starts, out)
    run = -1
    for z, y in np.ndindex(shape[:2]):
        for x in range(shape[2]):
            free = not mask[z, y, x]
            run += free and (x == 0 or mask[z, y, x - 1])
            if free or (x and not mask[z, y, x - 1]):
                assert out[z, y, x] == ids[starts[z] + component[run]]
            elif y and not mask[z, y - 1, x]:
                assert out[z, y, x] == out[z, y - 1, x]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_a_word_is_eight_bytes(dtype):
    octets = np.random.default_rng(8).integers(256, size=64, dtype=np.uint8)
    array = octets.view(dtype)
    start = 3 * array.itemsize
    expected = int.from_bytes(octets[start : start + 8].tobytes(), "little")
    for word_at in (words.word_at, words._word_at_plain):
        found = np.zeros(1, np.uint64)
        word_of(word_at)(array, 3, found)
        assert found[0] == expected


def word_of(function):
    """A function that may be LLVM code only, called from Python."""
    from compresso.kernels import kernel

    @kernel
    def call(array, i, found):
        found[0] = function(array, i)

    return call

"""The kernels alone, against plain numpy; and the fallback without LLVM's vector code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso.kernels import kernel, windows, words


@given(st.integers(0, 2**64 - 1))
def test_words(number):
    word = np.uint64(number)
    assert words._popcount_plain(word) == number.bit_count()
    if number:
        assert words._trailing_zeros_plain(word) == (number & -number).bit_length() - 1


@pytest.mark.parametrize("top", [2, 1000, 2**16, 2**40, 2**64])
@pytest.mark.parametrize("blank", [True, False])
def test_windows_are_sorted_and_numbered(top, blank):
    random = np.random.default_rng(4)
    numbers = random.integers(1, top, size=5000, dtype=np.uint64)
    numbers = np.concatenate([numbers, numbers[::-3]])
    if blank:
        numbers[random.random(numbers.size) < 0.5] = 0
    keys, places = np.empty(numbers.size, np.uint64), np.empty(numbers.size, np.uint32)
    half = numbers.size // 2
    count = windows.collect(numbers[:half], 0, keys, places, 0)
    count = windows.collect(numbers[half:], half, keys, places, count)
    assert np.array_equal(keys[:count], numbers[numbers > 0])
    indices = np.zeros(numbers.size, np.uint32)
    values = windows.rank(*windows.sort(keys[:count], places[:count]), indices)
    expected, inverse = np.unique(numbers, return_inverse=True)
    assert np.array_equal(values, expected)
    assert np.array_equal(indices, inverse)


def test_run_lengths_that_do_not_fit_are_refused():
    assert windows.squeeze(np.array([0, 0, 0, 1], np.uint32), 3) == -1
    assert windows.squeeze(np.array([0, 0, 3], np.uint32), 3) == -1
    assert windows.squeeze(np.array([0, 0, 2], np.uint32), 3) == 2


def compiled(function):
    """A function that may be LLVM code only, so that Python can call it."""

    @kernel
    def call(*arguments):
        return function(*arguments)

    return call


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_blend_copies_what_the_mask_says(dtype):
    random = np.random.default_rng(5)
    array = random.integers(np.iinfo(dtype).max, size=200, dtype=dtype, endpoint=True)
    mask = random.integers(2**64, dtype=np.uint64)
    chosen = np.flatnonzero([int(mask) >> k & 1 for k in range(64)])
    for blend in (words.blend64, words._blend64_plain):
        blended = array.copy()
        compiled(blend)(blended, 130, 3, mask)
        expected = array.copy()
        expected[130 + chosen] = array[3 + chosen]
        assert np.array_equal(blended, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_a_word_is_eight_bytes(dtype):
    octets = np.random.default_rng(8).integers(256, size=64, dtype=np.uint8)
    array = octets.view(dtype)
    start = 3 * array.itemsize
    expected = int.from_bytes(octets[start : start + 8].tobytes(), "little")
    for word_at in (words.word_at, words._word_at_plain):
        assert compiled(word_at)(array, 3) == expected

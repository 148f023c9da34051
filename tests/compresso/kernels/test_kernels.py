"""The kernels alone, against plain numpy; and the fallback without LLVM's vector code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso.boundaries import packed_type
from compresso.kernels import boundary, components, cpso, kernel, windows, words


def bits_of(mask):
    """A (nz, ny, nx) bool array as words of 64 bits, row by row."""
    nz, ny, nx = mask.shape
    padded = np.zeros((nz, ny, -(-nx // 64) * 64), bool)
    padded[:, :, :nx] = mask
    return np.packbits(padded, axis=2, bitorder="little").view(np.uint64)


@given(st.integers(0, 2**64 - 1))
def test_words(number):
    word = np.uint64(number)
    assert words._popcount_plain(word) == number.bit_count()
    if number:
        assert words._trailing_zeros_plain(word) == (number & -number).bit_length() - 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 64), (1, 5, 65), (4, 3, 150), (2, 1, 63)])
def test_mark(dtype, shape):
    labels = np.random.default_rng(1).integers(3, size=shape).astype(dtype)
    expected = np.zeros(shape, bool)
    expected[:, :, :-1] |= labels[:, :, :-1] != labels[:, :, 1:]
    expected[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    bits = np.full((*shape[:2], -(-shape[2] // 64)), 2**64 - 1, np.uint64)
    boundary.mark(labels, bits)
    assert np.array_equal(bits, bits_of(expected))
    expected[:-1] |= labels[:-1] != labels[1:]
    cpso.mark_ahead(labels, bits)
    assert np.array_equal(bits, bits_of(expected))


STEPS = [(1, 8, 8), (1, 4, 4), (2, 2, 4), (4, 1, 4), (4, 4, 4), (2, 3, 7), (1, 1, 64), (64, 1, 1)]


@pytest.mark.parametrize("nx", [1, 3, 61, 64, 65, 67, 131, 200])
@pytest.mark.parametrize("step", STEPS)
def test_windows_pack_and_unpack(nx, step):
    mask = np.random.default_rng(nx).random((5, 7, nx)) < 0.4
    bits = bits_of(mask)
    grid = [-(-n // s) for n, s in zip(mask.shape, step, strict=True)]
    padded = np.zeros(np.multiply(grid, step), np.uint64)
    padded[:5, :7, :nx] = mask
    blocks = padded.reshape(np.stack([grid, step], axis=1).reshape(-1))
    voxels = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(*grid, -1)
    expected = (voxels << np.arange(voxels.shape[3], dtype=np.uint64)).sum(axis=3)
    for dtype in {packed_type(step), np.uint64}:
        packed = np.empty(expected.shape, dtype)
        windows.pack(bits, nx, step, packed)
        assert np.array_equal(packed, expected)
        again = np.full_like(bits, 2**64 - 1)
        windows.unpack(packed, nx, step, again)
        assert np.array_equal(again, bits)


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


# The kernels of the cpso stream alone.
WINDOWS = st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), max_size=60)


def entries_of(numbers, limit, dtype):
    room = np.empty(len(numbers), dtype)
    return room[: cpso.squeeze(np.array(numbers, np.uint32), limit, room)].copy()


def test_squeeze_refuses_indices_past_the_limit():
    room = np.empty(3, np.uint8)
    assert cpso.squeeze(np.array([0, 127, 0], np.uint32), 127, room) == 3
    assert cpso.squeeze(np.array([0, 128, 0], np.uint32), 127, room) == -1


@given(WINDOWS.filter(bool), st.sampled_from([np.uint8, np.uint64]), st.data())
def test_windows_from_any_one_on(numbers, dtype, data):
    entries = entries_of(numbers, 7, dtype)
    values = np.array([3, 10, 11, 12, 13, 200], dtype)
    marks = sorted(data.draw(st.lists(st.integers(0, len(numbers)), min_size=1, max_size=4)))
    cursors = np.empty((len(marks), 2), np.int64)
    assert cpso.survey(entries, 6, len(numbers), np.array(marks), cursors) == -1
    for mark, cursor in zip(marks, cursors, strict=True):
        found = np.empty(len(numbers) - mark, np.uint64)
        cpso.expand(entries, values, cursor, found)
        assert found.tolist() == values[numbers[mark:]].tolist()
        assert cursor.tolist() == [entries.size, 0]


@pytest.mark.parametrize(
    ("entries", "bad"),
    [
        ([0, 11], 0),  # no run and no index
        ([1, 11], 0),
        ([2, 13], 1),  # a run past the end
        ([2, 2**64 - 1], 1),
        ([8, 9], 0),  # no such value
        ([2**64 - 2, 9], 0),
        ([11, 2], 1),  # a window too many
        ([11, 3], 1),
        ([2, 7], 2),  # one too few
        ([], 0),
    ],
)
def test_entries_that_contradict_the_header(entries, bad):
    cursors = np.empty((2, 2), np.int64)
    assert cpso.survey(np.array(entries, np.uint64), 4, 5, np.array([0, 5]), cursors) == bad


def test_what_follows_the_last_mark_is_not_read():
    cursors = np.empty((2, 2), np.int64)
    entries = np.array([5, 2, 0, 0], np.uint16)
    assert cpso.survey(entries, 4, 9, np.array([1, 2]), cursors) == -1
    assert cursors.tolist() == [[0, 1], [1, 0]]
    assert cpso.survey(entries, 4, 9, np.array([1, 4]), cursors) == 2


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 20, 70), (12, 5, 3)])
def test_components_of_the_volume(share, shape):
    """Flood fill, 6-connected, numbered by first voxels."""
    free = np.random.default_rng(6).random(shape) >= share
    number = np.full(shape, -1)
    first = []
    for seed in np.argwhere(free):
        if number[tuple(seed)] >= 0:
            continue
        stack = [tuple(seed)]
        while stack:
            at = stack.pop()
            inside = all(0 <= i < n for i, n in zip(at, shape, strict=True))
            if not inside or not free[at] or number[at] >= 0:
                continue
            number[at] = len(first)
            steps = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
            stack += [tuple(np.add(at, step)) for step in steps]
        first.append(np.ravel_multi_index(seed, shape))
    bits = bits_of(~free)
    component, starts, counts = components.label_runs(bits, shape[2])
    joined = cpso.join(bits, shape[2], component, starts, counts)
    assert joined.tolist() == first
    runs = [  # of each run, its first voxel
        (z, y, x) for z, y, x in np.argwhere(free) if x == 0 or not free[z, y, x - 1]
    ]
    assert component.tolist() == [number[run] for run in runs]

"""The kernels of the ``cpso`` stream alone, against loops and plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso.kernels import components, cpso, windows
from tests.helpers.bits import bits_of

indices = st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), max_size=60)


def entries_of(numbers, limit, dtype):
    room = np.empty(len(numbers), dtype)
    return room[: cpso.squeeze(np.array(numbers, np.uint32), limit, room)].copy()


@given(indices, st.integers(5, 9))
def test_squeeze_cuts_runs(numbers, limit):
    expected, zeros = [], 0
    for number in [*numbers, None]:
        if number == 0:
            zeros += 1
            continue
        while zeros:
            run = min(zeros, limit)
            expected.append(2 * run + 1)
            zeros -= run
        if number is not None:
            expected.append(2 * number)
    assert entries_of(numbers, limit, np.uint8).tolist() == expected


def test_squeeze_refuses_indices_past_the_limit():
    room = np.empty(3, np.uint8)
    assert cpso.squeeze(np.array([0, 127, 0], np.uint32), 127, room) == 3
    assert cpso.squeeze(np.array([0, 128, 0], np.uint32), 127, room) == -1


@given(indices.filter(bool), st.sampled_from([np.uint8, np.uint64]), st.data())
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


@given(st.lists(st.sampled_from([0, 1, 7, 65535]), max_size=50))
def test_small_windows_are_numbered(numbers):
    found = np.full(len(numbers), 99, np.uint32)
    values = windows.rank_small(np.array(numbers, np.uint16), found)
    assert values.tolist() == sorted(set(numbers))
    assert values[found].tolist() == numbers


@pytest.mark.parametrize("nx", [1, 3, 4, 61, 64, 65, 67, 130, 200])
@pytest.mark.parametrize("step", [(1, 4, 4), (2, 2, 4), (4, 1, 4)])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint64])
def test_windows_four_wide(nx, step, dtype):
    zs, ys, xs = step
    mask = np.random.default_rng(nx).random((zs * 2, 7, nx)) < 0.4
    cover = (2, -(-7 // ys), -(-nx // xs))
    padded = np.zeros(np.multiply(cover, step), bool)
    padded[:, :7, :nx] = mask
    blocks = padded.reshape(2, zs, cover[1], ys, cover[2], xs).transpose(0, 2, 4, 1, 3, 5)
    expected = (blocks.reshape(*cover, -1) << np.arange(zs * ys * xs)).sum(axis=-1)
    packed = np.empty(cover, dtype)
    windows.pack(bits_of(mask), nx, step, packed)
    assert np.array_equal(packed, expected)
    again = np.full_like(bits_of(mask), 2**64 - 1)
    windows.unpack(packed, nx, step, again)
    assert np.array_equal(again, bits_of(mask))


@pytest.mark.parametrize("nx", [1, 63, 64, 65, 150])
def test_mark_ahead(nx):
    labels = np.random.default_rng(nx).integers(2, size=(4, 3, nx)).astype(np.uint16)
    bits = np.zeros((4, 3, -(-nx // 64)), np.uint64)
    cpso.mark_ahead(labels, bits)
    ahead = np.zeros(labels.shape, bool)
    ahead[:-1] = labels[:-1] != labels[1:]
    assert np.array_equal(bits, bits_of(ahead))


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


@given(st.lists(st.integers(0, 9), max_size=30))
def test_label_entries(locations):
    shifted, spelled = np.empty(len(locations), bool), np.empty(len(locations), bool)
    cpso.label_entries(np.array(locations, np.uint8), shifted, spelled)
    n = 0
    while n < len(locations):
        assert not spelled[n]
        assert shifted[n] == (locations[n] >= 7)
        if locations[n] == 6 and n + 1 < len(locations):
            n += 1
            assert spelled[n]
            assert not shifted[n]
        n += 1

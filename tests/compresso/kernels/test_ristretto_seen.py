"""Numbers that a picture has seen: counted and found as a plain list of them does, and fast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso.kernels import kernel
from compresso.kernels import ristretto_seen as seen
from compresso.kernels.ristretto_coder import pointer
from tests.compresso.encodings.test_ristretto import check


@kernel
def run(numbers, most, bits, ranks, found):
    """See each number; what was the how-manieth unseen one, and which one that is."""
    here = pointer(bits)
    seen.forget(here, most)
    for n in range(numbers.size):
        if seen.is_seen(here, numbers[n]):
            return False
        ranks[n] = seen.unseen_below(here, numbers[n])
        found[n] = seen.unseen_at(here, ranks[n], most)
        seen.see(here, numbers[n])
        if not seen.is_seen(here, numbers[n]):
            return False
    return True


def results(numbers, most):
    ranks, found = np.zeros((2, len(numbers)), np.int64)
    bits = np.full(seen.SEEN, 2**64 - 1, np.uint64)  # of the picture before
    assert run(np.array(numbers, np.int64), most, bits, ranks, found)
    assert int(bits[: seen.BLOCKS][: (most >> 12) + 1].sum()) == 1 + len(numbers)
    return ranks.tolist(), found.tolist()


NUMBERS = st.integers(1, 300) | st.integers(1, seen.MAX_SORTED - 1)


@given(st.lists(NUMBERS, unique=True, max_size=60))
def test_as_a_list_does(numbers):
    ranks, found = results(numbers, seen.MAX_SORTED)
    for n, number in enumerate(numbers):
        assert ranks[n] == number - 1 - sum(other < number for other in numbers[:n])
    assert found == numbers


@pytest.mark.parametrize("most", [1, 63, 64, 4095, 4096, 5000, seen.MAX_SORTED])
def test_what_is_not_there_is_the_most(most):
    numbers = list(range(1, most)) if most < 6000 else [1, most - 1]
    _, found = results(numbers[::-1], most)
    assert found == numbers[::-1]
    bits = np.zeros(seen.SEEN, np.uint64)

    @kernel
    def beyond(bits, rank, most):
        seen.forget(pointer(bits), most)
        return seen.unseen_at(pointer(bits), rank, most)

    assert beyond(bits, most - 1, most) == most
    assert beyond(bits, 10**6, most) == most


def test_many_labels_once_a_picture_in_any_order():
    """Each was once looked for from the lowest on: 15 microseconds a voxel."""
    random = np.random.default_rng(0)
    pictures = [random.permutation(1 << 14).reshape(128, 128) for _ in range(3)]
    check(np.stack(pictures).astype(np.uint32) * 977)

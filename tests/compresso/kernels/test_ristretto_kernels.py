"""The kernels of ``ristretto``: range coder, counters, label table, and the code without LLVM."""

import os
import subprocess
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso.kernels import kernel
from compresso.kernels.ristretto import coder, labels
from tests.helpers.paths import ROOT


@kernel
def code_bits(encoding, bits, odds, data, state):
    """Code bits of given probabilities."""
    state_ = coder.load(encoding, state, data, np.zeros(1, np.uint32))
    for n in range(bits.size):
        bit, state_ = coder.code(encoding, bits[n] == 1, odds[n], state_)
        bits[n] = bit
    coder.save(state_, state)


def encode(bits, odds, room=None):
    data = np.zeros(64 + 3 * len(bits) if room is None else room, np.uint8)
    state = np.zeros(3, np.uint64)
    code_bits(True, np.array(bits, np.uint8), np.array(odds, np.uint64), data, state)
    return coder.finish(state, data)


def decode(data, odds):
    bits, data = np.zeros(len(odds), np.uint8), np.array(np.frombuffer(data, np.uint8))
    code_bits(False, bits, np.array(odds, np.uint64), data, np.zeros(3, np.uint64))
    return bits.tolist()


def interval(bits, odds):
    """The interval that the bits are, by exact arithmetic on the same integers of 56 bits."""
    low, span, unit = Fraction(0), (1 << 56) - 1, Fraction(1)
    for bit, chance in zip(bits, odds, strict=True):
        bound = (span >> 22) * chance
        if bit:
            span = bound
        else:
            low += bound * unit
            span -= bound
        while span < 1 << 40:
            span <<= 16
            unit /= 1 << 16
    return low, span * unit


ODDS = st.sampled_from([64, 65, 1 << 21, (1 << 22) - 64]) | st.integers(64, (1 << 22) - 64)


@given(st.lists(st.tuples(st.booleans(), ODDS), max_size=300))
def test_stream_is_a_number_in_the_interval(items):
    bits, odds = [int(bit) for bit, _ in items], [chance for _, chance in items]
    data = encode(bits, odds)
    assert decode(data, odds) == bits
    low, span = interval(bits, odds)
    value = Fraction(int.from_bytes(data, "big")) * Fraction(2) ** (56 - 8 * len(data))
    assert low <= value < low + span


def test_carries_run_through_many_bytes():
    """Long runs of unlikely zeros right below a carry, then the carry."""
    top = (1 << 22) - 64
    for n in range(1, 60):
        for last in (64, 1 << 21, top):
            bits, odds = [0] + [1] * n + [0] * 3, [last] + [64] * n + [top] * 3
            assert decode(encode(bits, odds), odds) == bits
    random = np.random.default_rng(0)
    bits = (random.random(20000) < 0.5).astype(int).tolist()
    odds = random.choice([64, top, 1 << 21], 20000).tolist()
    assert decode(encode(bits, odds), odds) == bits


def test_every_probability():
    """Each of the 2**22 - 127 once, as a 0 and as a 1."""
    odds = np.arange(64, (1 << 22) - 63)
    for bit in (0, 1):
        bits = [bit] * odds.size
        data = encode(bits, odds, 1 << 22)
        assert decode(data, odds) == bits
        cost = -np.log2(odds / 2**22 if bit else 1 - odds / 2**22).sum() / 8
        assert len(data) <= 1.0001 * cost + 16


def test_too_little_room():
    """Nothing is written past the end, and finish raises an error."""
    bits, odds = [0] * 100, [(1 << 22) - 64] * 100
    size = len(encode(bits, odds))
    assert len(encode(bits, odds, size + 2)) == size
    for room in (size - 3, 0):
        with pytest.raises(coder.FullError):
            encode(bits, odds, room)


def test_zeros_follow_the_end():
    assert decode(b"", [1 << 21] * 50) == [1] * 50


def test_tables_are_far_from_a_tie():
    """Whatever the C library rounds the last bit to, the tables are the same."""
    getcontext().prec = 40

    def rounded(value):
        nearest = int(value.to_integral_value())
        assert abs(abs(value - nearest) - Decimal("0.5")) > Decimal("1e-6")
        return nearest

    half = Decimal("0.5")
    for i in range(4096):
        assert coder.STRETCH[i] == rounded(256 * ((i + half) / (Decimal(4095) + half - i)).ln())
    for i in range(2 * coder.MOST + 3):
        odds = (-Decimal(i - coder.MOST - 1) / 256).exp()
        assert coder.SQUASH[i] == min(max(rounded((1 << 22) / (1 + odds)), 64), (1 << 22) - 64)


@kernel
def use_numbers(numbers, most, bits, ranks, found):
    """Use each number; find its rank among the unused ones, and the number of that rank."""
    here = coder.pointer(bits)
    labels.forget(here, most)
    for n in range(numbers.size):
        if labels.is_used(here, numbers[n]):
            return False
        ranks[n] = labels.unused_below(here, numbers[n])
        found[n] = labels.unused_at(here, ranks[n], most)
        labels.use(here, numbers[n])
        if not labels.is_used(here, numbers[n]):
            return False
    return True


def results(numbers, most):
    ranks, found = np.zeros((2, len(numbers)), np.int64)
    bits = np.full(labels.USED, 2**64 - 1, np.uint64)  # of the slice before
    assert use_numbers(np.array(numbers, np.int64), most, bits, ranks, found)
    assert int(bits[: labels.BLOCKS][: (most >> 12) + 1].sum()) == 1 + len(numbers)
    return ranks.tolist(), found.tolist()


NUMBERS = st.integers(1, 300) | st.integers(1, labels.MAX_SORTED - 1)


@given(st.lists(NUMBERS, unique=True, max_size=60))
def test_unused_numbers_are_counted_as_in_a_list(numbers):
    ranks, found = results(numbers, labels.MAX_SORTED)
    for n, number in enumerate(numbers):
        assert ranks[n] == number - 1 - sum(other < number for other in numbers[:n])
    assert found == numbers


@pytest.mark.parametrize("most", [1, 63, 64, 4095, 4096, 5000, labels.MAX_SORTED])
def test_a_rank_that_is_too_high_gives_the_most(most):
    numbers = list(range(1, most)) if most < 6000 else [1, most - 1]
    _, found = results(numbers[::-1], most)
    assert found == numbers[::-1]
    bits = np.zeros(labels.USED, np.uint64)

    @kernel
    def beyond(bits, rank, most):
        labels.forget(coder.pointer(bits), most)
        return labels.unused_at(coder.pointer(bits), rank, most)

    assert beyond(bits, most - 1, most) == most
    assert beyond(bits, 10**6, most) == most


PROGRAM = """
import numpy as np
from tests.golden import make_ristretto as golden
import compresso as C
from compresso import encodings
from compresso.encodings import _ristretto_layout as layout

for spec in golden.SPECS:
    for kind in ("deep", "pictures"):
        stream, labels = golden.place(spec, kind).read_bytes(), golden.labels(kind)
        codec = encodings.parse(spec)
        assert np.array_equal(codec.decode(stream, labels.shape), labels)
        assert codec.encode(labels) == stream
        head, pieces = layout.read(stream)
        random = np.random.default_rng(1)
        for turn in range(20):
            changed = []
            for piece in pieces:
                data = bytearray(random.bytes(len(piece.data)) if turn % 3 == 0 else piece.data)
                for _ in range(random.integers(1, 4)):
                    data[random.integers(len(data))] = random.integers(256)
                digest = layout.check(bytes(data))
                changed.append(layout.Piece(piece.box, piece.n_labels, bytes(data), digest))
            try:
                codec.decode(layout.write(head, changed), labels.shape)
            except C.DecodeError:
                pass
"""


@pytest.mark.slow
def test_plain_kernels_write_the_same_bytes_and_stay_in_bounds():
    flags = {"COMPRESSO_PORTABLE": "1", "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, **flags}, check=True)

"""The kernels of ``ristretto``: range coder, label table, and the code without LLVM."""

import os
import subprocess
import sys

import numpy as np
import pytest

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


@kernel
def find(bits, rank, most):
    here = coder.pointer(bits)
    labels.forget(here, most)
    labels.use(here, 1)
    return labels.unused_below(here, 2), labels.unused_at(here, rank, most)


@pytest.mark.parametrize("most", [2, 63, 64, 4095, 4096, 5000, labels.MAX_SORTED])
def test_a_rank_that_is_too_high_gives_the_most(most):
    """Only the number 1 is used."""
    for rank in (0, most - 2, most - 1, 10**6):
        bits = np.full(labels.USED, 2**64 - 1, np.uint64)  # of the slice before
        assert find(bits, rank, most) == (0, min(2 + rank, most))


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

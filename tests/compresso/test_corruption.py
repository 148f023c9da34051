"""Damaged streams: every prefix and every single flipped bit of small ones."""

from collections import Counter

import numpy as np
import pytest

import compresso as C
from compresso import compressors, encodings

LABELS = np.repeat(np.arange(24, dtype=np.uint16).reshape(2, 3, 4) // 5, 3, axis=2)


def outcome(decode, data):
    try:
        found = decode(data)
    except C.DecodeError:
        return "refused"
    return "same" if np.array_equal(found, LABELS) else "wrong"


def flips(data, bits=range(8)):
    """Every byte with one of its bits changed, each in turn."""
    for at in range(len(data)):
        for bit in bits:
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            yield bytes(damaged)


@pytest.mark.parametrize(
    ("encoding", "compression"),
    [*((name, "none") for name in encodings.installed()), ("cpso", "lzma"), ("compresso", "zstd")],
)
def test_files_are_never_wrong(encoding, compression):
    """Hashes cover every bit alike, so that one bit per byte stands for all."""
    data = C.dumps(LABELS, encoding, compression, depth=1)
    assert outcome(C.loads, data) == "same"
    for size in range(len(data)):
        assert outcome(C.loads, data[:size]) == "refused"
    tally = Counter(outcome(C.loads, bad) for bad in flips(data, bits=[3]))
    assert tally["wrong"] == 0


@pytest.mark.parametrize("name", compressors.names())
def test_compressors_refuse_or_restore(name):
    codec = compressors.parse(name)
    data = codec.compress(LABELS.tobytes() * 3)
    for bad in flips(data):
        try:
            size = len(memoryview(codec.decompress(bad, limit=1 << 20)))
        except C.DecodeError:
            size = 0
        assert size <= 1 << 20

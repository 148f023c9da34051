"""Streams of ``ristretto`` that were written once stay readable, and are written the same."""

import numpy as np
import pytest

import compresso as C
from compresso import encodings
from tests.golden import make_ristretto as golden

CASES = [(spec, kind) for spec in golden.SPECS for kind in ("deep", "pictures")]


@pytest.mark.parametrize(("spec", "kind"), CASES)
def test_golden_stream(spec, kind):
    stream = golden.place(spec, kind).read_bytes()
    labels = golden.labels(kind)
    for threads in (1, 2):
        restored = encodings.parse("ristretto").decode(stream, labels.shape, threads=threads)
        assert np.array_equal(restored, labels)
        assert encodings.parse(spec).encode(labels, threads) == stream


def test_later_versions_are_refused():
    stream = bytearray(golden.place(*CASES[0]).read_bytes())
    for at, value in ((4, 2), (5, 0), (5, 4), (6, 2)):
        other = stream.copy()
        other[at] = value
        with pytest.raises(C.DecodeError, match=r"this program (reads|knows)"):
            encodings.parse("ristretto").decode(bytes(other))

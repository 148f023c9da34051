"""``ristretto`` without intrinsics and pointers: the same bytes, and no index out of bounds."""

import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

HERE = ROOT / "tests"

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
            forged = []
            for piece in pieces:
                data = bytearray(random.bytes(len(piece.data)) if turn % 3 == 0 else piece.data)
                for _ in range(random.integers(1, 4)):
                    data[random.integers(len(data))] = random.integers(256)
                digest = layout.check(bytes(data))
                forged.append(layout.Piece(piece.box, piece.n_labels, bytes(data), digest))
            try:
                codec.decode(layout.write(head, forged), labels.shape)
            except C.DecodeError:
                pass
"""


@pytest.mark.slow
def test_plain_kernels_write_the_same_bytes_and_stay_in_bounds():
    paths = os.pathsep.join(map(str, (HERE.parent, HERE / "golden")))
    flags = {"COMPRESSO_PORTABLE": "1", "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, **flags}, check=True)

"""Frames that this version wrote stay readable: the files in golden/ are never made again."""

from pathlib import Path

import numpy as np
import pytest

import compresso as C

GOLDEN = Path(__file__).with_name("golden")


def labels():
    """Slanted stripes of sparse signed labels, 5 x 12 x 70."""
    z, y, x = np.indices((5, 12, 70))
    return ((x + 2 * y + 3 * z) // 11 * 1_000_003 - 2_000_000).astype(np.int64)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.cps")), ids=lambda path: path.stem)
def test_golden_frame(path):
    restored = C.decompress(path.read_bytes())
    assert restored.dtype == np.int64
    assert np.array_equal(restored, labels())


def test_golden_files_are_there():
    assert len(list(GOLDEN.glob("v1-*.cps"))) == 9

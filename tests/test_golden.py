"""Frames of every version stay readable: the files in golden/ are never made again."""

from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso import frame

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


@pytest.mark.parametrize("version", [1, 2])
def test_golden_files_are_there(version):
    assert len(list(GOLDEN.glob(f"v{version}-*.cps"))) == 9


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.cps")), ids=lambda path: path.stem)
def test_another_hash_of_the_labels_is_refused(path):
    """The group's head is forged so that only the labels' own hash is wrong."""
    data = bytearray(path.read_bytes())
    at = data.index(frame.MARK)
    data[at + frame.GROUP.size - 1] ^= 1
    check = xxh3_64_intdigest(data[at : at + frame.GROUP.size])
    data[at + frame.GROUP.size : at + frame.GROUP.size + 8] = frame.CHECK.pack(check)
    with pytest.raises(C.DecodeError, match="hash of the labels"):
        C.decompress(bytes(data))

"""Files stay readable and bytes stay the same: those in golden/ are never made again."""

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso.container import layout
from tests.golden.make import DEPTH, FOLDER, METADATA, labels, place

PATHS = sorted(FOLDER.glob("*.cps"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_golden_files_are_readable(path):
    restored = C.loads(path.read_bytes())
    assert restored.dtype == np.int64
    assert np.array_equal(restored, labels())
    with C.open(path) as array:
        assert array.metadata == METADATA


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_another_hash_of_the_labels_is_refused(path):
    """The group's head is forged, and the end's hash of it, so that only the labels' is wrong."""
    data = bytearray(path.read_bytes())
    key = layout.read_head(lambda at, size: bytes(data[at : at + size])).key
    at = data.index(layout.MARK)
    hashed = at + layout.GROUP.size
    old = data[hashed : hashed + 8]
    data[hashed - 1] ^= 1
    data[hashed : hashed + 8] = layout.CHECK.pack(xxh3_64_intdigest(data[at:hashed], key))
    end = data.index(layout.END_MARK)
    in_end = data.index(old, end)
    data[in_end : in_end + 8] = data[hashed : hashed + 8]
    data[-16:-8] = layout.CHECK.pack(xxh3_64_intdigest(data[end:-16]))
    with pytest.raises(C.DecodeError, match="hash of the labels"):
        C.loads(bytes(data))


@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer"])
def test_the_same_labels_give_the_same_bytes(encoding):
    """On every machine, unless another project's compressor is involved."""
    golden = place(1, encoding, "none").read_bytes()
    for array in (labels(), np.asfortranarray(labels()), labels().astype(">i8").astype("<i8")):
        assert C.dumps(array, encoding, "none", depth=DEPTH, metadata=METADATA) == golden

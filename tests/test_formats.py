"""Source files: one contract for the readers of all formats, and damage that none may hide."""

import random
from collections import Counter

import numpy as np
import pytest

import compresso as C
from compresso import formats
from experiments.sources import SOURCES

LABELS = np.repeat(np.arange(6 * 12 * 5, dtype=np.uint16).reshape(6, 12, 5) // 7, 4, axis=2)


def written(folder, name, labels=LABELS):
    source = SOURCES[name]
    path = folder / f"labels{source.ending}"
    source.write(path, labels)
    return path


def load(path, inner="", step=2):
    """All slices, a few at a time, as files are compressed."""
    with formats.open_volume(path, inner) as reader:
        parts = [reader.read(z, z + step) for z in range(0, reader.shape[0], step)]
        return np.concatenate(parts)


def outcome(path):
    try:
        found = load(path)
    except C.FileError as error:
        return "traceback" if "\n" in str(error) else "refused"
    return "same" if np.array_equal(found, LABELS) else "wrong"


# -- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_reads_are_clamped_as_slices_in_any_order(tmp_path, name):
    with formats.open_volume(written(tmp_path, name)) as reader:
        assert reader.shape == LABELS.shape
        assert reader.dtype == LABELS.dtype
        for start, stop in [
            (0, 99),
            (4, 6),
            (1, 3),
            (2, 2),
            (5, 3),
            (0, 1),
            (6, 9),
            (-2, 6),
            (3, -1),
        ]:
            found = reader.read(start, stop)
            assert found.dtype == LABELS.dtype
            assert np.array_equal(found, LABELS[start:stop]), (start, stop)


@pytest.mark.parametrize("name", SOURCES)
def test_int64_and_big_endian_labels(tmp_path, name):
    if name.startswith(("tif-imagej", "tif-ome", "tif-lzw")):
        pytest.skip("ImageJ and OME have no 64-bit labels")
    labels = (LABELS.astype(np.int64) - 50) << 33
    assert np.array_equal(load(written(tmp_path, name, labels)), labels)


@pytest.mark.parametrize("name", SOURCES)
def test_every_cut_is_refused(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    for size in sorted({*range(0, len(data), 41), *range(len(data) - 5, len(data))}):
        path.write_bytes(data[:size])
        # What follows the labels of a TIFF file may be a description alone.
        allowed = ("refused", "same") if name in ("tif", "tif-imagej") else ("refused",)
        assert outcome(path) in allowed, f"{size} of {len(data)}"


@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith(("npy", "nrrd", "nii"))])
def test_bytes_that_follow_are_refused(tmp_path, name):
    path = written(tmp_path, name)
    with path.open("ab") as file:
        file.write(b" 1")
    # bzip2's own program ignores them, too
    assert outcome(path) == ("same" if name == "nrrd-bz2" else "refused")


@pytest.mark.parametrize("name", [n for n in SOURCES if SOURCES[n].checked])
def test_no_flipped_bit_under_a_checksum_is_wrong(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    spans = SOURCES[name].checked(path)
    places = [at for start, stop in spans for at in range(start, stop)]
    tally = Counter()
    for at in random.Random(1).sample(places, min(len(places), 120)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        path.write_bytes(bad)
        tally[outcome(path)] += 1
    assert tally["wrong"] == 0
    assert not places or tally["refused"] > 60

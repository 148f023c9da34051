"""One contract for the readers of all formats, and damage that none may hide."""

import bz2
import errno
import gzip
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import nrrd
import numpy as np
import pytest
import tifffile

import compresso as C
from compresso import volumes
from compresso.errors import FileError
from compresso.volumes._format import reading
from compresso.volumes.volume import slices_of
from experiments.checks.corruption import SOURCES, checked
from tests.helpers.geometry import carry
from tests.helpers.memory import peak
from tests.helpers.sources import LABELS, load, outcome, written


@pytest.mark.parametrize("name", SOURCES)
def test_slices_and_boxes_are_read_in_any_order_by_any_thread(tmp_path, name):
    ranges = [(0, 99), (4, 6), (1, 3), (2, 2), (5, 3), (0, 1), (6, 9), (-2, 6), (3, -1)]
    with volumes.open(written(tmp_path, name)) as reader, ThreadPoolExecutor(6) as pool:
        assert (reader.shape, reader.dtype) == (LABELS.shape, LABELS.dtype)
        for box in [((1, 4), (3, 11), (2, 19)), reader.box, ((2, 2), (0, 1), (4, 5))]:
            found = reader.read_box(box)
            assert found.dtype == LABELS.dtype
            assert np.array_equal(found, LABELS[slices_of(box)]), box
        starts, stops = zip(*6 * ranges, strict=True)
        for order in (map, pool.map):
            parts = order(reader.read, starts, stops)
            for span, found in zip(6 * ranges, parts, strict=True):
                assert found.dtype == LABELS.dtype
                assert np.array_equal(found, LABELS[slice(*span)]), span


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


@pytest.mark.parametrize("name", [n for n, (_, sound, _) in SOURCES.items() if sound])
def test_no_flipped_bit_under_a_checksum_is_wrong(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    spans = checked(path)
    places = [at for start, stop in spans for at in range(start, stop)]
    tally = Counter()
    for at in random.Random(1).sample(places, min(len(places), 120)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        path.write_bytes(bad)
        tally[outcome(path)] += 1
    assert tally["wrong"] == 0
    assert not places or tally["refused"] > 60


def huge(folder, name):
    """A small file whose header promises 2**60 bytes of labels, or as many as it can."""
    path = written(folder, name)
    data = path.read_bytes()
    if name.startswith("npy"):
        data = data.replace(b"(6, 12, 20)", b"(6, 2**99)".replace(b"2**99", b"9" * 4 + b",9"))
    elif name.startswith("nrrd"):
        data = data.replace(b"sizes: 20 12 6", b"sizes: 1048576 1048576 1048576")
    elif name.startswith("nii"):
        raw = gzip.decompress(data) if name == "nii-gz" else data
        raw = raw[:42] + np.array([32767] * 3, "<i2").tobytes() + raw[48:]
        data = gzip.compress(raw) if name == "nii-gz" else raw
    elif name == "h5":
        data = data.replace(*(np.array([6, 12, n], "<u8").tobytes() for n in (20, 1 << 50)))
    elif name.startswith("h5"):
        data = data.replace(*(np.array([n, 12, 20], "<u8").tobytes() for n in (6, 1 << 50)))
    else:  # ImageWidth
        with tifffile.TiffFile(path) as file:
            tag = file.pages[0].tags["ImageWidth"]
        at, size = tag.valueoffset, 4 if tag.dtype == 4 else 2
        data = data[:at] + (2 ** (8 * size - 1) - 1).to_bytes(size, "little") + data[at + size :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_a_forged_shape_is_refused_before_it_is_allocated(tmp_path, name):
    load(written(tmp_path, name))  # the caches of the packages
    path = huge(tmp_path, name)

    def refuse():
        with pytest.raises(C.FileError):
            load(path)

    assert peak(refuse) < 16 << 20


def test_a_slice_that_does_not_fit_is_refused(tmp_path):
    match, path = pytest.raises(C.FileError, match="--memory"), written(tmp_path, "nrrd-gzip")
    with volumes.open(path, 1) as volume, match:
        volume.read_box(((0, 1), (0, 1), (0, 1)))


@pytest.mark.parametrize("order", "CF")
def test_npy_files_that_are_cut_while_they_are_open(tmp_path, order):
    np.save(tmp_path / "x.npy", np.zeros((40, 50, 60), "u4", order))
    with volumes.open(tmp_path / "x.npy") as reader:
        os.truncate(tmp_path / "x.npy", 1000)
        with pytest.raises(C.FileError, match=r"x\.npy: not readable as \.npy"):
            reader.read(3, 9)


def test_paths_that_are_not_files_are_refused(tmp_path):
    (tmp_path / "x.npy").mkdir()
    for name in ("x.npy", *(f"nothing{ending}" for ending in volumes.suffixes())):
        with pytest.raises(FileError, match=f"^{tmp_path / name}: "):
            load(tmp_path / name)
    for name in ("y.h5", "y.npy", "y.nrrd", "y.hdf", "y.docx"):
        for content in (b"", b"not at all", gzip.compress(b"nor this"), b"\x80\x04N."):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(FileError, match=name):
                load(tmp_path / name)
    with pytest.raises(FileError, match="one volume"):
        load(written(tmp_path, "nii"), "labels")


@pytest.mark.parametrize("name", ["nrrd-bz2", "nrrd-gzip", "nii-gz"])
def test_packed_files_are_unpacked_once_however_small_the_groups(tmp_path, name, monkeypatch):
    path = written(tmp_path, name)
    module, kind = (bz2, "BZ2File") if name == "nrrd-bz2" else (gzip, "GzipFile")
    opened = Mock(side_effect=getattr(module, kind))
    monkeypatch.setattr(module, kind, opened)
    assert np.array_equal(load(path, step=6), LABELS)
    once = opened.call_count  # NIfTI's header is packed, too
    assert np.array_equal(load(path, step=1), LABELS)
    assert opened.call_count == 2 * once


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_refusals_of_the_system_are_not_blamed_on_the_format(number):
    message = rf"^x\.h5: cannot be read \({os.strerror(number)}\)$"
    with pytest.raises(FileError, match=message), reading(Path("x.h5"), "HDF5"):
        raise OSError(number, "Unable to synchronously open file (unable to open: name = 'x.h5')")


@pytest.mark.parametrize("kind", [".nrrd", ".nii", ".h5", ".tif", ".npy"])
def test_files_without_metadata_lose_nothing(tmp_path, kind):
    source = tmp_path / f"a{kind}"
    assert volumes.write(source, volumes.of_array(LABELS)) == []
    with volumes.open(source) as volume:
        assert volume.metadata == {}
        assert not volume.lost
    for target in ("b.nrrd", "b.nii", "b.h5", "b.tif", "b.npy"):
        assert carry(source, tmp_path / target) == []


def test_only_the_given_slices_are_read(tmp_path):
    """The rest of the file is damaged, so reading it would fail."""
    labels = np.random.default_rng(0).integers(255, size=(50, 64, 64)).astype(np.uint8)
    path = tmp_path / "atlas.nrrd"
    nrrd.write(str(path), labels, {"encoding": "gzip"}, index_order="C")
    os.truncate(path, path.stat().st_size // 2)
    with volumes.open(path) as volume:
        assert np.array_equal(volume.read(0, 3), labels[:3])
        with pytest.raises(FileError, match="atlas"):
            volume.read(0, 50)

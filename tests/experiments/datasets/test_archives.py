"""Published archives, read in place; damaged ones are refused."""

import numpy as np
import pytest

import compresso as C
from experiments import datasets
from experiments.datasets import archives
from experiments.datasets.dataset import of_text
from tests.helpers.archives import ARCHIVES, LABELS, tiff_zip


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_read_in_place(tmp_path, name):
    file, write = ARCHIVES[name]
    expected = write(tmp_path / file)
    (dataset,) = datasets.parse(name, tmp_path)
    volume = dataset.load()
    assert np.array_equal(volume.labels, expected)
    assert volume.labels.dtype == expected.dtype
    assert np.array_equal(dataset.load(2).labels, expected[:2])
    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("inner", ["ac3_labels", "ac4_labels"])
def test_two_volumes_in_one_archive(tmp_path, inner):
    tiff_zip(tmp_path / "AC3AC4Package.zip", inner, pages=3)
    (dataset,) = datasets.parse(inner[:3], tmp_path)
    assert np.array_equal(dataset.load().labels, LABELS)
    with pytest.raises(C.FileError, match="AC3, AC4"):
        of_text(str(tmp_path / "AC3AC4Package.zip"), "em").load()


@pytest.mark.parametrize("name", archives.NAMES)
def test_archives_that_are_something_else(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else")
    inner = ":AC3" if name.startswith("AC3") else ""
    with pytest.raises(C.FileError, match=name):
        of_text(f"{tmp_path / name}{inner}", "em").load()


@pytest.mark.parametrize("name", sorted(ARCHIVES.keys() - {"voc2012", "pinky40"}))
def test_damaged_archives_are_refused_or_right(tmp_path, name):
    """The others have no checksum inside; that of their download is in the catalogue."""
    file, write = ARCHIVES[name]
    path = tmp_path / file
    expected = write(path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    refused = 0
    for number in range(12):
        data, at = bytearray(whole), int(random.integers(len(whole)))
        if number % 4:
            data[at] ^= 1 << int(random.integers(8))
        else:
            del data[at:]
        path.write_bytes(data)
        try:
            assert np.array_equal(of_text(str(path), "em").load().labels, expected), number
        except C.FileError as error:
            refused += file in str(error) and "\n" not in str(error)
    assert refused > 3

"""What a published file says of its place is in the file that ``fetch`` makes of it."""

import zipfile

import h5py
import numpy as np

from experiments.datasets import _fetch
from tests.helpers.geometry import LABELS, hdf5_file, itk_file


def test_resolution_and_offset_are_kept(tmp_path):
    """CREMI's attributes, as they are."""
    source = hdf5_file(tmp_path / "a.hdf", resolution=[40.0, 4.0, 4.0], offset=[1480.0, 3644, 3644])
    _fetch.convert(source, "", tmp_path / "a.h5", "https://example.org/a.hdf")
    with h5py.File(tmp_path / "a.h5") as file:
        main = file["main"]
        np.testing.assert_array_equal(main[:], LABELS)
        assert main.attrs["resolution"].tolist() == [40, 4, 4]
        assert main.attrs["offset"].tolist() == [1480, 3644, 3644]
        assert main.attrs["url"] == "https://example.org/a.hdf"
        assert len(main.attrs["labels_sha256"]) == 64


def test_an_atlas_in_its_archive_keeps_its_spacing(tmp_path):
    atlas = itk_file(tmp_path / "seg.nrrd", np.diag([1.0, -1.0, 1.0]))
    with zipfile.ZipFile(tmp_path / "knee-2016-09.zip", "w") as archive:
        archive.write(atlas, "knee/Data/seg.nrrd")
    _fetch.convert(tmp_path / "knee-2016-09.zip", "", tmp_path / "a.h5", "https://example.org")
    with h5py.File(tmp_path / "a.h5") as file:
        attributes = dict(file["main"].attrs)
    assert attributes["units"] == "nm"
    np.testing.assert_allclose(attributes["resolution"], [1.25e6, 0.5e6, 0.277340196578e6])
    np.testing.assert_allclose(attributes["offset"], [-59e6, 12.5e6, -70.860420225e6])
    assert attributes["directions"].tolist() == [[1, 0, 0], [0, -1, 0], [0, 0, 1]]
    assert attributes["world"] == "LPS"

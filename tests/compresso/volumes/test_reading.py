"""Files: the volume that is chosen, the slices that are read, and files that are refused."""

import gzip

import h5py
import nrrd
import numpy as np
import pytest

from compresso import FileError, volumes

LABELS = np.arange(4 * 5 * 6, dtype=np.uint32).reshape(4, 5, 6)


def load(text, slices=None):
    with volumes.open(str(text)) as volume:
        return volume.read(0, volume.shape[0] if slices is None else slices)


def test_a_dataset_of_an_hdf5_file_is_chosen(tmp_path):
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["g/b"], file["image"] = LABELS, LABELS + 1, LABELS.astype(float)
    assert np.array_equal(load(f"{path}:/g/b"), LABELS + 1)
    for inner in ("", ":c", ":g", ":image"):
        with pytest.raises(FileError, match=r"two\.h5"):
            load(f"{path}{inner}")
    with h5py.File(path, "w") as file:
        file["main"], file["other"] = LABELS, LABELS * 2
    assert np.array_equal(load(path), LABELS)


@pytest.mark.parametrize(
    "data", ["../secret.raw", "{outside}/secret.raw", "LIST", "link/secret.raw"]
)
def test_nrrd_headers_cannot_name_files_of_other_folders(tmp_path, data):
    outside, inside = tmp_path, tmp_path / "mine"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    for folder in (outside, inside):
        (folder / "secret.raw").write_bytes(LABELS.tobytes())
    header = (
        "NRRD0004\ntype: uint32\ndimension: 3\nsizes: 6 5 4\nencoding: raw\nendian: little\n"
        "data file: {}\n\n"
    )
    path = inside / "atlas.nhdr"
    path.write_text(header.format("secret.raw"))
    assert np.array_equal(load(path), LABELS)
    path.write_text(header.format(data.format(outside=outside)))
    with pytest.raises(FileError):
        load(path)


def test_only_the_given_slices_are_read(tmp_path):
    """The rest of the file is damaged, so reading it would fail."""
    random = np.random.default_rng(0).integers(255, size=(50, 64, 64)).astype(np.uint8)
    path = tmp_path / "atlas.nrrd"
    nrrd.write(str(path), random, {"encoding": "gzip"}, index_order="C")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    h5 = tmp_path / "stack.h5"
    with h5py.File(h5, "w") as file:
        options = {"chunks": (1, 64, 64), "compression": "gzip"}
        chunked = file.create_dataset("main", data=random, **options)
        at = chunked.id.get_chunk_info(40)
    damaged = bytearray(h5.read_bytes())
    damaged[at.byte_offset : at.byte_offset + at.size] = bytes(at.size)
    h5.write_bytes(damaged)
    for file, slices in ((path, 3), (h5, 40)):
        assert np.array_equal(load(file, slices), random[:slices])
        with pytest.raises(FileError, match=file.name):
            load(file)


@pytest.mark.parametrize("name", ["x.h5", "x.npy", "x.nrrd", "x.hdf", "x.docx"])
def test_files_that_are_something_else(tmp_path, name):
    path = tmp_path / name
    for content in (b"", b"not at all", gzip.compress(b"nor this")):
        path.write_bytes(content)
        with pytest.raises(FileError, match=name):
            load(path)

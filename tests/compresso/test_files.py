"""Files of label volumes to compressed files and back."""

import h5py
import numpy as np
import pytest

import compresso as C
from compresso import files, volumes
from compresso.parallel import in_order
from tests.helpers.program import invoke, one_line

LABELS = np.arange(2 * 5 * 6, dtype=np.uint16).reshape(2, 5, 6) // 7
FORMATS = ["npy", "h5", "nrrd", "tif", "nii", "nii.gz"]


@pytest.fixture
def folder(tmp_path):
    """A volume, and a compressed file of it."""
    np.save(tmp_path / "in.npy", LABELS)
    (tmp_path / "in.cps").write_bytes(C.dumps(LABELS, "none", "zlib", depth=1))
    return tmp_path


def read(path):
    with volumes.open(path) as volume:
        return volume.read(0, volume.shape[0])


def test_files(tmp_path, phantom):
    labels = (phantom % 200).astype(np.int64) - 100
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["labels"] = file["other"] = labels
    source, target = f"{tmp_path / 'in.h5'}:/labels", tmp_path / "x.cps"
    done = files.compress_file(source, target, "compresso", "zstd", memory=2 << 20)
    assert (done.description.shape, done.dtype) == (labels.shape, labels.dtype)
    assert done.size == target.stat().st_size
    assert done.description.depth == 5  # 2 MB / (26 bytes per voxel)
    assert files.verify_file(target) == done
    for form in FORMATS:
        files.decompress_file(target, tmp_path / f"back.{form}")
        back = read(tmp_path / f"back.{form}")
        assert back.dtype == labels.dtype
        assert np.array_equal(back, labels)
    files.decompress_file(target, tmp_path / "part.npy", (6, 8))
    assert np.array_equal(np.load(tmp_path / "part.npy"), labels[6:8])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 3, 70), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [np.uint64, np.int16, bool, ">u2"])
def test_every_format_restores_or_refuses(tmp_path, form, shape, dtype):
    labels = np.full(shape, 1 if dtype is bool else np.iinfo(dtype).max, dtype)
    labels.reshape(-1)[::2] = 0
    source, target = tmp_path / "x.cps", tmp_path / f"back.{form}"
    source.write_bytes(C.dumps(labels, "none", "zlib", depth=2))
    if form not in ("npy", "h5") and (0 in shape or (dtype is bool and form != "tif")):
        with pytest.raises(C.FileError, match=r"\.h5 or \.npy file"):
            files.decompress_file(source, target)
        assert not target.exists()
        return
    files.decompress_file(source, target)
    assert np.array_equal(read(target), labels)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (3, 0), (1, 3, 4)])
def test_arrays_of_one_and_two_dimensions_come_back_as_they_were(tmp_path, shape):
    """In formats that have them; a change is reported."""
    labels = np.arange(np.prod(shape)).reshape(shape).astype(np.int64)
    (tmp_path / "x.cps").write_bytes(C.dumps(labels))
    for form in ("npy", "h5"):
        assert not files.decompress_file(tmp_path / "x.cps", tmp_path / f"x.{form}").notes
    with h5py.File(tmp_path / "x.h5") as file:
        for back in (file["main"][()], np.load(tmp_path / "x.npy")):
            assert (back.shape, back.dtype) == (shape, labels.dtype)
            assert np.array_equal(back, labels)
    if shape == (3, 4):
        for form, slices in (("nrrd", (0, None)), ("tif", (0, 1))):
            target = tmp_path / f"part.{form}"
            done = files.decompress_file(tmp_path / "x.cps", target, slices)
            assert done.notes == (f"{target}: array of shape (3, 4) written as (1, 3, 4)",)
            assert np.array_equal(read(target), labels[None])


@pytest.mark.parametrize("slices", [(5, 2), (2, None), (2, 9), (1, 1), (-1, 1)])
def test_slices_outside_the_volume_are_refused(folder, slices):
    text = f"slices {slices[0]}:{'' if slices[1] is None else slices[1]} are out of range"
    with pytest.raises(C.FileError, match=text):
        files.decompress_file(folder / "in.cps", folder / "t.npy", slices)
    assert not (folder / "t.npy").exists()
    (note,) = files.decompress_file(folder / "in.cps", folder / "t.npy", (1, 9)).notes
    assert np.array_equal(np.load(folder / "t.npy"), LABELS[1:])
    assert "only 1:2 exist" in note


@pytest.mark.parametrize("where", ["head", "group", "end", "after"])
def test_damage_is_refused_or_salvaged(folder, where):
    data = bytearray((folder / "in.cps").read_bytes())
    at = {"head": 20, "group": data.index(b"GRP\0\1") + 50, "end": -40, "after": 0}[where]
    if where == "after":
        data += b"more"
    else:
        data[at] ^= 1
    (folder / "x.cps").write_bytes(data)
    for command in ("info", "verify"):
        if (command, where) != ("info", "group"):  # which decodes nothing
            assert f"{folder / 'x.cps'}: " in invoke(command, folder / "x.cps", code=1).output
    words = ["decompress", folder / "x.cps", folder / "t.npy"]
    one_line(invoke(*words, code=1), f"{folder / 'x.cps'}: ")
    assert not (folder / "t.npy").exists()
    done = invoke(*words, "--salvage", code=1)
    one_line(done, f"{folder / 'x.cps'}: ")
    assert ("1 of 2 slices lost" in done.stdout) == (where == "group")
    expected = LABELS.copy()
    if where == "group":
        expected[1] = 0
    assert np.array_equal(np.load(folder / "t.npy"), expected)


def test_salvage_reports_that_nothing_is_left(tmp_path):
    data = bytearray(C.dumps(LABELS, "none", "zlib", depth=2))
    data[data.index(b"GRP\0\0") + 50] ^= 1
    (tmp_path / "x.cps").write_bytes(data)
    done = invoke("decompress", tmp_path / "x.cps", tmp_path / "t.npy", "--salvage", code=1)
    assert "nothing could be recovered: all 2 slices are 0" in done.stdout
    assert not np.load(tmp_path / "t.npy").any()


def test_labels_are_integers(folder):
    np.save(folder / "f.npy", LABELS.astype(float))
    with pytest.raises(C.FileError, match="float64"):
        files.compress_file(str(folder / "f.npy"), folder / "t.cps")


@pytest.mark.parametrize(("free", "expected"), [(3, 3), (0, 1), (1 << 20, 8)])
def test_groups_at_work_fit_a_quarter_of_the_free_memory(tmp_path, monkeypatch, free, expected):
    """Without --memory, which would also change the bytes."""
    np.save(tmp_path / "in.npy", np.zeros((8, 64, 64), np.uint8))
    monkeypatch.setattr("compresso.container.description.GROUP_VOXELS", 64 * 64)
    monkeypatch.setattr(volumes, "available", lambda: free * 4 * 32 * 64 * 64)
    at_once = []

    def counted(function, items, threads):
        items = list(items)
        at_once.extend([threads] * (len(items) > 1))  # each group is also read on its own
        yield from in_order(function, items, threads)

    for module in ("writer", "reader"):
        monkeypatch.setattr(f"compresso.container.{module}.in_order", counted)
    source, target = str(tmp_path / "in.npy"), tmp_path / "t.cps"
    for work in (
        lambda: files.compress_file(source, target, "none", threads=9),
        lambda: files.verify_file(target, threads=9),
        lambda: files.decompress_file(target, tmp_path / "t.npy", threads=9),
    ):
        at_once.clear()
        work()
        assert max(at_once) == expected

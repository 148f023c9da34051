"""Names of sources: endings in any case, inner paths, and hints that can be pasted."""

import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import compresso as C
from compresso import volumes
from compresso.volumes import _format
from experiments import datasets
from tests.helpers import program
from tests.helpers import stores as depots
from tests.helpers.sources import LABELS, load, run


def two_datasets(path):
    with h5py.File(path, "w") as file:
        file["my labels"], file["b"] = LABELS, LABELS + 1
    return path


def two_series(path):
    with tifffile.TiffWriter(path) as file:
        for labels in (LABELS, LABELS[:, :2] + 1):
            file.write(labels, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


def test_every_ending_splits_in_any_case():
    for ending in (*volumes.suffixes(), *map(str.upper, volumes.suffixes())):
        path = f"a/seg{ending}"
        assert volumes.split_source(f"{path}:/x/y:z") == (Path(path), "/x/y:z")
        assert volumes.split_source(path) == (Path(path), "")


def test_an_existing_name_is_a_file_whatever_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("old.h5:x.h5", "pipe"):
        Path(name).touch()
    for text, path, inner in (
        *(("old.h5:x.h5", "old.h5:x.h5", ""), ("old.h5:x.h5:/b", "old.h5", "x.h5:/b")),
        ("pipe:/b", "pipe", "/b"),
    ):
        assert volumes.split_source(text) == (Path(path), inner)


@pytest.mark.parametrize(
    "text", ["s.zarr", "zarr://s.zarr", "zarr://file://s.zarr", "s.zarr|zarr3:"]
)
def test_an_absolute_name_means_the_same_elsewhere(tmp_path, monkeypatch, text):
    folder = tmp_path / "a"
    folder.mkdir()
    depots.zarr_array(folder / "s.zarr", LABELS)
    monkeypatch.chdir(folder)
    absolute = volumes.absolute(text)
    monkeypatch.chdir(tmp_path)
    depots.same(absolute, LABELS)
    for remote in ("gs://bucket/s.zarr", "zarr://gs://bucket/s|gzip:"):
        assert volumes.absolute(remote) == remote


def test_the_free_memory_is_that_of_a_container(tmp_path, monkeypatch):
    monkeypatch.setattr(_format, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("800\n")
    (tmp_path / "memory.current").write_text("600\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 70\n")
    assert volumes.available() == 270


@pytest.mark.parametrize("name", ["SEG.H5:/b", "Seg.Hdf5:/b", "SEG.TIF:1", "SEG.TIFF:1"])
def test_capital_endings(tmp_path, name):
    path = name.partition(":")[0]
    (two_series if "TIF" in name else two_datasets)(tmp_path / path)
    expected = LABELS[:, :2] + 1 if "TIF" in name else LABELS + 1
    run("compress", tmp_path / name, tmp_path / "a.cps")
    assert np.array_equal(C.loads((tmp_path / "a.cps").read_bytes()), expected)
    (found,) = datasets.parse(str(tmp_path / name), tmp_path)
    assert np.array_equal(found.load().labels, expected)
    for target in ("A.NPY", "A.NII.GZ"):
        run("decompress", tmp_path / "a.cps", tmp_path / target)
        assert np.array_equal(load(tmp_path / target), expected)
    run("convert", tmp_path / name, tmp_path / "A.ZARR", "--chunks", "8x8x8")
    for text in (tmp_path / "A.ZARR", f"file://{tmp_path}/A.ZARR"):
        depots.same(text, expected)


@pytest.mark.parametrize("inner", ["", ":/wrong"])
@pytest.mark.parametrize(("write", "name"), [(two_datasets, "A.H5"), (two_series, "A.TIF")])
def test_the_name_in_a_hint_works(tmp_path, write, name, inner):
    (tmp_path / "my files").mkdir()
    path = write(tmp_path / "my files" / name)
    error = run("compress", f"{path}{inner}", tmp_path / "a.cps", code=1).stderr
    (name,) = shlex.split(error.rpartition("e.g. ")[2])
    run("compress", name, tmp_path / "a.cps")


def test_the_name_in_a_hint_works_for_pipes(tmp_path):
    data = two_datasets(tmp_path / "a.h5").read_bytes()
    words = [tmp_path / "a.cps", "--format", "h5"]
    error = program.run("compress", "-", *words, input=data, code=1).stderr.decode()
    (name,) = shlex.split(error.rpartition("e.g. ")[2])
    program.run("compress", name, *words, input=data)
    assert np.array_equal(C.loads((tmp_path / "a.cps").read_bytes()), LABELS + 1)


@pytest.mark.parametrize("form", ["npy", "h5", "nii.gz", "nrrd", "tif"])
@pytest.mark.parametrize("name", ["a.dat", "a.npy", "a.nii.gz"])
def test_the_format_of_a_file_can_be_named(tmp_path, form, name):
    """Its own ending may be unknown, or that of another format."""
    (tmp_path / "a.cps").write_bytes(C.dumps(LABELS))
    words = ["--format", form, "--force"]
    run("decompress", tmp_path / "a.cps", tmp_path / name, *words)
    run("compress", tmp_path / name, tmp_path / "b.cps", *words)
    assert np.array_equal(C.loads((tmp_path / "b.cps").read_bytes()), LABELS)
    if name == "a.dat":
        error = run("compress", tmp_path / name, tmp_path / "c.cps", code=1).stderr
        assert "--format npy" in error
        assert "--format" not in run("convert", tmp_path / name, tmp_path / "c", code=1).stderr

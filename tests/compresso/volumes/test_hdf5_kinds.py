"""HDF5 files of many kinds: filters of other packages, enums, attributes of every type."""

import sys

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import compresso as C
from compresso import volumes
from compresso.__main__ import main

LABELS = (np.arange(6 * 20 * 24).reshape(6, 20, 24) // 7).astype(np.uint32)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def load(path):
    with volumes.open_file(path) as volume:
        return volume.read(0, volume.shape[0])


@pytest.mark.parametrize("name", ["Blosc", "Blosc2", "BZip2", "LZ4", "Zstd", "Bitshuffle"])
def test_filters_of_hdf5plugin(tmp_path, name):
    plugin = pytest.importorskip("hdf5plugin", reason="needs the package hdf5plugin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        how = getattr(plugin, name)()
        file.create_dataset("labels", data=LABELS, chunks=(2, 10, 12), compression=how)
    assert np.array_equal(load(tmp_path / "a.h5"), LABELS)


def unknown_filter(path, code):
    """A file whose chunks claim a filter, and are stored without it."""
    with h5py.File(path, "w") as file:
        main = file.create_dataset("main", data=LABELS, chunks=LABELS.shape, compression="gzip")
        main.id.write_direct_chunk((0, 0, 0), LABELS.tobytes(), 1)
    data = path.read_bytes()
    at = data.index(b"deflate\0") - 8  # the filter's number, then three numbers of 16 bits
    assert data[at : at + 2] == b"\1\0"
    path.write_bytes(data[:at] + code.to_bytes(2, "little") + data[at + 2 :])


@pytest.mark.parametrize("code", [32001, 32008, 32015])
def test_without_the_package_its_name_is_given(tmp_path, monkeypatch, code):
    unknown_filter(tmp_path / "a.h5", code)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code < 256)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    done = run("compress", tmp_path / "a.h5", tmp_path / "a.cps")
    assert done.exit_code == 1
    assert "pip install hdf5plugin" in done.stderr
    assert str(code) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_filters_that_no_package_has(tmp_path):
    pytest.importorskip("hdf5plugin", reason="needs the package hdf5plugin")
    unknown_filter(tmp_path / "a.h5", 511)
    with pytest.raises(C.FileError, match="511"):
        load(tmp_path / "a.h5")


# -- what is beside the labels --------------------------------------------------------------------


def test_enum_names_are_reported(tmp_path):
    names = h5py.enum_dtype({f"tissue{n}": n for n in range(40)}, basetype="u1")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("labels", data=LABELS % 40, dtype=names)
    done = run("compress", tmp_path / "a.h5", tmp_path / "a.cps")
    assert done.exit_code == 0
    assert "enum" in done.stderr
    assert np.array_equal(C.loads((tmp_path / "a.cps").read_bytes()), LABELS % 40)


ATTRIBUTES = {
    "int": np.arange(3),
    "large": np.uint64(2**64 - 1),
    "half": np.float16(1.5),
    "long": np.longdouble(1.5),
    "nan": np.nan,
    "complex": 1 + 2j,
    "bool": True,
    "bools": np.array([True, False]),
    "text": "héllo",
    "texts": np.array(["a", "b"], dtype=h5py.string_dtype()),
    "bytes": np.bytes_(b"abc"),
    "opaque": np.void(b"123"),
    "compound": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "empty": h5py.Empty("f4"),
    "nothing": np.zeros((0, 3)),
    "big": np.zeros(6000),
}


def test_every_attribute_is_kept_or_reported(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        labels = file.create_dataset("volumes/labels/ids", data=LABELS)
        for name, value in ATTRIBUTES.items():
            labels.attrs[name] = value
        labels.attrs["reference"] = labels.ref
        labels.attrs["references"] = np.array([labels.ref], dtype=h5py.ref_dtype)
        labels.attrs.create("enum", 1, dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i4"))
        labels.dims[0].label = "z"
        file.create_dataset("scale", data=[1.0, 2.0]).make_scale("z")
        labels.dims[0].attach_scale(file["scale"])
        names = set(labels.attrs)
        file.attrs["of the file"] = file["volumes"].attrs["of the group"] = 1
    with volumes.open_file(tmp_path / "a.h5", "volumes/labels/ids") as volume:
        kept, lost = set(volume.metadata["hdf5"]), " ".join(volume.lost)
        volumes.writer(tmp_path / "b.h5")(
            tmp_path / "b.h5", volume.shape, volume.dtype, [LABELS], volume.metadata
        )
    refused = {"long", "complex", "opaque", "compound", "empty", "nothing", "big"}
    assert {*ATTRIBUTES} - kept == refused
    for name in {*names - kept, "of the file", "of the group", "enum values of enum"}:
        assert name in lost
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5") as new:
        for name in kept:
            was, now = old["volumes/labels/ids"].attrs[name], new["main"].attrs[name]
            assert np.array_equal(was, now, equal_nan=name == "nan"), name
            assert np.asarray(was).dtype == np.asarray(now).dtype

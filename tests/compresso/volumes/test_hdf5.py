"""HDF5: links, chunks, filters and attributes."""

import sys
import zlib
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK

import compresso as C
from compresso import volumes
from tests.helpers.geometry import carry, hdf5_file
from tests.helpers.sources import LABELS, load, outcome, run


def test_hdf5_soft_links_inside_the_file_are_followed(tmp_path):
    soft = {"volumes/near": "labels/ids", "far": "/volumes/./near", "group": "volumes/labels"}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["volumes/labels/ids"] = LABELS
        for name, target in (soft | {"nowhere": "/not/here"}).items():
            file[name] = h5py.SoftLink(target)
    for inner in ("far", "volumes/near", "group/ids", "/group//ids", "volumes/labels/ids"):
        assert np.array_equal(load(tmp_path / "x.h5", inner), LABELS)
    for inner in ("nowhere", "group", "group/ids/more", "group/no", "nowhere/more"):
        with pytest.raises(C.FileError, match=r": /volumes/labels/ids"):
            load(tmp_path / "x.h5", inner)


def test_hdf5_is_never_led_to_another_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.full((6, 12, 20), 7, np.uint16).tofile("x.bin")
    with h5py.File("other.h5", "w") as file:
        file["main"] = file["group/main"] = LABELS
    layout = h5py.VirtualLayout(LABELS.shape, LABELS.dtype)
    layout[...] = h5py.VirtualSource("other.h5", "main", LABELS.shape)
    soft = {"soft": "/out", "softer": "soft", "softgroup": "/outgroup", "softvirtual": "/virtual"}
    soft |= {"inside/soft": "/softgroup/main", "first": "/second", "second": "/first"}
    with h5py.File("x.h5", "w") as file:
        file["out"] = h5py.ExternalLink("other.h5", "/main")
        file["outgroup"] = h5py.ExternalLink("other.h5", "/group")
        for name, target in soft.items():
            file[name] = h5py.SoftLink(target)
        file.create_virtual_dataset("virtual", layout)
        outside = [("x.bin", 0, LABELS.nbytes)]
        file.create_dataset("bytes", LABELS.shape, LABELS.dtype, external=outside)
    names = ["out", "soft", "softer", "outgroup/main", "softgroup/main", "inside/soft"]
    for inner in [*names, "virtual", "softvirtual", "bytes"]:
        with pytest.raises(C.FileError, match=r"another file|other files"):
            load(Path("x.h5"), inner)
    for inner in ("first", "second", "first/main"):
        with pytest.raises(C.FileError, match="16"):
            load(Path("x.h5"), inner)


def test_hdf5_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        main = file.create_dataset(
            "main", LABELS.shape, LABELS.dtype, chunks=(2, 5, 20), fillvalue=9, compression="gzip"
        )
        main[2:4, :5] = LABELS[2:4, :5]
    expected = np.full_like(LABELS, 9)
    expected[2:4, :5] = LABELS[2:4, :5]
    assert np.array_equal(load(tmp_path / "x.h5"), expected)


def test_hdf5_tables_of_chunks_are_checked(tmp_path):
    """HDF5 itself reads past the end of a chunk that its table calls unpacked."""
    path = tmp_path / "x.h5"
    for chunk, at, skipped in [
        (LABELS[2].tobytes()[:50], (2, 0, 0), 1),
        (zlib.compress(LABELS[2].tobytes()), (2, 0, 0), 0),
    ]:
        with h5py.File(path, "w") as file:
            main = file.create_dataset("main", data=LABELS, chunks=(1, 12, 20), compression="gzip")
            main.id.write_direct_chunk(at, chunk, skipped)
        assert outcome(path) == ("refused" if skipped else "same")
    data = path.read_bytes()
    for seven in (1, 3, 9):  # the key of the chunk at z=5 in the table is another's, or outside
        keys = [np.array([z, 0, 0, 0], "<u8").tobytes() for z in (5, seven)]
        assert data.count(keys[0]) == 1
        path.write_bytes(data.replace(*keys))
        assert outcome(path) == "refused"


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


@pytest.mark.parametrize("plugin", [True, False])
def test_unknown_filters_are_named(tmp_path, monkeypatch, plugin):
    unknown_filter(tmp_path / "a.h5", 511 if plugin else 32015)
    if plugin:
        pytest.importorskip("hdf5plugin", reason="needs the package hdf5plugin")
    else:
        monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code < 256)
        monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    error = run("compress", tmp_path / "a.h5", tmp_path / "a.cps", code=1).stderr
    assert ("511" if plugin else "pip install hdf5plugin") in error
    assert error.count("\n") == 1


ATTRIBUTES = {
    **{"int": np.arange(3), "large": np.uint64(2**64 - 1), "half": np.float16(1.5), "nan": np.nan},
    **{"long": np.longdouble(1.5), "complex": 1 + 2j, "bool": True, "bools": np.eye(2) > 0},
    **{"text": "héllo", "bytes": np.bytes_(b"abc"), "opaque": np.void(b"123")},
    "texts": np.array(["a", "b"], dtype=h5py.string_dtype()),
    "compound": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    **{"empty": h5py.Empty("f4"), "nothing": np.zeros((0, 3)), "big": np.zeros(6000)},
}


def test_every_attribute_is_kept_or_reported(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        labels = file.create_dataset("volumes/labels/ids", data=LABELS)
        for name, value in ATTRIBUTES.items():
            labels.attrs[name] = value
        labels.attrs["reference"] = labels.ref
        labels.attrs["references"] = np.array([labels.ref], dtype=h5py.ref_dtype)
        labels.attrs.create("enum", 1, dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i4"))
        labels.attrs[b"caf\xe9"] = 1  # not UTF-8
        labels.dims[0].label = "z"
        file.create_dataset("scale", data=[1.0, 2.0]).make_scale("z")
        labels.dims[0].attach_scale(file["scale"])
        names = {n.decode("latin-1") if isinstance(n, bytes) else n for n in labels.attrs}
    with volumes.open(f"{tmp_path}/a.h5:volumes/labels/ids") as volume:
        kept, lost = set(volume.metadata["hdf5"]), " ".join(volume.lost)
        volumes.write(tmp_path / "b.h5", volume)
    refused = {"long", "complex", "opaque", "compound", "empty", "nothing", "big"}
    assert {*ATTRIBUTES} - kept == refused
    assert all(name in lost for name in names - kept)
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5") as new:
        for name in kept:
            was, now = old["volumes/labels/ids"].attrs[name], new["main"].attrs[name]
            assert np.array_equal(was, now, equal_nan=name == "nan"), name
            assert np.asarray(was).dtype == np.asarray(now).dtype


def test_enum_names_are_reported(tmp_path):
    names = h5py.enum_dtype({f"tissue{n}": n for n in range(40)}, basetype="u1")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("labels", data=LABELS % 40, dtype=names)
    assert "enum" in run("compress", tmp_path / "a.h5", tmp_path / "a.cps").stderr
    assert np.array_equal(C.loads((tmp_path / "a.cps").read_bytes()), LABELS % 40)


def test_cremis_resolution_and_offset_are_positions(tmp_path):
    """z, y, x in an unknown unit; NIfTI's numbers are the same, in the world ITK would take."""
    said = {"resolution": [40.0, 4.0, 2.0], "offset": [400.0, 80.0, 10.0]}
    carry(hdf5_file(tmp_path / "a.h5", **said), tmp_path / "a.nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "a.nrrd"))
    assert (image.GetSpacing(), image.GetOrigin()) == ((2, 4, 40), (10, 80, 400))
    carry(tmp_path / "a.nrrd", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert {name: value.tolist() for name, value in file["main"].attrs.items()} == said


def test_ilastiks_element_size_is_in_micrometres(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", element_size_um=[2.0, 0.5, 0.25])
    carry(source, tmp_path / "a.nii")
    assert nib.load(tmp_path / "a.nii").header.get_zooms() == (0.25, 0.5, 2)


@pytest.mark.parametrize(
    ("held", "inner", "expected"),
    [
        ({"a": 1, "g/b": 2, "image": 0.5}, "/g/b", 2),
        *(({"a": 1, "g/b": 2, "image": 0.5}, inner, r"a\.h5") for inner in ("", "c", "g", "image")),
        ({"main": 1, "other": 2}, "", 1),
        ({"image": 0.5}, "", "/image is float64"),
    ],
)
def test_a_dataset_is_chosen(tmp_path, held, inner, expected):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, factor in held.items():
            file[name] = LABELS * factor
    if isinstance(expected, int):
        assert np.array_equal(load(tmp_path / "a.h5", inner), LABELS * expected)
    else:
        with pytest.raises(C.FileError, match=expected):
            load(tmp_path / "a.h5", inner)


def test_the_dataset_with_the_most_axes_is_chosen(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ids"], file["table"] = np.arange(5), np.ones((5, 2), int)
        file.create_dataset("labels", data=LABELS[None, ..., None], chunks=(1, 2, 3, 4, 1))
    with volumes.open(tmp_path / "a.h5") as volume:
        assert volume.shape == LABELS.shape
        assert volume.chunk == (2, 3, 4)

"""Whatever a file or a frame says beside its labels, the labels come through."""

import json
from copy import deepcopy

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compresso import volumes
from compresso.errors import FileError
from compresso.volumes import _metadata, nifti, tiff
from compresso.volumes import nrrd as nrrd_format
from compresso.volumes._metadata import Geometry
from tests.helpers.geometry import (
    LABELS,
    carry,
    nrrd_file,
)


@pytest.mark.parametrize(
    "lines",
    [
        ["space: LPS", "space directions: (nan,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)"],
        ["space: LPS", "space directions: (0,0,0) (0,1,0) (0,0,1)"],
        ["space: LPS", "space directions: (1e300,0,0) (0,1e-300,0) (0,0,1)"],
        ["spacings: nan nan nan", 'units: "mm" "" ""'],
        ["spacings: 0 -1 inf", "axis mins: nan 0 1e999"],
        ["space directions: (1,0,0) (0,1,0) (0,0,1)"],
        ["space: LPS", "space directions: (1,0,0) (1,0,0) (0,0,1)", "space origin: (1,2,3)"],
        ["k" * 9999 + ":=" + "v" * 200_000],
        [b"\x80\xff:=\x00\x1b[0m\r", b"content: \xc3\x28"],
        ["kinds: domain", "content:", "labels: unquoted \\"],
    ],
)
@pytest.mark.parametrize("target", [".nrrd", ".nii", ".h5", ".tif"])
def test_absurd_nrrd_headers_do_no_harm(tmp_path, lines, target):
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    carry(source, tmp_path / f"b{target}")


@pytest.mark.parametrize(
    "fields",
    [
        {"sform_code": 1, "srow_x": [np.nan, 0, 0, 0]},
        {"sform_code": 77, "srow_x": [np.inf] * 4},
        {"sform_code": 2},
        {"qform_code": 1, "quatern_b": 9, "quatern_c": 9},
        {"qform_code": 1, "pixdim": [7, 0, -1, np.nan, 1, 1, 1, 1]},
        {"pixdim": [1, 3e38, 1e-45, 1, 1, 1, 1, 1], "xyzt_units": 255},
        {"descrip": bytes(range(1, 81)), "intent_name": b"\xff" * 16},
    ],
)
@pytest.mark.parametrize("target", [".nrrd", ".nii", ".h5", ".tif"])
def test_absurd_nifti_headers_do_no_harm(tmp_path, fields, target):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint16)
    header.set_data_shape(LABELS.shape[::-1])
    header["vox_offset"] = 352
    for name, value in fields.items():
        header[name] = value
    raw = header.binaryblock + bytes(4) + LABELS.tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    carry(tmp_path / "a.nii", tmp_path / f"b{target}")
    if target == ".nii":
        nib.load(tmp_path / "b.nii")  # which refuses some of these


PLACE = Geometry(((0.0, 0.0, 3.0), (0.0, -2.0, 0.0), (1.0, 0.5, 0.0)), (1, 2, 3), "RAS", "um")
VALID = {
    "geometry": PLACE.to_json(),
    "nrrd": {"space": "RAS", "kinds": "domain domain domain", "custom": {"Field": "value"}}
    | {"keys": {"a key": "value", "Segment0_Extent": "0 1 2 3 4 5"}}
    | {"space directions": "(1,0,0) (0,1,0) (0,0,1)", "spacings": "1 2 3", "content": "x"},
    "nifti": {"sform_code": 2, "qform_code": 1, "quatern_b": 0.5, "xyzt_units": 3, "descrip": "x"}
    | {"pixdim": [1.0] * 8, "srow_x": [1.0, 0.0, 0.0, 9.0]}
    | {"extensions": [[6, "text"], [4, "x", 64]], "sizeof_hdr": 540, "qform": "differs"},
    "hdf5": {
        "resolution": {"dtype": "<f8", "value": [40, 4, 4]},
        "offset": {"dtype": "<i8", "value": [1, 2, 3]},
        "directions": {"dtype": "<f4", "value": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
        "word": {"dtype": "|S3", "value": "abc"},
        "words": {"dtype": "utf-8", "value": ["a", "b"]},
    },
    "tiff": {
        **{"XResolution": [2, 3], "YResolution": [2, 3], "ResolutionUnit": 2},
        **{"Orientation": 4, "ColorMap": [[0, 1], [2, 3], [4, 65535]], "Software": "x"},
        **{"shaped": [["name", "x"], ["more", {"a": 1}]]},
        "IJMetadata": {
            **{"Labels": ["a", "b"], "Info": "x", "Properties": {"a": "b"}, "Ranges": [0.0, 9.0]},
            "LUTs": [[[7] * 256] * 3],
        },
    },
}
IMAGEJ = {"imagej": {"unit": "um", "spacing": "3", "zorigin": "1"}}
OME = {"ome": {"PhysicalSizeX": "0.1", "PhysicalSizeXUnit": "nm", "PhysicalSizeZ": "3"}}
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [10**400, -1, 2**63, 1e300, 5e-324, "nan", "1", "a\nb", "\0", "\ud800", "x" * 5000]
    )
    | st.sampled_from([[], {}, [[]], [1, 2, 3], ["1", "2", "3"], {"value": 1}, [[[1]] * 3] * 3])
    | st.sampled_from(["<f8", ">i8", "|S5", "ascii", "<f3", "<U3", "LPS", "mm", "none none none"])
)


def places(value, at=()):
    """Where each value inside of a JSON value is."""
    inside = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else inside:
        yield (*at, key)
        yield from places(item, (*at, key))


@st.composite
def hostile(draw):
    """Metadata of which some values, names or objects are something else."""
    metadata = deepcopy(VALID)
    about = draw(st.sampled_from([{}, IMAGEJ, OME, {"ImageDescription": "text"}]))
    metadata["tiff"] |= deepcopy(about)
    chosen = {"geometry", draw(st.sampled_from(["nrrd", "nifti", "hdf5", "tiff"]))}
    chosen -= draw(st.sampled_from([set(), {"geometry"}]))
    metadata = {name: value for name, value in metadata.items() if name in chosen}
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(metadata))
        if found:
            *parents, name = draw(st.sampled_from(found))
            part = metadata
            for parent in parents:
                part = part[parent]
            if isinstance(part, dict) and draw(st.booleans()):
                name = draw(st.sampled_from(["\n", "\0", "\ud800", "", "data file", "units", name]))
            part[name] = deepcopy(draw(ODD))
    return json.loads(json.dumps(metadata))


@settings(max_examples=150)
@example({"tiff": {"XResolution": [2, 0], "YResolution": [3, 1]}})
@example({"nrrd": {"keys": {"a key": "value", "data file": "0", "DataFile": ""}}})
@example({"geometry": PLACE.to_json(), "nifti": {"sform_code": -1}})
@example({"geometry": PLACE.to_json(), "hdf5": {"directions": {"value": [[10**400]]}}})
@given(hostile())
def test_frames_of_anybody_write_files_that_are_read(tmp_path_factory, metadata):
    """Whatever JSON a frame has, the labels are written, and what is written is read again."""
    folder = tmp_path_factory.mktemp("hostile")
    for kind in (".nrrd", ".nii", ".h5", ".tif", ".npy"):
        path = folder / f"a{kind}"
        moved = volumes.sliced(metadata, 3, 9, 9)
        lost = volumes.writer(path)(path, LABELS.shape, LABELS.dtype, [LABELS], moved)
        lines = _metadata.report_lost(path, lost)
        assert all(isinstance(line, str) and line.isprintable() for line in lines)
        with volumes.open_file(path) as volume:
            np.testing.assert_array_equal(volume.read(0, 7), LABELS)
            json.dumps(volume.metadata, allow_nan=False).encode()
    nib.load(folder / "a.nii")
    nrrd.read_header(str(folder / "a.nrrd"))


def test_no_line_of_a_frame_becomes_another_field(tmp_path):
    evil = {"content": "x\ndata file: /etc/passwd", "data file": "/etc/passwd", "sizes": "9 9 9"}
    keys = {"a\ndata file: /etc/passwd": "1", "b": "2\r\ndata file: /etc/passwd", "sizes": "3"}
    magic, lines, lost = nrrd_format.header_lines({"nrrd": evil | {"keys": keys}})
    assert (magic, lines) == ("NRRD0004", [])
    assert len(lost) == 6
    fields = {"imagej": {"unit": "mm\nimages=5", "slices": "9"}, "ome": {}}
    _, first, _ = tiff.tags({"tiff": {"imagej": fields["imagej"]}}, (1, 2, 3), np.dtype("u1"))
    assert b"images=5" not in first["description"]
    assert b"slices=1\n" in first["description"]


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=12))
def test_any_nrrd_header_comes_back_as_it_was_understood(lines):
    header = b"NRRD0005\n" + b"\n".join(lines) + b"\n"
    metadata, _ = nrrd_format.read_metadata(header)
    metadata = json.loads(json.dumps(metadata, allow_nan=False))
    magic, again, lost = nrrd_format.header_lines(metadata)
    assert lost == []
    text = "\n".join([magic, *again]).encode("latin-1")
    assert nrrd_format.read_metadata(text)[0] == metadata


def test_the_largest_fields_are_left_out_first():
    fields = {"small": "x" * 100, "large": "x" * 60_000, "larger": "x" * 70_000}
    place = Geometry.along_axes([1, 2, 3]).to_json()
    metadata = {"geometry": place, "nrrd": {"keys": fields, "content": "y" * 40_000}}
    kept, lost = _metadata.fit(metadata)
    assert lost == ["larger", "large"]
    assert kept["geometry"] == place
    assert kept["nrrd"] == {"keys": {"small": "x" * 100}, "content": "y" * 40_000}
    assert len(json.dumps(kept)) <= _metadata.LIMIT
    assert _metadata.fit(kept) == (kept, [])
    many = {"nrrd": {"keys": {f"{n:06}": "\u00ff" * 9 for n in range(50_000)}}}
    kept, lost = _metadata.fit(many)
    assert 0 < len(json.dumps(kept)) <= _metadata.LIMIT
    assert len(kept["nrrd"]["keys"]) + len(lost) == 50_000


def test_extensions_that_are_cut_are_named():
    header = nib.Nifti1Header(endianness="<")
    tail = b"\1\0\0\0" + (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"a" * 24
    metadata, lost = nifti.read_metadata(header, tail + (99).to_bytes(4, "little") + bytes(12))
    assert metadata["nifti"]["extensions"] == [[6, "a" * 24]]
    assert len(lost) == 1


@pytest.mark.parametrize("unit", [None, "mm"])
def test_tiffs_with_a_place_are_not_cut_unseen(tmp_path, unit):
    """ImageJ's count of slices, as tifffile's shape, tells that some are missing."""
    place = Geometry.along_axes([3, 2, 1], None, unit)
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    labels = np.random.default_rng(1).integers(0, 99, (9, 40, 50)).astype(np.uint8)
    metadata = {"geometry": place.to_json()}
    volumes.writer(whole)(whole, labels.shape, labels.dtype, [labels], metadata)
    raw = whole.read_bytes()
    for size in range(0, len(raw) - 8, len(raw) // 50):
        cut.write_bytes(raw[:size])
        with pytest.raises(FileError), volumes.open_file(cut) as volume:
            volume.read(0, volume.shape[0])


def test_attributes_whose_names_are_no_text_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["main"] = LABELS
        file["main"].attrs[b"caf\xe9"] = 1
        file["main"].attrs["fine"] = 2
    with volumes.open_file(tmp_path / "a.h5") as volume:
        assert set(volume.metadata["hdf5"]) == {"fine"}
        assert list(volume.lost) == ["caf\u00e9"]

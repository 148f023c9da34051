"""Positions and fields that files keep, name or refuse, whatever formats they pass."""

import json
from copy import deepcopy

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compresso import files, volumes
from compresso.volumes import _metadata, tiff
from compresso.volumes import nrrd as nrrd_format
from compresso.volumes._metadata import Geometry, unit_of
from tests.helpers.geometry import (
    DIRECTIONS,
    LABELS,
    TURN,
    assert_same_place,
    by_itk,
    by_nibabel,
    carry,
    corners,
    hdf5_file,
    itk_file,
    nifti_file,
    nrrd_file,
)
from tests.helpers.program import one_line
from tests.helpers.sources import run


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("kind", [".nii", ".nrrd"])
@pytest.mark.parametrize("target", [".nii.gz", ".nrrd", ".h5"])
def test_a_volume_stays_where_simpleitk_sees_it(tmp_path, directions, kind, target):
    source, found = itk_file(tmp_path / f"source{kind}", directions), tmp_path / f"target{target}"
    assert carry(source, found) == []
    if target == ".h5":  # which SimpleITK does not read
        assert carry(found, tmp_path / "back.nrrd") == []
        found = tmp_path / "back.nrrd"
    assert_same_place(by_itk(found), by_itk(source))
    if target == ".nii.gz":
        assert_same_place(by_nibabel(found), by_itk(source))


@pytest.mark.parametrize("kind", [".nrrd", ".nii", ".h5", ".tif"])
def test_slices_begin_where_they_are_in_the_whole(tmp_path, kind):
    """The slices from 5 on are where ITK sees the part of the whole volume."""
    whole = itk_file(tmp_path / "a.nrrd", np.eye(3) if kind == ".tif" else TURN)
    carry(whole, tmp_path / f"whole{kind}")
    carry(tmp_path / f"whole{kind}", tmp_path / f"part{kind}", first=5)
    carry(tmp_path / f"part{kind}", tmp_path / "b.nrrd")
    image = SimpleITK.ReadImage(str(whole))[:, :, 5:]
    at = corners((2, 5, 6)).tolist()
    expected = [image.TransformContinuousIndexToPhysicalPoint(c) for c in at]
    assert_same_place(by_itk(tmp_path / "b.nrrd"), np.array(expected))


@pytest.mark.parametrize(
    ("word", "unit"),
    [
        *[("mm", "mm"), ('"mm"', "mm"), ("millimeters", "mm"), ("Micron", "um"), ("s", None)],
        *[("\u00b5m", "um"), ("\u03bcm", "um"), ("nanometre", "nm"), ("A", "angstrom"), ("", None)],
        *[("Mm", "mm"), ("pixel", None), ("in", "inch"), ("inches", None), (3, None)],
    ],
)
def test_units_are_known_by_many_names(word, unit):
    assert unit_of(word) == unit


def test_other_formats_own_fields_are_named_once(tmp_path):
    lines = "content: knee", "kinds: domain domain domain", "a key:=1", "spacings: 1 1 1"
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    for target in ("a.nii", "a.h5", "a.tif"):
        (line,) = carry(source, tmp_path / target)
        assert line.startswith(f"{tmp_path / target}: ")
        assert line.endswith("nrrd content, nrrd keys a key")
    nifti = nifti_file(tmp_path / "b.nii", np.eye(4), 1, 1, "mm")
    assert carry(nifti, tmp_path / "b.nrrd") == []
    many = nrrd_file(tmp_path / "c.nrrd", *(f"key{n}:=\x1b[31m" for n in range(50)))
    (line,) = carry(many, tmp_path / "c.npy")
    assert line.endswith("and 44 more")
    assert "\x1b" not in line


# -- invalid metadata ------------------------------------------------------------------------------


PLACE = Geometry(((0.0, 0.0, 3.0), (0.0, -2.0, 0.0), (1.0, 0.5, 0.0)), (1, 2, 3), "RAS", "um")
ROWS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
VALID = {
    "geometry": PLACE.to_json(),
    "nrrd": {"space": "RAS", "kinds": "domain domain domain", "custom": {"Field": "value"}}
    | {"keys": {"a key": "value", "Segment0_Extent": "0 1 2 3 4 5"}}
    | {"space directions": "(1,0,0) (0,1,0) (0,0,1)", "spacings": "1 2 3", "content": "x"},
    "nifti": {"sform_code": 2, "qform_code": 1, "quatern_b": 0.5, "xyzt_units": 3, "descrip": "x"}
    | {"pixdim": [1.0] * 8, "srow_x": [1.0, 0.0, 0.0, 9.0]}
    | {"extensions": [[6, "text"], [4, "x", 64]], "sizeof_hdr": 540, "qform": "differs"},
    "hdf5": {"resolution": {"dtype": "<f8", "value": [40, 4, 4]}}
    | {"offset": {"dtype": "<i8", "value": [1, 2, 3]}}
    | {"directions": {"dtype": "<f4", "value": ROWS}, "word": {"dtype": "|S3", "value": "abc"}}
    | {"words": {"dtype": "utf-8", "value": ["a", "b"]}},
    "tiff": {"XResolution": [2, 3], "YResolution": [2, 3], "ResolutionUnit": 2, "Orientation": 4}
    | {"ColorMap": [[0, 1], [2, 3], [4, 65535]], "Software": "x", "shaped": {"more": {"a": 1}}}
    | {"IJMetadata": {"Labels": ["a", "b"], "Info": "x", "Ranges": [0.0, 9.0]}}
    | {"imagej": {"unit": "um", "spacing": "3", "zorigin": "1"}, "ImageDescription": "text"},
}
WORDS = ["<f8", ">i8", "|S5", "ascii", "<f3", "<U3", "LPS", "mm", "none none none", "nan", "1"]
WORDS += ["a\nb", "\0", "\ud800", "x" * 5000]
NUMBERS = [10**400, -1, 2**63, 1e300, 5e-324]
PARTS = [[], {}, [[]], [1, 2, 3], ["1", "2", "3"], {"value": 1}, [[[1]] * 3] * 3]
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ODD |= st.sampled_from([*WORDS, *NUMBERS, *PARTS])


def places(value, at=()):
    """Yield the path of each value inside a JSON value."""
    inside = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else inside:
        yield (*at, key)
        yield from places(item, (*at, key))


@st.composite
def hostile(draw):
    """Draw metadata in which some values, names or objects are invalid."""
    chosen = {"geometry", draw(st.sampled_from(["nrrd", "nifti", "hdf5", "tiff"]))}
    chosen -= draw(st.sampled_from([set(), {"geometry"}]))
    metadata = {name: deepcopy(value) for name, value in VALID.items() if name in chosen}
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


@settings(max_examples=40)
@example({"tiff": {"XResolution": [2, 0], "YResolution": [3, 1]}})
@example({"nrrd": {"keys": {"a key": "value", "data file": "0", "DataFile": ""}}})
@example({"geometry": PLACE.to_json(), "nifti": {"sform_code": -1}})
@example({"geometry": PLACE.to_json(), "hdf5": {"directions": {"value": [[10**400]]}}})
@given(hostile())
def test_hostile_metadata_do_not_keep_labels_from_being_written(tmp_path_factory, metadata):
    """Whatever JSON a compressed file has, the labels are written and can be read."""
    folder = tmp_path_factory.mktemp("hostile")
    for kind in (".nrrd", ".nii", ".h5", ".tif", ".npy"):
        path = folder / f"a{kind}"
        moved = volumes.sliced(metadata, 3, 9, 9)
        lost = volumes.write(path, volumes.of_array(LABELS, moved))
        lines = _metadata.report_lost(path, lost)
        assert all(isinstance(line, str) and line.isprintable() for line in lines)
        with volumes.open(path) as volume:
            np.testing.assert_array_equal(volume.read(0, 7), LABELS)
            json.dumps(volume.metadata, allow_nan=False).encode()
    nib.load(folder / "a.nii")
    nrrd.read_header(str(folder / "a.nrrd"))


def test_no_value_becomes_another_field(tmp_path):
    evil = {"content": "x\ndata file: /etc/passwd", "data file": "/etc/passwd", "sizes": "9 9 9"}
    keys = {"a\ndata file: /etc/passwd": "1", "b": "2\r\ndata file: /etc/passwd", "sizes": "3"}
    magic, lines, lost = nrrd_format.header_lines({"nrrd": evil | {"keys": keys}})
    assert (magic, lines) == ("NRRD0004", [])
    assert len(lost) == 6
    fields = {"imagej": {"unit": "mm\nimages=5", "slices": "9"}}
    _, first, _ = tiff.tags(volumes.of_array(np.ones((1, 2, 3), "u1"), {"tiff": fields}))
    assert b"images=5" not in first["description"]
    assert b"slices=1\n" in first["description"]


# -- commands --------------------------------------------------------------------------------------


def test_fields_that_a_compressed_file_cannot_hold_are_named(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", big=np.zeros(999), resolution=[4.0, 2, 1])
    assert run("compress", source, tmp_path / "a.cps").stderr.endswith("big\n")
    lines = [f"key{n}:={'x' * (900_000 + n)}" for n in range(6)]
    many = nrrd_file(tmp_path / "b.nrrd", *lines, "content: small", "spacings: 1 2 3")
    one_line(run("compress", many, tmp_path / "b.cps"), "key5")
    kept = files.describe_file(tmp_path / "b.cps").description.metadata
    assert kept["nrrd"]["content"] == "small"
    assert list(kept["nrrd"]["keys"]) == [f"key{n}" for n in range(4)]  # 3.6 MB, in 4 MiB
    assert kept["geometry"]


def test_info_shows_the_geometry(tmp_path):
    line = "space directions: (0.5,0,0) (0,-0.25,0) (0,0,3)"
    units = 'space units: "mm" "mm" "mm"'
    source = nrrd_file(tmp_path / "a.nrrd", "space: RAS", units, line, "space origin: (1,2,-3.5)")
    run("compress", source, tmp_path / "a.cps")
    place = "voxel size 0.5 x 0.25 x 3 mm, origin (1, 2, -3.5) RAS, turned axes; nrrd: 4 fields\n"
    assert place in run("info", tmp_path / "a.cps").stdout
    run("compress", nrrd_file(tmp_path / "b.nrrd"), tmp_path / "b.cps")
    assert "voxel size" not in run("info", tmp_path / "b.cps").stdout

"""Volumes stay where SimpleITK and nibabel see them, whatever formats they pass."""

import json
import math

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from compresso import volumes
from compresso.volumes import hdf5
from compresso.volumes import nrrd as nrrd_format
from compresso.volumes._metadata import METRES, Geometry, unit_of
from tests.helpers.geometry import (
    DIRECTIONS,
    INTERNAL,
    LABELS,
    ORIGIN,
    SPACING,
    TURN,
    assert_same_place,
    by_itk,
    by_nibabel,
    carry,
    corners,
    hdf5_file,
    itk_file,
    nrrd_file,
)
from tests.helpers.paths import shared


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("kind", INTERNAL.values())
@pytest.mark.parametrize("target", [*INTERNAL.values(), ".h5"])
def test_a_volume_stays_where_simpleitk_sees_it(tmp_path, directions, kind, target):
    source = itk_file(tmp_path / f"source{kind}", directions)
    wanted = by_itk(source)
    found = tmp_path / f"target{target}"
    assert carry(source, found) == []
    if target == ".h5":  # which SimpleITK does not read
        assert carry(found, tmp_path / "back.nrrd") == []
        found = tmp_path / "back.nrrd"
    assert_same_place(by_itk(found), wanted)
    if ".nii" in target:
        assert_same_place(by_nibabel(found), wanted)


@pytest.mark.parametrize("name", ["spl-knee.nrrd", "spl-abdominal.nrrd"])
@pytest.mark.parametrize("target", [".nrrd", ".nii.gz"])
def test_the_atlases_overlay_their_images(tmp_path, name, target):
    source = shared(f"data/{name}")
    found = tmp_path / f"target{target}"
    assert carry(source, found) == []
    assert_same_place(by_itk(found), by_itk(source))


def test_sheared_axes_are_kept_by_the_sform(tmp_path):
    lines = "space directions: (1,0,0) (0.5,2,0) (0,0.25,3)", "space origin: (1,2,3)"
    source = nrrd_file(tmp_path / "a.nrrd", "space: RAS", *lines)
    assert carry(source, tmp_path / "a.nii") == []
    wanted = [[1, 0.5, 0, 1], [0, 2, 0.25, 2], [0, 0, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_array_equal(nib.load(tmp_path / "a.nii").affine, wanted)
    assert int(nib.load(tmp_path / "a.nii").header["qform_code"]) == 0
    assert carry(tmp_path / "a.nii", tmp_path / "b.nrrd") == []
    back = nrrd.read_header(str(tmp_path / "b.nrrd"))
    np.testing.assert_array_equal(back["space directions"], np.array(wanted)[:3, :3].T)


@pytest.mark.parametrize("centers", ["", "centers: cell cell cell", "centerings: node node node"])
def test_spacings_and_axis_mins_are_understood_as_itk_does(tmp_path, centers):
    lines = "spacings: 0.5 1 2", "axis mins: 10 20 30", *([centers] if centers else [])
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    for name in ("a.nii", "b.nrrd"):
        assert carry(source, tmp_path / name) == []
        assert_same_place(by_itk(tmp_path / name), by_itk(source))


def test_only_spacing_stays_only_spacing(tmp_path):
    source = nrrd_file(tmp_path / "a.nrrd", "spacings: 0.5 1 2")
    assert carry(source, tmp_path / "a.nii") == []
    header = nib.load(tmp_path / "a.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_zooms() == (0.5, 1, 2)


def test_cremis_resolution_and_offset_are_positions(tmp_path):
    """z, y, x in an unknown unit; NIfTI's numbers are the same, in the world ITK would take."""
    source = hdf5_file(tmp_path / "a.h5", resolution=[40.0, 4.0, 2.0], offset=[400.0, 80.0, 10.0])
    carry(source, tmp_path / "a.nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "a.nrrd"))
    assert image.GetSpacing() == (2, 4, 40)
    assert image.GetOrigin() == (10, 80, 400)
    carry(tmp_path / "a.nrrd", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert {n: v.tolist() for n, v in file["main"].attrs.items()} == {
            "resolution": [40, 4, 2],
            "offset": [400, 80, 10],
        }


def test_ilastiks_element_size_is_in_micrometres(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", element_size_um=[2.0, 0.5, 0.25])
    carry(source, tmp_path / "a.nii")
    header = nib.load(tmp_path / "a.nii").header
    assert header.get_zooms() == (0.25, 0.5, 2)
    assert header.get_xyzt_units()[0] == "micron"


def test_tiff_has_centimetres_that_simpleitk_reads(tmp_path):
    source = itk_file(tmp_path / "a.nrrd", np.eye(3))
    assert carry(source, tmp_path / "a.tif") == []
    spacing = SimpleITK.ReadImage(str(tmp_path / "a.tif")).GetSpacing()  # it knows no z here
    np.testing.assert_allclose(spacing[:2], SPACING[:2], rtol=1e-6)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        found = file.imagej_metadata
        assert file.series[0].shape == LABELS.shape
    assert found["unit"] == "cm"
    assert math.isclose(found["spacing"], SPACING[2] / 10)
    at = [-found[f"{axis}origin"] * step for axis, step in zip("xyz", SPACING, strict=True)]
    np.testing.assert_allclose(at, ORIGIN)
    assert carry(tmp_path / "a.tif", tmp_path / "b.nrrd") == []
    assert_same_place(by_itk(tmp_path / "b.nrrd"), by_itk(source))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "u8", "i8"])
def test_tiff_keeps_spacing_for_every_dtype(tmp_path, dtype):
    np.save(tmp_path / "labels.npy", LABELS.astype(dtype))
    labels = np.load(tmp_path / "labels.npy")
    place = Geometry.along_axes([3e-5, 2e-6, 1e-6], None, "mm")
    target = tmp_path / "a.tif"
    metadata = {"geometry": place.to_json()}
    volumes.writer(target)(target, labels.shape, labels.dtype, [labels], metadata)
    with volumes.open_file(target) as back:
        np.testing.assert_array_equal(back.read(0, 99), labels)
        found = Geometry.from_json(back.metadata["geometry"]).in_unit("nm").spacing
    np.testing.assert_allclose(found, (30, 2, 1))


@pytest.mark.parametrize("kind", [".nrrd", ".nii", ".h5", ".tif"])
def test_slices_begin_where_they_are_in_the_whole(tmp_path, kind):
    """The slices from 5 on are where ITK sees the part of the whole volume."""
    directions = np.eye(3) if kind == ".tif" else TURN
    whole = itk_file(tmp_path / "whole.nrrd", directions)
    carry(whole, tmp_path / f"whole{kind}")
    carry(tmp_path / f"whole{kind}", tmp_path / f"part{kind}", first=5)
    part = tmp_path / f"part{kind}"
    if kind in (".h5", ".tif"):
        carry(part, tmp_path / "part.nrrd")
        part = tmp_path / "part.nrrd"
    image = SimpleITK.ReadImage(str(whole))[:, :, 5:]
    at = corners((2, 5, 6)).tolist()
    wanted = [image.TransformContinuousIndexToPhysicalPoint(c) for c in at]
    assert_same_place(by_itk(part), np.array(wanted))


FINITE = st.floats(-1e6, 1e6).map(lambda n: round(n, 3))
VECTORS = st.tuples(FINITE, FINITE, FINITE).filter(lambda v: math.hypot(*v) > 1e-2)
PLACES = st.builds(
    Geometry,
    st.tuples(VECTORS, VECTORS, VECTORS),
    st.none() | st.tuples(FINITE, FINITE, FINITE),
    st.sampled_from([None, "LPS", "RAS"]),
    st.none() | st.sampled_from(sorted(METRES)),
)


@given(PLACES)
def test_geometry_is_json_and_turns_back(place):
    assert Geometry.from_json(json.loads(json.dumps(place.to_json()))) == place
    assert place.moved(0) == place
    for world in ("LPS", "RAS"):
        there = place.in_world(world)
        flip = np.diag([1, 1, 1, 1] if (place.world or "LPS") == world else [-1, -1, 1, 1])
        np.testing.assert_array_equal(there.affine(), flip @ place.affine())
    if place.length:
        back = place.in_unit("nm").in_unit(place.length)
        np.testing.assert_allclose(back.affine(), place.affine(), rtol=1e-15)


@given(PLACES, st.sampled_from(["nrrd", "hdf5"]))
def test_nrrd_and_hdf5_hold_every_place(place, kind):
    if kind == "nrrd":
        text = "\n".join(f"{n}: {v}" for n, v in nrrd_format.render(place, False).items())
        fields = nrrd_format.read_metadata(f"NRRD0004\n{text}".encode())[0]["nrrd"]
        found = nrrd_format.geometry(fields)
    else:
        attributes = hdf5.render(place).items()
        words = {n: {"value": v if isinstance(v, str) else v.tolist()} for n, (v, _) in attributes}
        found = hdf5.geometry(words)
    assert found.world == place.world
    assert (found.origin is None) == (place.origin is None)
    unit = found.unit or place.unit
    np.testing.assert_allclose(
        found.affine(), (place.in_unit(unit) if unit else place).affine(), rtol=1e-12, atol=1e-9
    )


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

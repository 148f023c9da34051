"""The fields of each format come back, and what another cannot hold is named."""

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
import tifffile

from compresso import volumes
from compresso.volumes._metadata import Geometry
from tests.helpers.geometry import (
    LABELS,
    ORIGIN,
    SPACING,
    TURN,
    assert_same_place,
    by_itk,
    by_nibabel,
    carry,
    hdf5_file,
    itk_file,
    nifti_file,
    nrrd_file,
)


@pytest.mark.parametrize("unit", ["m", "mm", "um", "nm"])
@pytest.mark.parametrize("space", ["LPS", "RAS", "LAS", "scanner-xyz", "3D-left-handed", None])
def test_nrrds_worlds_and_units_become_niftis(tmp_path, space, unit):
    world = f"space: {space}" if space else "space dimension: 3"
    units = " ".join([f'"{unit}"'] * 3)
    place = "space directions: (0,0.5,0) (-4,0,0) (0,0,-35)\nspace origin: (10,-20,30.5)"
    source = nrrd_file(tmp_path / "a.nrrd", world, f"space units: {units}", place)
    carry(source, tmp_path / "a.nii")
    millimetres = {"m": 1e3, "mm": 1, "um": 1e-3, "nm": 1e-6}[unit]
    wanted = by_itk(source) * millimetres  # ITK does not read NRRD's units
    assert_same_place(by_nibabel(tmp_path / "a.nii"), wanted)
    assert_same_place(by_itk(tmp_path / "a.nii"), wanted)
    carry(tmp_path / "a.nii", tmp_path / "b.nrrd")
    assert_same_place(by_itk(tmp_path / "b.nrrd"), wanted)


@pytest.mark.parametrize("unit", ["meter", "mm", "micron", "unknown"])
@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1), (4, 4)])
def test_niftis_affines_and_units_become_nrrds(tmp_path, sform, qform, unit):
    affine = np.eye(4)
    affine[:3, :3] = TURN * SPACING
    affine[:3, 3] = ORIGIN
    source = nifti_file(tmp_path / "a.nii", affine, sform, qform, unit)
    wanted = by_nibabel(source)
    for name in ("a.nrrd", "a.h5", "b.nii"):
        carry(source, tmp_path / name)
    assert_same_place(by_itk(tmp_path / "a.nrrd"), wanted)
    carry(tmp_path / "a.h5", tmp_path / "c.nii.gz")
    for name in ("b.nii", "c.nii.gz"):
        assert_same_place(by_nibabel(tmp_path / name), wanted)


def test_nrrds_fields_come_back_each(tmp_path):
    lines = [
        "# a comment",
        "space: right-anterior-superior",
        "space directions: (0.1,0,0) (0,0.30000000000000004,0) (0,0,-1e-1)",
        "space origin: (1,2,3)",
        'space units: "mm" "mm" "mm"',
        "measurement frame: (1,0,0) (0,0,1) (0,1,0)",
        "kinds: domain domain domain",
        'labels: "x" "" "a \\"z\\""',
        "content: a label map: of a knee",
        "thicknesses: nan nan 0.5",
        "min: 0",
        "Segment0_Name:=femur = \u00e9 := left",
        b"odd:=\xff\xfe\x85 bytes",
        "empty:=",
    ]
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    assert carry(source, tmp_path / "b.nrrd") == []
    fields = {"space", "space units", "measurement frame", "kinds", "labels", "content"}
    fields |= {"space origin", "space directions", "thicknesses", "min", "empty"}
    before, after = (nrrd.read_header(str(tmp_path / f"{name}.nrrd")) for name in "ab")
    assert fields <= set(after)
    for name in set(before) - {"encoding"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    written = (tmp_path / "b.nrrd").read_bytes()
    for line in lines[11:13]:
        assert (line if isinstance(line, bytes) else line.encode()) + b"\n" in written


@pytest.mark.parametrize("order", "<>")
def test_niftis_fields_come_back_each(tmp_path, order):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.uint16)
    header["descrip"], header["aux_file"] = b"a \xff\x01 text", b"atlas.txt"
    header["intent_code"], header["intent_name"], header["intent_p1"] = 1002, b"labels", 0.1
    header["cal_max"], header["toffset"], header["dim_info"] = np.inf, np.nan, 57
    header["slice_duration"], header["slice_code"], header["slice_end"] = 1e-7, 3, 6
    image = nib.Nifti1Image(LABELS.T, None, header)
    affine = np.diag([-0.1, 0.2, 3, 1])
    affine[:3, 3] = ORIGIN
    image.header.set_qform(affine, 1)
    image.header.set_sform(affine + 0.25, 4)  # not the same, as after a registration
    image.header.set_xyzt_units("micron", "sec")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"from \xfe here"))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, b"1234567"))
    nib.save(image, tmp_path / "a.nii")
    assert carry(tmp_path / "a.nii", tmp_path / "b.nii.gz") == []
    before = nib.load(tmp_path / "a.nii").header
    after = nib.load(tmp_path / "b.nii.gz").header
    assert before.endianness == order
    for name in header.keys():  # noqa: SIM118 - a header is no dict
        if name != "sizeof_hdr":
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    kept = [(e.get_code(), bytes(e.get_content()).rstrip(b"\0")) for e in after.extensions]
    assert kept == [(6, b"from \xfe here"), (0, b"1234567")]


ATTRIBUTES = {
    "resolution": np.array([40.0, 4.0, 4.0]),
    "offset": np.array([1480, 3644, 3644], ">i8"),
    "comment": "neurons \u00e9",
    "ascii": np.bytes_(b"raw \xff bytes"),
    "words": np.array(["a", "bc"], object),
    "flag": np.True_,
    "half": np.float16(0.1),
    "not a number": np.array([[np.nan, np.inf], [-np.inf, 0.1]], np.float32),
    "largest": np.uint64(2**64 - 1),
    "least": np.int64(-(2**63)),
}


def test_hdf5s_attributes_come_back_each(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", **ATTRIBUTES)
    assert carry(source, tmp_path / "b.h5") == []
    with h5py.File(source) as before, h5py.File(tmp_path / "b.h5") as after:
        old, new = before["main"].attrs, after["main"].attrs
        assert set(new) == set(old) == set(ATTRIBUTES)
        for name in old:
            np.testing.assert_array_equal(new[name], old[name], err_msg=name)
            assert new.get_id(name).dtype == old.get_id(name).dtype
            assert new.get_id(name).shape == old.get_id(name).shape


def test_what_hdf5_attributes_are_not_kept_is_named(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", fine=1, large=np.zeros(999), none=h5py.Empty("f"))
    with h5py.File(source, "r+") as file:
        file["main"].attrs["reference"] = file["main"].ref
        file["main"].attrs["pair"] = np.zeros(2, "i4,f4")
        file["main"].attrs["long"] = "x" * 5000
    with volumes.open_file(source) as volume:
        assert set(volume.metadata["hdf5"]) == {"fine"}
        assert set(volume.lost) == {"large", "none", "reference", "pair", "long"}


def test_other_formats_become_nanometres_in_hdf5(tmp_path):
    lines = 'space units: "um" "um" "um"', "space directions: (0.004,0,0) (0,0.004,0) (0,0,0.04)"
    source = nrrd_file(tmp_path / "a.nrrd", "space dimension: 3", *lines, "space origin: (1,2,3)")
    assert carry(source, tmp_path / "a.h5") == []
    with h5py.File(tmp_path / "a.h5") as file:
        found = dict(file["main"].attrs)
    assert found["units"] == "nm"
    assert found["resolution"].tolist() == [40, 4, 4]
    assert found["offset"].tolist() == [3000, 2000, 1000]
    assert set(found) == {"units", "resolution", "offset"}


def test_directions_that_tiff_cannot_hold_are_named(tmp_path):
    source = itk_file(tmp_path / "a.nrrd", TURN)
    (line,) = carry(source, tmp_path / "a.tif")
    assert "directions" in line
    assert "origin" in line
    (line,) = carry(source, tmp_path / "a.npy")
    assert "geometry" in line


@pytest.mark.parametrize(
    ("resolution", "unit"), [((300, 300), 2), ((2.5, 5), 3), ((10, 20), 1), ((1 / 3, 0.1), 3)]
)
def test_tiffs_resolution_comes_back(tmp_path, resolution, unit):
    source = tmp_path / "a.tif"
    tifffile.imwrite(
        source, LABELS, resolution=resolution, resolutionunit=unit, description="\u00b5".encode()
    )
    assert carry(source, tmp_path / "b.tif") == []
    before, after = (tifffile.TiffFile(tmp_path / f"{name}.tif") for name in "ab")
    with before, after:
        for code in (282, 283, 296):
            old, new = (file.pages[0].tags[code].value for file in (before, after))
            assert new == old
        assert (
            after.shaped_metadata[0]["ImageDescription"] == before.pages[0].description == "\u00b5"
        )
    assert carry(tmp_path / "b.tif", tmp_path / "c.tif") == []
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert file.shaped_metadata[0]["ImageDescription"] == "\u00b5"


@pytest.mark.parametrize("unit", ["um", "\\u00B5m", "micron", "nm", "pixel", "inch"])
def test_imagejs_spacing_and_unit_come_back(tmp_path, unit):
    source = tmp_path / "a.tif"
    metadata = {"spacing": 0.3, "unit": unit, "axes": "ZYX", "xorigin": 1.5, "Info": "a cell"}
    tifffile.imwrite(source, LABELS, imagej=True, resolution=(20, 10), metadata=metadata)
    assert carry(source, tmp_path / "b.tif") == []
    before, after = (tifffile.TiffFile(tmp_path / f"{name}.tif") for name in "ab")
    with before, after:
        for name in ("spacing", "unit", "xorigin", "images", "slices"):
            assert after.imagej_metadata[name] == before.imagej_metadata[name]
        for code in (282, 283, 296):
            assert after.pages[0].tags[code].value == before.pages[0].tags[code].value


OME_FILE = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
    '2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
    'SizeX="6" SizeY="5" SizeZ="7" SizeC="1" SizeT="1" PhysicalSizeX="0.1" PhysicalSizeY="200" '
    'PhysicalSizeYUnit="nm" PhysicalSizeZ="0.001" PhysicalSizeZUnit="mm"><Channel ID="Channel:0" '
    'SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="7"/></Pixels></Image></OME>'
)


def test_omes_sizes_come_back_with_their_units(tmp_path):
    source = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(source) as file:
        for number, labels in enumerate(LABELS):
            file.write(labels, description=None if number else OME_FILE, metadata=None)
    assert carry(source, tmp_path / "b.tif") == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        found = file.ome_metadata
        assert file.is_ome
        assert file.series[0].shape == LABELS.shape
    for word in ('X="0.1"', 'Y="200"', 'YUnit="nm"', 'Z="0.001"', 'ZUnit="mm"'):
        assert f"PhysicalSize{word}" in found
    carry(source, tmp_path / "a.nii")  # OME's unit is micrometres unless told otherwise
    np.testing.assert_allclose(nib.load(tmp_path / "a.nii").header.get_zooms(), (0.1, 0.2, 1))


def test_slices_keep_the_other_fields(tmp_path):
    """Only the place is written anew: a NIfTI's codes and text, an HDF5's attributes stay."""
    nifti_file(tmp_path / "a.nii", np.diag([1.0, 2, 3, 1]), 4, 0, "mm")
    carry(tmp_path / "a.nii", tmp_path / "b.nii", first=2)
    header = nib.load(tmp_path / "b.nii").header
    assert int(header["sform_code"]) == 4
    assert header["srow_z"].tolist() == [0, 0, 3, 6]
    source = hdf5_file(tmp_path / "a.h5", resolution=[40, 4, 4], comment="mine")
    carry(source, tmp_path / "b.h5", first=2)
    with h5py.File(tmp_path / "b.h5") as file:
        attributes = dict(file["main"].attrs)
    assert attributes["comment"] == "mine"
    assert attributes["offset"].tolist() == [80, 0, 0]


def test_a_plain_tiff_says_that_it_cannot_hold_where_slices_begin(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, resolution=(10, 10), resolutionunit=3, metadata={})
    with volumes.open_file(tmp_path / "a.tif") as volume:
        place = Geometry.from_json(volume.metadata["geometry"])
    assert place.spacing == (None, 0.1, 0.1)
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif", first=3) == []  # z is unknown anyway
    tifffile.imwrite(tmp_path / "c.ome.tif", LABELS, metadata={"axes": "ZYX", "PhysicalSizeZ": 2.0})
    (line,) = carry(tmp_path / "c.ome.tif", tmp_path / "d.tif", first=3)
    assert "first slice" in line


def test_other_formats_own_fields_are_named_once(tmp_path):
    lines = "content: knee", "kinds: domain domain domain", "a key:=1", "spacings: 1 1 1"
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    for target in ("a.nii", "a.h5", "a.tif"):
        (line,) = carry(source, tmp_path / target)
        assert line == f"{tmp_path / target}: cannot hold nrrd content, nrrd keys a key"
    nifti = nifti_file(tmp_path / "b.nii", np.eye(4), 1, 1, "mm")
    assert carry(nifti, tmp_path / "b.nrrd") == []
    many = nrrd_file(tmp_path / "c.nrrd", *(f"key{n}:=\x1b[31m" for n in range(50)))
    (line,) = carry(many, tmp_path / "c.npy")
    assert line.endswith("and 44 more")
    assert "\x1b" not in line


@pytest.mark.parametrize("kind", [".nrrd", ".nii", ".h5", ".tif", ".npy"])
def test_nothing_known_is_nothing_said(tmp_path, kind):
    source = tmp_path / f"a{kind}"
    assert volumes.writer(source)(source, LABELS.shape, LABELS.dtype, [LABELS], {}) == []
    with volumes.open_file(source) as volume:
        assert volume.metadata == {}
        assert not volume.lost
    for target in ("b.nrrd", "b.nii", "b.h5", "b.tif", "b.npy"):
        assert carry(source, tmp_path / target) == []

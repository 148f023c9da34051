"""NIfTI: headers, affines and extensions."""

import struct

import nibabel as nib
import numpy as np
import pytest

import compresso as C
from compresso import volumes
from compresso.volumes import nifti
from tests.helpers.geometry import (
    ORIGIN,
    SPACING,
    TURN,
    assert_same_place,
    by_itk,
    by_nibabel,
    carry,
    named,
    nifti_file,
)
from tests.helpers.sources import LABELS, load, run, written


def test_nifti_2_and_big_endian(tmp_path):
    labels = LABELS.astype(np.int64) << 40
    path = tmp_path / "x.nii.gz"
    nib.Nifti2Image(labels.T, np.eye(4), dtype=np.int64).to_filename(path)
    assert np.array_equal(load(path), labels)
    header = nib.Nifti1Header(endianness=">")
    nib.Nifti1Image(LABELS.T, np.eye(4), header, dtype=np.uint16).to_filename(path)
    assert np.array_equal(load(path), LABELS)


@pytest.mark.parametrize(
    ("at", "field", "reason"),
    [(112, np.float32(2).tobytes(), "scales"), (344, b"ni1", "in another file")],
)
def test_nifti_that_scales_or_has_its_labels_elsewhere_is_refused(tmp_path, at, field, reason):
    path = written(tmp_path, "nii")
    with path.open("r+b") as file:
        file.seek(at)
        file.write(field)
    with pytest.raises(C.FileError, match=reason):
        load(path)


@pytest.mark.parametrize("unit", ["meter", "mm", "micron", "unknown"])
@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1), (4, 4)])
def test_niftis_affines_and_units_become_nrrds(tmp_path, sform, qform, unit):
    affine = np.eye(4)
    affine[:3, :3] = TURN * SPACING
    affine[:3, 3] = ORIGIN
    source = nifti_file(tmp_path / "a.nii", affine, sform, qform, unit)
    expected = by_nibabel(source)
    for name in ("a.nrrd", "a.h5", "b.nii"):
        carry(source, tmp_path / name)
    assert_same_place(by_itk(tmp_path / "a.nrrd"), expected)
    carry(tmp_path / "a.h5", tmp_path / "c.nii.gz")
    for name in ("b.nii", "c.nii.gz"):
        assert_same_place(by_nibabel(tmp_path / name), expected)


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
    nib.save(image, tmp_path / "a.nii")
    assert carry(tmp_path / "a.nii", tmp_path / "b.nii.gz") == []
    before = nib.load(tmp_path / "a.nii").header
    after = nib.load(tmp_path / "b.nii.gz").header
    assert before.endianness == order
    for name in header.keys():  # noqa: SIM118 - a header is not a dict
        if name != "sizeof_hdr":
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


SFORM = np.array([[-0.5, 0, 0.25, 10], [0, 0.25, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])
QFORM = np.eye(4)
QFORM[:3, :3], QFORM[:3, 3] = TURN * (0.5, 0.25, 3), (-7, 8, 9)
SHEARED = SFORM.copy()
SHEARED[0, 1] = 0.125


def affines_file(path, sform, qform, codes=(4, 1), kind=nib.Nifti1Image):
    """A NIfTI file with a code for each affine; 0 is none."""
    image = kind(LABELS.T, None, dtype=LABELS.dtype)
    image.header.set_qform(qform, codes[1])
    image.header.set_sform(sform, codes[0])
    image.header.set_xyzt_units("micron", "sec")
    image.header["intent_code"], image.header["intent_name"] = 1002, b"parts"
    image.header["cal_min"], image.header["cal_max"] = 1, 9
    image.to_filename(path)
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("codes", [(4, 1), (0, 1), (2, 0), (1, 5)])
@pytest.mark.parametrize("sform", [SFORM, SHEARED], ids=["straight", "sheared"])
@pytest.mark.parametrize("first", [0, 2])
def test_slices_move_the_affine_and_keep_all_other_fields(tmp_path, kind, codes, sform, first):
    source = affines_file(tmp_path / "a.nii", sform, QFORM, codes, kind)
    lost = carry(source, tmp_path / "b.nii", first)
    assert bool(lost) == bool(first and all(codes))  # the other affine
    before, after = nib.load(source), nib.load(tmp_path / "b.nii")
    assert type(before) is type(after)
    changed = {"dim", "sform_code", "qform_code", "pixdim", *(f"quatern_{n}" for n in "bcd")}
    changed |= {f"{name}_{n}" for name in ("qoffset", "srow") for n in "xyz"}
    for name in before.header.keys():  # noqa: SIM118 - a header is not a dict
        if first == 0 or name not in changed:
            np.testing.assert_array_equal(after.header[name], before.header[name], name)
    move = np.eye(4)
    move[2, 3] = first
    np.testing.assert_allclose(after.affine, before.affine @ move, atol=1e-5)


def test_a_differing_qform_is_named(tmp_path):
    for codes, sform, line in (((1, 1), QFORM, 0), ((1, 1), SFORM, 1), ((0, 1), SFORM, 0)):
        source = affines_file(tmp_path / "a.nii", sform, QFORM, codes)
        assert ("nifti qform" in " ".join(carry(source, tmp_path / "a.nrrd"))) == line


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_long_axes_are_nifti_2(tmp_path, axis):
    for length, kind in ((32767, nib.Nifti1Image), (32768, nib.Nifti2Image)):
        shape = [1, 1, 1]
        shape[axis] = length
        labels, path = np.ones(shape, np.uint8), tmp_path / "a.nii"
        assert volumes.write(path, volumes.of_array(labels)) == []
        image = nib.load(path)
        assert type(image) is kind
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, labels)


def extended_file(path, *extensions, order="<"):
    """A NIfTI file with extensions of these codes and bytes, as they are."""
    packed = b"".join(
        struct.pack(f"{order}ii", 8 + len(content), code) + content for code, content in extensions
    )
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(LABELS.dtype)
    header.set_data_shape(LABELS.shape[::-1])
    header["vox_offset"] = 352 + len(packed)
    labels = LABELS.astype(f"{order}u2").tobytes()
    path.write_bytes(header.binaryblock + b"\1\0\0\0" + packed + labels)
    return packed


EXTENSIONS = [
    [(42, bytes(24)), (6, b"a comment, \xfe" + bytes(12))],
    [(4, b"<?xml?><AFNI/>".ljust(40, b"\0")), (0, b"\x80\xff\0\0\0\0\0\0")],
    [(30, b"<Label/>" * 20_001)],
]


@pytest.mark.parametrize("extensions", EXTENSIONS)
@pytest.mark.parametrize("order", "<>")
def test_niftis_extensions_keep_every_byte(tmp_path, extensions, order):
    packed = extended_file(tmp_path / "a.nii", *extensions, order=order)
    assert run("compress", tmp_path / "a.nii", tmp_path / "a.cps").stderr == ""
    assert run("decompress", tmp_path / "a.cps", tmp_path / "b.nii").stderr == ""
    whole = (tmp_path / "b.nii").read_bytes()
    expected = packed if order == "<" else extended_file(tmp_path / "c.nii", *extensions)
    assert len(whole) == 352 + len(packed) + LABELS.nbytes
    assert whole[348 : 352 + len(packed)] == b"\1\0\0\0" + expected
    assert "extensions" in named(tmp_path / "a.nii", ".nrrd")


def test_extensions_that_are_cut_are_named():
    header = nib.Nifti1Header(endianness="<")
    tail = b"\1\0\0\0" + (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"a" * 24
    metadata, lost = nifti.read_metadata(header, tail + (99).to_bytes(4, "little") + bytes(12))
    assert metadata["nifti"]["extensions"] == [[6, "a" * 24]]
    assert len(lost) == 1

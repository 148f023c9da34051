"""What files say beside their labels, through ``python -m compresso`` and back."""

import itertools

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner, Result

import compresso
from compresso import files
from compresso.__main__ import main
from tests.helpers.geometry import (
    TURN,
    assert_same_place,
    by_itk,
    corners,
    hdf5_file,
    itk_file,
    nifti_file,
    nrrd_file,
)


def run(*arguments: object) -> Result:
    """A command that must succeed."""
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz"])
def test_a_volume_stays_where_it_is_through_a_frame(tmp_path, ending):
    source = itk_file(tmp_path / "a.nrrd", TURN)
    run("compress", source, tmp_path / "a.cps")
    result = run("decompress", tmp_path / "a.cps", tmp_path / f"b{ending}")
    assert result.stderr == ""
    assert_same_place(by_itk(tmp_path / f"b{ending}"), by_itk(source))


def test_slices_of_a_frame_are_where_they_were(tmp_path):
    source = itk_file(tmp_path / "a.nrrd", TURN)
    run("compress", source, tmp_path / "a.cps")
    run("decompress", tmp_path / "a.cps", tmp_path / "b.nii", "--slices", "2:5")
    image = SimpleITK.ReadImage(str(source))[:, :, 2:5]
    at = corners((3, 5, 6)).tolist()
    wanted = [image.TransformContinuousIndexToPhysicalPoint(c) for c in at]
    assert_same_place(by_itk(tmp_path / "b.nii"), np.array(wanted))


def test_what_a_target_cannot_hold_is_one_line_on_stderr(tmp_path):
    source = nrrd_file(tmp_path / "a.nrrd", "content: a knee", "spacings: 1 2 3", "key:=value")
    assert run("compress", source, tmp_path / "a.cps").stderr == ""
    target = tmp_path / "b.npy"
    result = run("decompress", tmp_path / "a.cps", target)
    names = "the geometry, nrrd content, nrrd keys key"
    assert result.stderr == f"{target}: cannot hold {names}\n"
    assert run("decompress", tmp_path / "a.cps", tmp_path / "b.nrrd").stderr == ""


def test_what_the_frame_cannot_hold_is_one_line_on_stderr(tmp_path):
    source = hdf5_file(tmp_path / "a.h5", big=np.zeros(999), resolution=[4.0, 2, 1])
    result = run("compress", source, tmp_path / "a.cps")
    assert result.stderr == f"{source}: a compressed file cannot hold big\n"
    lines = [f"key{n}:={'x' * 900_000}" for n in range(6)]
    many = nrrd_file(tmp_path / "b.nrrd", *lines, "content: small")
    result = run("compress", many, tmp_path / "b.cps")
    assert result.stderr.count("\n") == 1
    kept = files.describe_file(tmp_path / "b.cps")["metadata"]["nrrd"]
    assert kept["content"] == "small"
    assert len(kept["keys"]) == 4  # of 900,000 bytes each, in 4 MiB


def test_info_tells_the_place(tmp_path):
    line = "space directions: (0.5,0,0) (0,-0.25,0) (0,0,3)"
    units = 'space units: "mm" "mm" "mm"'
    source = nrrd_file(tmp_path / "a.nrrd", "space: RAS", units, line, "space origin: (1,2,-3.5)")
    run("compress", source, tmp_path / "a.cps")
    shown = run("info", tmp_path / "a.cps").stdout
    place = "voxel size 0.5 x 0.25 x 3 mm, origin (1, 2, -3.5) RAS, turned axes; nrrd: 4 fields\n"
    assert place in shown
    slicers = nrrd_file(
        tmp_path / "c.nrrd", "space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)"
    )
    run("compress", slicers, tmp_path / "c.cps")
    shown = run("info", tmp_path / "c.cps").stdout
    assert "voxel size 1 x 1 x 1 mm LPS; nrrd: 2 fields\n" in shown
    nothing = nrrd_file(tmp_path / "b.nrrd")
    run("compress", nothing, tmp_path / "b.cps")
    assert "voxel size" not in run("info", tmp_path / "b.cps").stdout


def test_metadata_of_a_user_are_not_taken_for_a_files(tmp_path):
    """Frames of ``dumps`` may have any JSON; the files they are restored to hold the labels."""
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    odd = {"mine\x1b[2J": 1, "geometry": "here", "nrrd": ["no"], "hdf5": {"a": 1}, "tiff": None}
    (tmp_path / "a.cps").write_bytes(compresso.dumps(labels, metadata=odd))
    assert "\x1b" not in run("info", tmp_path / "a.cps").stdout
    for ending in (".nrrd", ".nii", ".h5", ".tif", ".npy"):
        result = run("decompress", tmp_path / "a.cps", tmp_path / f"a{ending}")
        assert result.stderr.count("\n") == 1
        assert "mine" in result.stderr


def test_a_frame_says_the_same_after_every_format(tmp_path):
    """The description's geometry, from NIfTI by way of HDF5 and NRRD to NIfTI."""
    affine = np.diag([-0.5, 0.25, 2, 1])
    affine[:3, 3] = 10, -20, 30
    nifti_file(tmp_path / "0.nii", affine, 1, 0, "mm")
    chain = ["0.nii", "1.h5", "2.nrrd", "3.h5", "4.nii"]
    for source, target in itertools.pairwise(chain):
        run("compress", tmp_path / source, tmp_path / "a.cps", "--force")
        assert run("decompress", tmp_path / "a.cps", tmp_path / target).stderr == ""
    np.testing.assert_array_equal(nib.load(tmp_path / "4.nii").affine, affine)
    with h5py.File(tmp_path / "3.h5") as file:
        assert file["main"].attrs["resolution"].tolist() == [2e6, 0.25e6, 0.5e6]

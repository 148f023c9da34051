"""Files with a place in the world, and where others see them: for the tests of metadata."""

import itertools
import json
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import SimpleITK

from compresso import volumes
from compresso.volumes import _metadata

LABELS = np.random.default_rng(7).integers(0, 9, (7, 5, 6)).astype(np.uint16)
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
DIRECTIONS = {
    "plain": np.eye(3),
    "flipped": np.diag([1.0, -1.0, -1.0]),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "permuted": np.eye(3)[[1, 2, 0]],
    "oblique": TURN,
}
SPACING, ORIGIN = (0.277340196578, 0.5, 1.25), (-70.860420225, 12.5, -59.0)


def carry(source: Path, target: Path, first: int = 0) -> list[str]:
    """From file to file by way of the JSON, from slice ``first`` on; what could not be held."""
    with volumes.open(source) as volume:
        text = json.dumps(volume.metadata, allow_nan=False)
        depth = volume.shape[0]
        labels = volume.read(first, depth)
        metadata = volumes.sliced(json.loads(text), first, depth, depth)
    lost = volumes.write(target, volumes.of_array(labels, metadata))
    with volumes.open(target) as back:
        np.testing.assert_array_equal(back.read(0, back.shape[0]), labels)
    return _metadata.report_lost(target, lost)


def named(path: Path, target: str) -> str:
    """The line that names what a file with another ending cannot hold; empty without one."""
    return "".join(carry(path, path.with_name(f"named{target}")))


def corners(shape: tuple[int, ...]) -> np.ndarray:
    """The corners of the outermost voxels, (x, y, z) in voxels."""
    return np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in shape[::-1]])))


def by_itk(path: Path) -> np.ndarray:
    """Where SimpleITK sees the corners: LPS."""
    image = SimpleITK.ReadImage(str(path))
    at = corners(image.GetSize()[::-1])
    return np.array([image.TransformContinuousIndexToPhysicalPoint(c.tolist()) for c in at])


def by_nibabel(path: Path) -> np.ndarray:
    """Where nibabel sees the corners, in mm: LPS."""
    image = nib.load(path)
    at = nib.affines.apply_affine(image.affine, corners(image.shape[::-1]))
    scale = {"meter": 1e3, "micron": 1e-3}.get(image.header.get_xyzt_units()[0], 1.0)
    return at * (-1, -1, 1) * scale


def assert_same_place(found: np.ndarray, expected: np.ndarray) -> None:
    """To the precision of the 32-bit floats of NIfTI."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def itk_file(path: Path, directions: np.ndarray, labels: np.ndarray = LABELS) -> Path:
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(directions.ravel().tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


def nrrd_file(path: Path, *lines: str | bytes, labels: np.ndarray = LABELS) -> Path:
    """An NRRD file with more lines in its header."""
    sizes = " ".join(map(str, labels.shape[::-1]))
    head = ["NRRD0005", "type: uint16", "dimension: 3", f"sizes: {sizes}", "endian: little"]
    head += ["encoding: raw"]
    more = [line if isinstance(line, bytes) else line.encode() for line in lines]
    text = b"\n".join([*(line.encode() for line in head), *more, b"", b""])
    path.write_bytes(text + labels.astype("<u2").tobytes())
    return path


def nifti_file(path: Path, affine: np.ndarray, sform: int, qform: int, unit: str) -> Path:
    header = nib.Nifti1Header()
    header.set_data_dtype(LABELS.dtype)
    header.set_xyzt_units(unit)
    image = nib.Nifti1Image(LABELS.T, affine, header)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    nib.save(image, path)
    return path


def hdf5_file(path: Path, **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        main = file.create_dataset("main", data=LABELS)
        main.attrs.update(attributes)
    return path

"""NIfTI, by nibabel: MRI segmentations."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import Reader, check, check_writable, package, reading

SUFFIXES = (".nii", ".nii.gz")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a NIfTI file; its axes, x first, become [z, y, x]."""
    nibabel = package("nibabel", "nibabel")
    errors = (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError)
    with reading(path, "NIfTI", errors):
        image: Any = nibabel.load(path)
    shape, dtype = tuple(image.shape[::-1]), image.get_data_dtype()
    check(path, shape, dtype)

    def read(start: int, stop: int) -> NDArray[Any]:
        with reading(path, "NIfTI", errors):
            part = np.asanyarray(image.dataobj[..., start:stop])
        if part.dtype != dtype:  # scaled to floating point by the header
            raise FileError(f"{path}: its header scales the labels; they must be plain integers")
        return np.ascontiguousarray(part.T)

    yield Reader(shape, dtype, read)


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write a NIfTI file, packed with gzip where its name ends so."""
    check_writable(path, shape, dtype)
    nibabel = package("nibabel", "nibabel")
    header = nibabel.Nifti1Header(endianness="<")
    try:
        header.set_data_dtype(dtype)
        header.set_data_shape(shape[::-1])
    except nibabel.spatialimages.HeaderDataError as error:
        raise FileError(f"NIfTI files cannot hold the volume ({error})") from None
    header["vox_offset"] = header.single_vox_offset
    packed = path.suffix == ".gz"
    with gzip.open(path, "wb", compresslevel=6) if packed else path.open("wb") as file:
        file.write(header.binaryblock.ljust(header.single_vox_offset, b"\0"))
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)

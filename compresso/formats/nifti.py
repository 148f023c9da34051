"""NIfTI, by nibabel: MRI segmentations."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import Reader, check, package

SUFFIXES = (".nii", ".nii.gz")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a NIfTI file; its axes, x first, become [z, y, x]."""
    nibabel = package("nibabel", "nibabel")
    try:
        image: Any = nibabel.load(path)
    except (OSError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise FileError(f"{path}: not readable as NIfTI ({error})") from None
    shape, dtype = tuple(image.shape[::-1]), image.get_data_dtype()
    check(path, shape, dtype)

    def read(start: int, stop: int) -> NDArray[Any]:
        try:
            part = np.asanyarray(image.dataobj[..., start:stop])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise FileError(f"{path}: not readable as NIfTI ({error})") from None
        if part.dtype != dtype:  # scaled to floating point by the header
            raise FileError(f"{path}: its header scales the labels; they must be plain integers")
        return np.ascontiguousarray(part.T)

    yield Reader(shape, dtype, read)

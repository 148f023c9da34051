"""NIfTI, by nibabel: MRI segmentations."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from experiments.errors import DatasetError
from experiments.formats import Reader, check, first

SUFFIXES = (".nii", ".nii.gz")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a NIfTI file; its axes, x first, become [z, y, x]."""
    try:
        image: Any = nibabel.load(path)
    except (OSError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise DatasetError(f"{path}: not readable as NIfTI ({error})") from None
    shape, dtype = tuple(image.shape[::-1]), image.get_data_dtype()
    check(path, shape, dtype)

    def read(slices: int | None) -> NDArray[Any]:
        try:
            part = np.asanyarray(image.dataobj[..., : first(shape, slices)])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DatasetError(f"{path}: not readable as NIfTI ({error})") from None
        if part.dtype != dtype:  # scaled to floating point by the header
            raise DatasetError(f"{path}: its header scales the labels; they must be plain integers")
        return np.ascontiguousarray(part.T)

    yield Reader(shape, dtype, read)

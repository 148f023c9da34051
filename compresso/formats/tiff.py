"""TIFF stacks, by tifffile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from compresso.errors import FileError
from compresso.formats import Reader, check, package

SUFFIXES = (".tif", ".tiff")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a TIFF file whose pages are slices."""
    tifffile = package("tifffile", "tifffile")
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            shape, dtype = tuple(series.shape), np.dtype(series.dtype)
            check(path, shape, dtype)
            yield Reader(
                shape,
                dtype,
                lambda start, stop: file.asarray(key=slice(start, stop)).reshape(-1, *shape[1:]),
            )
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise FileError(f"{path}: not readable as TIFF ({error})") from None

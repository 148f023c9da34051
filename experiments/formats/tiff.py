"""TIFF stacks, by tifffile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from experiments.errors import DatasetError
from experiments.formats import Reader, check, first

SUFFIXES = (".tif", ".tiff")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a TIFF file whose pages are slices."""
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            shape, dtype = tuple(series.shape), np.dtype(series.dtype)
            check(path, shape, dtype)
            yield Reader(
                shape,
                dtype,
                lambda n: file.asarray(key=slice(first(shape, n))).reshape(-1, *shape[1:]),
            )
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise DatasetError(f"{path}: not readable as TIFF ({error})") from None

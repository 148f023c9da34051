"""TIFF stacks, by tifffile."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.formats import Reader, check, check_writable, package, reading

SUFFIXES = (".tif", ".tiff")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open a TIFF file whose pages are slices, one or more."""
    tifffile = package("tifffile", "tifffile")
    errors = (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError)
    with ExitStack() as files:
        with reading(path, "TIFF", errors):
            file = files.enter_context(tifffile.TiffFile(path, _multifile=False))
            series = file.series[0]
            shape, dtype = tuple(series.shape), np.dtype(series.dtype)
        if len(shape) == 2:
            shape = (1, *shape)
        check(path, shape, dtype)

        def read(start: int, stop: int) -> NDArray[Any]:
            with reading(path, "TIFF", errors):
                labels: NDArray[Any] = file.asarray(key=slice(start, stop))
                return labels.reshape(-1, *shape[1:])

        yield Reader(shape, dtype, read)


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write a TIFF file, a page a slice, packed with zlib."""
    check_writable(path, shape, dtype)
    with package("tifffile", "tifffile").TiffWriter(path, bigtiff=True) as file:
        for labels in chain.from_iterable(parts):
            file.write(labels, compression="zlib", photometric="minisblack", metadata=None)

"""NRRD, by pynrrd: the SPL atlases."""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from experiments.errors import DatasetError
from experiments.formats import Reader, check, first

SUFFIXES = (".nrrd", ".nhdr")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an NRRD file; its axes, x first, become [z, y, x]."""
    try:
        with open(path, "rb") as file:
            header = nrrd.read_header(file)
            start = file.tell()
        shape = tuple(int(n) for n in header["sizes"][::-1])
        dtype = np.dtype(nrrd.reader._determine_datatype(header))
    except (OSError, KeyError, ValueError, StopIteration, nrrd.NRRDError) as error:
        raise DatasetError(f"{path}: not readable as NRRD ({error})") from None
    check(path, shape, dtype)

    def read(slices: int | None) -> NDArray[Any]:
        try:
            return _read(path, header, start, (first(shape, slices), *shape[1:]), dtype)
        except (OSError, EOFError, ValueError, zlib.error, nrrd.NRRDError) as error:
            raise DatasetError(f"{path}: not readable as NRRD ({error})") from None

    yield Reader(shape, dtype, read)


def _read(
    path: Path, header: Any, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Read the first slices; z is the slowest axis, so they come first in the file too."""
    attached = "data file" not in header and "datafile" not in header
    skips = int(header.get("line skip", 0)) or int(header.get("byte skip", 0))
    if attached and not skips and header["encoding"] in ("raw", "gzip", "gz"):
        with open(path, "rb") as file:
            file.seek(start)
            stream = file if header["encoding"] == "raw" else gzip.GzipFile(fileobj=file)
            data = stream.read(math.prod(shape) * dtype.itemsize)
        if len(data) < math.prod(shape) * dtype.itemsize:
            raise EOFError(f"it ends after {len(data)} bytes of labels")
        return np.frombuffer(data, dtype).reshape(shape)
    whole, _ = nrrd.read(str(path), index_order="C")
    return np.ascontiguousarray(whole[: shape[0]])

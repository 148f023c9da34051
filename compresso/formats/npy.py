"""NumPy's .npy files."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from compresso.formats import Reader, check, reading

SUFFIXES = (".npy",)


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an .npy file; pickled objects are refused."""
    errors = (OSError, ValueError, EOFError)
    with reading(path, ".npy", errors):
        labels: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    check(path, labels.shape, labels.dtype)
    shape, dtype = labels.shape, labels.dtype
    if not labels.flags.c_contiguous:
        yield Reader(shape, dtype, lambda start, stop: np.array(labels[start:stop]))
        return
    offset = labels.offset

    # Pages of the map would count as the process's memory; what is read from the file does not.
    def read(start: int, stop: int) -> NDArray[Any]:
        start, stop, _ = slice(start, stop).indices(shape[0])
        part = (max(0, stop - start), *shape[1:])
        at = offset + start * math.prod(shape[1:]) * dtype.itemsize
        with reading(path, ".npy", errors):
            return np.fromfile(path, dtype, math.prod(part), offset=at).reshape(part)

    yield Reader(shape, dtype, read)


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write an .npy file in C order."""
    header = {"shape": shape, "fortran_order": False, "descr": dtype_to_descr(dtype)}
    with path.open("wb") as file:
        write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)

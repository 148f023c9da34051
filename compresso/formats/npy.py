"""NumPy's .npy files, memory-mapped."""

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
    with reading(path, ".npy", (OSError, ValueError, EOFError)):
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
    check(path, labels.shape, labels.dtype)
    yield Reader(labels.shape, labels.dtype, lambda start, stop: np.array(labels[start:stop]))


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write an .npy file in C order."""
    header = {"shape": shape, "fortran_order": False, "descr": dtype_to_descr(dtype)}
    with path.open("wb") as file:
        write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)

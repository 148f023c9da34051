"""NumPy's .npy files, memory-mapped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from compresso.errors import FileError
from compresso.formats import Reader, check

SUFFIXES = (".npy",)


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an .npy file; pickled objects are refused."""
    try:
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{path}: not readable as .npy ({error})") from None
    check(path, labels.shape, labels.dtype)
    yield Reader(labels.shape, labels.dtype, lambda start, stop: np.array(labels[start:stop]))

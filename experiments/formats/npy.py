"""NumPy's .npy files, memory-mapped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiments.errors import DatasetError
from experiments.formats import Reader, check, first

SUFFIXES = (".npy",)


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an .npy file; pickled objects are refused."""
    try:
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: not readable as .npy ({error})") from None
    check(path, labels.shape, labels.dtype)
    yield Reader(labels.shape, labels.dtype, lambda n: np.array(labels[: first(labels.shape, n)]))

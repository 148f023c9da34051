"""Files that hold label volumes, one format a module.

A format module has ``SUFFIXES``, the file endings it reads, and ``open_volume(path, inner)``, a
context manager that gives a :class:`Reader`. The packages behind them are imported only when a
file needs them.
"""

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError, MissingPackageError


class Reader(NamedTuple):
    """A volume in an open file: its shape (z, y, x), its dtype, and how to get slices of it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]  # slices start..stop-1


def suffixes() -> dict[str, ModuleType]:
    """Every file ending that can be read, with the module that reads it."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found.update(dict.fromkeys(module.SUFFIXES, module))
    return found


def split(text: str, more: tuple[str, ...] = ()) -> tuple[Path, str]:
    """Split ``my.h5:/volumes/labels`` into the file and what is inside it.

    ``more`` are endings of files, beside those of the formats, that have an inside.
    """
    for suffix in (*suffixes(), *more):
        path, mark, inner = text.partition(suffix + ":")
        if mark:
            return Path(path + suffix), inner
    return Path(text), ""


def open_volume(path: Path, inner: str = "") -> AbstractContextManager[Reader]:
    """Open a file of any known format; raises FileError."""
    for suffix, module in suffixes().items():
        if path.name.lower().endswith(suffix.lower()):
            opened: AbstractContextManager[Reader] = module.open_volume(path, inner)
            return opened
    raise FileError(f"{path}: unknown kind of file; known are {', '.join(suffixes())}")


def package(import_name: str, pip_name: str) -> Any:
    """Import what a format needs; raises MissingPackageError."""
    try:
        return importlib.import_module(import_name)
    except ImportError as error:
        raise MissingPackageError(
            f"this file needs the package {pip_name} ({error}); run: pip install {pip_name}"
        ) from None


def check(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise FileError for what is not a volume of integers."""
    if len(shape) != 3 or dtype.kind not in "uib" or dtype.itemsize > 8:
        raise FileError(f"{path}: holds {dtype} of shape {shape}, not a 3-D volume of integers")

"""Files that hold label volumes, one format a module.

A format module has ``SUFFIXES``, its file endings; ``open_volume(path, inner)``, a context manager
that gives a :class:`Reader`; and ``write_volume(path, shape, dtype, parts)``. The packages behind
them are imported only when a file needs them. No file leads to another: it may come from anybody.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError, MissingPackageError

Writer = Callable[[Path, tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]]], None]


class Reader(NamedTuple):
    """A volume in an open file: its shape (z, y, x), its dtype, and how to get slices of it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]  # slices start..stop-1


def suffixes() -> dict[str, ModuleType]:
    """Every known file ending, with the module of its format."""
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
    opened: AbstractContextManager[Reader] = _module(path).open_volume(path, inner)
    return opened


def writer(path: Path) -> Writer:
    """The function that writes files such as ``path``; raises FileError for an unknown ending.

    It takes a path, the shape (z, y, x), the dtype, and all slices in parts, from the first to the
    last; it raises FileError for what the format cannot hold, and OSError.
    """
    write: Writer = _module(path).write_volume
    return write


def _module(path: Path) -> ModuleType:
    for suffix, module in suffixes().items():
        if path.name.lower().endswith(suffix.lower()):
            return module
    raise FileError(f"{path}: unknown kind of file; known are {', '.join(suffixes())}")


def package(import_name: str, pip_name: str) -> Any:
    """Import what a format needs; raises MissingPackageError."""
    try:
        return importlib.import_module(import_name)
    except ImportError as error:
        raise MissingPackageError(
            f"this file needs the package {pip_name} ({error}); run: pip install {pip_name}"
        ) from None


@contextmanager
def reading(path: Path, kind: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Tell what a library raises on a damaged file as a FileError."""
    try:
        yield
    except errors as error:
        raise FileError(f"{path}: not readable as {kind} ({error})") from None


def check(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise FileError for what is not a volume of integers."""
    if len(shape) != 3 or dtype.kind not in "uib" or dtype.itemsize > 8:
        raise FileError(f"{path}: holds {dtype} of shape {shape}, not a 3-D volume of integers")


def check_writable(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise FileError for what only .h5 and .npy hold: empty volumes, and bool."""
    what = "bool" if dtype.kind == "b" else "an empty volume" if 0 in shape else None
    if what:
        raise FileError(f"{path.suffix} files cannot hold {what}; write an .h5 or .npy file")

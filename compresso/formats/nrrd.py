"""NRRD, by pynrrd: the SPL atlases."""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import Reader, check, package

SUFFIXES = (".nrrd", ".nhdr")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an NRRD file; its axes, x first, become [z, y, x]."""
    nrrd = package("nrrd", "pynrrd")
    try:
        with open(path, "rb") as file:
            header = nrrd.read_header(file)
            start = file.tell()
        shape = tuple(int(n) for n in header["sizes"][::-1])
        dtype = np.dtype(nrrd.reader._determine_datatype(header))
    except (OSError, KeyError, ValueError, StopIteration, nrrd.NRRDError) as error:
        raise FileError(f"{path}: not readable as NRRD ({error})") from None
    check(path, shape, dtype)

    slices = _Slices(path, header, start, shape, dtype)
    try:
        yield Reader(shape, dtype, slices.read)
    finally:
        slices.close()


class _Slices:
    """Reads slices of the file's data; z is the slowest axis, so they follow one another."""

    def __init__(
        self, path: Path, header: Any, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._path, self._header, self._start = path, header, start
        self._shape, self._dtype = shape, dtype
        self._file: Any = None
        self._files = ExitStack()
        self._at = 0  # the slice that comes next

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Slices start..stop-1; forwards costs no more than they do."""
        nrrd = package("nrrd", "pynrrd")
        header = self._header
        attached = "data file" not in header and "datafile" not in header
        skips = int(header.get("line skip", 0)) or int(header.get("byte skip", 0))
        try:
            if not attached or skips or header["encoding"] not in ("raw", "gzip", "gz"):
                whole, _ = nrrd.read(str(self._path), index_order="C")
                return np.ascontiguousarray(whole[start:stop])
            if self._file is None or start < self._at:
                self._open()
            self._read(start - self._at)
            return self._read(stop - start)
        except (OSError, EOFError, ValueError, zlib.error, nrrd.NRRDError) as error:
            raise FileError(f"{self._path}: not readable as NRRD ({error})") from None

    def close(self) -> None:
        """Close the file."""
        self._files.close()
        self._file = None

    def _open(self) -> None:
        self.close()
        files = ExitStack()
        file: Any = files.enter_context(self._path.open("rb"))
        file.seek(self._start)
        if self._header["encoding"] != "raw":
            file = files.enter_context(gzip.GzipFile(fileobj=file))
        self._file, self._files, self._at = file, files, 0

    def _read(self, count: int) -> NDArray[Any]:
        shape = (count, *self._shape[1:])
        data = self._file.read(math.prod(shape) * self._dtype.itemsize)
        if len(data) < math.prod(shape) * self._dtype.itemsize:
            raise EOFError(f"it ends inside slice {self._at + count}")
        self._at += count
        return np.frombuffer(data, self._dtype).reshape(shape)

"""NRRD, by pynrrd: the SPL atlases."""

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import Reader, check, check_writable, package, reading

SUFFIXES = (".nrrd", ".nhdr")
#: The two spellings of the field that names the file of the data.
DATA_FILE = ("data file", "datafile")


@contextmanager
def open_volume(path: Path, inner: str) -> Iterator[Reader]:
    """Open an NRRD file; its axes, x first, become [z, y, x]."""
    nrrd = package("nrrd", "pynrrd")
    errors = (OSError, KeyError, ValueError, StopIteration, nrrd.NRRDError)
    with reading(path, "NRRD", errors), path.open("rb") as file:
        header = nrrd.read_header(file)
        start = file.tell()
        shape = tuple(int(n) for n in header["sizes"][::-1])
        dtype = np.dtype(nrrd.reader._determine_datatype(header))
    check(path, shape, dtype)
    _refuse_links(path, header)

    slices = _Slices(path, header, start, shape, dtype)
    try:
        yield Reader(shape, dtype, slices.read)
    finally:
        slices.close()


def write_volume(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Write an NRRD file, packed with gzip, its axes x first."""
    if path.suffix.lower() == ".nhdr":
        raise FileError(".nhdr files are headers without data; write an .nrrd file")
    check_writable(path, shape, dtype)
    fields = {
        "type": dtype.name,
        "dimension": 3,
        "sizes": " ".join(map(str, shape[::-1])),
        "endian": "little",
        "encoding": "gzip",
    }
    header = "".join(f"{name}: {value}\n" for name, value in fields.items())
    with path.open("wb") as file:
        file.write(f"NRRD0004\n{header}\n".encode())
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
            for part in parts:
                packed.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)


def _refuse_links(path: Path, header: Any) -> None:
    """Raise FileError where the data are in a file of another folder, or in a list of files."""
    for name in DATA_FILE:
        data = Path(str(header.get(name, "here")))
        if (
            data.name in ("LIST", "")
            or (path.parent / data).resolve().parent != path.parent.resolve()
        ):
            raise FileError(f"{path}: its data file {data} is not beside it, and is not opened")


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
        attached = not any(name in header for name in DATA_FILE)
        skips = int(header.get("line skip", 0)) or int(header.get("byte skip", 0))
        errors = (OSError, EOFError, ValueError, zlib.error, nrrd.NRRDError)
        with reading(self._path, "NRRD", errors):
            if not attached or skips or header["encoding"] not in ("raw", "gzip", "gz"):
                whole, _ = nrrd.read(str(self._path), index_order="C")
                return np.ascontiguousarray(whole[start:stop])
            if self._file is None or start < self._at:
                self._open()
            self._read(start - self._at)
            return self._read(stop - start)

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

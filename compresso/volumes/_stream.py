"""Slices that follow one another in a file, which may be compressed or text."""

import bz2
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.volumes._format import bytes_of

BLOCK = 1 << 20


class Stream:
    """Reads slices in C order from a file that is opened when one is wanted.

    Parameters
    ----------
    opener : callable
        Opens the file at the first byte of the labels; closing it closes what is beneath.
    shape : (int, int, int)
    dtype : dtype
    last : bool
        Whether the labels are the last bytes, and nothing may follow.
    """

    def __init__(
        self,
        opener: Callable[[], io.BufferedIOBase],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        last: bool = True,
    ) -> None:
        self._opener, self._shape, self._dtype, self._last = opener, shape, dtype, last
        self._plane = bytes_of(shape[1:], dtype)
        self._file: io.BufferedIOBase | None = None
        self._at = 0  # the slice that comes next, or -1

    def fetch(self, start: int, stop: int) -> NDArray[Any]:
        """Slices start..stop-1; forwards costs no more than they do.

        With the last slice, the end is checked: a checksum there, and that nothing follows.
        """
        labels = np.empty((stop - start, *self._shape[1:]), self._dtype)
        file = self._seek(start)
        self._at = -1  # until it is known to be somewhere
        view = labels.view(np.uint8).data.cast("B")
        while view:
            count = file.readinto(view)
            if not count:
                raise EOFError(f"it ends before slice {stop - len(view) // self._plane}")
            view = view[count:]
        if self._last and stop == self._shape[0] and file.read(1):
            raise ValueError("bytes follow the labels that its header promises")
        self._at = stop
        return labels

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _seek(self, start: int) -> io.BufferedIOBase:
        if self._file is None or not 0 <= self._at <= start:
            self.close()
            self._file, self._at = self._opener(), 0
        skip(self._file, (start - self._at) * self._plane)
        return self._file


def open_file(path: Path, encoding: str, start: int = 0) -> io.BufferedIOBase:
    """Open a file, and unpack what is behind its first ``start`` bytes.

    Parameters
    ----------
    path : Path
    encoding : {"raw", "gzip", "bz2"}
        gzip has a checksum and a length, and nothing but zeros may follow; bzip2 has a checksum
        for each block, and what follows is ignored, as its own program does.
    start : int
    """
    file = path.open("rb")
    file.seek(start)
    if encoding == "raw":
        return file
    return _Unpacked(file, gzip.GzipFile(fileobj=file) if encoding == "gzip" else bz2.BZ2File(file))


class _Unpacked(io.BufferedIOBase):
    """The unpacked bytes of a file, which is closed with it; it reads no more than is asked for."""

    def __init__(self, file: io.BufferedReader, packed: io.BufferedIOBase) -> None:
        self._file, self._packed = file, packed

    def read(self, size: int | None = -1) -> bytes:
        """As many bytes as are asked for, less at the end."""
        return self._packed.read(size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; less than that is the end."""
        return self._packed.readinto(buffer)

    def close(self) -> None:
        """Close the file."""
        self._packed.close()
        self._file.close()
        super().close()


class Numbers(io.BufferedIOBase):
    """The bytes of integers that are written out in a text file, which is closed with it."""

    #: No 64-bit integer has as many digits.
    LONGEST = 32

    def __init__(self, file: io.BufferedIOBase, dtype: np.dtype[Any]) -> None:
        self._file, self._dtype = file, dtype
        self._rest = b""  # the beginning of a number
        self._bytes = b""
        self._ended = False

    def read(self, size: int | None = -1) -> bytes:
        """Some bytes, at most ``size``; none are only at the end."""
        while not self._bytes and not self._ended:
            self._fill()
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _fill(self) -> None:
        block = self._file.read(BLOCK)
        self._ended = not block
        text = self._rest + block
        words = text.split()
        self._rest = b"" if text[-1:].isspace() else words.pop() if words else b""
        if self._ended and self._rest:
            raise EOFError("its text must end with the end of a line; it may be cut")
        if max(map(len, (*words, self._rest))) > self.LONGEST:
            raise ValueError("its text is not made of integers")
        self._bytes = np.array(words, "S").astype(self._dtype).tobytes()


def skip(file: io.BufferedIOBase, count: int) -> None:
    """Go on by ``count`` bytes, or to the end of the file."""
    if count and file.seekable():
        file.seek(count, io.SEEK_CUR)
        return
    while count:
        block = file.read(min(count, BLOCK))
        if not block:
            return
        count -= len(block)

"""NRRD, by pynrrd: the SPL atlases."""

import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import space_axes
from compresso.errors import FileError
from compresso.formats import _nrrd
from compresso.formats._format import (
    DEFLATE,
    Format,
    Reader,
    bytes_of,
    check_room,
    check_writable,
    volume_shape,
)
from compresso.formats._metadata import Metadata
from compresso.formats._stream import BLOCK, Numbers, Stream, open_file, skip
from compresso.plugins import require

#: The two spellings of the fields that tell where the data are.
DATA_FILE = ("data file", "datafile")
LINE_SKIP = ("line skip", "lineskip")
BYTE_SKIP = ("byte skip", "byteskip")
#: How each encoding is read, and how many bytes a byte of it can stand for, at most.
ENCODINGS = {
    "raw": ("raw", 1),
    **dict.fromkeys(("gzip", "gz"), ("gzip", DEFLATE)),
    **dict.fromkeys(("bzip2", "bz2"), ("bz2", 1 << 21)),
    **dict.fromkeys(("ascii", "text", "txt"), ("text", 8)),
}


class Nrrd(Format):
    """A text header, and labels from the first to the last, in the same file or beside it.

    gzip and bzip2 have checksums, raw and text none. There must be as many labels as promised, and
    no more.
    """

    name = "NRRD"
    suffixes = (".nrrd", ".nhdr")

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Reader]:
        """Open an NRRD file; its axes, x first, become [z, y, x]."""
        nrrd = require("nrrd", "pynrrd", "this file")
        text, header, start = _header(path)
        missing = [
            name for name in ("type", "dimension", "encoding", "sizes") if name not in header
        ]
        if missing:
            raise ValueError(f"its header has no {missing[0]}")
        own = tuple(int(n) for n in header["sizes"][::-1])
        if len(own) != header["dimension"]:
            raise ValueError(f"its header has {len(own)} sizes for {header['dimension']} axes")
        dtype = np.dtype(nrrd.reader._determine_datatype(header))
        shape = volume_shape(path, own, dtype)
        encoding = header["encoding"].lower()
        if encoding not in ENCODINGS:
            raise ValueError(f"its encoding {encoding} is none of {', '.join(ENCODINGS)}")
        kind, ratio = ENCODINGS[encoding]
        data = _data_file(path, header)
        start = _skip_lines(data, 0 if data != path else start, _field(header, LINE_SKIP))
        after = _field(header, BYTE_SKIP)
        check_room(bytes_of(shape, dtype), max(0, data.stat().st_size - start), ratio)
        if after == -1:  # the labels are the last bytes
            after = _length(data, kind, start) - bytes_of(shape, dtype)
        if after < 0:
            raise EOFError(f"it promises {bytes_of(shape, dtype)} bytes of labels, and has less")

        def opener() -> io.BufferedIOBase:
            file = open_file(data, "raw" if kind == "text" else kind, start)
            skip(file, after)
            return Numbers(file, dtype) if kind == "text" else file

        stream = Stream(opener, shape, dtype)
        try:
            axes = [len(own) - 1 - axis for axis in reversed(space_axes(own))]
            said = _nrrd.read(text, axes, len(own))
            yield Reader(shape, dtype, stream.fetch, *said, own=own)
        finally:
            stream.close()

    def files(self, path: Path) -> tuple[Path, ...]:
        """The header, and the data where they are beside it."""
        data = _data_file(path, _header(path)[1])
        return (path,) if data == path else (path, data)

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
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
        magic, more, lost = _nrrd.lines(metadata)
        lines = [magic, *(f"{name}: {value}" for name, value in fields.items()), *more]
        with path.open("wb") as file:
            file.write("".join(f"{line}\n" for line in [*lines, ""]).encode("latin-1"))
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                for part in parts:
                    packed.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)
        return lost


def _field(header: Any, names: tuple[str, str], default: Any = 0) -> Any:
    """A field in one of its two spellings."""
    return header.get(names[0], header.get(names[1], default))


def _header(path: Path) -> tuple[bytes, Any, int]:
    """A file's header as text and as pynrrd reads it, and where it ends."""
    nrrd = require("nrrd", "pynrrd", "this file")
    with path.open("rb") as file:
        text = _nrrd.header(file)
        return text, nrrd.read_header(_nrrd.storage(text)), file.tell()


def _data_file(path: Path, header: Any) -> Path:
    """The file of the data; raises FileError where it is in another folder, or one of several."""
    name = _field(header, DATA_FILE, None)
    if name is None:
        return path
    data = path.parent / str(name)
    if data.name in ("LIST", "") or data.resolve().parent != path.parent.resolve():
        raise FileError(f"{path}: its data file {name} is not beside it, and is not opened")
    if not data.is_file():
        raise FileError(f"{path}: its data file {name} is not there")
    return data


def _skip_lines(data: Path, start: int, count: int) -> int:
    """Where the data begin behind so many lines; they are never packed."""
    with data.open("rb") as file:
        file.seek(start)
        for _ in range(count):
            if not file.readline():
                raise EOFError(f"it has less than the {count} lines to skip")
        return file.tell()


def _length(data: Path, kind: str, start: int) -> int:
    """Bytes of the data, unpacked; raises ValueError for text."""
    if kind == "raw":
        return data.stat().st_size - start
    if kind == "text":
        raise ValueError("byte skip: -1 is not for text")
    with open_file(data, kind, start) as file:
        return sum(map(len, iter(lambda: file.read(BLOCK), b"")))

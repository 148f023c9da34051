"""NIfTI, by nibabel: MRI segmentations."""

import gzip
import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.formats import _nifti
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
from compresso.formats._stream import Stream, open_file, skip
from compresso.plugins import require

#: The most of the extensions that is read, in bytes; metadata are not larger.
EXTENSIONS = 1 << 16


class Nifti(Format):
    """A header, and labels from the first to the last; no checksum but gzip's.

    The length must be what the header says.
    """

    name = "NIfTI"
    suffixes = (".nii", ".nii.gz")

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Reader]:
        """Open a NIfTI file; its axes, x first, become [z, y, x]."""
        packed = path.suffix.lower() == ".gz"
        encoding = "gzip" if packed else "raw"
        with open_file(path, encoding) as file:
            header = _header(file.read(540))
        own, dtype = tuple(header.get_data_shape()[::-1]), header.get_data_dtype()
        shape = volume_shape(path, own, dtype, others=range(len(own) - 3))
        if header.get_slope_inter() not in ((None, None), (1, 0)):
            raise FileError(f"{path}: its header scales the labels; they must be plain integers")
        start = float(header["vox_offset"])
        if not header.single_vox_offset <= start < math.inf or start % 1:
            raise ValueError(f"its labels cannot begin at byte {start}")
        room = max(0, path.stat().st_size - (0 if packed else int(start)))
        check_room(bytes_of(shape, dtype), room, DEFLATE if packed else 1)
        with open_file(path, encoding) as file:
            skip(file, header.sizeof_hdr)
            extensions = file.read(min(int(start) - header.sizeof_hdr, EXTENSIONS))

        def opener() -> io.BufferedIOBase:
            file = open_file(path, encoding)
            skip(file, int(start))
            return file

        stream = Stream(opener, shape, dtype)
        try:
            said = _nifti.read(header, extensions)
            yield Reader(shape, dtype, stream.fetch, *said, own=own)
        finally:
            stream.close()

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write a NIfTI file, packed with gzip where its name ends so."""
        check_writable(path, shape, dtype)
        nibabel = require("nibabel", "nibabel", "this file")
        header = nibabel.Nifti1Header(endianness="<")
        try:
            header.set_data_dtype(dtype)
            header.set_data_shape(shape[::-1])
        except nibabel.spatialimages.HeaderDataError as error:
            raise FileError(f"NIfTI files cannot hold the volume ({error})") from None
        extensions, lost = _nifti.fill(header, metadata)
        header["vox_offset"] = header.sizeof_hdr + len(extensions)
        packed = path.suffix.lower() == ".gz"
        with gzip.open(path, "wb", compresslevel=6) if packed else path.open("wb") as file:
            file.write(header.binaryblock + extensions)
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).data)
        return lost


def _header(data: bytes) -> Any:
    """The header of version 1 or 2, in the byte order of its first field, its own size."""
    nibabel = require("nibabel", "nibabel", "this file")
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        for order in ("little", "big"):
            size = kind.sizeof_hdr
            if int.from_bytes(data[:4], order) == size <= len(data):
                header = kind(data[:size], "<" if order == "little" else ">", check=False)
                if not header["magic"].item().startswith(kind.single_magic[:3]):
                    raise ValueError("its labels are in another file")
                return header
    raise ValueError("it has no NIfTI header")

"""Files of PyPI's ``compresso`` package: one ``cpso`` stream, x fastest."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.encodings._cpso import parse
from compresso.encodings.cpso import Cpso
from compresso.errors import FileError
from compresso.formats._format import Format, Reader
from compresso.formats._metadata import Metadata, unplaced


class CpsoFile(Format):
    """One stream, without a checksum and without metadata; slices are read by its index."""

    name = "cpso"
    suffixes = (".cpso",)
    empty = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Reader]:
        """Open a file that is one ``cpso`` stream."""
        stream = path.read_bytes()
        header = parse(stream).header
        shape, dtype = header.shape, header.label_type

        def fetch(start: int, stop: int) -> NDArray[Any]:
            return Cpso().decode_slices(stream, start, stop, shape, dtype)

        yield Reader(shape, dtype, fetch)

    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write the bytes that PyPI's package writes by default; the volume is held in memory."""
        if dtype.kind != "u":
            raise FileError(
                f"{path.suffix} files hold unsigned labels, not {dtype}; write an .h5 or .npy file"
            )
        volume = np.empty(shape, dtype.newbyteorder("="))
        z = 0
        for part in parts:
            volume[z : z + len(part)] = part
            z += len(part)
        path.write_bytes(Cpso().encode(volume))
        return unplaced(metadata)

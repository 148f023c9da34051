"""NumPy's .npy files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX, dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from compresso.errors import FileError
from compresso.volumes._format import Format, bytes_of, volume_shape
from compresso.volumes._metadata import Metadata, unplaced
from compresso.volumes._stream import Stream, open_file
from compresso.volumes.volume import Volume


class Npy(Format):
    """One array; it has no checksum, but must be as long as its header says."""

    name = ".npy"
    suffixes = (".npy",)
    magic = (MAGIC_PREFIX,)
    empty = True
    any_shape = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open an .npy file; pickled objects are refused."""
        with path.open("rb") as file:
            if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:
                raise FileError(f"{path}: not in the .npy format")
        labels: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        own, dtype, offset = labels.shape, labels.dtype, labels.offset
        shape = volume_shape(path, own, dtype)
        follow = path.stat().st_size - offset - bytes_of(shape, dtype)
        if follow:
            raise ValueError(f"{follow} bytes follow the labels that its header promises")
        # Pages of the map would count as the process's memory, and be fatal where the file is cut
        # meanwhile; so it is read as any other. In Fortran order its planes lie along x.
        as_c = labels.flags.c_contiguous
        stream = Stream(
            lambda: open_file(path, "raw", offset), shape if as_c else shape[::-1], dtype
        )
        fetch = stream.fetch if as_c else partial(_across, stream, shape, dtype)
        try:
            yield Volume(shape, dtype, fetch, own=own)
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
        """Write an .npy file in C order."""
        header = {"shape": shape, "fortran_order": False, "descr": dtype_to_descr(dtype)}
        with path.open("wb") as file:
            write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype).data)
        return unplaced(metadata)


def _across(
    stream: Stream, shape: tuple[int, ...], dtype: np.dtype[Any], start: int, stop: int
) -> NDArray[Any]:
    """Slices start..stop-1 of planes along x, one of which is read at a time."""
    _, ny, nx = shape
    found = np.empty((nx, ny, stop - start), dtype)
    for x in range(nx):
        found[x] = stream.fetch(x, x + 1)[0, :, start:stop]
    return found.T

"""NumPy's .npy files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.format import MAGIC_PREFIX, dtype_to_descr, open_memmap, write_array_header_1_0

from compresso.arrays import Labels
from compresso.volumes._format import Format, stream, volume_shape
from compresso.volumes.volume import Volume


class Npy(Format):
    """One array, without a checksum; its length must be that of its header."""

    name = ".npy"
    suffixes = (".npy",)
    magic = (MAGIC_PREFIX,)
    empty = True
    any_shape = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open an .npy file; pickled objects are refused."""
        labels = open_memmap(path, mode="r")
        own, dtype, offset = labels.shape, labels.dtype, labels.offset
        shape = volume_shape(path, own, dtype)
        # A memory map would count as the process's memory, and crash it if the file is truncated;
        # so the file is read. In Fortran order its planes lie along x.
        as_c = labels.flags.c_contiguous
        with stream(path, shape if as_c else shape[::-1], dtype, start=offset) as fetch:

            def across(start: int, stop: int) -> Labels:
                found = np.empty((*shape[:0:-1], stop - start), dtype)
                for x, plane in enumerate(found):
                    plane[...] = fetch(x, x + 1)[0, :, start:stop]
                return found.T

            yield Volume(shape, dtype, fetch if as_c else across, own=own)

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write an .npy file in C order."""
        descr = dtype_to_descr(volume.dtype)
        header = {"shape": volume.shape, "fortran_order": False, "descr": descr}
        with path.open("wb") as file:
            write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part, volume.dtype).data)
        return self.lost_fields(volume.metadata)

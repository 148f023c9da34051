"""Files of PyPI's ``compresso`` package: one ``cpso`` stream, x fastest."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from compresso.encodings._cpso import parse
from compresso.encodings.cpso import Cpso
from compresso.volumes._format import Format
from compresso.volumes.volume import Volume


class CpsoFile(Format):
    """One stream without checksum and metadata; its index allows reading single slices."""

    name = "cpso"
    suffixes = (".cpso",)
    magic = (b"cpso",)
    kinds = "u"
    empty = True

    @contextmanager
    def open(self, path: Path, inner: str) -> Iterator[Volume]:
        """Open a file that is one ``cpso`` stream."""
        stream = path.read_bytes()
        header = parse(stream).header
        shape, dtype = header.shape, header.label_type
        yield Volume(shape, dtype, partial(Cpso().decode_slices, stream, shape=shape, dtype=dtype))

    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write the bytes that PyPI's package writes by default; the volume is kept in memory."""
        labels = np.concatenate([np.empty((0, *volume.shape[1:]), volume.dtype), *parts])
        path.write_bytes(Cpso().encode(labels))
        return self.lost_fields(volume.metadata)

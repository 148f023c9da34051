"""The stream of PyPI's ``compresso`` 3.x, which CloudVolume, Igneous and Neuroglancer read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels, Shape, check_shape, label_dtype
from compresso.codec import Buffer, Encoding, Watch, unwatched
from compresso.encodings._cpso import Header, parse
from compresso.encodings._cpso_reader import paint
from compresso.encodings._cpso_writer import TooManyWindowsError, encode
from compresso.errors import SpecError
from compresso.plugins import Extent

FALLBACK = (1, 8, 8)  # z, y, x: the window where 4x4x1 has too many values


@dataclass(frozen=True)
class Cpso(Encoding):
    """The paper's model in the ``cpso`` stream, labels at their own width.

    Parameters
    ----------
    window : Extent
        Size of a window, x, y, z, at most 64 voxels together. A volume that has more different
        windows than the stream can number at 4x4x1, the default, is written at 8x8x1.
    connectivity : int
        Of the components: 4, in each slice, or 6, in the volume.
    index : int
        1 to add an index by which a slice is decoded without the others (version 1 of the
        stream); 0, and connectivity 6, write version 0.

    References
    ----------
    https://github.com/seung-lab/compresso
    """

    name = "cpso"
    window: Extent = Extent("4x4x1")
    connectivity: int = 4
    index: int = 1

    def __post_init__(self) -> None:
        if math.prod(self.window) > 64:
            raise SpecError(f"cpso: a window of {self.window} has more than 64 voxels")
        if self.connectivity not in (4, 6):
            raise SpecError(f"cpso: connectivity={self.connectivity} is neither 4 nor 6")
        self.check_range("index", 0, 1)

    def encode_volume(self, volume: Labels, threads: int = 1, watch: Watch = unwatched) -> bytes:
        """Encode labels, to the bytes that PyPI's package writes.

        Raises EncodeError where a side exceeds 65535 voxels, or a volume has more different
        windows than the stream can number.
        """
        x, y, z = self.window
        rest = self.connectivity, bool(self.index), threads
        try:
            return encode(volume, (z, y, x), *rest, watch)
        except TooManyWindowsError:
            if self.window != Extent("4x4x1"):
                raise
            return encode(volume, FALLBACK, *rest)  # the watch has seen every slice

    def shape_of(self, stream: Buffer) -> Shape:
        """The header's shape."""
        return Header.unpack(stream).shape

    def decode_volume(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Decode a stream of any version, window and connectivity; its header says which."""
        paint(parse(stream), out, threads=threads, watch=watch)

    def decode_slices(
        self,
        stream: Buffer,
        z0: int,
        z1: int,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode slices z0..z1-1; with an index, without the others."""
        sections = parse(stream)
        if sections.index is None:
            return super().decode_slices(stream, z0, z1, shape, dtype, threads)
        nz, ny, nx = sections.header.shape
        start, stop, _ = slice(z0, z1).indices(nz)
        wanted = (max(0, stop - start), ny, nx)
        check_shape((nz, ny, nx) if shape else wanted, shape)
        out = np.empty(wanted, label_dtype(dtype))
        paint(sections, out, start, threads)
        return out.astype(dtype, copy=False)

"""Crackle, by its own package crackle-codec."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels, Shape, as_shape, block, check_fits, check_shape, label_dtype
from compresso.codec import Buffer, Encoding, Watch, unwatched
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Crackle(Encoding):
    """Crackle: crack codes of the outlines in each slice, and the labels between them.

    It is written and read by its own package, which may crash the process on damaged bytes, so
    decode only streams that you trust. In a compressed file the hash is checked first. That detects
    accidents, but not malice.

    Parameters
    ----------
    markov : int
        Order of the Markov model of the crack codes, 0 to 10. Default 0 (none). The model has
        4**order * 5/8 bytes.
    pins : int
        Labels as pins through the slices, if that is shorter: 0 never, 1 by the fast search,
        2 by the slow one. Default 0.

    References
    ----------
    https://github.com/seung-lab/crackle
    """

    name = "crackle"
    packages = {"crackle": "crackle-codec"}
    robust = False
    markov: int = 0
    pins: int = 0

    def __post_init__(self) -> None:
        self.check_range("markov", 0, 10)
        self.check_range("pins", 0, 2)

    def encode_volume(self, volume: Labels, threads: int = 1, watch: Watch = unwatched) -> bytes:
        """Encode labels, at their own width."""
        package = self.require("crackle")
        stream: bytes = package.compress(
            block(volume, 0, volume.shape[0]).T,  # the package's arrays are [x, y, z]
            allow_pins=self.pins,
            markov_model_order=self.markov,
            parallel=threads,
        )
        return stream

    def shape_of(self, stream: Buffer) -> Shape:
        """The header's shape."""
        package = self.require("crackle")
        try:
            header = package.header(bytes(stream))
        except Exception as error:
            raise DecodeError(f"crackle stream: {_line(error)}") from None
        return int(header.sz), int(header.sy), int(header.sx)

    def decode_volume(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Decode a trusted stream."""
        labels = self._decode(bytes(stream), 0, out.shape[0], threads)
        check_fits(labels, out.dtype)
        out[...] = labels

    def decode_slices(
        self,
        stream: Buffer,
        z0: int,
        z1: int,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode slices z0..z1-1 without the others."""
        nz, ny, nx = self.shape_of(stream)
        start, stop, _ = slice(z0, z1).indices(nz)
        wanted = (max(0, stop - start), ny, nx)
        check_shape((nz, ny, nx) if shape else wanted, shape and as_shape(shape))
        if not np.prod(wanted):
            return np.empty(wanted, label_dtype(dtype)).astype(dtype, copy=False)
        labels = self._decode(bytes(stream), start, stop, threads)
        check_fits(labels, dtype)
        return labels.astype(dtype, copy=False)

    def _decode(self, stream: bytes, z0: int, z1: int, threads: int) -> Labels:
        """Slices z0..z1-1, [z, y, x], in the stream's own dtype."""
        codec: Any = self.require("crackle.codec")
        try:
            labels: Labels = codec.decompress_range(stream, z0, z1, threads).T
        except Exception as error:
            raise DecodeError(f"crackle stream: {_line(error)}") from None
        if labels.dtype.kind != "u":
            raise DecodeError(f"crackle stream: its labels are {labels.dtype.name}, not unsigned")
        return labels


def _line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__

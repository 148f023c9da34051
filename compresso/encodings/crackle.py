"""Crackle, by its own package crackle-codec."""

from dataclasses import dataclass
from typing import Any

from compresso.arrays import Labels, Shape, check_fits, native_slices
from compresso.codec import Buffer, Encoding, Watch
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
    working_bytes = 8
    packages = {"crackle": "crackle-codec"}
    robust = False
    limits = {"markov": (0, 10), "pins": (0, 2)}
    markov: int = 0
    pins: int = 0

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        package = self.require("crackle")
        stream: bytes = package.compress(
            native_slices(volume, 0, volume.shape[0]).T,  # the package's arrays are [x, y, z]
            allow_pins=self.pins,
            markov_model_order=self.markov,
            parallel=threads,
        )
        return stream

    def shape_of(self, stream: Buffer) -> Shape:
        package = self.require("crackle")
        try:
            header = package.header(bytes(stream))
        except Exception as error:
            raise DecodeError(f"crackle stream: {_line(error)}") from None
        return int(header.sz), int(header.sy), int(header.sx)

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        self.decode_part(stream, 0, out, out.shape, threads)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        codec: Any = self.require("crackle.codec")
        try:
            labels = codec.decompress_range(bytes(stream), z0, z0 + len(out), threads).T
        except Exception as error:
            raise DecodeError(f"crackle stream: {_line(error)}") from None
        if labels.dtype.kind != "u":
            raise DecodeError(f"crackle stream: its labels are {labels.dtype.name}, not unsigned")
        check_fits(labels, out.dtype)
        out[...] = labels


def _line(error: Exception) -> str:
    """The message of an error, in one line."""
    return " ".join(str(error).split()) or type(error).__name__

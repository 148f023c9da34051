"""X.264, from the package av (PyAV, which brings FFmpeg and x264)."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Shape
from compresso.encodings.images import ImageEncoding
from compresso.errors import DecodeError, SpecError


@dataclass(frozen=True)
class X264(ImageEncoding):
    """Lossless H.264 films: one picture per slice, with three bytes of a label as colours.

    Parameters
    ----------
    preset : str
        Preset of x264, ``ultrafast`` to ``placebo``. Default ``medium``, as in x264.
    """

    name = "x264"
    packages = {"av": "av"}
    number, channels = np.uint8, 3
    preset: str = "medium"

    def __post_init__(self) -> None:
        presets = "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo"
        if self.preset not in presets.split():
            raise SpecError(f"x264: preset={self.preset} is not one of: {presets}")

    def pack(self, plane: NDArray[Any]) -> list[bytes]:
        """Pack a film; a piece is a packet, an empty one its end."""
        av = self.require("av")
        film = av.CodecContext.create("libx264rgb", "w")
        film.height, film.width = plane.shape[1:3]
        film.pix_fmt = "rgb24"
        film.time_base, film.framerate = Fraction(1, 25), Fraction(25)
        film.options = {"qp": "0", "preset": self.preset, "threads": "1"}
        packets = []
        for number, image in enumerate(plane):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            packets += film.encode(frame)
        packets += film.encode(None)
        return [*map(bytes, packets), b""]

    def unpack(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        av = self.require("av")
        film = av.CodecContext.create("h264", "r")
        film.thread_count = 1
        plane = np.empty((*shape, 3), np.uint8)
        done = 0
        packets = iter(lambda: bytes(next(pieces, b"")), b"")
        for packet in itertools.chain(map(av.Packet, packets), [None]):
            for frame in film.decode(packet):
                if done == len(plane) or (frame.height, frame.width) != plane.shape[1:3]:
                    raise DecodeError("x264 stream: a picture has another size than the header")
                plane[done] = frame.to_ndarray(format="rgb24")
                done += 1
        if done < len(plane):
            raise DecodeError(f"x264 stream: {done} pictures, not {len(plane)}")
        return plane

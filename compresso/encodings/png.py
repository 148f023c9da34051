"""PNG, from the package imagecodecs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compresso.encodings._images import StillEncoding


@dataclass(frozen=True)
class Png(StillEncoding):
    """PNG images, one for each slice and each 16 bits of the labels.

    Parameters
    ----------
    level : int
        Level of zlib, 0 to 9. Default 6.
    """

    name = "png"
    packages = {"imagecodecs": "imagecodecs"}
    limits = {"level": (0, 9)}
    level: int = 6

    def pack_image(self, image: NDArray[np.uint16]) -> bytes:
        room = 2 * image.nbytes + 16 * len(image) + 1024  # the library's own guess can be too small
        data: bytes = self.require("imagecodecs").png_encode(image, level=self.level, out=room)
        return data

    def unpack_image(self, data: memoryview, out: NDArray[np.uint16]) -> None:
        self.require("imagecodecs").png_decode(data, out=out)

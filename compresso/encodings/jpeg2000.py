"""JPEG 2000, from the package imagecodecs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compresso.encodings._images import StillEncoding


@dataclass(frozen=True)
class Jpeg2000(StillEncoding):
    """Lossless JPEG 2000 images, one for each slice and each 16 bits of the labels."""

    name = "jpeg2000"
    packages = {"imagecodecs": "imagecodecs"}

    def pack_image(self, image: NDArray[np.uint16]) -> bytes:
        data: bytes = self.require("imagecodecs").jpeg2k_encode(image, level=0, reversible=True)
        return data

    def unpack_image(self, data: memoryview, out: NDArray[np.uint16]) -> None:
        self.require("imagecodecs").jpeg2k_decode(data, out=out)

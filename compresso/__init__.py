"""Compresso: fast, lossless compression of segmentation data for connectomics.

``dumps``, ``loads`` and ``open`` are the checked container, which keeps an array's dtype and shape.
``compress``, ``decompress`` and what goes with them are those of PyPI's package of this name.
``encodings`` and ``compressors`` are the registries of codecs, and the upper-case names the codecs
by themselves, as in the program published with the paper::

    import compresso as C

    stream = C.LZMA.compress(C.COMPRESSO.compress(array))
    labels = C.COMPRESSO.decompress(C.LZMA.decompress(stream))
"""

from typing import Any

import numpy as np

from compresso import compressors, encodings
from compresso.adapters.pypi import (
    CompressoArray,
    check_bounds,
    check_compatibility,
    clamp,
    compress,
    decompress,
    header,
    label_dtype,
    labels,
    load,
    nbytes,
    raw_header,
    raw_ids,
    raw_labels,
    raw_locations,
    raw_values,
    raw_windows,
    raw_z_index,
    reify_slices,
    remap,
    save,
    valid,
    window_dtype,
    zindex_byte_width,
)
from compresso.arrays import Labels
from compresso.codec import Buffer, Compressor, Encoding
from compresso.errors import (
    CompressoError,
    DecodeError,
    EncodeError,
    FileError,
    LabelError,
    MissingPackageError,
    SpecError,
)
from compresso.frame import FrameArray, dumps, loads, open

__version__ = "1.0.0"

__all__ = [
    "CompressoArray",
    "CompressoError",
    "Compressor",
    "DecodeError",
    "EncodeError",
    "Encoding",
    "FileError",
    "FrameArray",
    "LabelError",
    "MissingPackageError",
    "SpecError",
    "check_bounds",
    "check_compatibility",
    "clamp",
    "compress",
    "compressors",
    "decompress",
    "dumps",
    "encodings",
    "header",
    "label_dtype",
    "labels",
    "load",
    "loads",
    "nbytes",
    "open",
    "raw_header",
    "raw_ids",
    "raw_labels",
    "raw_locations",
    "raw_values",
    "raw_windows",
    "raw_z_index",
    "reify_slices",
    "remap",
    "save",
    "valid",
    "window_dtype",
    "zindex_byte_width",
]


class _None:
    """Both stages' ``none``: arrays become their uint64 bytes, bytes stay as they are."""

    def compress(self, data: Labels | Buffer) -> bytes:
        if isinstance(data, np.ndarray):
            return encodings.parse("none").encode(data)
        return bytes(data)

    def decompress(self, data: Buffer) -> Buffer:
        return data


def __getattr__(name: str) -> Any:
    """Give every codec its upper-case name."""
    if name == "NONE":
        return _None()
    for registry in (encodings, compressors):
        if name.isupper() and name.lower() in registry.names():
            return registry.parse(name)
    raise AttributeError(f"module 'compresso' has no attribute {name!r}")

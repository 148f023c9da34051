"""Compresso: fast, lossless compression of segmentation data for connectomics.

``dumps`` and ``loads`` turn a label array ``[z, y, x]`` into checked bytes and back; ``open`` reads
parts of a compressed file. ``encodings`` and ``compressors`` are the registries of codecs, and the
upper-case names are the codecs alone, as in the program that was published with the paper::

    import compresso as C

    stream = C.LZMA.compress(C.COMPRESSO.compress(array))
    labels = C.COMPRESSO.decompress(C.LZMA.decompress(stream))

Every function of PyPI's earlier ``compresso`` package is available under its old name and works on
``[x, y, z]`` arrays and ``cpso`` streams: ``compress``, ``decompress``, ``load``, ``save``,
``labels`` and others. They are listed in :mod:`compresso.adapters.pypi`.
"""

from typing import Any

import numpy as np

from compresso import compressors, encodings
from compresso.arrays import Labels
from compresso.codec import Buffer, Compressor, Encoding
from compresso.container import CompressedArray, dumps, loads, open
from compresso.errors import (
    CompressoError,
    DecodeError,
    EncodeError,
    FileError,
    LabelError,
    MissingPackageError,
    SpecError,
)

__version__ = "1.0.0"

__all__ = [
    "CompressedArray",
    "CompressoError",
    "Compressor",
    "DecodeError",
    "EncodeError",
    "Encoding",
    "FileError",
    "LabelError",
    "MissingPackageError",
    "SpecError",
    "compressors",
    "dumps",
    "encodings",
    "loads",
    "open",
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
    """Return a codec by its upper-case name, or a function of PyPI's package."""
    if name == "NONE":
        return _None()
    for registry in (encodings, compressors):
        if name.isupper() and name.lower() in registry.names():
            return registry.parse(name)
    if not name.startswith("_"):
        from compresso.adapters import pypi

        if name in pypi.__all__:
            return getattr(pypi, name)
    raise AttributeError(f"module 'compresso' has no attribute {name!r}")

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

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from compresso.errors import (
    CompressoError,
    DecodeError,
    EncodeError,
    FileError,
    LabelError,
    MissingPackageError,
    SpecError,
)

if TYPE_CHECKING:
    from compresso import compressors, encodings
    from compresso.arrays import Labels
    from compresso.codec import Buffer, Compressor, Encoding
    from compresso.container import CompressedArray, dumps, loads, open

__version__ = "4.0.0"

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

    def compress(self, data: "Labels | Buffer") -> bytes:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        return import_module("compresso.encodings").parse("none").encode(data)  # type: ignore[no-any-return]

    def decompress(self, data: "Buffer") -> "Buffer":
        return data


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that a command's ``--help`` does not import NumPy.

    An upper-case name is a codec. Other names are modules, the names of ``__all__``, and the
    functions of PyPI's package.
    """
    if name.startswith("_"):
        raise AttributeError(f"module 'compresso' has no attribute {name!r}")
    if find_spec(f"compresso.{name}"):
        return import_module(f"compresso.{name}")
    if name == "NONE":
        return _None()
    for kind in ("encodings", "compressors") if name.isupper() else ():
        registry = import_module(f"compresso.{kind}")
        if name.lower() in registry.names():
            return registry.parse(name)
    if name in ("CompressedArray", "dumps", "loads", "open"):
        home = import_module("compresso.container")
    elif name in ("Compressor", "Encoding"):
        home = import_module("compresso.codec")
    else:
        home = import_module("compresso.adapters.pypi")
        if name not in home.__all__:
            raise AttributeError(f"module 'compresso' has no attribute {name!r}")
    globals()[name] = getattr(home, name)  # later uses do not come here
    return globals()[name]


def __dir__() -> list[str]:
    registries = map(import_module, ("compresso.encodings", "compresso.compressors"))
    codecs = (name.upper() for registry in registries for name in registry.names())
    pypi = import_module("compresso.adapters.pypi")
    return sorted({*globals(), *__all__, *codecs, *pypi.__all__})

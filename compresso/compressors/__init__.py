"""Compressors, one per file: bytes to fewer bytes and back."""

from compresso.codec import Compressor, Registry

_registry = Registry(__name__, Compressor, "compressor")  # type: ignore[type-abstract]

names = _registry.names
installed = _registry.installed
parse = _registry.parse

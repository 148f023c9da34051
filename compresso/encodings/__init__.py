"""Encodings, one per file: arrays of labels to bytes and back."""

from compresso.codec import Encoding, Registry

_registry = Registry(__name__, Encoding, "encoding")  # type: ignore[type-abstract]

names = _registry.names
installed = _registry.installed
parse = _registry.parse

"""The array that is written: its metadata, and its chunks as bytes.

Zarr encodes and decodes chunks in memory, and what is proved there goes to the store as it is.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from compresso.arrays import Labels
from compresso.errors import EncodeError
from compresso.plugins import require
from compresso.volumes import Metadata
from compresso.volumes._metadata import geometry_of
from compresso.volumes.volume import Box, Shape, slices_of

HEAD = "zarr.json"
#: The array's attribute in which we keep what Zarr has no place for.
OURS = "compresso"


@dataclass(frozen=True)
class Codec:
    """How chunks are stored: specs, and shapes as z, y, x."""

    encoding: str = "compresso"
    compression: str = "zstd"
    chunks: Shape = (64, 64, 64)
    shards: Shape | None = None

    @property
    def unit(self) -> Shape:
        """What is one object of the store."""
        return self.shards or self.chunks


def head(shape: Shape, dtype: np.dtype[Any], codec: Codec, attributes: dict[str, Any]) -> bytes:
    """The array's metadata; raises SpecError, and EncodeError for shapes that do not fit."""
    zarr = _zarr()
    from compresso.adapters.zarr import CompressoCodec

    objects: dict[str, Any] = {}
    serializer = CompressoCodec(codec.encoding, codec.compression)
    try:
        zarr.create_array(
            zarr.storage.MemoryStore(objects),
            shape=shape,
            dtype=dtype.newbyteorder("="),
            chunks=codec.chunks,
            shards=codec.shards,
            serializer=serializer,
            compressors=None,
            fill_value=0,
            dimension_names=("z", "y", "x"),
            attributes=attributes,
        )
    except ValueError as error:
        raise EncodeError(
            f"chunks of {codec.chunks} in shards of {codec.shards}: {error}"
        ) from None
    data: bytes = objects[HEAD].to_bytes()
    return data


def attributes(metadata: Metadata, origin: dict[str, Any]) -> dict[str, Any]:
    """What a volume's metadata become: units as TensorStore reads them, and everything else."""
    geometry = geometry_of(metadata)
    found: dict[str, Any] = {OURS: {"metadata": metadata, **origin}}
    if geometry and any(geometry.spacing):
        length = geometry.length or ""
        found["dimension_units"] = [n and f"{n!r} {length}".strip() for n in geometry.spacing]
    return found


def same(old: bytes, new: bytes) -> bool:
    """Whether two metadata say the same."""
    with suppress(ValueError):
        return bool(json.loads(old) == json.loads(new))
    return False


class Target:
    """An array's chunks as bytes; nothing here touches the store. It is one thread's."""

    def __init__(self, head: bytes) -> None:
        zarr = _zarr()
        self._buffer = zarr.core.buffer.default_buffer_prototype().buffer
        self._objects = {HEAD: self._buffer.from_bytes(head)}
        store = zarr.storage.MemoryStore(self._objects)
        self._array = zarr.open_array(store, mode="r+", config={"write_empty_chunks": False})

    def encode(self, name: str, unit: Box, labels: Labels) -> bytes | None:
        """The bytes of an object, proved to decode to its labels; None where they are the fill's.

        Raises EncodeError.
        """
        self._array[slices_of(unit)] = labels
        whole = np.array_equal(self._array[slices_of(unit)], labels)
        data = self._objects.pop(name, None)
        if not whole:
            raise EncodeError("it decodes to other labels; this is a bug of its codec")
        return None if data is None else bytes(data.to_bytes())

    def decodes(self, name: str, data: bytes, unit: Box) -> bool:
        """Whether the bytes of an object are whole, by their hashes."""
        self._objects[name] = self._buffer.from_bytes(data)
        try:
            self._array[slices_of(unit)]
        except Exception:  # whatever a damaged shard makes Zarr raise
            return False
        finally:
            del self._objects[name]
        return True


def _zarr() -> Any:
    """Zarr, which knows our codec also where this package is not installed."""
    zarr = require("zarr", "zarr", "a Zarr store")
    from compresso.adapters.zarr import CompressoCodec

    zarr.registry.register_codec("compresso", CompressoCodec)
    return zarr

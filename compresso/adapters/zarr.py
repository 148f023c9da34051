"""A Zarr v3 codec, array to bytes: every encoding and compressor, checked (docs/zarr-codec.md).

Once this package is installed, Zarr finds it::

    zarr.create_array(
        "labels.zarr", shape=labels.shape, dtype=labels.dtype, chunks=(64, 64, 64),
        serializer={"name": "compresso", "configuration": {"encoding": "compresso"}},
        compressors=None,
    )
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.abc.store import ByteGetter, RangeByteRequest
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.core.common import parse_named_configuration
from zarr.registry import register_codec

from compresso.container.chunk import ChunkCodec, ChunkFormat
from compresso.errors import DecodeError, SpecError, naming


@dataclass(frozen=True)
class CompressoCodec(ChunkCodec, ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """A codec for labels; every chunk has hashes, and damage raises DecodeError.

    Parameters
    ----------
    encoding, compression : str
        Codec strings, such as ``"cpso"`` and ``"zstd:level=19"``.
    depth : int, optional
        Slices along the first axis that are encoded together and can be read without the rest of
        the chunk. By default a chunk is one group.
    """

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make the codec from an array's metadata."""
        _, configuration = parse_named_configuration(data, "compresso", require_configuration=False)
        given: dict[str, Any] = dict(configuration or {})
        if unknown := given.keys() - {"encoding", "compression", "depth"}:
            raise SpecError(
                f"the codec compresso has no parameter {', '.join(sorted(unknown))} (only "
                "encoding, compression, depth)"
            )
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The codec as an array's metadata state it."""
        given = {"encoding": self.encoding, "compression": self.compression, "depth": self.depth}
        known = {name: value for name, value in given.items() if value is not None}
        return {"name": "compresso", "configuration": known}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise EncodeError for an array that is not of integers or bool."""
        ChunkFormat(self, shape, dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Unknown before encoding."""
        raise NotImplementedError

    def _layout(self, spec: ArraySpec) -> ChunkFormat:
        return ChunkFormat(self, spec.shape, spec.dtype.to_native_dtype())

    def _encode_sync(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = self._layout(chunk_spec).encode(chunk_data.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        labels = self._layout(chunk_spec).decode(chunk_data.as_buffer_like())
        return chunk_spec.prototype.nd_buffer.from_numpy_array(labels)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        # In a shard a chunk has no key, only numbers.
        key = getattr(byte_getter, "path", "")
        numbers = getattr(byte_getter, "chunk_coords", "")
        layout, prototype = self._layout(chunk_spec), chunk_spec.prototype
        part = _part(selection, layout) if len(layout.groups) > 1 else None
        with naming(key or f"chunk {numbers} of a shard"):
            if part is None:
                data = await byte_getter.get(prototype)
                if data is None:
                    return None
                labels = await asyncio.to_thread(layout.decode, data.as_buffer_like())
            else:
                first, last, selection = part
                head = await byte_getter.get(prototype, RangeByteRequest(0, layout.head_bytes))
                if head is None:
                    return None
                start = head.as_buffer_like()
                span = RangeByteRequest(*layout.span(start, first, last))
                body = await byte_getter.get(prototype, span)
                if body is None:
                    raise DecodeError("chunk: it was deleted while being read")
                steps = body.as_buffer_like(), first, last
                labels = await asyncio.to_thread(layout.decode_steps, start, *steps)
        return prototype.nd_buffer.from_numpy_array(np.asarray(labels[selection]))


# For installations without entry points, such as a copy of the source.
register_codec("compresso", CompressoCodec)


def _part(selection: Any, layout: ChunkFormat) -> tuple[int, int, Any] | None:
    """The range of steps along the first axis that a selection needs, and the selection in it.

    None if it may be the whole chunk.
    """
    size = layout.shape[0] if len(layout.shape) > 2 else 0
    if not size or not isinstance(selection, tuple) or not selection:
        return None
    wanted = selection[0]
    steps = np.arange(size)[wanted]
    if not steps.size or np.ptp(steps) + 1 == size:
        return None
    first, last = int(steps.min()), int(steps.max()) + 1
    moved = slice(None, None, wanted.step) if isinstance(wanted, slice) else steps - first
    return first, last, (moved, *selection[1:])

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

from compresso.container.chunk import ChunkCodec, Layout
from compresso.errors import DecodeError, SpecError


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

    Raises
    ------
    SpecError
        For an unknown codec or parameter; EncodeError for an array that is not of integers or bool.
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
        return {"name": "compresso", "configuration": self.configuration()}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise EncodeError for an array that is not of integers or bool."""
        Layout(self, shape, dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Unknown before encoding."""
        raise NotImplementedError

    def _layout(self, spec: ArraySpec) -> Layout:
        return Layout(self, spec.shape, spec.dtype.to_native_dtype())

    def _encode_sync(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = self._layout(chunk_spec).encode(chunk_data.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        labels = self._layout(chunk_spec).decode(_view(chunk_data))
        return chunk_spec.prototype.nd_buffer.from_numpy_array(labels)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        try:
            return await self._decode_part(byte_getter, selection, chunk_spec)
        except DecodeError as error:
            raise DecodeError(f"{_name(byte_getter)}: {error}") from error

    async def _decode_part(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        layout = self._layout(chunk_spec)
        steps = _steps(selection, layout) if len(layout.groups) > 1 else None
        if steps is None:
            data = await byte_getter.get(chunk_spec.prototype)
            if data is None:
                return None
            labels = await asyncio.to_thread(layout.decode, _view(data))
        else:
            whole = RangeByteRequest(0, layout.head_bytes)
            head = await byte_getter.get(chunk_spec.prototype, whole)
            if head is None:
                return None
            span = RangeByteRequest(*layout.span(_view(head), *steps))
            body = await byte_getter.get(chunk_spec.prototype, span)
            if body is None:
                raise DecodeError("chunk: it was deleted while being read")
            labels = await asyncio.to_thread(layout.decode_steps, _view(head), _view(body), *steps)
            selection = (_moved(selection[0], steps[0], layout.shape[0]), *selection[1:])
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.asarray(labels[selection]))


# For installations without entry points, such as a copy of the source.
register_codec("compresso", CompressoCodec)


def _name(byte_getter: ByteGetter) -> str:
    """The key of a chunk in its store, or its numbers in a shard."""
    key: str = getattr(byte_getter, "path", "")
    return key or f"chunk {getattr(byte_getter, 'chunk_coords', '')} of a shard"


def _view(data: Buffer) -> memoryview:
    """The bytes of a Zarr buffer."""
    plain: Any = np.ascontiguousarray(data.as_numpy_array())
    return memoryview(plain)


def _steps(selection: Any, layout: Layout) -> tuple[int, int] | None:
    """The steps along the first axis that a selection needs; None if they may be all."""
    if len(layout.shape) < 3 or not isinstance(selection, tuple) or not selection:
        return None
    wanted = selection[0]
    if isinstance(wanted, slice):
        found = range(*wanted.indices(layout.shape[0]))
        if not found or found.step < 0:
            return None
        first, last = found[0], found[-1]
    elif wanted is Ellipsis or not np.size(wanted) or np.asarray(wanted).dtype.kind not in "ui":
        return None
    else:
        first, last = int(np.min(wanted)), int(np.max(wanted))
    if not 0 <= first <= last < layout.shape[0] or last - first + 1 == layout.shape[0]:
        return None
    return first, last + 1


def _moved(wanted: Any, first: int, size: int) -> Any:
    """A selection along the first axis, of ``size`` steps, counted from step ``first`` on."""
    if not isinstance(wanted, slice):
        return wanted - first
    start, stop, step = wanted.indices(size)
    return slice(start - first, stop - first, step)

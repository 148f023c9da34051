"""A chunk of a Zarr array: groups of slices without a description (docs/zarr-codec.md).

The store's metadata have the description. A chunk is cut along its first axes into groups of
slices, so that some of them can be read without the rest.
"""

import json
import math
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from compresso.arrays import Labels
from compresso.codec import DEFAULT_ENCODING, Buffer
from compresso.container.group import (
    GroupRecord,
    Groups,
    Method,
    decode_group,
    encode_group,
    shift_of,
)
from compresso.errors import DecodeError, EncodeError, SpecError

MARK = b"CPZ1"
HEAD = struct.Struct("<4sIQ")  # mark, number of groups, shift of the labels
GROUP = np.dtype([("stream", "<u8"), ("body", "<u8"), ("body_hash", "<u8"), ("labels_hash", "<u8")])
CHECK = struct.Struct("<Q")  # XXH3-64 of the bytes before, seeded with that of the description


@dataclass(frozen=True)
class ChunkCodec:
    """The codec of an array's chunks; raises SpecError.

    ``depth`` is the slices of a group along the first axis; by default a chunk is one group.
    """

    encoding: str = DEFAULT_ENCODING
    compression: str | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        for name, spec in zip(("encoding", "compression"), self.method.specs, strict=True):
            object.__setattr__(self, name, spec)
        if self.depth is not None and (type(self.depth) is not int or self.depth < 1):
            raise SpecError(f"depth={self.depth!r} is not a number of slices. Give 1 or more.")

    @cached_property
    def method(self) -> Method:
        """The encoding and the compressor as objects."""
        return Method.parse(self.encoding, self.compression)


@dataclass(frozen=True)
class ChunkFormat:
    """The chunks of an array: their codec, shape and dtype.

    Raises EncodeError if the dtype is not bool or an integer of at most 64 bits.
    """

    codec: ChunkCodec
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if self.dtype.kind not in "uib" or self.dtype.itemsize > 8:
            raise EncodeError(f"labels must be integers or bool, not {self.dtype.name}")

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """The chunk as slices, rows and columns; more axes than three are slices of slices."""
        rest, plane = self.shape[:-2], self.shape[-2:]
        y, x = (1,) * (2 - len(plane)) + plane
        return math.prod(rest), y, x

    @property
    def per_step(self) -> int:
        """Slices per step along the first axis."""
        return math.prod(self.shape[1:-2]) if len(self.shape) > 2 else 1

    @cached_property
    def groups(self) -> Groups:
        """The slices of each group; there are none if the chunk is empty."""
        nz, depth = self.shape_zyx[0], self.codec.depth
        slices = max(1, nz if depth is None else depth * self.per_step)
        return Groups(nz if math.prod(self.shape) else 0, slices)

    @property
    def head_bytes(self) -> int:
        """Bytes before the first group."""
        return HEAD.size + GROUP.itemsize * len(self.groups) + CHECK.size

    @cached_property
    def _key(self) -> int:
        """The seed of the head's hash, which binds a chunk to the metadata of its array."""
        nz = self.shape_zyx[0]
        described = {
            "encoding": self.codec.encoding,
            "compression": self.codec.compression,
            "dtype": f"{self.dtype.kind}{self.dtype.itemsize}",
            "shape": [int(n) for n in self.shape],
            "groups": [*range(0, nz, self.groups.depth), nz],
        }
        return xxh3_64_intdigest(json.dumps(described).encode())

    def encode(self, array: Labels) -> bytes:
        """Encode a chunk of any memory layout and byte order; raises EncodeError."""
        shift = shift_of(self.dtype, [array])
        volume = array.reshape(self.shape_zyx)
        table, bodies = np.zeros(len(self.groups), GROUP), []
        for number, (z0, z1) in enumerate(self.groups):
            table[number], body = encode_group(self.codec.method, volume[z0:z1], shift, z0=z0)
            bodies.append(body)
        head = HEAD.pack(MARK, len(self.groups), shift) + table.tobytes()
        return b"".join([head, CHECK.pack(xxh3_64_intdigest(head, self._key)), *bodies])

    def decode(self, data: Buffer) -> Labels:
        """Decode a whole chunk; raises DecodeError for anything that is not one."""
        view = memoryview(data).cast("B")
        head, bodies = view[: self.head_bytes], view[self.head_bytes :]
        return self._decode(head, bodies, 0, self.shape_zyx[0]).reshape(self.shape)

    def span(self, head: Buffer, first: int, last: int) -> tuple[int, int]:
        """Start and end of the groups that hold steps first..last-1 along the first axis.

        ``head`` has ``head_bytes`` bytes. Raises DecodeError.
        """
        table, _ = self._read_head(head)
        ends = [self.head_bytes, *(self.head_bytes + np.cumsum(table["body"])).tolist()]
        numbers = self.groups.of(first * self.per_step, last * self.per_step)
        return ends[numbers.start], ends[numbers.stop]

    def decode_steps(self, head: Buffer, body: Buffer, first: int, last: int) -> Labels:
        """Decode steps first..last-1 along the first axis, at least one.

        ``body`` is the part of the chunk given by :meth:`span`. Raises DecodeError.
        """
        slices = self._decode(head, body, first * self.per_step, last * self.per_step)
        return slices.reshape(last - first, *self.shape[1:])

    def _decode(self, head: Buffer, body: Buffer, z0: int, z1: int) -> Labels:
        """Slices z0..z1-1 from the bodies of the groups that hold them."""
        table, shift = self._read_head(head)
        out = np.empty((z1 - z0, *self.shape_zyx[1:]), self.dtype.newbyteorder("="))
        view = memoryview(body).cast("B")
        for number in self.groups.of(z0, z1):
            group = GroupRecord(*map(int, table[number]))
            part, view = view[: group.body_bytes], view[group.body_bytes :]
            span = self.groups.span(number)
            try:
                decode_group(self.codec.method, group, part, span, out, z0, shift)
            except DecodeError as error:
                raise DecodeError(f"chunk: {error}") from None
        if view:
            raise DecodeError(f"chunk: trailing bytes: {len(view)}")
        return out.astype(self.dtype, copy=False)

    def _read_head(self, data: Buffer) -> tuple[NDArray[Any], int]:
        """The table of groups, and the shift; raises DecodeError."""
        view = memoryview(data).cast("B")
        if len(view) != self.head_bytes:
            raise DecodeError("chunk: truncated")
        mark, n_groups, shift = HEAD.unpack_from(view)
        check = CHECK.pack(xxh3_64_intdigest(view[: -CHECK.size], self._key))
        if (mark, n_groups) != (MARK, len(self.groups)) or view[-CHECK.size :] != check:
            raise DecodeError("chunk: its head is damaged, or belongs to another array")
        return np.frombuffer(view, GROUP, n_groups, HEAD.size), shift

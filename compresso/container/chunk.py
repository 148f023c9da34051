"""A chunk of a Zarr array: groups of slices without a description (docs/zarr-codec.md).

The store's metadata have the description. A chunk is cut along its first axes into groups of
slices, so that some of them can be read without the rest.
"""

import itertools
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
from compresso.container.group import Codec, Group, decode_group, encode_group, shift_of
from compresso.errors import DecodeError, EncodeError, LabelError, SpecError

MARK = b"CPZ1"
HEAD = struct.Struct("<4sIQ")  # mark, number of groups, shift of the labels
GROUP = np.dtype([("stream", "<u8"), ("body", "<u8"), ("body_hash", "<u8"), ("labels_hash", "<u8")])
CHECK = struct.Struct("<Q")  # XXH3-64 of the bytes before, seeded with that of the description


@dataclass(frozen=True)
class ChunkCodec:
    """The codec of an array's chunks: an encoding, a compressor, and the slices per group.

    Parameters
    ----------
    encoding, compression : str
        Codec strings; stored in canonical form. The compression is by default zstd, or none after
        ristretto.
    depth : int, optional
        Slices of a group along the first axis; by default a chunk is one group.

    Raises
    ------
    SpecError
    """

    encoding: str = DEFAULT_ENCODING
    compression: str | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        for name, stage in zip(("encoding", "compression"), self.stages, strict=True):
            object.__setattr__(self, name, stage.spec)
        if self.depth is not None and (type(self.depth) is not int or self.depth < 1):
            raise SpecError(f"depth={self.depth!r} is not a number of slices. Give 1 or more.")

    def configuration(self) -> dict[str, Any]:
        """The parameters as a JSON object."""
        found = {"encoding": self.encoding, "compression": self.compression}
        return found | ({} if self.depth is None else {"depth": self.depth})

    @cached_property
    def stages(self) -> Codec:
        """The encoding and the compressor as objects."""
        return Codec.parse(self.encoding, self.compression)


@dataclass(frozen=True)
class Layout:
    """The chunks of an array: their codec, shape and dtype.

    Raises
    ------
    EncodeError
        If the dtype is not bool or an integer of at most 64 bits.
    """

    codec: ChunkCodec
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if self.dtype.kind not in "uib" or self.dtype.itemsize > 8:
            raise EncodeError(f"labels must be integers or bool, not {self.dtype.name}")

    @property
    def grid(self) -> tuple[int, int, int]:
        """The chunk as slices, rows and columns; more axes than three are slices of slices."""
        rest, plane = self.shape[:-2], self.shape[-2:]
        y, x = (1,) * (2 - len(plane)) + plane
        return math.prod(rest), y, x

    @property
    def per_step(self) -> int:
        """Slices per step along the first axis."""
        return math.prod(self.shape[1:-2]) if len(self.shape) > 2 else 1

    @property
    def n_groups(self) -> int:
        """Groups per chunk; 0 if it is empty."""
        return len(self._edges) - 1 if math.prod(self.shape) else 0

    @property
    def head_bytes(self) -> int:
        """Bytes before the first group."""
        return HEAD.size + GROUP.itemsize * self.n_groups + CHECK.size

    @cached_property
    def _edges(self) -> list[int]:
        """The first slice of each group, and the end."""
        nz = self.grid[0]
        depth = nz if self.codec.depth is None else self.codec.depth * self.per_step
        return [*range(0, nz, max(1, depth)), nz]

    @cached_property
    def _key(self) -> int:
        """The seed of the head's hash, which binds a chunk to the metadata of its array."""
        described = {
            "encoding": self.codec.encoding,
            "compression": self.codec.compression,
            "dtype": f"{self.dtype.kind}{self.dtype.itemsize}",
            "shape": [int(n) for n in self.shape],
            "groups": self._edges,
        }
        return xxh3_64_intdigest(json.dumps(described).encode())

    def encode(self, array: Labels) -> bytes:
        """Encode a chunk of any memory layout and byte order; raises EncodeError."""
        shift = shift_of(self.dtype, [array])
        volume = array.reshape(self.grid)
        table, bodies = np.zeros(self.n_groups, GROUP), []
        for number in range(self.n_groups):
            z0, z1 = self._edges[number : number + 2]
            try:
                group, body = encode_group(self.codec.stages, volume[z0:z1], shift)
            except LabelError as error:
                raise error.moved((z0, 0, 0)) from None
            table[number] = group
            bodies.append(body)
        head = HEAD.pack(MARK, self.n_groups, shift) + table.tobytes()
        return b"".join([head, CHECK.pack(xxh3_64_intdigest(head, self._key)), *bodies])

    def decode(self, data: Buffer) -> Labels:
        """Decode a whole chunk; raises DecodeError for anything that is not one."""
        view = memoryview(data).cast("B")
        table, shift = self._read_head(view[: self.head_bytes])
        size = self.head_bytes + sum(table["body"].tolist())
        if len(view) != size:
            raise DecodeError(f"chunk: {len(view)} bytes instead of {size}")
        return self._read(view[self.head_bytes :], 0, table, shift, 0, self.grid[0])

    def span(self, head: Buffer, first: int, last: int) -> tuple[int, int]:
        """Start and end of the groups that hold steps first..last-1 along the first axis.

        ``head`` is the first ``head_bytes`` bytes of a chunk. Raises DecodeError.
        """
        table, _ = self._read_head(head)
        ends = [self.head_bytes, *(self.head_bytes + np.cumsum(table["body"])).tolist()]
        numbers = self._numbers(first * self.per_step, last * self.per_step)
        return ends[numbers[0]], ends[numbers[-1] + 1]

    def decode_steps(self, head: Buffer, body: Buffer, first: int, last: int) -> Labels:
        """Decode steps first..last-1 along the first axis, at least one.

        ``body`` is the part of the chunk given by :meth:`span`. Raises DecodeError.
        """
        table, shift = self._read_head(head)
        z0, z1 = first * self.per_step, last * self.per_step
        view = memoryview(body).cast("B")
        return self._read(view, self._numbers(z0, z1)[0], table, shift, z0, z1)

    def _numbers(self, z0: int, z1: int) -> list[int]:
        """The groups that hold any of slices z0..z1-1."""
        pairs = enumerate(itertools.pairwise(self._edges))
        return [number for number, (start, stop) in pairs if start < z1 and z0 < stop]

    def _read(
        self, bodies: memoryview, number: int, table: NDArray[Any], shift: int, z0: int, z1: int
    ) -> Labels:
        """Slices z0..z1-1, in the array's shape, from bodies that begin with group ``number``."""
        out = np.empty((z1 - z0, *self.grid[1:]), self.dtype.newbyteorder("="))
        at = 0
        while number < self.n_groups and self._edges[number] < z1:
            start, stop = self._edges[number : number + 2]
            body = bodies[at : at + int(table["body"][number])]
            low, high = max(start, z0), min(stop, z1)
            here = out[low - z0 : high - z0]
            whole = (low, high) == (start, stop)
            group = here if whole else np.empty((stop - start, *self.grid[1:]), out.dtype)
            self._decode_group(body, table[number], shift, group)
            if not whole:
                here[...] = group[low - start : high - start]
            at += len(body)
            number += 1
        steps = self.shape[:1] if z1 - z0 == self.grid[0] else ((z1 - z0) // self.per_step,)
        return out.reshape(steps + self.shape[1:]).astype(self.dtype, copy=False)

    def _read_head(self, data: Buffer) -> tuple[NDArray[Any], int]:
        """The table of groups, and the shift; raises DecodeError."""
        view = memoryview(data).cast("B")
        if len(view) != self.head_bytes or bytes(view[:4]) != MARK:
            raise DecodeError("chunk: not a chunk of this array, or truncated")
        hashed = self.head_bytes - CHECK.size
        if CHECK.unpack_from(view, hashed)[0] != xxh3_64_intdigest(view[:hashed], self._key):
            raise DecodeError("chunk: its head is damaged, or belongs to another array")
        _, n_groups, shift = HEAD.unpack_from(view)
        if n_groups != self.n_groups:
            raise DecodeError(f"chunk: {n_groups} groups instead of {self.n_groups}")
        return np.frombuffer(view, GROUP, n_groups, HEAD.size), shift

    def _decode_group(self, body: Buffer, entry: Any, shift: int, out: Labels) -> None:
        """Decode one group; raises DecodeError."""
        try:
            decode_group(self.codec.stages, Group(*map(int, entry)), body, out, shift)
        except DecodeError as error:
            raise DecodeError(f"chunk: {error}") from None

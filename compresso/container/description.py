"""The description in the head of a compressed file: codecs, dtype, shape, metadata, as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from compresso import encodings
from compresso.arrays import Shape, as_shape
from compresso.codec import DEFAULT_ENCODING
from compresso.container.group import Groups, Method
from compresso.errors import DecodeError, EncodeError

METADATA_LIMIT = 4 << 20  # bytes of metadata, encoded
#: Integers and bool, in NumPy's notation.
DTYPES = {f"{order}{kind}{size}" for order in "<>|" for kind in "ui" for size in (1, 2, 4, 8)}
DTYPES.add("|b1")
#: Bytes per voxel of a group, without those of its encoding: labels of 64 bits, the same ones
#: shifted, and those of the next group.
VOXEL_BYTES = 3 * 8
#: Voxels of a group by default: deeper groups compress slightly better (docs/performance.md), but
#: leave cores idle.
GROUP_VOXELS = 1 << 24
#: Errors of parts of a description that have a wrong type or an unknown name.
NONSENSE = (TypeError, ValueError, KeyError, AttributeError, RecursionError, OverflowError)


@dataclass(frozen=True)
class Description:
    """The contents of a compressed file's head."""

    encoding: str
    compression: str
    dtype: str
    shape: tuple[int, ...]
    shift: int  # added to labels before encoding, modulo 2**64
    depth: int  # slices of a group
    metadata: dict[str, Any] | None = None  # of the volume

    @property
    def method(self) -> Method:
        """The encoding and the compressor as objects."""
        return Method.parse(self.encoding, self.compression)

    @property
    def shape_zyx(self) -> Shape:
        """The shape as z, y, x."""
        return as_shape(self.shape)

    @property
    def groups(self) -> Groups:
        """The slices of each group; there are none if the volume is empty."""
        return Groups(self.shape_zyx[0] if math.prod(self.shape) else 0, self.depth)

    @property
    def nbytes(self) -> int:
        """Bytes of the labels."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def group_nbytes(self) -> int:
        """Bytes of the labels of the largest group."""
        z, y, x = self.shape_zyx
        return min(z, self.depth) * y * x * np.dtype(self.dtype).itemsize

    @property
    def group_memory(self) -> int:
        """Bytes of memory that encoding or decoding a group takes, about."""
        z, y, x = self.shape_zyx
        return max(1, min(z, self.depth) * y * x * _voxel_memory(self.encoding))

    def to_json(self) -> bytes:
        """The description as JSON."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Description":
        """Parse a description; raises DecodeError if it is invalid."""
        try:
            fields = json.loads(text)
            description = cls(**fields | {"shape": tuple(fields["shape"])})
            description._check()
        except NONSENSE as error:
            raise DecodeError(f"the description in its head is invalid ({error})") from None
        return description

    def _check(self) -> None:
        if self.dtype not in DTYPES or not 1 <= len(self.shape) <= 3:
            raise ValueError(f"{self.dtype} of shape {self.shape}")
        dtype = np.dtype(self.dtype)
        sizes = (*self.shape, self.depth, self.shift)
        if not all(type(n) is int and 0 <= n < 1 << 64 for n in sizes) or self.depth < 1:
            raise ValueError(f"sizes {sizes}")
        if math.prod(max(n, 1) for n in self.shape) * dtype.itemsize >= 1 << 62:
            raise ValueError(f"shape {self.shape}")
        if self.shift and dtype.itemsize < 8:
            raise ValueError(f"shift {self.shift}")
        if self.metadata is not None and not isinstance(self.metadata, dict):
            raise ValueError("metadata that are not an object")
        self.method  # noqa: B018 - raises for unknown names


def describe(
    shape: Sequence[int],
    dtype: DTypeLike,
    encoding: str = DEFAULT_ENCODING,
    compression: str | None = None,
    depth: int | None = None,
    shift: int = 0,
    metadata: dict[str, Any] | None = None,
) -> Description:
    """Describe a file that is to be written; the arguments are those of ``dumps``.

    Raises SpecError for an unknown codec, and EncodeError for an invalid depth or metadata.
    """
    specs = Method.parse(encoding, compression).specs
    slices = _default_depth(shape) if depth is None else depth
    whole = hasattr(slices, "__index__") and not isinstance(slices, bool | np.bool_)
    if not whole or not 1 <= slices < 1 << 62:
        raise EncodeError(f"depth={depth!r} is not a number of slices. Give 1 or more, or None.")
    return Description(
        *specs,
        np.dtype(dtype).str,
        tuple(int(n) for n in shape),
        shift,
        int(slices),
        None if metadata is None else _checked_metadata(metadata),
    )


def _default_depth(shape: Sequence[int]) -> int:
    """Slices of a group of about 16 million voxels."""
    return max(1, round(GROUP_VOXELS / max(1, math.prod(shape[-2:]))))


def _checked_metadata(metadata: Any) -> dict[str, Any]:
    """Metadata as a file returns them; raises EncodeError for values that JSON cannot hold."""
    if not isinstance(metadata, dict):
        raise EncodeError(f"metadata must be a dict, not {type(metadata).__name__}")
    try:
        text = json.dumps(metadata, allow_nan=False).encode()
    except NONSENSE as error:
        raise EncodeError(f"metadata cannot be written as JSON ({error})") from None
    if len(text) > METADATA_LIMIT:
        raise EncodeError(f"metadata are {len(text)} bytes of JSON, more than {METADATA_LIMIT}")
    restored: dict[str, Any] = json.loads(text)
    return restored


def _voxel_memory(encoding: str) -> int:
    return VOXEL_BYTES + encodings.parse(encoding).working_bytes


def depth_within(memory: int, shape: Sequence[int], encoding: str) -> int:
    """Return the default slices per group, or fewer (at least 1) if ``memory`` bytes hold fewer."""
    slice_memory = math.prod(as_shape(shape)[1:]) * _voxel_memory(encoding)
    return max(1, min(_default_depth(shape), memory // max(1, slice_memory)))

"""Writes a frame group by group, from its head to its end, without going back."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike
from xxhash import xxh3_64_intdigest

from compresso import compressors, encodings
from compresso.arrays import Labels, as_volume
from compresso.codec import Buffer
from compresso.errors import EncodeError, LabelError
from compresso.frame.description import Description, depth_of, metadata_of
from compresso.frame.hashes import SliceHashes
from compresso.frame.layout import (
    PLACE,
    End,
    GroupHead,
    pack_end,
    pack_group,
    pack_head,
    stream_limit,
)


class Writer:
    """Writes a frame to a file that need not seek; it is whole once nothing is ``pending``.

    Parameters
    ----------
    file : binary file
    shape : tuple of int
        Of the array, 1 to 3 dimensions.
    dtype : dtype
    encoding, compression : str
        Spec strings.
    threads : int
        For the encoding.
    depth : int, optional
        Slices of a group; by default as many as make about 32 million voxels.
    shift : int
        Added to labels before encoding; for signed 64-bit labels.
    metadata : dict, optional
        What else is known of the volume; at most 48 KiB as JSON.

    Raises
    ------
    SpecError
        For an unknown codec or parameter.
    EncodeError
        For a depth or metadata that a frame cannot have.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        encoding: str = "compresso",
        compression: str = "lzma",
        threads: int = 1,
        depth: int | None = None,
        shift: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._encoding = encodings.parse(encoding)
        self._compressor = compressors.parse(compression)
        self.description = Description(
            self._encoding.spec,
            self._compressor.spec,
            np.dtype(dtype).str,
            tuple(int(n) for n in shape),
            shift,
            depth_of(depth, shape),
            metadata_of(metadata),
        )
        self._file, self._threads, self._next, self._at = file, threads, 0, 0
        self._head = pack_head(self.description)
        self._places = np.zeros(self.description.n_groups, PLACE)
        self._put(self._head.data)
        self._finish()

    @property
    def pending(self) -> tuple[int, int] | None:
        """The slices that the next group holds; None where the frame is complete."""
        if self._next == self.description.n_groups:
            return None
        return self.description.group(self._next)

    def write(self, labels: Labels) -> None:
        """Write the next group: exactly the slices that it holds, [z, y, x] in the dtype."""
        z0, z1 = self.description.group(self._next)
        volume = as_volume(labels)
        if volume.shape != (z1 - z0, *self.description.grid[1:]):
            raise EncodeError(f"group {self._next} holds slices {z0} to {z1 - 1}, not these")
        hashes = SliceHashes(volume)
        stream = self._encode(volume, z0, hashes)
        if len(stream) > stream_limit(volume.shape):
            raise EncodeError(f"{self.description.encoding}: {len(stream)} bytes are too many")
        body = self._compressor.compress(stream)
        sizes = len(stream), len(body)
        head, check = pack_group(
            GroupHead(self._next, *sizes, xxh3_64_intdigest(body), hashes.digest(), 0),
            self._head.key,
        )
        self._places[self._next] = self._at, check
        self._put(head)
        self._put(body)
        self._next += 1
        self._finish()

    def _encode(self, volume: Labels, z0: int, hashes: SliceHashes) -> Buffer:
        shift = self.description.shift
        shifted = volume + np.uint64(shift) if shift else volume
        try:
            return self._encoding.encode_volume(shifted, self._threads, hashes.add)
        except LabelError as error:
            z, y, x = error.voxel
            label = volume[z : z + 1, y, x].view(self.description.dtype)[0]
            raise LabelError(int(label), (z0 + z, y, x), error.reason) from None

    def _finish(self) -> None:
        """Write the end behind the last group."""
        if self.pending is None:
            self._put(pack_end(End(self._at, self._head.data, self._places)))

    def _put(self, data: Buffer) -> None:
        self._file.write(data)
        self._at += len(data)

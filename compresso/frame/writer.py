"""Writes a frame group by group, from its head to its end, without going back."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso import compressors, encodings
from compresso.arrays import Labels, as_volume
from compresso.codec import Buffer, Compressor, Encoding
from compresso.errors import EncodeError, LabelError
from compresso.frame.description import Description, group_memory
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
from compresso.parallel import in_order, shares

#: Gives slices z0..z1-1 of the array, [z, y, x] in its dtype.
Read = Callable[[int, int], Labels]


def write(
    file: BinaryIO,
    description: Description,
    read: Read,
    threads: int = 1,
    memory: int | None = None,
) -> int:
    """Write a frame to a file that need not seek; its bytes are the same for any ``threads``.

    Parameters
    ----------
    file : binary file
    description : Description
        By :func:`compresso.frame.describe`.
    read : callable
        Asked for the slices of each group, from the first to the last, from the caller's thread.
        No more than ``threads`` groups that it gave are encoded while it reads the next.
    threads : int
        Groups that are encoded and compressed at once; where there are fewer groups, each has
        several. 0: all cores.
    memory : int, optional
        Bytes that may be used, about: no more groups are encoded at once than it has room for.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    EncodeError
        Where the encoding cannot hold the labels, or ``read`` gives other slices.
    """
    groups = description.groups
    of_each = group_memory(description.shape, description.depth)
    room = len(groups) if memory is None else max(1, memory // max(1, of_each))
    at_once, each = shares(threads, min(len(groups), room))
    packer = _Packer(description, each)
    sections = (_Section(number, read(*span)) for number, span in enumerate(groups))
    head = pack_head(description)
    places = np.zeros(len(groups), PLACE)
    file.write(head.data)
    at = len(head.data)
    with closing(in_order(packer.pack, sections, at_once)) as packed:
        for number, (found, body) in enumerate(packed):
            group, check = pack_group(found, head.key)
            places[number] = at, check
            file.write(group)
            file.write(body)
            at += len(group) + len(body)
    end = pack_end(End(at, head.data, places))
    file.write(end)
    return at + len(end)


class _Section(NamedTuple):
    """The labels of a group."""

    number: int
    labels: Labels


@dataclass(frozen=True)
class _Packer:
    """Encodes and compresses groups, any of them at the same time."""

    description: Description
    threads: int

    @cached_property
    def _stages(self) -> tuple[Encoding, Compressor]:
        return (
            encodings.parse(self.description.encoding),
            compressors.parse(self.description.compression),
        )

    def pack(self, section: _Section) -> tuple[GroupHead, Buffer]:
        """What the head of a group says, but for its hash, and the group's body."""
        number, labels = section
        z0, z1 = self.description.group(number)
        volume = as_volume(labels)
        if volume.shape != (z1 - z0, *self.description.grid[1:]):
            raise EncodeError(f"group {number} holds slices {z0} to {z1 - 1}, not these")
        hashes = SliceHashes(volume)
        stream = self._encode(volume, z0, hashes)
        if len(stream) > stream_limit(volume.shape):
            raise EncodeError(f"{self.description.encoding}: {len(stream)} bytes are too many")
        body = self._stages[1].compress(stream)
        sizes = len(stream), len(body)
        return GroupHead(number, *sizes, xxh3_64_intdigest(body), hashes.digest(), 0), body

    def _encode(self, volume: Labels, z0: int, hashes: SliceHashes) -> Buffer:
        shift = self.description.shift
        shifted = volume + np.uint64(shift) if shift else volume
        try:
            return self._stages[0].encode_volume(shifted, self.threads, hashes.add)
        except LabelError as error:
            z, y, x = error.voxel
            label = volume[z : z + 1, y, x].view(self.description.dtype)[0]
            raise LabelError(int(label), (z, y, x), error.reason).moved((z0, 0, 0)) from None

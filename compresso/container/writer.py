"""Writes a compressed file group by group, from head to end, without seeking."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np

from compresso.arrays import Labels, as_shape, as_volume
from compresso.codec import Buffer
from compresso.container.description import Description, group_memory
from compresso.container.group import Codec, Group, encode_group
from compresso.container.layout import PLACE, End, pack_end, pack_group, pack_head
from compresso.errors import EncodeError, LabelError
from compresso.parallel import Progress, ignore, in_order, shares

#: Gives slices z0..z1-1 of the array, [z, y, x] in its dtype.
Read = Callable[[int, int], Labels]


def write(
    file: BinaryIO,
    description: Description,
    read: Read,
    threads: int = 1,
    memory: int | None = None,
    progress: Progress = ignore,
) -> int:
    """Write a compressed file; the bytes are the same for any number of threads.

    Parameters
    ----------
    file : binary file
        It need not seek.
    description : Description
        By :func:`compresso.container.describe`.
    read : callable
        Returns the slices of each group; called from the first to the last, in the caller's
        thread, while at most ``threads`` earlier groups are encoded.
    threads : int
        Groups that are encoded at once; if there are fewer groups, each uses several threads.
        0: all cores.
    memory : int, optional
        Approximate memory limit in bytes; bounds the number of groups that are encoded at once.
    progress : callable
        Called after each group.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    EncodeError
        If the encoding cannot hold the labels, or ``read`` returns other slices.
    """
    groups = description.groups
    of_each = group_memory(description.shape, description.depth)
    room = len(groups) if memory is None else max(1, memory // max(1, of_each))
    at_once, each = shares(threads, min(len(groups), room))
    packer = _Packer(description, each)
    sections = ((number, read(*span)) for number, span in enumerate(groups))
    head = pack_head(description)
    places = np.zeros(len(groups), PLACE)
    file.write(head.data)
    progress(0, len(groups))
    at = len(head.data)
    with closing(in_order(packer.pack, sections, at_once)) as packed:
        for number, group, body in packed:
            data, check = pack_group(number, group, head.key)
            places[number] = at, check
            file.write(data)
            file.write(body)
            at += len(data) + group.body_bytes
            progress(number + 1, len(groups))
    end = pack_end(End(at, head.data, places))
    file.write(end)
    return at + len(end)


@dataclass(frozen=True)
class _Packer:
    """Encodes and compresses groups, any of them at the same time."""

    description: Description
    threads: int

    @cached_property
    def _codec(self) -> Codec:
        return self.description.codec

    def pack(self, section: tuple[int, Labels]) -> tuple[int, Group, Buffer]:
        """The number, sizes, hashes and body of a group."""
        number, labels = section
        z0, z1 = self.description.group(number)
        if as_volume(labels).shape != (z1 - z0, *self.description.grid[1:]):
            raise EncodeError(f"group {number} holds slices {z0} to {z1 - 1}, not these")
        labels = labels.reshape(as_shape(labels.shape))
        try:
            group, body = encode_group(self._codec, labels, self.description.shift, self.threads)
        except LabelError as error:
            raise error.moved((z0, 0, 0)) from None
        return number, group, body

"""Writes a compressed file group by group, from head to end, without seeking."""

from collections.abc import Callable
from contextlib import closing
from typing import BinaryIO

import numpy as np

from compresso.arrays import Labels, as_shape, as_volume
from compresso.codec import Buffer, ignore
from compresso.container.description import Description
from compresso.container.group import GroupRecord, encode_group
from compresso.container.layout import INDEX_ENTRY, pack_end, pack_group, pack_head
from compresso.errors import EncodeError
from compresso.parallel import Progress, in_order, shares


def write(
    file: BinaryIO,
    description: Description,
    read: Callable[[int, int], Labels],
    threads: int = 1,
    memory: int | None = None,
    progress: Progress = ignore,
) -> int:
    """Write a compressed file to a file that need not seek; returns the bytes written.

    ``read`` returns slices z0..z1-1. It is called for one group after the other, in this thread,
    while at most ``threads`` earlier groups are encoded, fewer if ``memory`` bytes demand it.
    Raises EncodeError if the encoding cannot hold the labels, or ``read`` returns other slices.
    """
    groups, method = description.groups, description.method
    room = len(groups) if memory is None else max(1, memory // description.group_memory)
    at_once, each = shares(threads, min(len(groups), room))

    def pack(section: tuple[int, Labels]) -> tuple[int, GroupRecord, Buffer]:
        number, labels = section
        z0, z1 = groups.span(number)
        if as_volume(labels).shape != (z1 - z0, *description.shape_zyx[1:]):
            raise EncodeError(f"group {number} holds slices {z0} to {z1 - 1}, not these")
        labels = labels.reshape(as_shape(labels.shape))
        return number, *encode_group(method, labels, description.shift, each, z0)

    sections = ((number, read(*span)) for number, span in enumerate(groups))
    head = pack_head(description)
    index = np.zeros(len(groups), INDEX_ENTRY)
    file.write(head.data)
    progress(0, len(groups))
    at = len(head.data)
    with closing(in_order(pack, sections, at_once)) as packed:
        for number, group, body in packed:
            data, check = pack_group(number, group, head.key)
            index[number] = at, check
            file.write(data)
            file.write(body)
            at += len(data) + group.body_bytes
            progress(number + 1, len(groups))
    end = pack_end(at, head.data, index)
    file.write(end)
    return at + len(end)

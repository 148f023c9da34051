"""Reads a compressed file: any of its groups, checked, and a list of the damage."""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso.arrays import LIMIT, Labels
from compresso.container.description import group_memory
from compresso.container.group import Group, decode_group
from compresso.container.layout import GROUP_BYTES, unpack_group
from compresso.container.walk import Source, find_parts
from compresso.errors import DecodeError
from compresso.parallel import Progress, cores, ignore, in_order, shares


@dataclass(frozen=True)
class Damage:
    """Slices z0..z1-1 that cannot be read, and why; no slices: the rest of the file."""

    z0: int
    z1: int
    reason: str


class Reader:
    """Reads a compressed file that can seek; decodes only the requested groups.

    Parameters
    ----------
    file : binary file
    salvage : bool
        Search for groups that are not in their place.
    limit : int
        Refuse to make more bytes of labels than this at once; 16 GiB by default.
    memory : int, optional
        Approximate memory limit in bytes; bounds the number of groups that are decoded at once.

    Raises
    ------
    DecodeError
        If neither head nor end can be read. :meth:`check_end` and :meth:`damage` report all
        other faults.
    """

    def __init__(
        self,
        file: BinaryIO,
        salvage: bool = False,
        limit: int = LIMIT,
        memory: int | None = None,
    ) -> None:
        self._source = Source(file)
        self._parts = find_parts(self._source)
        self._salvage, self._limit, self._memory = salvage, limit, memory
        self.description = self._parts.head.description
        self._codec = self.description.codec

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return self._source.size

    @property
    def fingerprint(self) -> int:
        """A hash of the file's length, head and index, to recognise the file."""
        parts = self._parts
        index = parts.end.places.tobytes() if parts.end else b""
        return xxh3_64_intdigest(parts.head.data + index, self._source.size)

    def read(self, z0: int = 0, z1: int | None = None, threads: int = 1) -> Labels:
        """Slices z0..z1-1, [z, y, x] in the array's dtype; decodes only the groups they are in.

        Raises DecodeError, which names the damaged slices.
        """
        z0, z1, _ = slice(z0, z1).indices(self.description.grid[0])
        out = self._empty(max(0, z1 - z0))

        def fill(number: int, threads: int) -> None:
            start, stop = self.description.group(number)
            low, high = max(start, z0), min(stop, z1)
            here = out[low - z0 : high - z0]
            if (low, high) == (start, stop):
                self._group_into(number, here, threads)
            else:
                here[...] = self.group(number, threads)[low - start : high - start]

        numbers = self.description.groups_of(z0, z1)
        at_once, each = shares(threads, len(numbers))
        with closing(in_order(partial(fill, threads=each), numbers, at_once)) as filled:
            for _ in filled:
                pass
        return out.astype(self._dtype, copy=False)

    def group(self, number: int, threads: int = 1) -> Labels:
        """Decode one group; raises DecodeError, which names its slices."""
        z0, z1 = self.description.group(number)
        out = self._empty(z1 - z0)
        self._group_into(number, out, cores(threads))
        return out.astype(self._dtype, copy=False)

    def groups(
        self, numbers: Sequence[int], threads: int = 1
    ) -> Generator[Labels | DecodeError, None, None]:
        """Decode groups, in this order; a damaged one is replaced by its error.

        At most ``threads`` groups are decoded ahead of the caller, and no more than the limit
        allows.
        """
        at_once, each = self._shares(threads, len(numbers))
        yield from in_order(partial(self._attempt, threads=each), numbers, at_once)

    def damage(self, threads: int = 1, progress: Progress = ignore) -> Iterator[Damage]:
        """Decode everything and list the damaged slices and other faults of the file.

        ``progress`` is called after each group.
        """
        numbers = range(self.description.n_groups)
        at_once, each = self._shares(threads, len(numbers))
        damaged = False
        progress(0, len(numbers))
        with closing(in_order(partial(self._fault, threads=each), numbers, at_once)) as faults:
            for number, fault in zip(numbers, faults, strict=True):
                progress(number + 1, len(numbers))
                if fault:
                    damaged = True
                    yield Damage(*self.description.group(number), fault)
        try:
            self.check_end()
        except DecodeError as error:
            if not (damaged and self._parts.moved):  # a group that is lost has moved the rest
                yield Damage(0, 0, str(error))

    def check_end(self) -> None:
        """Raise DecodeError if anything is wrong with the file outside its groups."""
        if self._parts.fault:
            raise DecodeError(self._parts.fault)

    def check_size(self, nbytes: int) -> None:
        """Raise DecodeError for more bytes of labels than the limit."""
        if nbytes > self._limit:
            raise DecodeError(
                f"its labels are {nbytes} bytes, more than the limit of {self._limit}. "
                "Raise the limit if that is expected."
            )

    def _attempt(self, number: int, threads: int) -> Labels | DecodeError:
        try:
            return self.group(number, threads)
        except DecodeError as error:
            return error

    def _fault(self, number: int, threads: int) -> str | None:
        """The fault of a group, without its labels."""
        group = self._attempt(number, threads)
        return str(group) if isinstance(group, DecodeError) else None

    def _shares(self, threads: int, parts: int) -> tuple[int, int]:
        """As :func:`shares`, within the limits for the labels and the memory of all groups."""
        description = self.description
        room = self._limit // max(1, description.group_nbytes) - 1
        if self._memory is not None:
            of_each = group_memory(description.shape, description.depth)
            room = min(room, self._memory // max(1, of_each))
        return shares(threads, min(parts, max(1, room)))

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self.description.dtype)

    def _empty(self, depth: int) -> Labels:
        """An array for ``depth`` slices, in native byte order."""
        shape = (depth, *self.description.grid[1:])
        self.check_size(math.prod(shape) * self._dtype.itemsize)
        return np.empty(shape, self._dtype.newbyteorder("="))

    def _group_into(self, number: int, out: Labels, threads: int) -> None:
        z0, z1 = self.description.group(number)
        try:
            self._decode(number, out, threads)
        except DecodeError as error:
            raise DecodeError(f"slices {z0} to {z1 - 1} are damaged: {error}") from None

    def _decode(self, number: int, out: Labels, threads: int) -> None:
        at, group = self._find(number)
        if group.body_bytes > self._source.size - at:
            raise DecodeError("its lengths do not fit")
        body = self._source.at(at, group.body_bytes)
        decode_group(self._codec, group, body, out, self.description.shift, threads)

    def _find(self, number: int) -> tuple[int, Group]:
        """The offset of a group's body, and its head; raises DecodeError."""
        end, check = self._parts.end, None
        if end is not None:
            check = int(end.places["check"][number])
        if end is not None and self._parts.in_place:
            at = int(end.places["at"][number])
            head = unpack_group(self._source.at(at, GROUP_BYTES), self._parts.head.key)
            if head and head.check == check and head.group.body_bytes == end.body_bytes(number):
                return at + GROUP_BYTES, head.group
            if not self._salvage:
                raise DecodeError(
                    "a different group was found there"
                    if head
                    else "group header damaged or from another file"
                )
        found = self._parts.walk.find(number, check)
        if found is None:
            raise DecodeError("group header missing or damaged")
        return found[0], found[1].group

"""Reads a compressed file: any of its groups, checked, and a list of the damage."""

import io
import math
import mmap
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import BinaryIO

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso.arrays import LIMIT, Labels
from compresso.codec import ignore
from compresso.container import layout
from compresso.container.group import GroupRecord, decode_group
from compresso.errors import DecodeError, FileError
from compresso.parallel import Progress, in_order, on_threads, shares

STEP = 1 << 20  # bytes that are searched for a mark at once
#: The heads of groups by their number, and where the body of each begins; in the order of the file.
GroupHeads = dict[int, list[tuple[int, layout.GroupHead]]]


class Source:
    """A file that can seek, read from any thread, and from processes that were forked.

    A forked process shares the position and the lock of its parent's file. So files are read with
    pread, and bytes in memory are sliced. Any other stream raises FileError in a forked process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()
        self._process = os.getpid()
        self._is_file = isinstance(getattr(file, "raw", file), io.FileIO) and hasattr(os, "pread")
        self._data: bytes | mmap.mmap | None = file if isinstance(file, mmap.mmap) else None
        if type(file) is io.BytesIO:
            self._data = file.getvalue()  # which shares the bytes
        file.seek(0, io.SEEK_END)
        self.size = file.tell()  # which an mmap does not return from seek
        self._part = 0, b""  # of the file, that is searched

    def at(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes, or fewer at the end of the file.

        Raises DecodeError if the system cannot read them, and FileError as above.
        """
        start = min(offset, self.size)
        try:
            return self._read(start, max(0, min(size, self.size - offset)))
        except OSError as error:
            raise DecodeError(f"byte {offset} cannot be read ({error.strerror or error})") from None

    def find(self, mark: bytes, at: int) -> int:
        """The offset of a mark, from ``at`` on, or -1. Each part of the file is read once."""
        while at + len(mark) <= self.size:
            start, part = self._part
            if not start <= at <= start + len(part) - len(mark):
                start, part = self._part = at, self.at(at, STEP)
            found = part.find(mark, at - start)
            if found >= 0:
                return start + found
            if len(part) < len(mark):
                break  # the file has shrunk
            at = start + len(part) - len(mark) + 1
        return -1

    def _read(self, offset: int, size: int) -> bytes:
        if self._is_file:
            parts = []  # the system gives at most 2 GiB at once
            while size and (part := os.pread(self._file.fileno(), size, offset)):
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if self._data is not None:
            self._file.tell()  # raises ValueError once the file is closed
            return self._data[offset : offset + size]
        if self._process != os.getpid():
            raise FileError("a stream cannot be read in a forked process. Open a path instead.")
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


@dataclass(frozen=True)
class Damage:
    """Slices z0..z1-1 that cannot be read, and why; no slices: the rest of the file."""

    z0: int
    z1: int
    reason: str


class Reader:
    """Reads a compressed file that can seek; decodes only the requested groups.

    It makes at most ``limit`` bytes of labels at once, and decodes as many groups at once as
    ``memory`` bytes allow. With ``salvage``, groups that are not in their place are searched for.
    Raises DecodeError if neither head nor end can be read; :meth:`damage` lists other faults.
    """

    def __init__(
        self, file: BinaryIO, salvage: bool = False, limit: int = LIMIT, memory: int | None = None
    ) -> None:
        source = self._source = Source(file)
        self._salvage, self._limit, self._memory = salvage, limit, memory
        self._in_place = True  # whether the index in the end gives the offsets of the groups
        self._end = last = layout.read_end(source.at, source.size)
        self._fault = ""
        try:
            self._head = layout.read_head(source.at)
            self._start = len(self._head.data)  # of the groups
        except DecodeError as error:
            if last is None:
                raise
            self._head, self._start = last.head, 0
            self._fault = f"its head is damaged, and read from the copy in its end ({error})"
        self.nbytes = source.size
        self._head.check_size(source.size)
        self.description = self._head.description
        self._method = self.description.method
        if not self._ends_at(source.size, last):
            fault = self._find_end(last)
            self._fault = self._fault or fault

    @property
    def fingerprint(self) -> int:
        """A hash of the file's length, head and index, to recognise the file."""
        index = self._end.entries.tobytes() if self._end else b""
        return xxh3_64_intdigest(self._head.data + index, self._source.size)

    def read(self, z0: int = 0, z1: int | None = None, threads: int = 1) -> Labels:
        """Slices z0..z1-1, [z, y, x] in the array's dtype; decodes only the groups they are in.

        Raises DecodeError, which names the damaged slices.
        """
        description, groups = self.description, self.description.groups
        z0, z1, _ = slice(z0, z1).indices(description.shape_zyx[0])
        shape, dtype = (max(0, z1 - z0), *description.shape_zyx[1:]), np.dtype(description.dtype)
        numbers = groups.of(z0, z1)
        self.check_size(math.prod(shape) * dtype.itemsize)
        if numbers:
            self.check_size(description.group_nbytes)
        out = np.empty(shape, dtype.newbyteorder("="))
        at_once, each = shares(threads, len(numbers))
        on_threads(partial(self._decode, out, z0, each), numbers, at_once)
        return out.astype(dtype, copy=False)

    def groups(
        self, numbers: Sequence[int], threads: int = 1
    ) -> Generator[Labels | DecodeError, None, None]:
        """Decode groups, in this order; a damaged one is replaced by its error.

        At most ``threads`` groups are decoded ahead, fewer if the limits for labels or memory
        demand it.
        """
        description = self.description
        room = self._limit // max(1, description.group_nbytes) - 1
        if self._memory is not None:
            room = min(room, self._memory // description.group_memory)
        at_once, each = shares(threads, min(len(numbers), max(1, room)))

        def attempt(number: int) -> Labels | DecodeError:
            try:
                return self.read(*description.groups.span(number), each)
            except DecodeError as error:
                return error

        yield from in_order(attempt, numbers, at_once)

    def damage(self, threads: int = 1, progress: Progress = ignore) -> Iterator[Damage]:
        """Decode everything and list the damaged slices and other faults of the file.

        ``progress`` is called after each group.
        """
        groups = self.description.groups
        numbers = range(len(groups))
        damaged = False
        progress(0, len(numbers))
        with closing(self.groups(numbers, threads)) as decoded:
            for number, group in zip(numbers, decoded, strict=True):
                progress(number + 1, len(numbers))
                if isinstance(group, DecodeError):
                    damaged = True
                    yield Damage(*groups.span(number), str(group))
                del group  # before the next one is decoded
        moved = self._end is not None and not self._in_place  # by a group that is lost
        if self._fault and not (damaged and moved):
            yield Damage(0, 0, self._fault)

    def check_end(self) -> None:
        """Raise DecodeError if anything is wrong with the file outside its groups."""
        if self._fault:
            raise DecodeError(self._fault)

    def check_size(self, nbytes: int) -> None:
        """Raise DecodeError for more bytes of labels than the limit."""
        if nbytes > self._limit:
            raise DecodeError(
                f"its labels are {nbytes} bytes, more than the limit of {self._limit}. "
                "Raise the limit if that is expected."
            )

    def _decode(self, out: Labels, z0: int, threads: int, number: int) -> None:
        """Decode a group to its place in slices z0 and following; DecodeError names its slices."""
        span, shift = self.description.groups.span(number), self.description.shift
        try:
            at, group = self._find(number)
            body = self._source.at(at, group.body_bytes)
            decode_group(self._method, group, body, span, out, z0, shift, threads)
        except DecodeError as error:
            raise DecodeError(f"slices {span[0]} to {span[1] - 1} are damaged: {error}") from None

    def _find(self, number: int) -> tuple[int, GroupRecord]:
        """The offset of a group's body, and its head; raises DecodeError."""
        check = int(self._end.entries["check"][number]) if self._end else None
        if self._end and self._in_place:
            start, stop = map(int, self._end.edges[number : number + 2])
            head = layout.unpack_group(self._source.at(start, layout.GROUP_BYTES), self._head.key)
            at = start + layout.GROUP_BYTES
            if head and head.check == check and at + head.group.body_bytes == stop:
                return at, head.group
            if head and not self._salvage:
                raise DecodeError("a different group was found there")
            if not self._salvage:
                raise DecodeError("group header damaged or from another file")
        for at, head in self._scanned.get(number, ()):
            if check in (None, head.check):
                return at, head.group
        raise DecodeError("group header missing or damaged")

    def _ends_at(self, stop: int, end: layout.End | None) -> bool:
        """Whether an end that was read before byte ``stop`` is this file's, and in its place."""
        if end is None or end.head.data != self._head.data:
            return False
        return int(end.edges[-1]) + self._head.end_bytes == stop

    def _find_end(self, last: layout.End | None) -> str:
        """Find the end if it is not the last of the file; returns the fault of the file."""
        size, n_groups = self._source.size, len(self.description.groups)
        starts = [at + head.group.body_bytes for at, head in self._scanned.get(n_groups - 1, ())]
        for start in starts[:1] if n_groups else [len(self._head.data)]:
            stop = start + self._head.end_bytes
            end = layout.read_end(self._source.at, stop)
            if self._ends_at(stop, end):
                self._end = end
                return f"trailing bytes after its end: {size - stop}"
        self._in_place = False
        if last and last.head.data == self._head.data:
            whole = int(last.edges[-1]) + self._head.end_bytes
            return f"the file has {size} bytes instead of {whole}"
        self._end = None
        if last:
            return "the end of the file belongs to another file"
        return "its end is damaged or missing: the file was cut, or never finished"

    @cached_property
    def _scanned(self) -> GroupHeads:
        """Every head of a group that can be found, also where a part of the file is missing."""
        found: GroupHeads = {}
        at = search = self._start
        while True:
            head = layout.unpack_group(self._source.at(at, layout.GROUP_BYTES), self._head.key)
            if head:
                search = at + layout.GROUP_BYTES
                found.setdefault(head.number, []).append((search, head))
                at = search + head.group.body_bytes
            elif (at := self._source.find(layout.MARK, search)) < 0:
                return found
            else:
                search = at + 1

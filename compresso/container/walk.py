"""Finds the parts of a compressed file, also of a damaged one."""

import io
import mmap
import os
import threading
from dataclasses import dataclass, replace
from typing import BinaryIO

from compresso.container.layout import (
    GROUP_BYTES,
    MARK,
    End,
    GroupHead,
    Head,
    check_size,
    end_bytes,
    read_end,
    read_head,
    unpack_group,
)
from compresso.errors import DecodeError, FileError

STEP = 1 << 20  # bytes that are searched for a mark at once


class Source:
    """A file that can seek, read from any thread, and from processes that were forked.

    A forked process has the file's position in common with its parent. So a file of the system is
    read without it, if the system can; bytes in memory have none; and of any other stream a
    forked process is refused, before it takes what it reads for damage.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock, self._process = file, threading.Lock(), os.getpid()
        file.seek(0, io.SEEK_END)
        self.size = file.tell()  # which an mmap does not return from seek
        self._data: memoryview | mmap.mmap
        self._read = self._streamed
        if type(file) is io.BytesIO:
            self._data = memoryview(file.getvalue())  # which shares the bytes
            self._read = self._sliced
        elif isinstance(file, mmap.mmap):
            self._data, self._read = file, self._sliced
        elif hasattr(os, "pread") and isinstance(getattr(file, "raw", file), io.FileIO):
            self._read = self._positioned

    def at(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes from an offset on, or fewer at the end of the file.

        Raises DecodeError if the system cannot read them, and FileError for a stream in a forked
        process.
        """
        try:
            return self._read(offset, max(0, min(size, self.size - offset)))
        except OSError as error:
            raise DecodeError(f"byte {offset} cannot be read ({error.strerror or error})") from None

    def _positioned(self, offset: int, size: int) -> bytes:
        """Read at an offset; the system gives at most 2 GiB at once."""
        parts = []
        while size and (part := os.pread(self._file.fileno(), size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _sliced(self, offset: int, size: int) -> bytes:
        self._file.tell()  # raises ValueError once the file is closed
        return bytes(self._data[offset : offset + size])

    def _streamed(self, offset: int, size: int) -> bytes:
        if os.getpid() != self._process:
            raise FileError(
                "a stream cannot be read in a forked process. Open it there, or open a file by "
                "its path"
            )
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


class Walk:
    """Goes from head to head, and searches for the next one if it is missing.

    Heads are kept, so each is read once. Any thread may use it.
    """

    def __init__(self, source: Source, start: int, key: int) -> None:
        self._source, self._key = source, key
        self._at = start  # where the next head ought to be
        self._resume: int | None = None  # the last one, if not searched already
        self._part = 0, b""  # of the file, that is searched
        self._found: dict[int, list[tuple[int, GroupHead]]] = {}
        # One for each process: a fork may come while another thread of the parent holds its own.
        self._locks: dict[int, threading.Lock] = {}

    def find(self, number: int, check: int | None = None) -> tuple[int, GroupHead] | None:
        """The offset of a group's body, and its head; the first with that hash, if one is given.

        None if the group is not found.
        """
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            while True:
                for at, head in self._found.get(number, ()):
                    if check in (None, head.check):
                        return at, head
                if self._at >= self._source.size and self._resume is None:
                    return None
                self._step()

    def end_of_groups(self, head: Head) -> int | None:
        """The end of the last group; None if its head is not found."""
        n_groups = head.description.n_groups
        if not n_groups:
            return len(head.data)
        found = self.find(n_groups - 1)
        return found[0] + found[1].group.body_bytes if found else None

    def _step(self) -> None:
        head = unpack_group(self._source.at(self._at, GROUP_BYTES), self._key)
        if head is None:
            start = self._at + 1 if self._resume is None else self._resume
            self._at, self._resume = self._search(start), None
            return
        body = self._at + GROUP_BYTES
        self._found.setdefault(head.number, []).append((body, head))
        self._at, self._resume = body + head.group.body_bytes, body

    def _search(self, at: int) -> int:
        """The offset of the next mark, or of the file's end. Each part of the file is read once."""
        while at + len(MARK) <= self._source.size:
            start, part = self._part
            if not start <= at <= start + len(part) - len(MARK):
                start, part = self._part = at, self._source.at(at, STEP)
            found = part.find(MARK, at - start)
            if found >= 0:
                return start + found
            if len(part) < len(MARK):
                break  # the file has shrunk
            at = start + len(part) - len(MARK) + 1
        return self._source.size


@dataclass(frozen=True)
class Parts:
    """A file's head, its end if there is one, and their fault."""

    head: Head
    end: End | None
    in_place: bool  # whether the index in the end gives the offsets of the groups
    fault: str | None
    walk: Walk

    @property
    def moved(self) -> bool:
        """Whether bytes were lost or added between the head and the end."""
        return self.end is not None and not self.in_place


def find_parts(source: Source) -> Parts:
    """Look at both ends of a file, and walk only if they do not fit each other.

    Raises DecodeError if neither can be read.
    """
    last = read_end(source.at, source.size)
    fault = None
    try:
        head = read_head(source.at)
        walk = Walk(source, len(head.data), head.key)
    except DecodeError as error:
        if last is None:
            raise
        head = read_head(lambda offset, size: last.head[offset : offset + size])
        walk = Walk(source, 0, head.key)
        fault = f"its head is damaged, and read from the copy in its end ({error})"
    check_size(head.description, source.size)
    if last and last.head == head.data and last.start + last.nbytes == source.size:
        return Parts(head, last, True, fault, walk)
    parts = _end_elsewhere(source, head, last, walk)
    return replace(parts, fault=fault) if fault else parts


def _end_elsewhere(source: Source, head: Head, last: End | None, walk: Walk) -> Parts:
    """The parts of a file whose end is missing, damaged or misplaced."""
    start = walk.end_of_groups(head)
    if start is not None:
        stop = start + end_bytes(head)
        end = read_end(source.at, stop)
        if end and end.head == head.data and end.start == start:
            fault = f"{source.size - stop} bytes follow its end"
            return Parts(head, end, True, fault, walk)
    if last and last.head == head.data:
        more = source.size - last.nbytes - last.start
        what = f"{more} unexpected bytes" if more > 0 else f"{-more} bytes missing"
        return Parts(head, last, False, f"{what} before the end section", walk)
    fault = "its end is damaged or missing: the file was cut, or never finished"
    if last:
        fault = "the end of the file belongs to another file"
    return Parts(head, None, False, fault, walk)

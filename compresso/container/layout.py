"""The bytes of a compressed file: head, heads of groups, and end (docs/formats.md, section 6).

The heads of the groups are bound to the file's own head. The end has that head once more, and an
index of the groups.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from compresso.container.description import METADATA_LIMIT, Description
from compresso.container.group import GroupRecord
from compresso.errors import DecodeError

VERSION = 1
MAGIC = b"CPSOFRM\0"
HEAD = Struct("<8sHHI")  # magic, version, whether it is compressed, bytes of the description
CHECK = Struct("<Q")  # XXH3-64 of the bytes before
#: The longest description, compressed or not, and the longest that is stored as it is.
DESCRIPTION_LIMIT, PLAIN_LIMIT = METADATA_LIMIT + (1 << 16), 1 << 12

MARK = b"GRP\0"
GROUP = Struct("<4sIQQQQ")  # mark, number, stream and body bytes, hashes of body and labels
GROUP_BYTES = GROUP.size + CHECK.size

END_MARK = b"END\0\0\0\0\0"
INDEX_ENTRY = np.dtype([("at", "<u8"), ("check", "<u8")])  # of a group: its offset, its head's hash
TAIL = Struct("<QQQ8s")  # where the end begins, its bytes, its hash, the last mark
LAST_MARK = b"CPSOEND\0"

#: Reads a number of bytes from an offset on, or fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]


class Head(NamedTuple):
    """The head of a file: its bytes, and the description in them."""

    data: bytes
    description: Description

    @property
    def key(self) -> int:
        """The seed of the hashes of the groups' heads, which binds them to this head."""
        return int(CHECK.unpack(self.data[-CHECK.size :])[0])

    @property
    def end_bytes(self) -> int:
        """Bytes of the end of the file."""
        index = INDEX_ENTRY.itemsize * len(self.description.groups)
        return len(END_MARK) + len(self.data) + index + TAIL.size

    def check_size(self, size: int) -> None:
        """Raise DecodeError if a file of ``size`` bytes cannot hold all the groups."""
        n_groups = len(self.description.groups)
        if n_groups * GROUP.size > size:
            raise DecodeError(f"{size} bytes cannot hold its {n_groups} groups")


class GroupHead(NamedTuple):
    """The head of a group in a file."""

    number: int
    group: GroupRecord
    check: int  # the hash of all that


class End(NamedTuple):
    """The end of a file: its head once more, and the index of the groups."""

    head: Head
    entries: NDArray[Any]  # of the index, as INDEX_ENTRY
    edges: NDArray[np.uint64]  # where each group begins, and where the end begins


def pack_head(description: Description) -> Head:
    """The head of a new file."""
    text = description.to_json()
    packed = len(text) > PLAIN_LIMIT
    if packed:
        text = zlib.compress(text)
    data = HEAD.pack(MAGIC, VERSION, packed, len(text)) + text
    return Head(data + CHECK.pack(xxh3_64_intdigest(data)), description)


def read_head(at: ReadAt, offset: int = 0) -> Head:
    """Read a head; raises DecodeError if it is damaged, or of another version."""
    data = at(offset, HEAD.size)
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        raise DecodeError(
            "not a compresso file (its first bytes are not those of a .cps file). Decode raw codec "
            "output with that codec, e.g. compresso.COMPRESSO.decompress"
        )
    _, version, packed, length = HEAD.unpack(data)
    if version != VERSION:
        raise DecodeError(f"format version {version} is unknown. Update compresso to read it.")
    if packed > 1 or length > DESCRIPTION_LIMIT:
        raise DecodeError("its head is damaged")
    end = HEAD.size + length
    data = at(offset, end + CHECK.size)
    if data[end:] != CHECK.pack(xxh3_64_intdigest(data[:end])):
        raise DecodeError("its head is damaged, or the file was cut")
    text = data[HEAD.size : end]
    if packed:
        unpacker = zlib.decompressobj()
        with suppress(zlib.error):
            text = unpacker.decompress(text, DESCRIPTION_LIMIT)
        if not unpacker.eof or unpacker.unused_data:
            raise DecodeError("its description is damaged or too long")
    return Head(data, Description.from_json(text))


def pack_group(number: int, group: GroupRecord, key: int) -> tuple[bytes, int]:
    """The head of a group, and its hash."""
    data = GROUP.pack(MARK, number, *group)
    check = xxh3_64_intdigest(data, key)
    return data + CHECK.pack(check), check


def unpack_group(data: bytes, key: int) -> GroupHead | None:
    """The head of a group; None if these bytes are not one, or are of another file."""
    if len(data) < GROUP_BYTES:
        return None
    mark, number, *fields = GROUP.unpack_from(data)
    (check,) = CHECK.unpack_from(data, GROUP.size)
    if mark != MARK or check != xxh3_64_intdigest(data[: GROUP.size], key):
        return None
    return GroupHead(number, GroupRecord(*fields), check)


def pack_end(start: int, head: bytes, index: NDArray[Any]) -> bytes:
    """The end of a file, which begins at ``start``; ``index`` are the groups' as INDEX_ENTRY."""
    data = END_MARK + head + index.tobytes()
    data += TAIL.pack(start, len(data) + TAIL.size, 0, b"")[:16]
    return data + CHECK.pack(xxh3_64_intdigest(data)) + LAST_MARK


def read_end(at: ReadAt, size: int) -> End | None:
    """Read the end of the first ``size`` bytes of a file; None if there is not one.

    No more bytes are read than the index of its own groups needs.
    """
    tail = at(size - TAIL.size, TAIL.size) if size >= TAIL.size else b""
    if len(tail) < TAIL.size or not tail.endswith(LAST_MARK):
        return None
    start, length, check, _ = TAIL.unpack(tail)
    if length > size:
        return None
    try:
        head = read_head(at, size - length + len(END_MARK))
        head.check_size(size)
    except DecodeError:
        return None
    if length != head.end_bytes:
        return None
    data = at(size - length, length)
    hashed = length - CHECK.size - len(LAST_MARK)
    if not data.startswith(END_MARK) or xxh3_64_intdigest(data[:hashed]) != check:
        return None
    index = np.frombuffer(
        data, INDEX_ENTRY, len(head.description.groups), len(END_MARK) + len(head.data)
    )
    edges = np.append(index["at"], np.uint64(start))
    gaps = edges[1:] - edges[:-1]  # modulo 2**64
    follow = (gaps >= GROUP_BYTES).all() and (edges[1:] > edges[:-1]).all()
    return End(head, index, edges) if follow and int(edges[0]) == len(head.data) else None

"""The bytes of a frame: its head, the heads of its groups, and its end (docs/formats.md, 6).

The heads of the groups are bound to the file's own head. The end has that head once more, and an
index of the groups.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from compresso.container.description import Description
from compresso.container.group import Group
from compresso.errors import DecodeError

VERSION = 1
MAGIC = b"CPSOFRM\0"
HEAD = Struct("<8sHHI")  # magic, version, 0, bytes of the description
CHECK = Struct("<Q")  # XXH3-64 of the bytes before
DESCRIPTION_LIMIT = 1 << 16

MARK = b"GRP\0"
GROUP = Struct("<4sIQQQQ")  # mark, number, stream and body bytes, hashes of body and labels
GROUP_BYTES = GROUP.size + CHECK.size

END_MARK = b"END\0\0\0\0\0"
PLACE = np.dtype([("at", "<u8"), ("check", "<u8")])  # of a group: its offset, its head's hash
TAIL = Struct("<QQQ8s")  # where the end begins, its bytes, its hash, the last mark
LAST_MARK = b"CPSOEND\0"

#: Gives so many bytes from an offset on, or fewer where the file ends.
ReadAt = Callable[[int, int], bytes]


class Head(NamedTuple):
    """A frame's head: its bytes, and what they say."""

    data: bytes
    description: Description

    @property
    def key(self) -> int:
        """The seed of the hashes of the groups' heads, which binds them to this head."""
        return int(CHECK.unpack(self.data[-CHECK.size :])[0])


class GroupHead(NamedTuple):
    """The head of a group in a file."""

    number: int
    group: Group
    check: int  # the hash of all that


@dataclass(frozen=True)
class End:
    """The end of a frame."""

    start: int  # where it begins
    head: bytes  # the frame's head once more
    places: NDArray[Any]  # of the groups, as PLACE

    @property
    def nbytes(self) -> int:
        """Bytes of the end itself."""
        return len(END_MARK) + len(self.head) + self.places.nbytes + TAIL.size

    def body_bytes(self, number: int) -> int:
        """Bytes between a group's head and what follows the group."""
        places = self.places["at"]
        after = self.start if number + 1 == len(places) else int(places[number + 1])
        return after - int(places[number]) - GROUP_BYTES


def pack_head(description: Description) -> Head:
    """The head of a new frame."""
    text = description.to_json()
    data = HEAD.pack(MAGIC, VERSION, 0, len(text)) + text
    return Head(data + CHECK.pack(xxh3_64_intdigest(data)), description)


def read_head(at: ReadAt, offset: int = 0) -> Head:
    """Read a head; raises DecodeError where it is damaged, or of another version."""
    data = at(offset, HEAD.size)
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        raise DecodeError(
            "these bytes are no compresso frame; a bare stream needs its codec's own "
            "decompress, such as COMPRESSO.decompress"
        )
    _, version, zero, length = HEAD.unpack(data)
    if version != VERSION or zero or length > DESCRIPTION_LIMIT:
        raise DecodeError(f"frame: version {version} is not known to this release")
    end = HEAD.size + length
    data = at(offset, end + CHECK.size)
    if len(data) < end + CHECK.size:
        raise DecodeError("frame: it ends inside its head")
    if CHECK.unpack_from(data, end)[0] != xxh3_64_intdigest(data[:end]):
        raise DecodeError("frame: the hash of its head does not match")
    return Head(data, Description.from_json(data[HEAD.size : end]))


def pack_group(number: int, group: Group, key: int) -> tuple[bytes, int]:
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
    return GroupHead(number, Group(*fields), check)


def pack_end(end: End) -> bytes:
    """The end of a frame."""
    data = END_MARK + end.head + end.places.tobytes()
    data += TAIL.pack(end.start, len(data) + TAIL.size, 0, b"")[:16]
    return data + CHECK.pack(xxh3_64_intdigest(data)) + LAST_MARK


def read_end(at: ReadAt, size: int) -> End | None:
    """Read the end that the first ``size`` bytes of a file have last; None where there is none.

    No more is read than the groups of its own description need, which fit the file.
    """
    tail = at(size - TAIL.size, TAIL.size) if size >= TAIL.size else b""
    if len(tail) < TAIL.size or not tail.endswith(LAST_MARK):
        return None
    start, length, check, _ = TAIL.unpack(tail)
    if length > size:
        return None
    try:
        head = read_head(at, size - length + len(END_MARK))
        check_size(head.description, size)
    except DecodeError:
        return None
    n_groups = head.description.n_groups
    if length != end_bytes(head):
        return None
    data = at(size - length, length)
    hashed = length - CHECK.size - len(LAST_MARK)
    if not data.startswith(END_MARK) or xxh3_64_intdigest(data[:hashed]) != check:
        return None
    places = np.frombuffer(data, PLACE, n_groups, len(END_MARK) + len(head.data))
    end = End(start, head.data, places)
    return end if _in_order(end) else None


def end_bytes(head: Head) -> int:
    """Bytes of the end of a frame."""
    index = PLACE.itemsize * head.description.n_groups
    return len(END_MARK) + len(head.data) + index + TAIL.size


def _in_order(end: End) -> bool:
    """Whether the groups follow one another, from the head to the end."""
    edges = np.append(end.places["at"], np.uint64(end.start))
    gaps = edges[1:] - edges[:-1]  # modulo 2**64
    return bool((gaps >= GROUP_BYTES).all() and (edges[1:] > edges[:-1]).all()) and int(
        edges[0]
    ) == len(end.head)


def check_size(description: Description, size: int) -> None:
    """Raise DecodeError where a file of ``size`` bytes cannot hold all the groups."""
    if description.n_groups * GROUP.size > size:
        raise DecodeError(f"frame: {size} bytes cannot hold its {description.n_groups} groups")

"""Compressed files taken apart and put together again with correct hashes, unlike damage."""

import io
import json

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso.container import layout


def head_of(data):
    """The head of a file."""
    return layout.read_head(lambda at, size: bytes(data[at : at + size]))


def groups_of(data):
    """Head and body of every group of an undamaged file."""
    head, file = head_of(data), io.BytesIO(data)
    file.seek(len(head.data))
    groups = []
    for _ in head.description.groups:
        group = layout.unpack_group(file.read(layout.GROUP_BYTES), head.key)
        groups.append((group, file.read(group.group.body_bytes)))
    return groups


def spans_of(data):
    """First and last byte (exclusive) of each group, and of the end."""
    found, at = [], len(head_of(data).data)
    for _, body in groups_of(data):
        found.append((at, at + layout.GROUP_BYTES + len(body)))
        at = found[-1][1]
    return [*found, (at, len(data))]


def pack_head(text, compressed=0):
    """The head of a file with any description."""
    raw = layout.HEAD.pack(layout.MAGIC, layout.VERSION, compressed, len(text)) + text
    return raw + layout.CHECK.pack(xxh3_64_intdigest(raw))


def pack_file(text, groups):
    """A file of any description and groups."""
    data = raw = pack_head(text)
    (key,) = layout.CHECK.unpack(raw[-8:])
    places = []
    for head, body in groups:
        packed, check = layout.pack_group(head.number, head.group, key)
        places.append((len(data), check))
        data += packed + body
    return data + layout.pack_end(len(data), raw, np.array(places, layout.PLACE))


def with_description(data, **changes):
    """The same file with a changed description, and nothing else changed."""
    description = json.loads(head_of(data).description.to_json()) | changes
    return pack_file(json.dumps(description).encode(), groups_of(data))

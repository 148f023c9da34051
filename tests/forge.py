"""Frames taken apart and put together again, with hashes that are right: what damage cannot do."""

import io
import json

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso.container import layout


def head_of(data):
    """The head of a frame."""
    return layout.read_head(lambda at, size: bytes(data[at : at + size]))


def groups_of(data):
    """Head and body of every group of an undamaged frame."""
    head, file = head_of(data), io.BytesIO(data)
    file.seek(len(head.data))
    groups = []
    for _ in range(head.description.n_groups):
        group = layout.unpack_group(file.read(layout.GROUP_BYTES), head.key)
        groups.append((group, file.read(group.group.body_bytes)))
    return groups


def frame_of(text, groups):
    """A frame of any description and groups."""
    raw = layout.HEAD.pack(layout.MAGIC, layout.VERSION, 0, len(text)) + text
    raw += layout.CHECK.pack(xxh3_64_intdigest(raw))
    (key,) = layout.CHECK.unpack(raw[-8:])
    data, places = raw, []
    for head, body in groups:
        packed, check = layout.pack_group(head.number, head.group, key)
        places.append((len(data), check))
        data += packed + body
    return data + layout.pack_end(layout.End(len(data), raw, np.array(places, layout.PLACE)))


def forged(data, **changes):
    """A frame whose description is changed, and nothing else."""
    description = json.loads(head_of(data).description.to_json()) | changes
    return frame_of(json.dumps(description).encode(), groups_of(data))

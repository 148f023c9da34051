"""LZ78 and LZW with unbounded dictionaries, linear in time and in memory.

A phrase is a node of a trie: the phrase it extends, and the byte that it adds. Children are found
by hash of (phrase, byte), so that a step costs the same however large the dictionary is.
"""

import numpy as np
from numpy.typing import NDArray

from compresso.kernels import SPREAD, kernel, with_room


@kernel
def _slot(slots, keys, shift, key):
    """Where a key is in the hash table, or the empty slot where it belongs."""
    at = np.int64((key * SPREAD) >> shift)
    while slots[at] != 0 and keys[slots[at]] != key:
        at = (at + 1) & (slots.size - 1)
    return at


@kernel
def _rehash(slots, keys, shift, count, start):
    """Enter all nodes from ``start`` on in a table of twice the size; returns it and its shift."""
    slots = np.zeros(2 * slots.size, np.uint32)
    shift -= np.uint64(1)
    for node in range(start, count):
        slots[_slot(slots, keys, shift, keys[node])] = node
    return slots, shift


@kernel
def encode_lz78(data):
    """Encode bytes (n,) uint8 as LZ78 codes (n_codes,) uint64, ``phrase << 8 | byte``.

    Phrase 0 is empty, and each code makes the next phrase, from 1 on. If the data ends inside a
    phrase, the last code's byte is its own last one.
    """
    keys = np.empty(1024, np.uint64)  # of a node: its parent << 8 | its byte, which is the code
    slots = np.zeros(4096, np.uint32)
    shift = np.uint64(52)
    count = 1
    node = np.uint64(0)
    for i in range(data.size):
        key = node << np.uint64(8) | np.uint64(data[i])
        at = _slot(slots, keys, shift, key)
        if slots[at] != 0 and i + 1 < data.size:
            node = np.uint64(slots[at])
            continue
        if count == keys.size:
            keys = with_room(keys, count, 1)
        keys[count] = key
        if slots[at] == 0:
            slots[at] = count
        count += 1
        node = np.uint64(0)
        if 2 * count > slots.size:
            slots, shift = _rehash(slots, keys, shift, count, 1)
    return keys[1:count].copy()


@kernel
def decode_lz78(codes, data):
    """Undo :func:`encode_lz78`; returns False if the codes do not make ``data.size`` bytes."""
    starts = np.empty(codes.size + 1, np.int64)  # where each phrase was first written
    lengths = np.zeros(codes.size + 1, np.int64)
    done = 0
    for c in range(codes.size):
        phrase = np.int64(codes[c] >> np.uint64(8))
        if phrase < 0 or phrase > c or lengths[phrase] + 1 > data.size - done:
            return False
        starts[c + 1] = done
        for k in range(lengths[phrase]):
            data[done + k] = data[starts[phrase] + k]
        done += lengths[phrase] + 1
        data[done - 1] = codes[c] & np.uint64(255)
        lengths[c + 1] = lengths[phrase] + 1
    return done == data.size


@kernel
def encode_lzw(data):
    """Encode bytes (n,) uint8, n > 0, as LZW codes (n_codes,) uint64.

    Codes are phrases: 0..255 are the bytes, and each code but the last makes the next phrase, from
    256.
    """
    keys = np.empty(1024, np.uint64)  # of a node from 256 on: its parent << 8 | its byte
    slots = np.zeros(4096, np.uint32)
    shift = np.uint64(52)
    codes = np.empty(1024, np.uint64)
    count, written = 256, 0
    node = np.uint64(data[0])
    for i in range(1, data.size):
        key = node << np.uint64(8) | np.uint64(data[i])
        at = _slot(slots, keys, shift, key)
        if slots[at] != 0:
            node = np.uint64(slots[at])
            continue
        if count == keys.size:
            keys = with_room(keys, count, 1)
        if written == codes.size:
            codes = with_room(codes, written, 1)
        codes[written] = node
        written += 1
        keys[count] = key
        slots[at] = count
        count += 1
        node = np.uint64(data[i])
        if 2 * count > slots.size:
            slots, shift = _rehash(slots, keys, shift, count, 256)
    if written == codes.size:
        codes = with_room(codes, written, 1)
    codes[written] = node
    return codes[: written + 1].copy()


@kernel
def decode_lzw(codes, data):
    """Undo :func:`encode_lzw`; returns False if the codes do not make ``data.size`` bytes."""
    starts = np.empty(codes.size, np.int64)  # where each code's phrase was written
    lengths = np.empty(codes.size, np.int64)
    done = 0
    for c in range(codes.size):
        code = np.int64(codes[c])
        made = code - 256  # a phrase is that of an earlier code, and the byte after it
        if code < 0 or made >= c:
            return False
        length = 1 if made < 0 else lengths[made] + 1
        if length > data.size - done:
            return False
        starts[c], lengths[c] = done, length
        if made < 0:
            data[done] = code
        else:
            for k in range(length):  # may reach the bytes it writes, and then repeats them
                data[done + k] = data[starts[made] + k]
        done += length
    return done == data.size


def narrow(codes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Write codes with 32 bits each, or with 64 if one needs it; the first byte is the width."""
    width = 4 if int(codes.max(initial=0)) < 1 << 32 else 8
    packed = codes.astype(f"<u{width}").view(np.uint8)
    return np.concatenate([np.array([width], np.uint8), packed])


def widen(data: memoryview) -> NDArray[np.uint64]:
    """Undo :func:`narrow`; raises ValueError."""
    if data[0] not in (4, 8):
        raise ValueError(f"codes of {data[0]} bytes")
    return np.frombuffer(data[1:], f"<u{data[0]}").astype(np.uint64)

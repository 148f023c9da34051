"""Neuroglancer's ``compressed_segmentation``: 32-bit words, blocks of any size.

Values are packed from the lowest bit of a word up. A *line* is a row of blocks
along x, counted along y, then z.
"""

import numpy as np

from compresso.kernels import SPREAD, kernel, with_room
from compresso.kernels.blocks import (
    FEW,
    MASK_WORDS,
    SIDE,
    VOXELS,
    find_masks,
    find_runs,
    gather,
    interleave,
    make_write_runs,
    rank_masks,
    tabulate,
)
from compresso.kernels.words import ALL, splat8, trailing_zeros

WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
PALETTE = 16  # labels of a block that are looked up once for all of its voxels
CHECKED, DIRECT = -1, -2  # instead of a position in the palette
TOGETHER = 1 << 17  # bytes of a slice that are written at a time
NEAR = 1 << 16  # bytes of the stream that stay in the cache meanwhile


@kernel
def value_bits(count):
    """Bits of a value if a block has ``count`` labels: 0, 1, 2, 4, 8, 16 or 32."""
    if count <= 1:
        return 0
    bits = 1
    while bits < 32 and (1 << bits) < count:
        bits *= 2
    return bits


_write_runs = make_write_runs(32, top_first=False)


@kernel
def encode_layer(labels, block, counts):
    """Encode one layer of blocks of labels (nz <= bz, ny, nx), unsigned, C order, not empty.

    counts, (n_blocks,) int64, gets the labels per block, along x, then y. Returns those labels,
    ascending in each block, (sum of counts,) uint64, and the packed values, (n,) uint32.
    """
    ny, nx = labels.shape[1:]
    bz, by, bx = block
    size = bz * by * bx
    stride = -(-size // 64) * 64 + SIDE
    across = -(-nx // bx)
    voxels = np.empty(across * stride, labels.dtype)
    tables, values = np.empty(0, np.uint64), np.empty(0, np.uint32)
    n_labels = n_words = 0
    masks, rest = np.empty(FEW * MASK_WORDS, np.uint64), np.empty(MASK_WORDS, np.uint64)
    planes, table = np.empty(4 * MASK_WORDS, np.uint64), np.empty(size, np.uint64)
    packed = np.empty_like(planes)
    starts, order = np.empty(size + 2, np.int64), np.empty(size, np.int64)
    n_slots = 64
    while n_slots < 2 * size:
        n_slots *= 2
    slots = np.empty(n_slots, np.int64)
    flat, rows = labels.reshape(-1), np.empty(bz * by, np.int64)
    columns = np.minimum(np.arange(across * bx), nx - 1)  # past the end: the last label again
    whole = nx // SIDE if bx == SIDE else 0
    number = 0
    for y in range(0, ny, by):
        for k in range(bz * by):
            rows[k] = (min(k // by, labels.shape[0] - 1) * ny + min(y + k % by, ny - 1)) * nx
        gather(flat, rows, columns, whole, by * nx, bx, stride, voxels)
        for here in range(0, across * stride, stride):
            count = FEW + 1
            if size == VOXELS:
                count = find_masks(voxels, here, table, masks, rest)
            few = count <= FEW
            runs = 0
            if not few:
                runs = find_runs(voxels, here, size, starts)
                count = tabulate(voxels, here, starts, runs, table, order, slots)
            bits = value_bits(count)
            tables = with_room(tables, n_labels, count)
            values = with_room(values, n_words, -(-size * bits // 32))
            if few and bits:
                rank_masks(masks, table, count, bits, 0, planes, tables, n_labels)
                interleave(planes, bits, packed)
                for word in range(bits * MASK_WORDS):
                    values[n_words + 2 * word] = packed[word] & WORD
                    values[n_words + 2 * word + 1] = packed[word] >> HALF
            else:
                for i in range(count):
                    tables[n_labels + i] = table[i]
                _write_runs(starts, order, runs, bits, values, n_words)
            counts[number] = count
            number += 1
            n_labels += count
            n_words += -(-size * bits // 32)
    return tables[:n_labels].copy(), values[:n_words].copy()


@kernel
def share_tables(tables, counts):
    """Keep equal tables of blocks once, in the order in which they first come.

    tables, (sum of counts,) uint64, is overwritten; counts is (n_blocks,) int64. Returns where each
    block's table begins, (n_blocks,) int64, and the number of labels that are kept.
    """
    places = np.empty(counts.size, np.int64)
    n_slots = 64
    while n_slots < 2 * counts.size:
        n_slots *= 2
    shift = np.uint64(64) - trailing_zeros(np.uint64(n_slots))
    slots = np.zeros(n_slots, np.int64)  # 1 + the first block that has the table
    used = start = 0
    for number in range(counts.size):
        count = counts[number]
        mixed = np.uint64(count)
        for i in range(start, start + count):
            mixed = (mixed ^ tables[i]) * SPREAD
            mixed ^= mixed >> HALF
        at = np.int64((mixed * SPREAD) >> shift)
        while slots[at] != 0:
            owner = slots[at] - 1
            same = counts[owner] == count
            i = 0
            while same and i < count:
                same = tables[places[owner] + i] == tables[start + i]
                i += 1
            if same:
                break
            at = (at + 1) & (n_slots - 1)
        if slots[at] == 0:
            slots[at] = number + 1
            places[number] = used
            for i in range(count):
                tables[used + i] = tables[start + i]
            used += count
        else:
            places[number] = places[slots[at] - 1]
        start += count
    return places, used


@kernel
def _label(words, high, at):
    """The label at a place; ``high`` is None for labels of 32 bits, ``words`` for those of 64."""
    label = np.uint64(words[at])
    if high is not None:
        label |= np.uint64(high[at + np.uint64(1)]) << HALF
    return label


@kernel
def _decode_layer(
    headers, words, high, first, count, bx, palette, places, row, n_rows, out, to, width
):
    """Decode ``n_rows`` rows of a line of ``count`` blocks, from row ``row`` of the blocks on.

    Rows that must be checked are skipped. Labels go to ``out[to + width * y + x]``. This is one
    function because a call costs as much as 8 rows of a block.
    """
    # Unsigned indices, for numba looks at the sign of others.
    wide = np.uint64(1 if high is None else 2)
    for column in range(0, count * bx, SIDE):
        block = column // SIDE if bx == SIDE else column // bx
        if places[block] == CHECKED:
            continue
        head, values = headers[2 * (first + block)], np.uint64(headers[2 * (first + block) + 1])
        at, target = np.uint64(places[block]), np.uint64(to + column)
        bits = np.uint64(head >> 24)
        if bits == np.uint64(0):
            label = palette[at]
            for _ in range(n_rows):
                splat8(out, target, label)
                target += np.uint64(width)
            continue
        place = np.uint64(bx * row + column - block * bx) * bits
        stride = np.uint64(bx) * bits
        if places[block] == DIRECT:
            table = np.uint64(head & 0xFFFFFF)
            if bits == np.uint64(16):
                for _ in range(n_rows):
                    word = values + (place >> np.uint64(5))
                    for x in range(np.uint64(SIDE)):
                        packed = np.uint64(words[word + (x >> np.uint64(1))])
                        value = (packed >> (np.uint64(16) * (x & np.uint64(1)))) & np.uint64(0xFFFF)
                        out[target + x] = _label(words, high, table + value * wide)
                    target += np.uint64(width)
                    place += stride
                continue
            for _ in range(n_rows):
                word = values + (place >> np.uint64(5))
                packed = np.uint64(words[word]) | np.uint64(words[word + np.uint64(1)]) << HALF
                for x in range(np.uint64(SIDE)):
                    value = (packed >> (np.uint64(8) * x)) & np.uint64(255)
                    out[target + x] = _label(words, high, table + value * wide)
                target += np.uint64(width)
                place += stride
            continue
        mask = (np.uint64(1) << bits) - np.uint64(1)
        for _ in range(n_rows):
            word = values + (place >> np.uint64(5))
            packed = np.uint64(words[word]) >> (place & np.uint64(31))
            for x in range(np.uint64(SIDE)):
                out[target + x] = palette[at + ((packed >> (bits * x)) & mask)]
            target += np.uint64(width)
            place += stride


@kernel
def _decode_checked(headers, words, high, number, block, z, shape, out, to, width):
    """Decode layer z of a block of any size and bits, as far as ``shape`` (y, x) says.

    Returns -1, -2 if a label does not fit the dtype of ``out``, or 0 if one is missing.
    """
    head, values = np.int64(headers[2 * number]), np.int64(headers[2 * number + 1])
    table, bits = head & 0xFFFFFF, head >> 24
    wide = np.uint64(1 if high is None else 2)
    entries = (words.size - table) // np.int64(wide)
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    fits = ALL >> np.uint64(64 - 8 * out.itemsize)
    for y in range(shape[0]):
        for x in range(shape[1]):
            value = np.uint64(0)
            if bits > 0:
                place = ((z * block[1] + y) * block[2] + x) * bits
                word = np.uint64(words[values + (place >> 5)])
                value = (word >> np.uint64(place & 31)) & mask
            if np.int64(value) >= entries:
                return 0
            label = _label(words, high, np.uint64(table) + value * wide)
            if label & ~fits != np.uint64(0):
                return -2
            out[to + width * y + x] = label
    return -1


@kernel
def _largest(words, first, count):
    """The largest of the values of 16 bits in ``count`` words."""
    low, high = np.uint32(0), np.uint32(0)
    for i in range(first, first + count):
        low, high = max(low, words[i] & np.uint32(0xFFFF)), max(high, words[i] >> np.uint32(16))
    return np.int64(max(low, high))


@kernel
def _read_headers(headers, words, high, block, first, last, across, whole, palette, places):
    """Look up the labels of blocks first..last-1, all those that their values can mean.

    ``places[i - first]`` gets the position of the labels of block i in ``palette``. It is DIRECT
    for a block of too many labels, and CHECKED for a block that needs checks: its rows are not a
    multiple of 8 voxels, a label is missing or does not fit, or it follows the ``whole`` blocks of
    a line of ``across``. Returns -1, or the number of a block that contradicts the format.
    """
    bz, by, bx = block
    wide = 1 if high is None else 2
    fits = ALL >> np.uint64(64 - 8 * palette.itemsize)
    used = np.int64(0)
    for number in range(first, last):
        head, values = np.int64(headers[2 * number]), np.int64(headers[2 * number + 1])
        table, bits = head & 0xFFFFFF, head >> 24
        if bits > 32 or bits & (bits - 1) or values + -(-bz * by * bx * bits // 32) > words.size:
            return number
        places[number - first] = CHECKED
        if bx % SIDE or bits > 16 or number % across >= whole:
            continue
        if table + (wide << bits) > words.size:
            entries = (words.size - table) // wide
            n_words = -(-bz * by * bx // 2)
            if bits != 16 or _largest(words, values, n_words) >= entries:
                continue
        if bits >= 8:
            if palette.itemsize >= 4:  # or a label may not fit
                places[number - first] = DIRECT
        else:
            places[number - first] = used
            for i in range(1 << bits):
                label = _label(words, high, np.uint64(table + wide * i))
                if label & ~fits != np.uint64(0):
                    places[number - first] = CHECKED
                palette[used + i] = label
            used += 1 << bits
    return -1


@kernel
def decode_lines(headers, words, high, block, first, last, out):
    """Decode lines first..last-1 of out, (nz, ny, nx) unsigned, C order.

    headers, (2 * n_blocks,) uint32, are of all blocks along x, then y, then z. high is None, or
    ``words`` if labels have 64 bits. Returns -1, -2 if a label does not fit the dtype of out, or
    the number of the first bad block.
    """
    nz, ny, nx = out.shape
    bz, by, bx = block
    flat = out.reshape(-1)
    across, down = -(-nx // bx), -(-ny // by)
    # One layer of voxels of many lines at a time: the memory takes a slice's rows in their order
    # several times as fast.
    each = words.nbytes // max(1, -(-nz // bz) * down)
    most = min(TOGETHER // (by * nx * out.itemsize), NEAR // max(1, each))
    together = min(last - first, down, max(1, most))
    palette = np.empty(PALETTE * together * across, out.dtype)
    places = np.empty(together * across, np.int64)
    while first < last:
        lines = min(together, down - first % down, last - first)
        start = first * across
        stop = start + lines * across
        bad = _read_headers(
            headers, words, high, block, start, stop, across, nx // bx, palette, places
        )
        if bad >= 0:
            return bad
        z0 = first // down * bz
        for layer in range(min(bz, nz - z0) * lines):
            z, line = layer // lines, layer % lines
            y0 = (first + line) % down * by
            height = min(by, ny - y0)
            at = ((z0 + z) * ny + y0) * nx
            here = places[line * across : (line + 1) * across]
            head = start + line * across
            _decode_layer(
                headers, words, high, head, across, bx, palette, here, z * by, height, flat, at, nx
            )
            for b in range(across):
                if here[b] == CHECKED:
                    shape = height, min(bx, nx - b * bx)
                    bad = _decode_checked(
                        headers, words, high, head + b, block, z, shape, flat, at + b * bx, nx
                    )
                    if bad != -1:
                        return head + b if bad == 0 else bad
        first += lines
    return -1

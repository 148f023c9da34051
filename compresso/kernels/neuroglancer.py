"""The block encoding of the paper's Neuroglancer scheme: 64-bit words, 8 x 8 x 8 voxels a block."""

import numpy as np

from compresso.kernels import kernel, with_room
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
from compresso.kernels.words import ALL, reverse, splat8

STRIDE = VOXELS + SIDE  # from a gathered block to the next, with room for the last run's end
HEADER_WORDS = 7  # of a chunk: its length, its padded shape, its shape
# A block's worst case: its header, 512 values of 16 bits in 128 words, 512 labels.
BLOCK_WORDS = 1 + VOXELS // 4 + VOXELS
OFFSET_MASK = np.uint64(0xFFFFFFFF)
BITS_MASK = np.uint64(0xFF)
SLOTS = 2 * VOXELS  # of the hash table of a block of many labels


@kernel
def reflect(i, n):
    """Index inside 0..n-1 of position i >= 0 of a line that is mirrored at its last voxel."""
    if i < n:
        return i
    if n == 1:
        return 0
    i %= 2 * n - 2
    return i if i < n else 2 * n - 2 - i


_write_runs = make_write_runs(64, top_first=True)


@kernel
def encode_chunks(labels, side, first, last):
    """Encode chunks first..last-1, along x, then y; returns (n,) uint64.

    labels are (nz <= side, ny, nx) unsigned, C order. ``side`` is the voxels along a chunk, 64 in
    the published program.
    """
    nz, ny, nx = labels.shape
    across = -(-nx // side)
    words = np.empty(0, np.uint64)
    used = 0
    voxels = np.empty(side // SIDE * STRIDE, labels.dtype)
    table = np.empty(VOXELS, np.uint64)
    masks, rest = np.empty(FEW * MASK_WORDS, np.uint64), np.empty(MASK_WORDS, np.uint64)
    planes = np.empty(4 * MASK_WORDS, np.uint64)
    packed = np.empty_like(planes)
    starts, order = np.empty(VOXELS + 1, np.int64), np.empty(VOXELS, np.int64)
    slots = np.empty(SLOTS, np.int64)
    flat, rows = labels.reshape(-1), np.empty(SIDE * SIDE, np.int64)
    for chunk in range(first, last):
        corner = (chunk // across * side, chunk % across * side)
        shape = (nz, min(side, ny - corner[0]), min(side, nx - corner[1]))
        bz, by, bx = -(-shape[0] // SIDE), -(-shape[1] // SIDE), -(-shape[2] // SIDE)
        blocks = bz * by * bx
        words = with_room(words, used, HEADER_WORDS + blocks * BLOCK_WORDS + 1)
        base = used
        for axis in range(3):
            words[base + 1 + axis] = -(-shape[axis] // SIDE) * SIDE
            words[base + 4 + axis] = shape[axis]
        header_at = base + HEADER_WORDS
        used = header_at + blocks
        columns = np.array([reflect(x, shape[2]) for x in range(bx * SIDE)])
        for line in range(bz * by):
            for k in range(SIDE * SIDE):
                z = reflect(line // by * SIDE + k // SIDE, shape[0])
                y = reflect(line % by * SIDE + k % SIDE, shape[1]) + corner[0]
                rows[k] = (z * ny + y) * nx + corner[1]
            gather(flat, rows, columns, shape[2] // SIDE, SIDE * nx, SIDE, STRIDE, voxels)
            for here in range(0, bx * STRIDE, STRIDE):
                values_at = used
                count = find_masks(voxels, here, table, masks, rest)
                if count == 1:
                    bits = 0
                    words[used] = table[0]
                elif count <= FEW:
                    bits = 1 if count == 2 else 2 if count <= 4 else 4
                    # The first voxel has the top place.
                    tables_at = used + MASK_WORDS * bits
                    rank_masks(masks, table, count, bits, bits - 1, planes, words, tables_at)
                    interleave(planes, bits, packed)
                    for word in range(MASK_WORDS * bits):
                        words[used + word] = reverse(packed[word])
                else:
                    runs = find_runs(voxels, here, VOXELS, starts)
                    count = tabulate(voxels, here, starts, runs, table, order, slots)
                    bits = 8 if count <= 256 else 16
                    _write_runs(starts, order, runs, bits, words, used)
                    words[used + SIDE * bits : used + SIDE * bits + count] = table[:count]
                used += SIDE * bits
                words[header_at] = (
                    (np.uint64(used - base) << np.uint64(40))
                    | (np.uint64(bits) << np.uint64(32))
                    | np.uint64(values_at - base)
                )
                header_at += 1
                used += count
        words[used] = 0  # the published program writes one word more than it uses
        used += 1
        words[base] = used - base
    return words[:used].copy()


@kernel
def _decode_block(words, table, values, bits, layers, rows, start, width):
    """Decode the first layers of a block, every value of which points into ``words``.

    ``table`` and ``values`` are where the block's labels and packed values begin; ``bits`` is 0 to
    8. Row r, counted over all layers, goes to ``rows[start + width * r + x]``. Returns the bits
    that any of the labels has set.
    """
    # Unsigned indices, for numba looks at the sign of others.
    at, step = np.uint64(start), np.uint64(width)
    if bits == 0:
        label = words[table]
        narrow = rows.dtype.type(label)
        for _ in range(layers * SIDE):
            splat8(rows, at, narrow)
            at += step
        return label
    bits = np.uint64(bits)
    row_bits, behind = np.uint64(SIDE) * bits, np.uint64(64) - bits
    place = seen = np.uint64(0)
    for _ in range(layers * SIDE):
        # The first of the row's values is in the top place.
        row = words[np.uint64(values) + (place >> np.uint64(6))] << (place & np.uint64(63))
        for x in range(np.uint64(SIDE)):
            label = words[np.uint64(table) + (row >> behind)]
            seen |= label
            rows[at + x] = label
            row <<= bits
        at += step
        place += row_bits
    return seen


@kernel
def _decode_block_checked(words, table, end, values, bits, layers, rows, start, width):
    """:func:`_decode_block` of up to 32 bits; also returns whether labels end before ``end``."""
    seen = np.uint64(0)
    for row in range(layers * SIDE):
        for x in range(SIDE):
            at = table
            if bits > 0:
                place = (row * SIDE + x) * bits
                word = words[values + (place >> 6)]
                at += np.int64((word << np.uint64(place & 63)) >> np.uint64(64 - bits))
            if at >= end:
                return seen, False
            seen |= words[at]
            rows[start + width * row + x] = words[at]
    return seen, True


@kernel
def _is_chunk(words, start, end, shape):
    """Whether the chunk ``words[start:end]`` has its headers and this shape."""
    blocks = 1
    for axis in range(3):
        blocks *= -(-shape[axis] // SIDE)
    if end - start < HEADER_WORDS + blocks:
        return False
    for axis in range(3):
        padded = -(-shape[axis] // SIDE) * SIDE
        if words[start + 1 + axis] != padded or words[start + 4 + axis] != shape[axis]:
            return False
    return True


@kernel
def decode_bands(words, offsets, side, first, last, out):
    """Decode bands first..last-1 of out (nz, ny, nx), unsigned, C order.

    A band is a row of chunks along x; they are counted along y, then z. offsets are from
    :func:`chunk_offsets`. Returns -1, or -2 if a label does not fit the dtype of out, or the number
    of the first chunk that contradicts the format.
    """
    nz, ny, nx = out.shape
    flat = out.reshape(-1)
    across, down = -(-nx // side), -(-ny // side)
    width = -(-nx // SIDE) * SIDE
    rows = np.empty(SIDE * SIDE * width, out.dtype)
    fits = ALL >> np.uint64(64 - 8 * out.itemsize)
    for band in range(first, last):
        z0, y0 = band // down * side, band % down * side
        depth, height = min(side, nz - z0), min(side, ny - y0)
        for chunk in range(band * across, (band + 1) * across):
            shape = (depth, height, min(side, nx - chunk % across * side))
            if not _is_chunk(words, offsets[chunk], offsets[chunk + 1], shape):
                return chunk
        lines = -(-height // SIDE)
        for z in range(0, depth, SIDE):
            layers = min(SIDE, depth - z)
            for line in range(lines):
                seen = np.uint64(0)
                for chunk in range(band * across, (band + 1) * across):
                    start, end = offsets[chunk], offsets[chunk + 1]
                    x0 = chunk % across * side
                    blocks = -(-min(side, nx - x0) // SIDE)
                    header_at = start + HEADER_WORDS + (z // SIDE * lines + line) * blocks
                    for b in range(blocks):
                        header = words[header_at + b]
                        table = start + np.int64(header >> np.uint64(40))
                        bits = np.int64((header >> np.uint64(32)) & BITS_MASK)
                        values = start + np.int64(header & OFFSET_MASK)
                        sound = bits == 0 or (bits <= 32 and bits & (bits - 1) == 0)
                        if not sound or table >= end or values + bits * SIDE > end:
                            return chunk
                        at = x0 + b * SIDE
                        if bits <= 8 and 1 << bits <= end - table:
                            seen |= _decode_block(
                                words, table, values, bits, layers, rows, at, width
                            )
                        else:
                            found, sound = _decode_block_checked(
                                words, table, end, values, bits, layers, rows, at, width
                            )
                            seen |= found
                            if not sound:
                                return chunk
                if seen & ~fits != np.uint64(0):
                    return -2
                height_here = min(SIDE, height - line * SIDE)
                for layer in range(layers):
                    target = np.uint64(((z0 + z + layer) * ny + y0 + line * SIDE) * nx)
                    source = np.uint64(layer * SIDE * width)
                    for _ in range(height_here):
                        for x in range(np.uint64(nx)):
                            flat[target + x] = rows[source + x]
                        target += np.uint64(nx)
                        source += np.uint64(width)
    return -1


@kernel
def chunk_offsets(words, n_chunks):
    """Where each chunk begins, and where the last one ends; -1 from the first bad length on.

    Chunks are counted along x, then y, then z.
    """
    offsets = np.full(n_chunks + 1, -1, np.int64)
    at = np.int64(0)
    for chunk in range(n_chunks):
        offsets[chunk] = at
        if at >= words.size or words[at] > np.uint64(words.size - at) or words[at] == np.uint64(0):
            return offsets
        at += np.int64(words[at])
    offsets[n_chunks] = at
    return offsets

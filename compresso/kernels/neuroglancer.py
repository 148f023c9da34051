"""The block encoding of the paper's Neuroglancer scheme: 64-bit words, 8 x 8 x 8 voxels a block."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ONE, differ64, trailing_zeros

SIDE = 8  # voxels along a block
VOXELS = SIDE**3
HEADER_WORDS = 7  # of a chunk: its length, its padded shape, its shape
# A block's worst case: its header, 512 values of 16 bits in 256 words at most, 512 labels.
BLOCK_WORDS = 1 + VOXELS // 2 + VOXELS
OFFSET_MASK = np.uint64(0xFFFFFFFF)
BITS_MASK = np.uint64(0xFF)
SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def reflect(i, n):  # type: ignore[no-untyped-def]
    """Index inside 0..n-1 of position i >= 0 of a line that is mirrored at its last voxel."""
    if n == 1:
        return 0
    i %= 2 * n - 2
    return i if i < n else 2 * n - 2 - i


@kernel
def _gather(labels, z0, y0, x0, shape, bz, by, bx, voxels):  # type: ignore[no-untyped-def]
    """Copy one block of the chunk at (z0, y0, x0) to ``voxels``, reflected past the chunk's end."""
    nz, ny, nx = shape
    for z in range(SIDE):
        for y in range(SIDE):
            line = labels[z0 + reflect(bz + z, nz), y0 + reflect(by + y, ny)]
            at = (z * SIDE + y) * SIDE
            if bx + SIDE <= nx:
                for x in range(SIDE):
                    voxels[at + x] = line[x0 + bx + x]
            else:
                for x in range(SIDE):
                    voxels[at + x] = line[x0 + reflect(bx + x, nx)]
    voxels[VOXELS] = voxels[VOXELS - 1]  # ends the last run


@kernel
def _tabulate(voxels, starts, table, slots, order):  # type: ignore[no-untyped-def]
    """Find the runs of equal labels of a block and the distinct labels, ascending.

    Returns the number of runs and of labels; run i begins at ``starts[i]`` and has the label
    ``table[order[i]]``.
    """
    runs = 1
    starts[0] = 0
    for k in range(0, VOXELS, 64):
        change = differ64(voxels, k, k + 1)
        while change != np.uint64(0):
            starts[runs] = k + np.int64(trailing_zeros(change)) + 1
            runs += 1
            change &= change - ONE
    if runs == 1:
        table[0] = voxels[0]
        order[0] = 0
        return 1, 1
    slots[:] = 0
    count = 0
    for i in range(runs):
        label = np.uint64(voxels[starts[i]])
        at = np.int64((label * SPREAD) >> np.uint64(54))
        while slots[at] != 0 and table[slots[at] - 1] != label:
            at = (at + 1) & 1023
        if slots[at] == 0:
            table[count] = label
            count += 1
            slots[at] = count
        order[i] = slots[at] - 1
    ascending = table[:count].copy()
    if count <= 16:
        for i in range(1, count):
            label = ascending[i]
            j = i
            while j > 0 and ascending[j - 1] > label:
                ascending[j] = ascending[j - 1]
                j -= 1
            ascending[j] = label
    else:
        ascending.sort()
    rank = np.searchsorted(ascending, table[:count])
    for i in range(runs):
        order[i] = rank[order[i]]
    table[:count] = ascending
    return runs, count


@kernel
def encode_chunks(labels, side, first, last):  # type: ignore[no-untyped-def]
    """Encode chunks first..last-1 of one layer of chunks.

    Parameters
    ----------
    labels : (nz <= side, ny, nx) unsigned, C order
    side : int
        Voxels along a chunk, 64 in the published program.
    first, last : int
        Chunks to encode, counted along x, then y.

    Returns
    -------
    (n,) uint64
    """
    nz, ny, nx = labels.shape
    across = -(-nx // side)
    words = np.empty(0, np.uint64)
    used = 0
    voxels = np.empty(VOXELS + 64, labels.dtype)
    starts = np.empty(VOXELS + 1, np.int64)
    order = np.empty(VOXELS, np.int64)
    table = np.empty(VOXELS, np.uint64)
    slots = np.zeros(1024, np.int64)
    for chunk in range(first, last):
        y0 = chunk // across * side
        x0 = chunk % across * side
        shape = (nz, min(side, ny - y0), min(side, nx - x0))
        bz, by, bx = -(-shape[0] // SIDE), -(-shape[1] // SIDE), -(-shape[2] // SIDE)
        blocks = bz * by * bx
        room = used + HEADER_WORDS + blocks * BLOCK_WORDS + 1
        if room > words.size:
            longer = np.empty(max(room, 2 * words.size), np.uint64)
            longer[:used] = words[:used]
            words = longer
        base = used
        for axis in range(3):
            words[base + 1 + axis] = -(-shape[axis] // SIDE) * SIDE
            words[base + 4 + axis] = shape[axis]
        used += HEADER_WORDS + blocks
        for b in range(blocks):
            at = (b // (by * bx) * SIDE, b // bx % by * SIDE, b % bx * SIDE)
            _gather(labels, 0, y0, x0, shape, at[0], at[1], at[2], voxels)
            runs, count = _tabulate(voxels, starts, table, slots, order)
            bits = 0
            while 1 << bits < count:
                bits = max(1, 2 * bits)
            values_at = used - base
            if bits > 0:
                starts[runs] = VOXELS
                run = 0
                for _ in range(VOXELS * bits // 64):
                    word = np.uint64(0)
                    for k in range(64 // bits):
                        position = (used - base - values_at) * (64 // bits) + k
                        if position == starts[run + 1]:
                            run += 1
                        word = (word << np.uint64(bits)) | np.uint64(order[run])
                    words[used] = word
                    used += 1
            words[base + HEADER_WORDS + b] = (
                (np.uint64(used - base) << np.uint64(40))
                | (np.uint64(bits) << np.uint64(32))
                | np.uint64(values_at)
            )
            words[used : used + count] = table[:count]
            used += count
        words[used] = 0  # the published program writes one word more than it uses
        used += 1
        words[base] = used - base
    return words[:used].copy()


@kernel
def _decode_block(words, header, shape, out, z0, y0, x0):  # type: ignore[no-untyped-def]
    """Decode one block of a chunk to ``out`` from (z0, y0, x0) on.

    ``words`` is the chunk, ``shape`` what of it is left from the block's corner on.
    Returns False where the block contradicts the format.
    """
    size = words.size
    table_at = np.int64(header >> np.uint64(40))
    bits = np.int64((header >> np.uint64(32)) & BITS_MASK)
    values_at = np.int64(header & OFFSET_MASK)
    sound = bits == 0 or (bits <= 32 and bits & (bits - 1) == 0)
    if not sound or table_at >= size or values_at + bits * SIDE > size:
        return False
    limit = np.uint64(size - table_at)
    depth, height, width = min(SIDE, shape[0]), min(SIDE, shape[1]), min(SIDE, shape[2])
    if bits == 0:
        label = words[table_at]
        for z in range(depth):
            for y in range(height):
                line = out[z0 + z, y0 + y]
                for x in range(width):
                    line[x0 + x] = label
        return True
    per_word = 64 // bits
    mask = (ONE << np.uint64(bits)) - ONE
    for z in range(depth):
        for y in range(height):
            line = out[z0 + z, y0 + y]
            for x in range(width):
                k = (z * SIDE + y) * SIDE + x
                shift = np.uint64(64 - bits * (k % per_word + 1))
                value = (words[values_at + k // per_word] >> shift) & mask
                if value >= limit:
                    return False
                line[x0 + x] = words[table_at + np.int64(value)]
    return True


@kernel
def decode_chunks(words, offsets, side, first, last, out):  # type: ignore[no-untyped-def]
    """Decode chunks first..last-1 of a stream, the inverse of :func:`encode_chunks`.

    Parameters
    ----------
    words : (n,) uint64
        The stream behind the volume's shape.
    offsets : (n_chunks + 1,) int64
        Where each chunk begins in ``words``, and where the last one ends.
    side, first, last : int
        Chunks are counted along x, then y, then z.
    out : (nz, ny, nx) unsigned, C order
        Labels that do not fit its dtype lose their upper bits.

    Returns
    -------
    int
        -1, or the number of the first chunk that contradicts the format.
    """
    nz, ny, nx = out.shape
    across, down = -(-nx // side), -(-ny // side)
    for chunk in range(first, last):
        z0 = chunk // (across * down) * side
        y0 = chunk // across % down * side
        x0 = chunk % across * side
        shape = (min(side, nz - z0), min(side, ny - y0), min(side, nx - x0))
        bz, by, bx = -(-shape[0] // SIDE), -(-shape[1] // SIDE), -(-shape[2] // SIDE)
        blocks = bz * by * bx
        body = words[offsets[chunk] : offsets[chunk + 1]]
        if body.size < HEADER_WORDS + blocks:
            return chunk
        for axis in range(3):
            padded = -(-shape[axis] // SIDE) * SIDE
            if body[1 + axis] != padded or body[4 + axis] != shape[axis]:
                return chunk
        for b in range(blocks):
            z, y, x = b // (by * bx) * SIDE, b // bx % by * SIDE, b % bx * SIDE
            left = (shape[0] - z, shape[1] - y, shape[2] - x)
            header = body[HEADER_WORDS + b]
            if not _decode_block(body, header, left, out, z0 + z, y0 + y, x0 + x):
                return chunk
    return -1


@kernel
def chunk_offsets(words, n_chunks):  # type: ignore[no-untyped-def]
    """Where each chunk begins, and where the last one ends; -1 from the first bad length on."""
    offsets = np.full(n_chunks + 1, -1, np.int64)
    at = np.int64(0)
    for chunk in range(n_chunks):
        offsets[chunk] = at
        if at >= words.size or words[at] > np.uint64(words.size - at) or words[at] == np.uint64(0):
            return offsets
        at += np.int64(words[at])
    offsets[n_chunks] = at
    return offsets

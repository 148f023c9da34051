"""The block encoding of the paper's Neuroglancer scheme: 64-bit words, 8 x 8 x 8 voxels a block.

A block is read as the runs of equal labels along its raster, so that what comes after the first
comparison costs by the run, not by the voxel.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, differ64, splat8, trailing_zeros

SIDE = 8  # voxels along a block
VOXELS = SIDE**3
HEADER_WORDS = 7  # of a chunk: its length, its padded shape, its shape
# A block's worst case: its header, 512 values of 16 bits in 128 words, 512 labels.
BLOCK_WORDS = 1 + VOXELS // 4 + VOXELS
OFFSET_MASK = np.uint64(0xFFFFFFFF)
BITS_MASK = np.uint64(0xFF)
FEW = 16  # labels that are looked up one after the other; more have a hash table
SLOTS = 1024
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio


@kernel
def reflect(i, n):
    """Index inside 0..n-1 of position i >= 0 of a line that is mirrored at its last voxel."""
    if n == 1:
        return 0
    i %= 2 * n - 2
    return i if i < n else 2 * n - 2 - i


@kernel
def _gather(labels, corner, shape, block, voxels):
    """Copy one block of the chunk at ``corner``, reflected past the chunk's end."""
    inside = True
    for axis in range(3):
        inside &= block[axis] + SIDE <= shape[axis]
    if inside:
        z0, y0, x0 = corner[0] + block[0], corner[1] + block[1], corner[2] + block[2]
        for z in range(SIDE):
            for y in range(SIDE):
                for x in range(SIDE):
                    voxels[(z * SIDE + y) * SIDE + x] = labels[z0 + z, y0 + y, x0 + x]
    else:
        for z in range(SIDE):
            for y in range(SIDE):
                line = labels[
                    corner[0] + reflect(block[0] + z, shape[0]),
                    corner[1] + reflect(block[1] + y, shape[1]),
                ]
                for x in range(SIDE):
                    at = corner[2] + reflect(block[2] + x, shape[2])
                    voxels[(z * SIDE + y) * SIDE + x] = line[at]
    voxels[VOXELS] = voxels[VOXELS - 1]  # ends the last run


@kernel
def _find_runs(voxels, starts):
    """Number of runs of equal labels of a block; run i is ``starts[i] .. starts[i + 1] - 1``."""
    runs = 1
    starts[0] = 0
    for k in range(0, VOXELS, 64):
        change = differ64(voxels, k, k + 1)
        while change != np.uint64(0):
            starts[runs] = k + np.int64(trailing_zeros(change)) + 1
            runs += 1
            change &= change - ONE
    starts[runs] = VOXELS
    return runs


@kernel
def _find_label(label, table, count, slots):
    """Place of a label in ``table[:count]``, or the place ``count`` where it is entered now."""
    if count < FEW:
        for i in range(count):
            if table[i] == label:
                return i
        table[count] = label
        return count
    if count == FEW:  # from here on by hash: enter what there is
        slots[:] = 0
        for i in range(count):
            at = np.int64((table[i] * SPREAD) >> np.uint64(54))
            while slots[at] != 0:
                at = (at + 1) & (SLOTS - 1)
            slots[at] = i + 1
    at = np.int64((label * SPREAD) >> np.uint64(54))
    while slots[at] != 0:
        if table[slots[at] - 1] == label:
            return slots[at] - 1
        at = (at + 1) & (SLOTS - 1)
    slots[at] = count + 1
    table[count] = label
    return count


@kernel
def _tabulate(voxels, starts, runs, table, order, slots, rank, scratch):
    """Find the distinct labels of a block, ascending, and the place of each run's label there.

    Returns the number of labels.
    """
    count = 0
    for i in range(runs):
        label = np.uint64(voxels[starts[i]])
        # Two neurites side by side take turns along the raster.
        if i >= 2 and table[order[i - 2]] == label:
            order[i] = order[i - 2]
            continue
        order[i] = _find_label(label, table, count, slots)
        count = max(count, order[i] + 1)
    if count <= FEW:
        for i in range(count):
            rank[i] = 0
            for j in range(count):
                rank[i] += table[j] < table[i]
        for i in range(count):
            scratch[rank[i]] = table[i]
        for i in range(count):
            table[i] = scratch[i]
    else:
        ascending = np.sort(table[:count])
        rank[:count] = np.searchsorted(ascending, table[:count])
        table[:count] = ascending
    for i in range(runs):
        order[i] = rank[order[i]]
    return count


@kernel
def _pack(starts, order, runs, bits, words):
    """Write the values of a block, ``bits`` each, the first one in the top place of its word."""
    words[:] = np.uint64(0)
    ones = ALL // (ALL >> np.uint64(64 - bits))  # the value 1 in every place
    for i in range(runs):
        pattern = ones * np.uint64(order[i])
        start, stop = starts[i] * bits, starts[i + 1] * bits
        while start < stop:
            word = start >> 6
            end = min(stop, (word + 1) << 6)
            mask = ALL >> np.uint64(start & 63)
            if end & 63:
                mask &= ~(ALL >> np.uint64(end & 63))
            words[word] |= pattern & mask
            start = end


@kernel
def encode_chunks(labels, side, first, last):
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
    rank = np.empty(VOXELS, np.int64)
    table, scratch = np.empty(VOXELS, np.uint64), np.empty(VOXELS, np.uint64)
    slots = np.empty(SLOTS, np.int64)
    for chunk in range(first, last):
        corner = (0, chunk // across * side, chunk % across * side)
        shape = (nz, min(side, ny - corner[1]), min(side, nx - corner[2]))
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
            block = (b // (by * bx) * SIDE, b // bx % by * SIDE, b % bx * SIDE)
            _gather(labels, corner, shape, block, voxels)
            runs = _find_runs(voxels, starts)
            count, bits = 1, 0
            table[0] = voxels[0]
            values_at = used - base
            if runs > 1:
                count = _tabulate(voxels, starts, runs, table, order, slots, rank, scratch)
                bits = 1
                while 1 << bits < count:
                    bits *= 2
                _pack(starts, order, runs, bits, words[used : used + SIDE * bits])
                used += SIDE * bits
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
def _value(words, header, bits, voxel):
    """The packed value of one voxel of a block."""
    at = voxel * bits
    word = words[np.int64(header & OFFSET_MASK) + (at >> 6)]
    return np.int64((word << np.uint64(at & 63)) >> np.uint64(64 - bits))


@kernel
def _decode_block(words, header, left, corner, out):
    """Decode one block of a chunk.

    ``words`` is the chunk, ``corner`` the block's place in ``out``, and ``left`` what of the chunk
    is left from there on. Returns False where the block contradicts the format.
    """
    size = words.size
    table_at = np.int64(header >> np.uint64(40))
    bits = np.int64((header >> np.uint64(32)) & BITS_MASK)
    sound = bits == 0 or (bits <= 32 and bits & (bits - 1) == 0)
    if not sound or table_at >= size or np.int64(header & OFFSET_MASK) + bits * SIDE > size:
        return False
    # Whole blocks whose values cannot point past the end have loops of a length the compiler knows.
    simple = left[2] >= SIDE and 1 << bits <= size - table_at
    flat = out.reshape(-1)
    label = out.dtype.type(words[table_at])
    for z in range(min(SIDE, left[0])):
        for y in range(min(SIDE, left[1])):
            at = ((corner[0] + z) * out.shape[1] + corner[1] + y) * out.shape[2] + corner[2]
            voxel = (z * SIDE + y) * SIDE
            if simple and bits == 0:
                splat8(flat, at, label)
            elif simple:
                for x in range(SIDE):
                    flat[at + x] = words[table_at + _value(words, header, bits, voxel + x)]
            else:
                for x in range(min(SIDE, left[2])):
                    place = table_at
                    if bits > 0:
                        place += _value(words, header, bits, voxel + x)
                    if place >= size:
                        return False
                    flat[at + x] = words[place]
    return True


@kernel
def decode_chunks(words, offsets, side, first, last, out):
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
            corner = (z0 + z, y0 + y, x0 + x)
            if not _decode_block(body, body[HEADER_WORDS + b], left, corner, out):
                return chunk
    return -1


@kernel
def chunk_offsets(words, n_chunks):
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

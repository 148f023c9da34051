"""Writes Neuroglancer's ``compressed_segmentation``: 32-bit words, blocks of any size.

Values are packed from the lowest bit of a word up. A *line* is a row of blocks
along x, counted along y, then z.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.blocks import (
    FEW,
    MASK_WORDS,
    SIDE,
    SPREAD,
    VOXELS,
    find_masks,
    find_runs,
    rank_masks,
    spread,
    tabulate,
)
from compresso.kernels.words import ALL, prefetch64, trailing_zeros

WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


@kernel
def value_bits(count):
    """Bits of a value if a block has ``count`` labels: 0, 1, 2, 4, 8, 16 or 32."""
    if count <= 1:
        return 0
    bits = 1
    while bits < 32 and (1 << bits) < count:
        bits *= 2
    return bits


@kernel
def _gather(labels, y, block, stride, voxels):
    """Copy the line of blocks at row y; block b begins at ``voxels[b * stride]``.

    Past the volume's end each voxel is the last one before it, which the block has anyway. So are
    the voxels after a block that :func:`find_runs` reads.
    """
    nz, ny, nx = labels.shape
    bz, by, bx = block
    flat = labels.reshape(-1)
    blocks = -(-nx // bx)
    whole = np.uint64(nx // SIDE if bx == SIDE else 0)
    for k in range(bz * by):
        row = (min(k // by, nz - 1) * ny + min(y + k % by, ny - 1)) * nx
        prefetch64(flat, row + by * nx)  # what the next blocks along y need
        # Unsigned indices, for numba looks at the sign of others.
        source, target = np.uint64(row), np.uint64(k * bx)
        for _ in range(whole):
            for x in range(np.uint64(SIDE)):
                voxels[target + x] = flat[source + x]
            source += np.uint64(SIDE)
            target += np.uint64(stride)
        for b in range(np.int64(whole), blocks):
            for x in range(bx):
                voxels[b * stride + k * bx + x] = flat[row + min(b * bx + x, nx - 1)]
    size = bz * by * bx
    for b in range(blocks):
        last = voxels[b * stride + size - 1]
        for at in range(b * stride + size, b * stride + -(-size // 64) * 64 + 1):
            voxels[at] = last


@kernel
def _write_planes(planes, bits, values, at):
    """Write values of 1, 2 or 4 bits, whose bits are planes of 512."""
    lanes = np.uint64(64 // bits)
    for word in range(bits * MASK_WORDS):
        first = np.uint64(word % bits) * lanes
        value = np.uint64(0)
        for bit in range(bits):
            piece = (planes[bit * MASK_WORDS + word // bits] >> first) & (
                ALL >> (np.uint64(64) - lanes)
            )
            if bits > 1:
                piece = spread(piece)
            if bits > 2:
                piece = spread(piece)
            value |= piece << np.uint64(bit)
        values[at + 2 * word] = value & WORD
        values[at + 2 * word + 1] = value >> HALF


@kernel
def _write_runs(starts, order, runs, bits, values, at):
    """Write values, ``bits`` each, that come in runs."""
    if bits == 0:
        return
    for word in range(at, at + (starts[runs] * bits + 31) // 32):
        values[word] = 0
    ones = WORD // (WORD >> np.uint64(32 - bits))  # the value 1 in every place
    for i in range(runs):
        pattern = ones * np.uint64(order[i])
        start, stop = starts[i] * bits, starts[i + 1] * bits
        while start < stop:
            word = start >> 5
            end = min(stop, (word + 1) << 5)
            mask = WORD << np.uint64(start & 31)
            if end & 31:
                mask &= ~(ALL << np.uint64(end & 31))
            values[at + word] |= np.uint32(pattern & mask & WORD)
            start = end


@kernel
def _with_room(array, used, room):
    """``array``, or a longer copy of its ``used`` items that has room for more."""
    if used + room <= array.size:
        return array
    longer = np.empty(max(used + room, 2 * array.size), array.dtype)
    longer[:used] = array[:used]
    return longer


@kernel
def encode_layer(labels, block, counts):
    """Encode the lines of one layer of blocks.

    Parameters
    ----------
    labels : (nz <= bz, ny, nx) unsigned, C order, not empty
    block : (bz, by, bx)
    counts : (n_blocks,) int64, overwritten
        Labels of each block, along x, then y.

    Returns
    -------
    tables : (sum of counts,) uint64
        The labels of each block, ascending.
    values : (n,) uint32
        The packed values of each block.
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
    starts, order = np.empty(size + 2, np.int64), np.empty(size, np.int64)
    n_slots = 64
    while n_slots < 2 * size:
        n_slots *= 2
    slots = np.empty(n_slots, np.int64)
    number = 0
    for y in range(0, ny, by):
        _gather(labels, y, block, stride, voxels)
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
            tables = _with_room(tables, n_labels, count)
            values = _with_room(values, n_words, -(-size * bits // 32))
            if few and bits:
                rank_masks(masks, table, count, bits, planes, tables, n_labels)
                _write_planes(planes, bits, values, n_words)
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
    """Keep each of the blocks' tables once, in the order in which they first come.

    Parameters
    ----------
    tables : (sum of counts,) uint64, overwritten
        The labels of each block; in the end, those that are kept.
    counts : (n_blocks,) int64

    Returns
    -------
    places : (n_blocks,) int64
        Where each block's table begins.
    used : int
        How many labels are kept.
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

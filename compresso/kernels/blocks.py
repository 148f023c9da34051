"""Blocks of voxels as both of Neuroglancer's encodings see them: few labels, or runs of them.

A block of 512 voxels with few labels is seen as one mask of 512 bits for each, so that everything
after the comparison works on 64 voxels at a time; any other one as the runs of equal labels in its
raster.
"""

import numpy as np

from compresso.kernels import SPREAD, kernel
from compresso.kernels.words import ALL, ONE, differ64, equal64, prefetch64, trailing_zeros

SIDE = 8  # voxels along a block
VOXELS = SIDE**3
MASK_WORDS = VOXELS // 64
FEW = 16  # labels that have a mask each; more have a hash table


@kernel
def gather(flat, rows, columns, whole, below, bx, stride, voxels):
    """Copy a line of blocks along x, ``bx`` voxels wide; block b goes to ``voxels[b * stride]``.

    rows are the positions of the rows of the line in ``flat``, ``below`` further come the next
    blocks along y. columns are the positions in a row of all voxels of the blocks; the first
    ``whole`` blocks are inside, and SIDE voxels wide. After a block, its last label continues to
    the next multiple of 64 voxels and one more, for :func:`find_runs`.
    """
    blocks, size = columns.size // bx, rows.size * bx
    for k in range(rows.size):
        prefetch64(flat, rows[k] + below)
        # Unsigned indices, for numba looks at the sign of others.
        source, target = np.uint64(rows[k]), np.uint64(k * bx)
        for _ in range(np.uint64(whole)):
            for x in range(np.uint64(SIDE)):
                voxels[target + x] = flat[source + x]
            source += np.uint64(SIDE)
            target += np.uint64(stride)
        for b in range(whole, blocks):
            for x in range(bx):
                voxels[b * stride + k * bx + x] = flat[rows[k] + columns[b * bx + x]]
    for start in range(0, blocks * stride, stride):
        for at in range(start + size, start + -(-size // 64) * 64 + 1):
            voxels[at] = voxels[start + size - 1]


@kernel
def find_masks(voxels, base, table, masks, rest):
    """Find the labels of the block at ``base``, in raster order, and the mask of each.

    Mask i is ``masks[i * MASK_WORDS : (i + 1) * MASK_WORDS]``. Returns the number of labels, or FEW
    + 1 if there are more than FEW.
    """
    count = 0
    for k in range(MASK_WORDS):
        rest[k] = ALL
    for k in range(MASK_WORDS):
        while rest[k] != np.uint64(0):
            if count == FEW:
                return FEW + 1
            label = voxels[base + 64 * k + np.int64(trailing_zeros(rest[k]))]
            for j in range(MASK_WORDS):
                mask = equal64(voxels, base + 64 * j, label)
                masks[count * MASK_WORDS + j] = mask
                rest[j] &= ~mask
            table[count] = label
            count += 1
    return count


@kernel
def spread(word):
    """The lower 32 bits of a word, bit k at bit 2 * k."""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        word = (word | (word << np.uint64(shift))) & np.uint64(mask)
    return word


@kernel
def rank_masks(masks, table, count, bits, flip, planes, ranked, at):
    """Number the labels of a block of few labels in ascending order.

    Bit b of all 512 numbers is plane ``b ^ flip``, b in 0..bits-1; plane p is ``planes[p *
    MASK_WORDS : (p + 1) * MASK_WORDS]``. The ascending labels go to ``ranked``, from ``at`` on.
    """
    for word in range(bits * MASK_WORDS):
        planes[word] = 0
    for i in range(count):
        rank = 0
        for j in range(count):
            rank += table[j] < table[i]
        ranked[at + rank] = table[i]
        for bit in range(bits):
            if rank >> bit & 1:
                first = (bit ^ flip) * MASK_WORDS
                for k in range(MASK_WORDS):
                    planes[first + k] |= masks[i * MASK_WORDS + k]


@kernel
def interleave(planes, bits, values):
    """Write the words of all values of 1, 2 or 4 bits, the first in the lowest place."""
    lanes = np.uint64(64 // bits)
    for word in range(bits * MASK_WORDS):
        first = np.uint64(word % bits) * lanes
        value = np.uint64(0)
        for bit in range(bits):
            piece = planes[bit * MASK_WORDS + word // bits] >> first
            piece &= ALL >> (np.uint64(64) - lanes)
            if bits > 1:
                piece = spread(piece)
            if bits > 2:
                piece = spread(piece)
            value |= piece << np.uint64(bit)
        values[word] = value


def make_write_runs(width, top_first):
    """Make the kernel that writes values to words of ``width`` bits, from the top or the bottom."""
    shift, last = width.bit_length() - 1, width - 1
    full = ALL >> np.uint64(64 - width)

    @kernel
    def write_runs(starts, order, runs, bits, words, at):
        """Write the values of :func:`tabulate`, ``bits`` each, to words from ``at`` on."""
        if bits == 0:
            return
        for word in range(at, at + ((starts[runs] * bits + last) >> shift)):
            words[word] = 0
        ones = full // (full >> np.uint64(width - bits))  # the value 1 in every place
        for i in range(runs):
            pattern = ones * np.uint64(order[i])
            start, stop = starts[i] * bits, starts[i + 1] * bits
            while start < stop:
                word = start >> shift
                end = min(stop, (word + 1) << shift)
                first, past = np.uint64(start & last), np.uint64(end & last)
                mask = full >> first if top_first else full << first
                if end & last:
                    mask &= ~(full >> past if top_first else full << past)
                words[at + word] |= pattern & mask & full
                start = end

    return write_runs


@kernel
def find_runs(voxels, base, size, starts):
    """Number of runs of equal labels of the block of ``size`` voxels at ``base``.

    Run i is ``starts[i] .. starts[i + 1] - 1``, counted from the block's first voxel.
    """
    runs = 1
    starts[0] = 0
    for k in range(0, size, 64):
        change = differ64(voxels, base + k, base + k + 1)
        while change != np.uint64(0):
            starts[runs] = k + np.int64(trailing_zeros(change)) + 1
            runs += 1
            change &= change - ONE
    starts[runs] = size
    return runs


@kernel
def tabulate(voxels, base, starts, runs, table, order, slots):
    """Find the distinct labels of the block at ``base``, ascending, and that of each run.

    ``slots`` are a power of two, and at least twice the voxels of a block. Returns the number of
    labels.
    """
    shift = np.uint64(64) - trailing_zeros(np.uint64(slots.size))
    slots[:] = 0
    count = 0
    for i in range(runs):
        label = np.uint64(voxels[base + starts[i]])
        at = np.int64((label * SPREAD) >> shift)
        while slots[at] != 0 and table[slots[at] - 1] != label:
            at = (at + 1) & (slots.size - 1)
        if slots[at] == 0:
            table[count] = label
            count += 1
            slots[at] = count
        order[i] = slots[at] - 1
    ascending = np.sort(table[:count])
    rank = np.searchsorted(ascending, table[:count])
    table[:count] = ascending
    for i in range(runs):
        order[i] = rank[order[i]]
    return count

"""Blocks of voxels as both of Neuroglancer's encodings see them: few labels, or runs of them.

A block of 512 voxels with few labels is seen as one mask of 512 bits for each, so that everything
after the comparison works on 64 voxels at a time; any other one as the runs of equal labels in its
raster.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, differ64, equal64, trailing_zeros

SIDE = 8  # voxels along a block
VOXELS = SIDE**3
MASK_WORDS = VOXELS // 64
FEW = 16  # labels that have a mask each; more have a hash table
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio


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
def rank_masks(masks, table, count, bits, planes, ranked, at):
    """Number the labels of a block of few labels in ascending order.

    Bit b of all 512 numbers is plane b, ``planes[b * MASK_WORDS : (b + 1) * MASK_WORDS]``, for b in
    0..bits-1. The ascending labels go to ``ranked``, from ``at`` on.
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
                for k in range(MASK_WORDS):
                    planes[bit * MASK_WORDS + k] |= masks[i * MASK_WORDS + k]


@kernel
def find_runs(voxels, base, size, starts):
    """Number of runs of equal labels of the block of ``size`` voxels at ``base``.

    Run i is ``starts[i] .. starts[i + 1] - 1``, counted from the block's first voxel. After the
    block, its last label continues to the next multiple of 64 voxels and one more.
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


@kernel
def with_room(array, used, room):
    """``array``, or a longer copy of its ``used`` items that has room for more."""
    if used + room <= array.size:
        return array
    longer = np.empty(max(used + room, 2 * array.size), array.dtype)
    longer[:used] = array[:used]
    return longer

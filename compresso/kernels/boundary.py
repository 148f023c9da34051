"""Boundary maps (paper, section 2: encoding the boundaries)."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, TOP, differ64, popcount, prefetch64, trailing_zeros

AHEAD = 2048  # labels between those compared and those that the memory is asked for


@kernel
def mark(labels, bits):
    """Mark every voxel whose label differs from its right or lower neighbour.

    labels are (nz, ny, nx) unsigned, C order; bits, (nz, ny, ceil(nx / 64)) uint64, is overwritten.
    """
    nz, ny, nx = labels.shape
    words = bits.shape[2]
    flat = labels.reshape(-1)
    for z in range(nz):
        for y in range(ny):
            row = (z * ny + y) * nx
            below = row + nx if y + 1 < ny else row  # the last row differs from nothing below
            for w in range(words):
                at = row + 64 * w
                under = below + 64 * w
                prefetch64(flat, under + AHEAD)
                count = min(64, nx - 64 * w)
                if under + 64 < flat.size:
                    word = differ64(flat, at, at + 1) | differ64(flat, at, under)
                else:
                    word = np.uint64(0)
                    for k in range(count - 1):
                        edge = flat[at + k] != flat[at + k + 1] or flat[at + k] != flat[under + k]
                        word |= np.uint64(edge) << np.uint64(k)
                    if w + 1 < words:
                        word |= np.uint64(flat[at + 63] != flat[at + 64]) << TOP
                if w + 1 == words:  # the row's last voxel has no right neighbour
                    last = np.uint64(count - 1)
                    word &= (ONE << last) - ONE
                    word |= np.uint64(flat[row + nx - 1] != flat[below + nx - 1]) << last
                bits[z, y, w] = word


@kernel
def first_marked(bits):
    """y and x of the first boundary voxel of each slice, (nz, 2) int64; -1 and -1 for none."""
    nz, ny, words = bits.shape
    found = np.full((nz, 2), -1, np.int64)
    for z in range(nz):
        for y in range(ny):
            for w in range(words):
                if bits[z, y, w] != np.uint64(0):
                    found[z, 0] = y
                    found[z, 1] = 64 * w + np.int64(trailing_zeros(bits[z, y, w]))
                    break
            if found[z, 0] >= 0:
                break
    return found


@kernel
def indeterminate_word(bits, z, y, w, carry, deep):
    """Return the indeterminate voxels of a word.

    They are boundary voxels whose left and upper neighbours are boundary or outside and, with
    ``deep``, so is the one in the slice before. ``carry`` is 1 if the voxel left of the word is.
    """
    word = bits[z, y, w]
    above = bits[z, y - 1, w] if y > 0 else ALL
    before = bits[z - 1, y, w] if deep and z > 0 else ALL
    return word & ((word << ONE) | carry) & above & before


@kernel
def count_indeterminate(bits, deep=False):
    """Number of indeterminate voxels in each slice, (nz,) int64; ``deep`` as above."""
    nz, ny, words = bits.shape
    counts = np.zeros(nz, np.int64)
    for z in range(nz):
        total = np.uint64(0)
        for y in range(ny):
            carry = ONE
            for w in range(words):
                total += popcount(indeterminate_word(bits, z, y, w, carry, deep))
                carry = bits[z, y, w] >> TOP
        counts[z] = np.int64(total)
    return counts


@kernel
def list_indeterminate(bits, z, deep, ys, xs):
    """Find the indeterminate voxels of slice z in raster order; return their number n (uint64).

    ``deep`` leaves out those whose voxel in the slice before is not a boundary voxel. ys and xs are
    (n + SLACK,) uint32 (overwritten).
    """
    ny, words = np.uint64(bits.shape[1]), np.uint64(bits.shape[2])
    lines = bits.reshape(-1)
    # First the words that have any, then the voxels: whether a word has some cannot be guessed.
    held, places = np.empty(ny * words + ONE, np.uint64), np.empty(ny * words + ONE, np.uint64)
    n = found = np.uint64(0)
    for y in range(ny):
        line = (np.uint64(z) * ny + y) * words
        carry = ONE
        for w in range(words):
            word = lines[line + w]
            left = word & ((word << ONE) | carry)
            carry = word >> TOP
            if y > np.uint64(0):
                left &= lines[line - words + w]
            if deep and z > 0:
                left &= lines[line - ny * words + w]
            held[found] = left
            places[found] = (y << np.uint64(32)) | (w << np.uint64(6))
            found += np.uint64(left != np.uint64(0))
    for i in range(found):
        left = held[i]
        y, x = places[i] >> np.uint64(32), places[i] & np.uint64(0xFFFFFFFF)
        after = n + popcount(left)
        while True:
            for k in range(n, n + np.uint64(4)):
                ys[k], xs[k] = y, x + trailing_zeros(left)
                left &= left - ONE
            n += np.uint64(4)
            if n >= after:
                break
        n = after
    return n

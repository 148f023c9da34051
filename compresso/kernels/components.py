"""Components: the 4-connected regions of non-boundary voxels of each slice.

A row of a slice is cut into *runs* of non-boundary voxels; a run joins the runs it touches in the
row above. Union-find over provisional components, the smaller number always being the root, keeps
the roots in raster order of their first voxel, which is the numbering of the format.
"""

import numpy as np

from compresso.kernels import kernel, with_room
from compresso.kernels.words import ALL, ONE, SLACK, TOP, popcount, trailing_zeros


@kernel
def row_starts(lines, line, words, nx, base, starts):
    """Find where the runs of a row of a flat boundary map begin; return their number (uint64).

    The row's words are ``lines[line : line + words]``, and its first voxel is at ``base`` (all
    uint64). starts, (nx + SLACK,) uint64, gets the positions of the runs' first voxels, then that
    of the row's end.
    """
    count = carry = np.uint64(0)
    for w in range(words):
        free = ~lines[line + w]
        if w + ONE == words:
            free &= ALL >> (np.uint64(64) * words - np.uint64(nx))
        start = free & ~((free << ONE) | carry)
        carry = free >> TOP
        after = count + popcount(start)
        at = base + (w << np.uint64(6))
        # Writing a few too many costs less than guessing how many there are.
        while True:
            for k in range(np.uint64(4)):
                starts[count + k] = at + trailing_zeros(start)
                start &= start - ONE
            count += np.uint64(4)
            if count >= after:
                break
        count = after
    starts[count] = base + np.uint64(nx)
    return count


@kernel
def count_runs(bits, nx):
    """Number of runs of non-boundary voxels in all rows of a (nz, ny, words) boundary map."""
    nz, ny, words = bits.shape
    total = np.uint64(0)
    for z in range(nz):
        for y in range(ny):
            carry = np.uint64(0)
            for w in range(words):
                free = ~bits[z, y, w]
                if w + 1 == words:
                    free &= ALL >> np.uint64(64 * words - nx)
                total += popcount(free & ~((free << ONE) | carry))
                carry = free >> TOP
    return np.int64(total)


@kernel
def root(parent, i):
    """Smallest member of i's set; shortens the path on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def label_runs(bits, nx):
    """Number the components of every slice by their runs.

    Returns the component of each run, from 0 in each slice, (n_runs,) uint32; the flat position of
    each component's first voxel, slice after slice, (n_components,) int64; and the number of
    components of each slice, (nz,) int64.
    """
    nz, ny = bits.shape[:2]
    component = np.empty(count_runs(bits, nx), np.uint32)
    # A row has at most (nx + 1) // 2 runs; the pages of unused ones stay untouched.
    room = ny * ((nx + 1) // 2) + SLACK
    starts, parent = np.empty(room, np.uint32), np.empty(room, np.uint32)
    upper, lower = np.empty(room, np.uint32), np.empty(room, np.uint32)
    first = np.empty(1024, np.int64)
    counts = np.zeros(nz, np.int64)
    done = total = np.uint64(0)
    for z in range(nz):
        n, touches = slice_runs(bits, z, nx, starts, upper, lower)
        for r in range(n):
            parent[r] = r
        for t in range(touches):
            above, here = np.uint64(upper[t]), np.uint64(lower[t])
            a, b = np.uint64(parent[above]), np.uint64(parent[here])
            # Whether a run touches one above it for the first time cannot be guessed, so no branch
            # asks; only a second one joins two sets.
            parent[here] = a if b == here else b
            if (b != here) & (b != a):
                a, b = root(parent, a), root(parent, b)
                parent[max(a, b)] = min(a, b)
        first = with_room(first, np.int64(total), np.int64(n) + 1)
        # Parents come before the rest of their set, so one pass turns them into final numbers.
        number = np.uint64(0)
        for r in range(n):
            mine = np.uint64(parent[r])
            first[total + number] = z * ny * nx + np.int64(starts[r])
            # Whether a run is a root cannot be guessed, so no branch asks: a root reads back this.
            component[done + r] = number
            component[done + r] = component[done + mine]
            number += np.uint64(mine == r)
        counts[z] = number
        done += n
        total += number
    return component, first[:total].copy(), counts


@kernel
def slice_runs(bits, z, nx, starts, upper, lower):
    """Find the runs of a slice in raster order, and which of them touch; return both numbers.

    starts gets the position in the slice of each run's first voxel, upper and lower the two runs of
    each stretch of free voxels in two adjacent rows: all (n + SLACK,) uint32 (overwritten).
    """
    ny, words = np.uint64(bits.shape[1]), np.uint64(bits.shape[2])
    lines = bits.reshape(-1)
    last = ALL >> (np.uint64(64) * words - np.uint64(nx))
    # For each word of the row above: free voxels, starts of runs, number of the first run.
    frees, begins = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
    numbers = np.zeros(words, np.uint64)
    n = touches = np.uint64(0)
    for y in range(ny):
        line = (np.uint64(z) * ny + y) * words
        carry = carry_both = np.uint64(0)
        for w in range(words):
            free = ~lines[line + w]
            if w + ONE == words:
                free &= last
            begin = free & ~((free << ONE) | carry)
            carry = free >> TOP
            both = free & frees[w]
            touch = both & ~((both << ONE) | carry_both)
            carry_both = both >> TOP
            above, begin_above = numbers[w] - ONE, begins[w]
            frees[w], begins[w], numbers[w] = free, begin, n
            # Writing a few too many costs less than guessing how many there are.
            after = touches + popcount(touch)
            while True:
                for k in range(touches, touches + np.uint64(4)):
                    up_to = touch ^ (touch - ONE)
                    touch &= touch - ONE
                    upper[k] = above + popcount(begin_above & up_to)
                    lower[k] = n - ONE + popcount(begin & up_to)
                touches += np.uint64(4)
                if touches >= after:
                    break
            touches = after
            after = n + popcount(begin)
            at = y * np.uint64(nx) + (w << np.uint64(6))
            while True:
                for k in range(n, n + np.uint64(4)):
                    starts[k] = at + trailing_zeros(begin)
                    begin &= begin - ONE
                n += np.uint64(4)
                if n >= after:
                    break
            n = after
    return n, touches

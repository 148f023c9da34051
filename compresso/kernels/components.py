"""Components: the 4-connected regions of non-boundary voxels of each slice.

A row of a slice is cut into *runs* of non-boundary voxels; a run joins the runs it touches in the
row above. Union-find over provisional components, the smaller number always being the root, keeps
the roots in raster order of their first voxel, which is the numbering of the format.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, TOP, popcount, trailing_zeros

SLACK = 8  # edges that are written past the last one


@kernel
def row_runs(bits, z, y, nx, edges):
    """Find the runs of non-boundary voxels of one row.

    Run i is ``edges[2 * i] <= x < edges[2 * i + 1]``; ``edges`` has room for ``nx + SLACK``.

    Returns
    -------
    int
        Number of runs.
    """
    words = bits.shape[2]
    count = np.int64(0)
    carry = np.uint64(0)
    for w in range(words):
        free = ~bits[z, y, w]
        if w + 1 == words:
            free &= ALL >> np.uint64(64 * words - nx)
        change = free ^ ((free << ONE) | carry)
        carry = free >> TOP
        if change == np.uint64(0):
            continue
        # Writing a few edges too many costs less than guessing how many there are.
        after = count + np.int64(popcount(change))
        while count < after:
            for k in range(4):
                edges[count + k] = 64 * w + np.int64(trailing_zeros(change))
                change &= change - ONE
            count += 4
        count = after
    if count & 1:
        edges[count] = nx
        count += 1
    return count >> 1


@kernel
def row_starts(lines, line, words, nx, base, starts):
    """Find where the runs of non-boundary voxels of one row begin.

    Parameters
    ----------
    lines : (n,) uint64
        A flat boundary map.
    line, words : uint64
        The row's first word, and how many it has.
    nx : int
        Row length in voxels.
    base : uint64
        Position of the row's first voxel.
    starts : (nx + SLACK,) uint64, overwritten
        Gets the position of each run's first voxel, and behind them that of the row's end.

    Returns
    -------
    uint64
        Number of runs.
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
    """Number the components of every slice by way of their runs.

    Parameters
    ----------
    bits : (nz, ny, words) uint64
    nx : int
        Row length in voxels.

    Returns
    -------
    component : (n_runs,) uint32
        Component, from 0 in each slice, of each run in raster order.
    first : (n_components,) int64
        Flat position of each component's first voxel, slice after slice.
    counts : (nz,) int64
        Number of components in each slice.
    """
    nz, ny = bits.shape[:2]
    component = np.empty(count_runs(bits, nx), np.uint32)
    # A row brings at most (nx + 1) // 2 new components; the pages of unused ones stay untouched.
    parent = np.empty(ny * ((nx + 1) // 2) + 1, np.uint32)
    position = np.empty(parent.size, np.int64)
    first = np.empty(1024, np.int64)
    counts = np.zeros(nz, np.int64)
    edges = np.empty(nx + SLACK, np.int64)
    above = np.empty(nx + SLACK, np.int64)
    runs_done = 0
    total = 0
    for z in range(nz):
        made = 0  # provisional components of this slice
        slice_start = runs_done
        n_above = 0
        for y in range(ny):
            n = row_runs(bits, z, y, nx, edges)
            above_run = runs_done - n_above
            j = 0
            for i in range(n):
                start = edges[2 * i]
                end = edges[2 * i + 1]
                while j < n_above and above[2 * j + 1] <= start:
                    j += 1
                if j < n_above and above[2 * j] < end:
                    mine = root(parent, component[above_run + j])
                    # The last run touched may reach the next run of this row too: keep j on it.
                    while j + 1 < n_above and above[2 * j + 2] < end:
                        j += 1
                        other = root(parent, component[above_run + j])
                        if other < mine:
                            parent[mine] = other
                            mine = other
                        else:
                            parent[other] = mine
                else:
                    mine = np.uint32(made)
                    parent[made] = mine
                    position[made] = (z * ny + y) * nx + start
                    made += 1
                component[runs_done + i] = mine
            edges, above = above, edges
            n_above = n
            runs_done += n
        while first.size < total + made:
            longer = np.empty(2 * first.size, np.int64)
            longer[:total] = first[:total]
            first = longer
        # Roots come before the rest of their set, so one pass turns parents into final numbers.
        number = 0
        for p in range(made):
            if parent[p] == p:
                first[total + number] = position[p]
                parent[p] = number
                number += 1
            else:
                parent[p] = parent[parent[p]]
        for r in range(slice_start, runs_done):
            component[r] = parent[component[r]]
        counts[z] = number
        total += number
    return component, first[:total].copy(), counts

"""Kernels of the ``cpso`` stream only: 3-D components, and labels as two entries."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.components import count_runs, root
from compresso.kernels.labels import LITERAL
from compresso.kernels.words import ALL, ONE, TOP, differ64, popcount

CODES = np.uint64(7)  # labels are shifted past the location codes and LITERAL


@kernel
def mark_ahead(labels, bits):
    """Mark every voxel whose label differs from the one in the next slice, too.

    Arguments are as of ``boundary.mark``.
    """
    nz, ny, nx = labels.shape
    words = bits.shape[2]
    flat = labels.reshape(-1)
    for z in range(nz - 1):
        for y in range(ny):
            for w in range(words):
                at = (z * ny + y) * nx + 64 * w
                ahead = at + ny * nx
                count = min(64, nx - 64 * w)
                word = np.uint64(0)
                if ahead + 64 <= flat.size:
                    word = differ64(flat, at, ahead) & (ALL >> np.uint64(64 - count))
                else:
                    for k in range(count):
                        word |= np.uint64(flat[at + k] != flat[ahead + k]) << np.uint64(k)
                bits[z, y, w] |= word


@kernel
def join(bits, nx, component, first, counts):
    """Join the components of the slices, from ``label_runs``, to 6-connected ones.

    ``component`` is changed to the number of each run's component in the volume. Returns the flat
    positions of the joined components' first voxels, ascending, (n_joined,) int64.
    """
    nz, ny, words = bits.shape
    parent = np.arange(first.size)
    last = ALL >> np.uint64(64 * words - nx)
    run_behind = start_behind = np.int64(0)
    run = count_runs(bits[:1], nx)
    start = counts[0]
    for z in range(1, nz):
        for y in range(ny):
            carry = carry_behind = carry_both = np.uint64(0)
            for w in range(words):
                inside = last if w + 1 == words else ALL
                free, behind = ~bits[z, y, w] & inside, ~bits[z - 1, y, w] & inside
                begin = free & ~((free << ONE) | carry)
                begin_behind = behind & ~((behind << ONE) | carry_behind)
                both = free & behind
                touch = both & ~((both << ONE) | carry_both)
                carry, carry_behind, carry_both = free >> TOP, behind >> TOP, both >> TOP
                while touch != np.uint64(0):
                    up_to = touch ^ (touch - ONE)
                    touch &= touch - ONE
                    here = run + np.int64(popcount(begin & up_to)) - 1
                    there = run_behind + np.int64(popcount(begin_behind & up_to)) - 1
                    a = root(parent, start + component[here])
                    b = root(parent, start_behind + component[there])
                    parent[max(a, b)] = min(a, b)
                run += np.int64(popcount(begin))
                run_behind += np.int64(popcount(begin_behind))
        start_behind = start
        start += counts[z]
    # Roots come before the rest of their set, so one pass turns parents into final numbers.
    joined = np.empty(first.size, np.int64)
    number = 0
    for p in range(parent.size):
        if parent[p] == p:
            joined[number] = first[p]
            parent[p] = number
            number += 1
        else:
            parent[p] = parent[parent[p]]
    run = start = 0
    for z in range(nz):
        stop = run + count_runs(bits[z : z + 1], nx)
        for r in range(run, stop):
            component[r] = parent[start + component[r]]
        run = stop
        start += counts[z]
    return joined[:number].copy()


@kernel
def location_starts(locations, counts, starts):
    """Find the first location of each slice, and the end of all.

    starts, (nz + 1,) int64, is overwritten. counts, (nz,) int64, are the voxels that need a
    location. Returns False if there are too few or too many.
    """
    at = 0
    for z in range(counts.size):
        starts[z] = at
        for _ in range(counts[z]):
            if at >= locations.size:
                return False
            at += 2 if locations[at] == LITERAL else 1
    starts[counts.size] = at
    return at == locations.size


@kernel
def label_entries(locations, shifted, explicit):
    """Find the entries that are labels: those shifted past the codes, and those after a 6.

    shifted and explicit, (n,) bool, are overwritten.
    """
    after_six = False
    for n in range(locations.size):
        explicit[n] = after_six
        shifted[n] = not after_six and locations[n] >= CODES
        after_six = not after_six and locations[n] == LITERAL

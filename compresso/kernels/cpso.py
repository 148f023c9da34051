"""Differences of the ``cpso`` stream from the paper's: locations, 3-D components, window runs.

``deep`` is true for connectivity 6, where boundaries and components reach across slices. Windows
are coded with their last run of zeros, and a run that does not fit an entry is cut.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.boundary import indeterminate_word, list_indeterminate
from compresso.kernels.components import count_runs, root, row_runs
from compresso.kernels.labels import copied, sizes, source
from compresso.kernels.words import ALL, ONE, SLACK, TOP, differ64, splat32, trailing_zeros

#: Location codes 0..5 name a neighbour, as in the paper; ``LITERAL`` says that the next entry is
#: the label itself; other labels are shifted past the codes.
LITERAL = np.uint64(6)
CODES = np.uint64(7)


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
    nz, ny = bits.shape[:2]
    parent = np.arange(first.size)
    edges = np.empty(nx + SLACK, np.int64)
    behind = np.empty(nx + SLACK, np.int64)
    run_behind = start_behind = 0
    run = count_runs(bits[:1], nx)
    start = counts[0]
    for z in range(1, nz):
        for y in range(ny):
            n_behind = row_runs(bits, z - 1, y, nx, behind)
            n = row_runs(bits, z, y, nx, edges)
            i = j = 0
            while i < n and j < n_behind:
                if edges[2 * i] < behind[2 * j + 1] and behind[2 * j] < edges[2 * i + 1]:
                    a = root(parent, start + component[run + i])
                    b = root(parent, start_behind + component[run_behind + j])
                    parent[max(a, b)] = min(a, b)
                if edges[2 * i + 1] <= behind[2 * j + 1]:
                    i += 1
                else:
                    j += 1
            run += n
            run_behind += n_behind
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
def locate(labels, bits, z0, z1, across, deep, largest, locations, counts):
    """Find the source of the label of every voxel of slices z0..z1-1 that needs a location.

    ``across`` allows other slices; ``largest`` is the greatest value of the labels' dtype (uint64).
    locations, of that dtype, has room for two entries per voxel; counts, (z1 - z0,) int64, gets the
    entries per slice.
    """
    flat, lines, shape = labels.reshape(-1), bits.reshape(-1), sizes(labels.shape, bits.shape[2])
    room = locations.size // 2 + SLACK
    ys, xs = np.empty(room, np.uint32), np.empty(room, np.uint32)
    n = done = np.uint64(0)
    for z in range(np.uint64(z0), np.uint64(z1)):
        found = list_indeterminate(bits, z, deep, ys, xs)
        for i in range(found):
            y, x = np.uint64(ys[i]), np.uint64(xs[i])
            code = source(flat, lines, shape, z, y, x, across)
            if code == LITERAL:
                label = flat[(z * shape[1] + y) * shape[2] + x]
                if np.uint64(label) <= largest - CODES:
                    code = np.uint64(label) + CODES
                else:
                    locations[n] = LITERAL
                    n += ONE
                    code = np.uint64(label)
            locations[n] = code
            n += ONE
        counts[z - np.uint64(z0)] = n - done
        done = n


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


@kernel
def copy_from_behind(bits, z, out):
    """Label the voxels of slice z > 0 that get their label from the slice before."""
    for y in range(out.shape[1]):
        carry = ONE
        for w in range(bits.shape[2]):
            behind = indeterminate_word(bits, z, y, w, carry, False) & ~bits[z - 1, y, w]
            carry = bits[z, y, w] >> TOP
            while behind != np.uint64(0):
                x = 64 * w + np.int64(trailing_zeros(behind))
                behind &= behind - ONE
                out[z, y, x] = out[z - 1, y, x]


@kernel
def resolve(bits, z0, z1, locations, across, deep, out):
    """Label the voxels of slices z0..z1-1 that ``labels.fill`` left, the inverse of :func:`locate`.

    out is filled already, also slices z0 - 1 and z1. locations are the entries of these slices that
    :func:`location_starts` has counted. Returns -1, or the number of the first that points outside,
    to a boundary voxel, or, unless ``across``, to another slice.
    """
    flat, lines, shape = out.reshape(-1), bits.reshape(-1), sizes(out.shape, bits.shape[2])
    room = locations.size + SLACK
    ys, xs = np.empty(room, np.uint32), np.empty(room, np.uint32)
    n = 0
    for z in range(z0, z1):
        if deep and z > 0:
            copy_from_behind(bits, z, out)
        for i in range(list_indeterminate(bits, z, deep, ys, xs)):
            y, x = np.uint64(ys[i]), np.uint64(xs[i])
            code = np.uint64(locations[n])
            at = (np.uint64(z) * shape[1] + y) * shape[2] + x
            if code >= CODES:
                flat[at] = code - CODES
            elif code == LITERAL:
                n += 1
                flat[at] = locations[n]
            elif not copied(flat, lines, shape, np.uint64(z), y, x, code, across):
                return n
            n += 1
    return -1


@kernel
def squeeze(indices, limit, entries):
    """Run-length code window indices (n,) uint32 to entries (n,) unsigned; return their number.

    Index i > 0 becomes ``2 * i``, n zeros ``2 * n + 1``; longer runs than ``limit`` are cut, and an
    index that exceeds it gives -1.
    """
    written = 0
    zeros = 0
    for n in range(indices.size):
        index = indices[n]
        if index == 0:
            zeros += 1
            if zeros == limit:
                entries[written] = 2 * zeros + 1
                written += 1
                zeros = 0
            continue
        if index > limit:
            return -1
        if zeros > 0:
            entries[written] = 2 * zeros + 1
            written += 1
            zeros = 0
        entries[written] = 2 * index
        written += 1
    if zeros > 0:
        entries[written] = 2 * zeros + 1
        written += 1
    return written


@kernel
def survey(entries, n_values, n_windows, marks, cursors):
    """Check the entries of all windows, and find those of some windows.

    entries encode ``n_windows`` windows with indices below ``n_values``. marks, (m,) int64,
    ascending, are numbers of windows. cursors, (m, 2) int64, gets the entry of each of them, and
    how many of that entry's windows precede it. Windows after the last mark are ignored, unless it
    is n_windows. Returns -1, or the number of the first bad entry; entries.size if windows are
    missing.
    """
    at = np.int64(0)
    m = 0
    for n in range(entries.size):
        half, run = np.uint64(entries[n]) >> ONE, np.uint64(entries[n]) & ONE != np.uint64(0)
        # Without branches: whether an entry is a run cannot be guessed.
        most = np.uint64(n_values) - ONE if at < n_windows else np.uint64(0)
        most = np.uint64(n_windows - at) if run else most
        if half == np.uint64(0) or half > most:
            return n
        after = at + (np.int64(half) if run else np.int64(1))
        while m < marks.size and marks[m] < after:
            cursors[m] = n, marks[m] - at
            m += 1
            if m == marks.size and marks[m - 1] < n_windows:
                return -1
        at = after
    while m < marks.size and marks[m] == at:
        cursors[m] = entries.size, 0
        m += 1
    return -1 if m == marks.size and at == n_windows else entries.size


@kernel
def expand(entries, values, cursor, windows):
    """Write windows (n,) uint64 from a cursor (2,) int64 on, and move it past them.

    entries are those that :func:`survey` has checked.
    """
    at, size = np.uint64(0), np.uint64(windows.size)
    n, used = np.uint64(cursor[0]), np.uint64(cursor[1])
    while at < size:
        half, run = np.uint64(entries[n]) >> ONE, np.uint64(entries[n]) & ONE != np.uint64(0)
        # Most runs are shorter than a vector, so an entry is one store, whatever it is.
        start = at
        count = (half if run else ONE) - used
        value = values[np.uint64(0) if run else half]
        end = min(at + count, size)
        if end + np.uint64(32) <= size:
            while True:
                splat32(windows, at, value)
                at += np.uint64(32)
                if at >= end:
                    break
        else:
            for k in range(at, end):
                windows[k] = value
        over = start + count > size
        used = used + (end - start) if over else np.uint64(0)
        n += np.uint64(not over)
        at = end
    cursor[0] = n
    cursor[1] = used

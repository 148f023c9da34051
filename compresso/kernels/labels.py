"""Labels: what the ids and locations of the format say about each voxel."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.boundary import indeterminate_word
from compresso.kernels.components import SLACK, row_starts
from compresso.kernels.words import ONE, TOP, blend64, splat32, trailing_zeros

#: Location codes 0..5 name a neighbour: x-1, x+1, y-1, y+1, z-1, z+1; labels are shifted past them.
CODES = np.uint64(6)
STEPS = np.array([[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]])


@kernel
def marked(bits, z, y, x):
    """Whether a voxel inside the slices is boundary."""
    return (bits[z, y, x >> 6] >> np.uint64(x & 63)) & ONE != np.uint64(0)


@kernel
def has(labels, bits, z, y, x, label):
    """Whether a voxel inside the slices is no boundary and has this label."""
    # The bits come first: they are in the cache, the labels may not be.
    return not marked(bits, z, y, x) and labels[z, y, x] == label


@kernel
def identify(labels, first, counts, marked_first):
    """Spell the ids of some slices: ``label + 1``, 0 where that exceeds 64 bits.

    Parameters
    ----------
    labels : (nz, ny, nx) unsigned, C order
    first : (n_components,) int64
        Flat position of each component's first voxel, slice after slice.
    counts : (nz,) int64
        Components of each slice.
    marked_first : (nz, 2) int64
        y and x of the first boundary voxel of each slice, or -1.

    Returns
    -------
    (n_ids,) uint64
        A slice with boundary voxels has one id more, for the first of them: before its components
        where it is the slice's first voxel, else behind the one component that comes before it.
    """
    nz = labels.shape[0]
    flat = labels.reshape(-1)
    ids = np.empty(first.size + nz, np.uint64)
    n = component = 0
    for z in range(nz):
        y, x = marked_first[z]
        extra = -1 if y < 0 else min(y + x, 1)
        for i in range(counts[z]):
            if i == extra:
                ids[n] = np.uint64(labels[z, y, x]) + ONE
                n += 1
            ids[n] = np.uint64(flat[first[component]]) + ONE
            n += 1
            component += 1
        if counts[z] <= extra:
            ids[n] = np.uint64(labels[z, y, x]) + ONE
            n += 1
    return ids[:n].copy()


@kernel
def locate(labels, bits, z0, z1, locations):
    """Say for every indeterminate voxel of slices z0..z1-1 where its label comes from.

    A voxel whose label a non-boundary neighbour has too gets that neighbour's code, x+1, y+1, z-1
    and z+1 in turn (x-1 and y-1 are boundary, else the voxel were determinate); any other gets
    its label + 6.

    Parameters
    ----------
    labels : (nz, ny, nx) unsigned, C order
        With the slices z0 - 1 and z1 where the volume has them.
    bits : (nz, ny, words) uint64
        The boundary map of the same slices.
    locations : (n,) uint64, overwritten
        Room for every indeterminate voxel of the slices.

    Returns
    -------
    int
        -1, or the flat position of a voxel whose label + 6 exceeds 64 bits.
    """
    nz, ny, nx = labels.shape
    words = bits.shape[2]
    n = 0
    for z in range(z0, z1):
        for y in range(ny):
            carry = ONE
            for w in range(words):
                left = indeterminate_word(bits, z, y, w, carry)
                carry = bits[z, y, w] >> TOP
                while left != np.uint64(0):
                    x = 64 * w + np.int64(trailing_zeros(left))
                    left &= left - ONE
                    label = labels[z, y, x]
                    if x + 1 < nx and has(labels, bits, z, y, x + 1, label):
                        code = np.uint64(1)
                    elif y + 1 < ny and has(labels, bits, z, y + 1, x, label):
                        code = np.uint64(3)
                    elif z > 0 and has(labels, bits, z - 1, y, x, label):
                        code = np.uint64(4)
                    elif z + 1 < nz and has(labels, bits, z + 1, y, x, label):
                        code = np.uint64(5)
                    else:
                        code = np.uint64(label) + CODES
                        if code < CODES:
                            return (z * ny + y) * nx + x
                    locations[n] = code
                    n += 1
    return -1


@kernel
def fill(bits, component, ids, starts, out):
    """Label every voxel but the indeterminate ones.

    Parameters
    ----------
    bits : (nz, ny, words) uint64
    component : (n_runs,) uint32
        Component of each run, from :func:`compresso.kernels.components.label_runs`.
    ids : (n_ids,) unsigned, the dtype of ``out``
        Label of each component, slice after slice.
    starts : (nz,) int64
        Where the components of each slice begin in ``ids``.
    out : (nz, ny, nx) unsigned, C order, overwritten
    """
    nz, ny, nx = out.shape
    words = np.uint64(bits.shape[2])
    lines = bits.reshape(-1)
    flat = out.reshape(-1)
    # Unsigned indices, for numba looks at the sign of others.
    edges = np.zeros(nx + SLACK, np.uint64)
    run = np.uint64(0)
    for z in range(nz):
        names = np.uint64(starts[z])
        for y in range(ny):
            line = np.uint64((z * ny + y) * bits.shape[2])
            base = np.uint64((z * ny + y) * nx)
            # Whole vectors may pass the row's end: what they hit there is written later.
            roomy = base + np.uint64(64) * words + np.uint64(32) <= np.uint64(flat.size)
            n = row_starts(lines, line, words, nx, base, edges)
            # A run's label goes on to the next run; the boundary voxels between them that do not
            # take it are overwritten. One loop for all runs: how long each is cannot be guessed.
            i, at, end = np.uint64(0), edges[0], edges[1]
            while i < n:
                label = ids[names + component[run + i]]
                if roomy:
                    splat32(flat, at, label)
                else:
                    for k in range(at, min(at + np.uint64(32), end)):
                        flat[k] = label
                at = min(at + np.uint64(32), end)
                i += np.uint64(at == end)
                end = edges[i + ONE]
            run += n
            if y == 0:
                continue
            carry = ONE
            for w in range(words):
                word = lines[line + w]
                upper = word & ((word << ONE) | carry) & ~lines[line - words + w]
                carry = word >> TOP
                at = base + (w << np.uint64(6))
                if roomy and upper != np.uint64(0):
                    blend64(flat, at, at - np.uint64(nx), upper)
                while not roomy and upper != np.uint64(0):
                    hit = at + trailing_zeros(upper)
                    upper &= upper - ONE
                    flat[hit] = flat[hit - np.uint64(nx)]


@kernel
def resolve(bits, z0, z1, locations, out):
    """Label the indeterminate voxels of slices z0..z1-1, the inverse of :func:`locate`.

    Parameters
    ----------
    bits : (nz, ny, words) uint64
    locations : (n,) uint64
        Exactly one entry for each indeterminate voxel of the slices.
    out : (nz, ny, nx) unsigned, C order
        Already filled by :func:`fill`, the slices z0 - 1 and z1 too where there are any.

    Returns
    -------
    int
        -1, or the number of the first location that points outside or to a boundary voxel.
    """
    nz, ny, nx = out.shape
    words = bits.shape[2]
    n = 0
    for z in range(z0, z1):
        for y in range(ny):
            carry = ONE
            for w in range(words):
                left = indeterminate_word(bits, z, y, w, carry)
                carry = bits[z, y, w] >> TOP
                while left != np.uint64(0):
                    x = 64 * w + np.int64(trailing_zeros(left))
                    left &= left - ONE
                    code = locations[n]
                    if code >= CODES:
                        out[z, y, x] = code - CODES
                    else:
                        nearz = z + STEPS[code, 0]
                        neary = y + STEPS[code, 1]
                        nearx = x + STEPS[code, 2]
                        inside = 0 <= nearz < nz and 0 <= neary < ny and 0 <= nearx < nx
                        if not inside or marked(bits, nearz, neary, nearx):
                            return n
                        out[z, y, x] = out[nearz, neary, nearx]
                    n += 1
    return -1

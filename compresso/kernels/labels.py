"""Labels: what the ids and locations of the formats say about each voxel.

``deep`` is true for connectivity 6, where boundaries and components reach across slices.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.boundary import indeterminate_word, list_indeterminate
from compresso.kernels.components import row_starts
from compresso.kernels.words import ALL, ONE, SLACK, TOP, blend64, splat32, trailing_zeros

#: Location codes 0..5 name a neighbour: x-1, x+1, y-1, y+1, z-1, z+1; labels are shifted past them.
#: In ``cpso`` streams, LITERAL is one code more, and the next entry is the label itself.
LITERAL = np.uint64(6)
STEPS = np.array(
    [[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]], np.int64
).view(np.uint64)


@kernel
def marked(lines, words, row, x):
    """Whether voxel x of a row of a flat boundary map is boundary."""
    return (lines[row * words + (x >> np.uint64(6))] >> (x & TOP)) & ONE != np.uint64(0)


@kernel
def source(flat, lines, shape, z, y, x, across):
    """Find the location code of a neighbour with an indeterminate voxel's label, or LITERAL.

    The neighbour is not a boundary voxel. Looks at x+1, y+1 and, with ``across``, z-1 and z+1, in
    turn; x-1 and y-1 are boundary voxels, or the voxel would be determinate. The labels and the
    boundary map are flat, because numba makes flat arrays slowly. shape is from :func:`sizes`; z, y
    and x are uint64.
    """
    nz, ny, nx, words = shape
    row = z * ny + y
    # Outside the volume is the voxel itself, which is boundary.
    right, below = x + np.uint64(x + ONE < nx), row + np.uint64(y + ONE < ny)
    before, behind = row, row
    if across:
        before -= ny * np.uint64(z > np.uint64(0))
        behind += ny * np.uint64(z + ONE < nz)
    label = flat[row * nx + x]
    # Without branches: which of them it will be cannot be guessed.
    code = LITERAL
    same = flat[behind * nx + x] == label
    code = np.uint64(5) if same & (not marked(lines, words, behind, x)) else code
    same = flat[before * nx + x] == label
    code = np.uint64(4) if same & (not marked(lines, words, before, x)) else code
    same = flat[below * nx + x] == label
    code = np.uint64(3) if same & (not marked(lines, words, below, x)) else code
    same = flat[row * nx + right] == label
    return np.uint64(1) if same & (not marked(lines, words, row, right)) else code


@kernel
def copied(flat, lines, shape, z, y, x, code, across):
    """Copy the label of the neighbour that a location code names; arguments as of :func:`source`.

    Returns False if it is outside, boundary or, without ``across``, in another slice.
    """
    nz, ny, nx, words = shape
    # An index before the first wraps around to a large number.
    zn, yn, xn = z + STEPS[code, 0], y + STEPS[code, 1], x + STEPS[code, 2]
    if zn >= nz or yn >= ny or xn >= nx or (zn != z and not across):
        return False
    row = zn * ny + yn
    if marked(lines, words, row, xn):
        return False
    flat[(z * ny + y) * nx + x] = flat[row * nx + xn]
    return True


@kernel
def sizes(shape, words):
    """``shape`` with the words of a row, as unsigned integers."""
    return np.uint64(shape[0]), np.uint64(shape[1]), np.uint64(shape[2]), np.uint64(words)


@kernel
def identify(labels, first, counts, marked_first):
    """List the ids of some slices, (n_ids,) uint64: ``label + 1``, 0 if that exceeds 64 bits.

    first and counts are from ``label_runs``. A slice with boundary voxels has one id more, for the
    first of them: before its components if it is the slice's first voxel, else after the one
    component before it.
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
def locate(labels, bits, z0, z1, codes, across, deep, locations, counts):
    """Find the source of the label of every voxel of slices z0..z1-1 that needs a location.

    It is the code of :func:`source`, with ``across`` also of another slice, or the label + codes.
    If ``codes`` is 7, a label too large for that becomes two entries, LITERAL and the label.
    locations has room for two entries per voxel; counts, (z1 - z0,) int64, gets those of each
    slice. labels and bits include slices z0 - 1 and z1 if there are any. Returns -1, or the flat
    position of a voxel whose label + 6 exceeds the dtype of locations.
    """
    flat, lines, shape = labels.reshape(-1), bits.reshape(-1), sizes(labels.shape, bits.shape[2])
    room = locations.size + SLACK
    ys, xs = np.empty(room, np.uint32), np.empty(room, np.uint32)
    largest = (ALL >> np.uint64(64 - 8 * locations.itemsize)) - codes
    n = done = np.uint64(0)
    for z in range(np.uint64(z0), np.uint64(z1)):
        found = list_indeterminate(bits, z, deep, ys, xs)
        for i in range(found):
            y, x = np.uint64(ys[i]), np.uint64(xs[i])
            code = source(flat, lines, shape, z, y, x, across)
            if code == LITERAL:
                at = (z * shape[1] + y) * shape[2] + x
                label = np.uint64(flat[at])
                if label <= largest:
                    code = label + codes
                elif codes == LITERAL:
                    return np.int64(at)
                else:
                    locations[n] = LITERAL
                    n += ONE
                    code = label
            locations[n] = code
            n += ONE
        counts[z - np.uint64(z0)] = n - done
        done = n
    return -1


@kernel
def fill(bits, component, ids, starts, out):
    """Label every voxel but the indeterminate ones in out (nz, ny, nx), unsigned, C order.

    component is from ``label_runs``. ids, of the dtype of out, are the components' labels, slice
    after slice; those of each slice begin at starts, (nz,) int64.
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
def resolve(bits, z0, z1, locations, codes, across, deep, out):
    """Label the voxels of slices z0..z1-1 that :func:`fill` left, the inverse of :func:`locate`.

    out is filled already, also slices z0 - 1 and z1. locations are exactly the entries of these
    slices. Returns -1, or the number of the first that points outside, to a boundary voxel, or,
    unless ``across``, to another slice.
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
            if code >= codes:
                flat[at] = code - codes
            elif code == LITERAL:
                n += 1
                flat[at] = locations[n]
            elif not copied(flat, lines, shape, np.uint64(z), y, x, code, across):
                return n
            n += 1
    return -1

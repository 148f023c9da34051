"""The contexts of ``ristretto``: which voxels around a decision are compared with which.

A *neighbour* is ``(dz, dy, dx)``, seen from the voxel that is coded. A *template* is a tuple of
pairs of neighbours, or of a neighbour and ZERO; bit i of its context says that pair i has equal
labels. A template is data: :func:`compare` and :func:`match` make code of it.
"""

from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from compresso.kernels import PORTABLE, kernel

ZERO = (1, 0, 0)  # stands for the label 0: no context looks at a slice still to come

W, WW = (0, 0, -1), (0, 0, -2)
N, NW, NE, NWW, NEE, NEEE = (0, -1, 0), (0, -1, -1), (0, -1, 1), (0, -1, -2), (0, -1, 2), (0, -1, 3)
NN, NNW, NNE, NNEE = (0, -2, 0), (0, -2, -1), (0, -2, 1), (0, -2, 2)
NNN, NNNE = (0, -3, 0), (0, -3, 1)
P, PN, PS, PW = (-1, 0, 0), (-1, -1, 0), (-1, 1, 0), (-1, 0, -1)
PNN, PE, PSE = (-1, -2, 0), (-1, 0, 1), (-1, 1, 1)
Q = (-2, 0, 0)

#: plane: pointer to the uint32 labels of slices whose rows are ``row`` apart; the same voxel of the
#: slice before is ``to_prev`` away, and of the one before that ``to_prev2``.
View = namedtuple("View", "plane to_prev to_prev2 row")

WORD = ir.IntType(64)
LANES = 16  # voxels whose contexts :func:`compare_row` finds at once
#: Voxels that templates and contours may look past each side of a slice.
TOP, BOTTOM, SIDE = 8, 8, 32


def cur(dy, dx):
    """A neighbour in the slice itself."""
    return 0, dy, dx


def prev(dy, dx):
    """A neighbour in the slice before."""
    return -1, dy, dx


def prev2(dy, dx):
    """A neighbour two slices before."""
    return -2, dy, dx


def template(reference, *items):
    """Pairs as they are given, and of each lone neighbour with ``reference``."""
    return tuple((item, reference) if isinstance(item[0], int) else item for item in items)


# In each template the most telling pairs come first: the first seven are the coarse context, and
# the first ten that of refinements.

# "Is it the label of W?", where W and N agree.
SAME_3D = template(
    W,
    *(cur(-1, 2), cur(-1, 1), cur(-3, 1), cur(-1, 4), cur(-2, 3), prev2(-1, 0), prev(1, -2)),
    *((NE, ZERO), cur(-2, 2), (P, Q), prev(5, 0), prev(-2, 0), P, prev(-1, 2), prev(2, -1)),
    *((PSE, NE), (W, ZERO), NN),
)
SAME_2D = template(
    W,
    *(cur(-6, 2), NE, (NEE, NNEE), NNN, cur(-3, 4), cur(-4, 1), (NE, NNE), cur(-5, 3)),
    *(cur(-6, 1), (NNE, NNNE), cur(-3, 3), cur(-4, 2), (NN, NNE), cur(-4, 3), cur(-3, 2)),
    *(cur(-5, 2), (NNN, NNNE), cur(-1, 2)),
)
# The same, where they differ.
LEFT_3D = template(
    W,
    *(prev(2, 2), NEEE, cur(-3, -1), (NW, NN), cur(-2, -3), (prev(0, 2), N), (W, ZERO)),
    *((prev(-1, -1), N), (P, PW), (prev(3, 0), N), prev2(-1, 0), NW, cur(-2, -2), NE, P),
    *((PNN, NN), prev(0, 5), prev2(0, -1)),
)
LEFT_2D = template(
    W,
    *((cur(-2, -3), N), cur(-4, -1), (cur(-1, -5), N), (NW, N), (cur(-3, -2), N), NWW, NEEE),
    *((N, ZERO), (NNW, NW), (cur(-6, -2), N), cur(-4, -4), cur(-2, -5), (cur(-6, -1), N)),
    *((cur(-5, -3), N), (cur(-1, -3), N), (cur(-3, -5), N), (cur(-3, -1), N), (cur(-2, -2), N)),
)
# "Is it the label of N?", where it is not that of W.
ABOVE_3D = template(
    N,
    *(NEEE, prev(2, 2), (P, ZERO), cur(-1, -3), (prev(2, 0), W), P, prev2(-1, 0), NE),
    *(cur(-3, 2), (P, PW), (NW, NN), cur(-2, -2), (W, ZERO), WW, (N, ZERO)),
)
ABOVE_2D = template(
    N,
    *(NE, (N, ZERO), (cur(-2, -2), W), (NE, W), NEEE, cur(-4, 2), (NEEE, W), cur(-3, 4)),
    *((NNW, NW), (NW, W), NNW, (cur(-1, -3), W)),
)
# "Is it 0?", where neither W nor N is.
NOTHING_3D = template(
    ZERO,
    *(P, (prev(3, 0), NE), (NEE, NE), (NNE, NE), NEE, (NW, NN), (PW, W), (PW, NE), NE, (PE, PS)),
    *(NW, (P, PW), (NW, NE), (W, N)),
)
NOTHING_2D = template(ZERO, NEE, (NW, NN), NE, NW, (NW, NE), (NNE, NE), (W, N))
# "Is it the label of NE?", where that is a third one and not 0.
CORNER_3D = template(
    NE,
    *(prev(3, 2), cur(-3, 1), (prev(2, 1), N), prev(4, 0), cur(-4, 0), prev(-2, 1), PSE),
    *(prev2(1, 1), cur(-1, 4), cur(-3, 2), (W, N)),
)
CORNER_2D = template(
    NE,
    *(NEE, NNE, NNEE, (NEE, N), NN, NW, (NW, NN), cur(-3, 2), NNNE, cur(-1, 4), (W, N)),
)
# The ring of a run of W's label that fills a flat stretch: at its start, middle and end (the voxel
# after it), each compared with W.
RUN_START = (WW, NWW, NN, prev2(1, -1))
RUN_MIDDLE = (prev(2, 0),)
RUN_END = (NN, NE, prev(2, 0), Q)


def nearest(count, rows, columns, distance, seen):
    """The (dy, dx) in ``rows`` and ``columns`` that are ``seen``, the nearest first."""
    places = [(dy, dx) for dy in rows for dx in columns if seen(dy, dx)]
    return np.array(sorted(places, key=lambda place: distance(*place))[:count], np.int64)


#: Where the labels of the slice before are looked for: about the voxel 2 below and 1/2 right.
BELOW = nearest(
    400,
    range(-6, 13),
    range(-10, 11),
    lambda dy, dx: 4 * (dy - 2) ** 2 + (2 * dx - 1) ** 2,
    lambda dy, dx: True,
)
#: And those of the slice itself: about the voxel.
BESIDE = nearest(
    None,
    range(-6, 1),
    range(-10, 11),
    lambda dy, dx: dy**2 + dx**2,
    lambda dy, dx: dy < 0 or dx < -1,
)


def _fetch(builder, view, here, lanes=0):
    """A function that gives a neighbour's label, and loads it once.

    Where there are lanes, it gives as many labels: this voxel's neighbour, the next one's...
    """
    plane, to_prev, to_prev2, row = cgutils.unpack_tuple(builder, view)
    item = ir.VectorType(plane.type.pointee, lanes) if lanes else plane.type.pointee
    loaded = {}

    def label(neighbour):
        if neighbour == ZERO:
            return ir.Constant(item, None)
        if neighbour not in loaded:
            dz, dy, dx = neighbour
            at = here
            if dz:
                at = builder.add(at, (to_prev, to_prev2)[-dz - 1])
            if dy:
                at = builder.add(at, builder.mul(row, ir.Constant(row.type, dy)))
            if dx:
                at = builder.add(at, ir.Constant(at.type, dx))
            place = builder.bitcast(builder.gep(plane, [at]), item.as_pointer())
            loaded[neighbour] = builder.load(place, align=4)
        return loaded[neighbour]

    return label


def _context(builder, equal, word=WORD):
    """The integer, or a vector of them, whose bit i is the i-th of ``equal``."""
    context = ir.Constant(word, None)
    for i, bit in enumerate(equal):
        shift = ir.Constant(word, i if word is WORD else [i] * word.count)
        context = builder.or_(context, builder.shl(builder.zext(bit, word), shift))
    return context


@kernel
def _label(view, here, place):
    """The label of a neighbour, given as three numbers of an array; 0 for ZERO."""
    if place[0] > 0:
        return np.uint32(0)
    step = view.to_prev * (place[0] == -1) + view.to_prev2 * (place[0] == -2)
    return view.plane[np.uint64(here + step + place[1] * view.row + place[2])]


def compare(pairs):
    """Make ``f(view, here)``, the context of a template at the voxel ``here``."""
    table = np.array(pairs, np.int64)

    @intrinsic
    def llvm(typing_context, view, here):
        def codegen(context, builder, signature, arguments):
            label = _fetch(builder, *arguments)
            equal = (builder.icmp_unsigned("==", label(a), label(b)) for a, b in pairs)
            return _context(builder, equal)

        return types.int64(view, types.int64), codegen

    @kernel
    def plain(view, here):
        context = np.int64(0)
        for i in range(table.shape[0]):
            equal = _label(view, here, table[i, 0]) == _label(view, here, table[i, 1])
            context |= np.int64(equal) << i
        return context

    return plain if PORTABLE else llvm


def compare_row(pairs):
    """Make ``f(view, here, contexts, at)``: contexts of LANES voxels from ``here`` on.

    They are of a template that looks at no voxel of the row but W, where W and N agree, and go to
    ``contexts[at:]``, a pointer to uint32.
    """
    pairs = [tuple(N if item == W else item for item in pair) for pair in pairs]
    table = np.array(pairs, np.int64)

    @intrinsic
    def llvm(typing_context, view, here, contexts, at):
        def codegen(context, builder, signature, arguments):
            view, here, contexts, at = arguments
            label = _fetch(builder, view, here, LANES)
            equal = (builder.icmp_unsigned("==", label(a), label(b)) for a, b in pairs)
            found = _context(builder, equal, ir.VectorType(ir.IntType(32), LANES))
            place = builder.gep(contexts, [at])
            builder.store(found, builder.bitcast(place, found.type.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(view, types.int64, contexts, types.int64), codegen

    @kernel
    def plain(view, here, contexts, at):
        for lane in range(LANES):
            context = np.uint32(0)
            for i in range(table.shape[0]):
                left = _label(view, here + lane, table[i, 0])
                right = _label(view, here + lane, table[i, 1])
                context |= np.uint32(left == right) << np.uint32(i)
            contexts[np.uint64(at + lane)] = context

    return plain if PORTABLE else llvm


def match(neighbours):
    """Make ``f(view, here, label)``: bit i says that neighbour i of ``here`` has that label."""
    table = np.array(neighbours, np.int64)

    @intrinsic
    def llvm(typing_context, view, here, label):
        def codegen(context, builder, signature, arguments):
            view, here, wanted = arguments
            there = _fetch(builder, view, here)
            equal = (builder.icmp_unsigned("==", there(place), wanted) for place in neighbours)
            return _context(builder, equal)

        return types.int64(view, types.int64, types.uint32), codegen

    @kernel
    def plain(view, here, label):
        context = np.int64(0)
        for i in range(table.shape[0]):
            context |= np.int64(_label(view, here, table[i]) == label) << i
        return context

    return plain if PORTABLE else llvm

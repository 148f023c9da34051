"""The contexts of ``ristretto``: which voxels near the current one are compared.

A *neighbour* is ``(dz, dy, dx)``, relative to the current voxel. A *template* is a tuple of pairs
of neighbours, or of a neighbour and ZERO. Bit i of its context says whether the labels of pair i
are equal. A template is data: :func:`compare`, :func:`compare_row` and :func:`match` compile it.
"""

from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from compresso.kernels import kernel
from compresso.kernels.ristretto.coder import inline, outline
from compresso.kernels.words import _splat, leading_zeros, pick, trailing_zeros

ZERO = (1, 0, 0)  # stands for the label 0: no context looks at a slice that comes later

W, WW = (0, 0, -1), (0, 0, -2)
N, NW, NE, NWW, NEE, NEEE = (0, -1, 0), (0, -1, -1), (0, -1, 1), (0, -1, -2), (0, -1, 2), (0, -1, 3)
NN, NNW, NNE, NNEE = (0, -2, 0), (0, -2, -1), (0, -2, 1), (0, -2, 2)
NNN, NNNE = (0, -3, 0), (0, -3, 1)
P, PN, PS, PW = (-1, 0, 0), (-1, -1, 0), (-1, 1, 0), (-1, 0, -1)
PNN, PE, PSE, PNE = (-1, -2, 0), (-1, 0, 1), (-1, 1, 1), (-1, -1, 1)
Q = (-2, 0, 0)

#: plane: pointer to the uint32 labels of slices, with ``row`` voxels from one row to the next. The
#: same voxel of the slice before is at ``to_prev``, the one of two slices before at ``to_prev2``.
View = namedtuple("View", "plane to_prev to_prev2 row")

U64 = np.uint64
WORD = ir.IntType(64)
LANES = 8  # voxels whose contexts :func:`compare_row` finds at once
#: Voxels around a slice that templates and contours may look at.
TOP, BOTTOM, SIDE = 8, 8, 32


def cur(dy, dx):
    """A neighbour in the same slice."""
    return 0, dy, dx


def prev(dy, dx):
    """A neighbour in the slice before."""
    return -1, dy, dx


def prev2(dy, dx):
    """A neighbour two slices before."""
    return -2, dy, dx


def template(reference, *items):
    """Pairs as given; a single neighbour is paired with ``reference``."""
    return tuple((item, reference) if isinstance(item[0], int) else item for item in items)


def with_n_for_w(pairs):
    """The same template for a voxel whose neighbours W and N have the same label."""
    return tuple(tuple(N if item == W else item for item in pair) for pair in pairs)


# The most informative pairs come first: the first seven are the context of the coarse counter, the
# first ten choose the refinement. 2-D slices are coded without the slice before.

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
# "Is it the label of N?", if it is not that of W.
ABOVE_3D = template(
    N,
    *(NEEE, prev(2, 2), (P, ZERO), cur(-1, -3), (prev(2, 0), W), P, prev2(-1, 0), NE),
    *(cur(-3, 2), (P, PW), (NW, NN), cur(-2, -2), (W, ZERO), NEE, (N, ZERO)),
)
ABOVE_2D = template(
    N,
    *(NE, (N, ZERO), (cur(-2, -2), W), (NE, W), NEEE, cur(-4, 2), (NEEE, W), cur(-3, 4)),
    *((NNW, NW), (NW, W), NNW, (cur(-1, -3), W)),
)
# "Is it 0?", where neither W nor N is.
BACKGROUND_3D = template(
    ZERO,
    *(P, (prev(3, 0), NE), (NEE, NE), (NNE, NE), NEE, (NW, NN), (PW, W), (PW, NE), NE, (PE, PS)),
    *(NW, (P, PW), (NW, NE), (W, N)),
)
BACKGROUND_2D = template(ZERO, NEE, (NW, NN), NE, NW, (NW, NE), (NNE, NE), (W, N))
# "Is it the label of NE?", where that is a third one and not 0.
CORNER_3D = template(
    NE,
    *(prev(3, 2), cur(-3, 1), (prev(2, 1), N), prev(4, 0), cur(-4, 0), prev(-2, 1), PSE),
    *(prev2(1, 1), cur(-1, 4), cur(-3, 2), (W, N)),
)
CORNER_2D = template(
    NE, *(NEE, NNE, NNEE, (NEE, N), NN, NW, (NW, NN), cur(-3, 2), NNNE, cur(-1, 4), (W, N))
)
# Neighbours of a run's first voxel, its middle and the voxel after it, compared with W's label.
RUN_START = (WW, NWW, NN, prev2(1, -1))
RUN_MIDDLE = (prev(2, 0),)
RUN_END = (NN, NE, prev(2, 0), Q)


#: Rows and columns around the voxel in which labels of the slice before are looked for.
BELOW_ROWS, BELOW_COLUMNS = range(-2, 7), range(-7, 9)


def _nearest(rows, columns, distance):
    """The (dy, dx) in ``rows`` and ``columns``, the nearest first."""
    places = [(dy, dx) for dy in rows for dx in columns]
    return np.array(sorted(places, key=lambda place: distance(*place)), np.int64)


#: Where labels of the slice before are looked for: around the voxel 2 below and 1/2 right.
BELOW = _nearest(BELOW_ROWS, BELOW_COLUMNS, lambda dy, dx: 4 * (dy - 2) ** 2 + (2 * dx - 1) ** 2)
#: Where labels of the slice itself are looked for: around the voxel.
BESIDE = _nearest(range(-6, 1), range(-10, 11), lambda dy, dx: dy**2 + dx**2)
BESIDE = BESIDE[(BESIDE[:, 0] < 0) | (BESIDE[:, 1] < -1)]


# Templates of the further models that efforts 2 and 3 mix: effort 2 the first two, effort 3 all.
_FAR_SAME_3D = template(
    W,
    *(NEEE, prev(3, 2), prev2(0, 2), prev(1, -1), prev(1, 2), cur(-4, 0), prev2(0, -1)),
    *(prev(-1, 3), PW, (P, PE), prev(-2, 1), cur(-3, 2), (NE, NNE), (PNE, NE)),
)
_FAR_LEFT_3D = template(
    W,
    *(NEE, cur(-4, 0), cur(-1, 4), (NE, ZERO), (NE, NNE), (NW, WW), prev(1, 2), prev(-1, -2)),
    *(WW, (prev(2, 1), N), prev(1, -2), (P, ZERO), (Q, N), (NEE, N)),
)
MORE_SAME_3D = (
    (*_FAR_SAME_3D, *template(W, P, NE)),
    template(
        W,
        *(NE, prev(3, -1), NEEE, NNNE, cur(-4, 4), (NE, NEE), prev(2, -3), prev(-3, 0), P),
        *(prev2(0, -1), prev(-3, 5), prev(1, 4), (NE, NNE)),
    ),
    template(
        W,
        *(NEE, cur(-4, 1), NE, cur(-3, 3), (NW, NN), cur(-1, 4), (W, ZERO), cur(-3, 5)),
        *((NEE, NNEE), cur(-4, 2), (NEE, NEEE), (NE, NNE), (NE, NEE), cur(-2, 5), NNN),
        *(cur(-3, 2), NNE),
    ),
    template(
        W,
        *(NE, prev(4, -1), NN, prev(0, 4), prev(-3, 1), P, prev2(-1, 0), prev(3, -3), Q),
        *((P, PS), PW, prev(-3, -2), prev(-2, 3)),
    ),
    template(
        W,
        *(NE, NEE, NN, NNE, P, PE, PS, PSE, PN, PW, Q, prev2(0, 1), prev2(1, 0), prev(2, 0)),
        *(prev(0, 2), prev2(0, -1)),
    ),
    (*SAME_3D, *_FAR_SAME_3D),
)
MORE_LEFT_3D = (
    (*_FAR_LEFT_3D, *template(W, prev(5, 0), NE)),
    template(
        W,
        *(prev(2, 2), NEEE, cur(-4, -1), (NNW, NW), (cur(-3, -5), N), (prev(0, 2), N)),
        *((cur(-3, -2), N), prev(-2, -3), (NWW, NW), P, (P, PN), prev(3, 0), PW, NW),
        *(prev2(-1, -1), NNN, NE, cur(-3, -4)),
    ),
    template(
        W,
        *(cur(-1, 4), cur(-4, -2), (W, ZERO), (cur(-2, -5), N), (NW, NN), cur(-3, -3)),
        *((cur(-4, -1), N), (N, ZERO), cur(-1, -6), NE, (NWW, NW), (cur(-2, -3), N), NW),
        *((cur(-3, -2), N), cur(-4, 0), cur(-1, 6), cur(-2, -4), NNW),
    ),
    template(
        W,
        *(prev(2, 3), NE, (prev(3, 2), N), prev(-3, -3), (NW, NN), P, prev(4, 0), prev2(0, -1)),
        *(prev(0, 4), (prev(-2, -2), N), prev(-3, -1), NW, (prev(0, 2), N), (prev(1, -2), N)),
        *(prev(-3, 1), PW),
    ),
    template(
        W,
        *(NE, NW, WW, (WW, NW), (NW, N), P, (P, N), PE, PS, PSE, PN, PW, Q, (Q, N)),
        *(prev2(0, 1), prev2(1, 0), prev(2, 0)),
    ),
    (*LEFT_3D, *_FAR_LEFT_3D, *template(W, prev(5, 0))),
)
MORE_SAME_2D = (
    template(
        W,
        *(NE, NEE, NEEE, cur(-1, 4), cur(-1, 5), cur(-1, 6), NN, NNE, NNEE, cur(-2, 3)),
        *(cur(-2, 4), cur(-2, 5), NW, NNW, NNNE, cur(-3, 2), cur(-3, 3), cur(-3, 4)),
    ),
    SAME_2D[:10],
    template(W, *(*SAME_2D, cur(-7, 2), cur(-8, 1), cur(-5, 4), cur(-6, 4), NNEE, cur(-2, 3))),
    SAME_2D[:14],
    template(
        W,
        *(NW, NE, NNW, NN, NNE, cur(-3, -1), NNN, NNNE, WW, (NW, NN), (NE, NNE), NEE),
        *((W, ZERO),),
    ),
)
MORE_LEFT_2D = (
    template(
        W,
        *(NE, NEE, NEEE, cur(-1, 4), cur(-1, 5), cur(-1, 6), (NE, N), (NEE, N), (NEEE, N)),
        *((NN, N), (NNE, N), NN, NNE, NNW, (NW, N), (NNW, N), NW),
    ),
    LEFT_2D[:11],
    template(
        W,
        *(*LEFT_2D, (cur(-7, -1), N), (cur(-5, -2), N), cur(-3, -3), cur(-3, -2), cur(-4, 3)),
        *(NE, (NWW, NW)),
    ),
    LEFT_2D[:15],
    template(
        W,
        *((NW, N), (NWW, N), (cur(-1, -3), N), (cur(-1, -4), N), (cur(-1, -5), N), WW),
        *(cur(0, -3), cur(0, -4), cur(0, -5), (NN, N), (NNW, N), (cur(-2, -2), N)),
        *((cur(-2, -3), N), (cur(-2, -4), N), (NNE, N), (NNEE, N), (cur(-3, -1), N)),
    ),
)
MORE_ABOVE_3D = (
    template(
        N,
        *(prev(1, 4), NE, (P, PN), prev(-3, -3), (P, W), P, prev2(-1, 1), (P, PS), NW),
        *(prev(0, -3), prev(4, 4), PS, (NE, W)),
    ),
    template(
        N,
        *(NEEE, cur(-1, -4), cur(-5, -2), NE, (NW, NN), (cur(0, -5), W), cur(-3, -3)),
        *(cur(-1, 6), cur(-4, 4), NEE, (NEE, W), (N, ZERO)),
    ),
)
MORE_ABOVE_2D = (ABOVE_2D[:6], ABOVE_2D[:9])
# The contexts that choose the weights of SAME, LEFT and ABOVE, each in 2-D and in 3-D.
WEIGH = (
    (template(W, NE, NW, NN, NNE, NEE), template(W, P, NE, PS, PE, (NW, NN))),
    (template(W, NW, (NW, N), WW, NE, (NWW, N)), template(W, P, NE, (P, N), NW, WW)),
    (template(W, NE, (NE, N), (NW, N), NW, WW), template(W, P, NE, (P, N), (NW, N), (NE, N))),
)
# Neighbours of a run, as RUN_START, RUN_MIDDLE and RUN_END.
MORE_RUN_3D = (
    (
        (prev(2, 0), Q),
        (prev(2, 0), prev(3, 0), prev2(1, 0), prev2(2, 0), NNN),
        (NE, NNE, PSE, PNE, PE, prev(2, 0), prev(3, 0)),
    ),
    (
        (prev(3, 1), prev2(2, 0), WW),
        (Q, prev(4, 0), PS),
        (cur(-2, -1), N, prev(2, -1), prev2(1, -1)),
    ),
)
MORE_RUN_2D = (
    (
        (NN, NNN, cur(-2, -1), NWW, cur(-3, -1), cur(-1, -3)),
        (NN, NNN),
        (NN, NNN, NNE, NNNE, NNEE, cur(-3, 2), cur(-2, -1)),
    ),
    ((NWW, WW), (NN, cur(-4, 0)), (NNE, NNEE, cur(-2, 3), NEE, NEEE, cur(-3, 3), NNNE)),
)


def _fetch(builder, view, here, lanes=0):
    """A function that gives a neighbour's label, and loads it only once.

    With lanes, it gives a vector: the neighbours of ``lanes`` voxels from ``here`` on.
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
    """The integer, or vector of integers, whose bit i is the i-th of ``equal``."""
    parts = [ir.Constant(word, None)] * 4  # four short sums instead of a long one
    for i, bit in enumerate(equal):
        if word is WORD:
            value = builder.shl(builder.zext(bit, word), ir.Constant(word, i))
        else:
            ones = ir.Constant(word, [1 << i] * word.count)
            value = builder.select(bit, ones, ir.Constant(word, None))
        parts[i % 4] = builder.or_(parts[i % 4], value)
    return builder.or_(builder.or_(parts[0], parts[1]), builder.or_(parts[2], parts[3]))


@kernel
def _label(view, here, neighbour):
    """The label of a neighbour, given as an array of three numbers; 0 for ZERO."""
    if neighbour[0] > 0:
        return np.uint32(0)
    step = view.to_prev * (neighbour[0] == -1) + view.to_prev2 * (neighbour[0] == -2)
    return view.plane[np.uint64(here + step + neighbour[1] * view.row + neighbour[2])]


def compare(pairs):
    """Make ``f(view, here)``: the context of a template at the voxel ``here``."""
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

    return pick(plain, llvm)


def compare_row(*templates):
    """Make ``f(view, here, left, contexts, at)``: contexts of LANES voxels from ``here`` on.

    In all of them W has the label ``left``, and no template looks at another voxel of the row. The
    contexts of the n-th template go to ``contexts[at + n * LANES:]``, a pointer to uint32.
    """
    table = np.array([pair for pairs in templates for pair in pairs], np.int64)
    is_w = (table == W).all(axis=2)
    ends = np.cumsum([len(pairs) for pairs in templates])
    vector = ir.VectorType(ir.IntType(32), LANES)

    @intrinsic
    def llvm(typing_context, view, here, left, contexts, at):
        def codegen(context, builder, signature, arguments):
            view, here, left, contexts, at = arguments
            there, left = _fetch(builder, view, here, LANES), _splat(builder, left, LANES)

            def label(neighbour):
                return left if neighbour == W else there(neighbour)

            for n, pairs in enumerate(templates):
                equal = (builder.icmp_unsigned("==", label(a), label(b)) for a, b in pairs)
                place = builder.gep(contexts, [builder.add(at, ir.Constant(at.type, n * LANES))])
                place = builder.bitcast(place, vector.as_pointer())
                builder.store(_context(builder, equal, vector), place, align=4)
            return context.get_dummy_value()

        return types.void(view, types.int64, types.uint32, contexts, types.int64), codegen

    @kernel
    def plain(view, here, left, contexts, at):
        for lane in range(LANES):
            context, n, first = np.uint32(0), 0, 0
            for i in range(table.shape[0]):
                one = left if is_w[i, 0] else _label(view, here + lane, table[i, 0])
                other = left if is_w[i, 1] else _label(view, here + lane, table[i, 1])
                context |= np.uint32(one == other) << np.uint32(i - first)
                if i + 1 == ends[n]:
                    contexts[np.uint64(at + n * LANES + lane)] = context
                    context, n, first = np.uint32(0), n + 1, i + 1

    return pick(plain, llvm)


def match(neighbours):
    """Make ``f(view, here, label)``: bit i says whether neighbour i of ``here`` has that label."""
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

    return pick(plain, llvm)


def find_other(places, rows, columns):
    """Make ``f(view, here, k, a, b, c, d)``: look for another label in the slice before.

    The result is the first of ``places`` from the k-th on whose label is none of 0, a, b, c and d,
    or ``len(places)``. The places are all of ``rows`` x ``columns``, in any order.
    """
    count = len(places)
    rank = {tuple(place): k for k, place in enumerate(places.tolist())}
    number, lanes = ir.IntType(32), len(columns)

    @intrinsic
    def llvm(typing_context, view, here, k, a, b, c, d):
        def codegen(context, builder, signature, arguments):
            view, here, k, *known = arguments
            plane, to_prev, _, row = cgutils.unpack_tuple(builder, view)
            vector = ir.VectorType(plane.type.pointee, lanes)
            found = none = ir.Constant(vector, [count] * lanes)
            known = [_splat(builder, label, lanes) for label in known]
            known.append(ir.Constant(vector, None))
            least = _splat(builder, builder.trunc(k, number), lanes)
            first = builder.add(here, to_prev)
            for dy in rows:
                at = builder.add(first, builder.mul(row, ir.Constant(row.type, dy)))
                at = builder.add(at, ir.Constant(row.type, columns[0]))
                place = builder.bitcast(builder.gep(plane, [at]), vector.as_pointer())
                labels = builder.load(place, align=4)
                ranks = ir.Constant(vector, [rank[dy, dx] for dx in columns])
                good = builder.icmp_unsigned(">=", ranks, least)
                for label in known:
                    good = builder.and_(good, builder.icmp_unsigned("!=", labels, label))
                ranks = builder.select(good, ranks, none)
                found = builder.select(builder.icmp_unsigned("<", ranks, found), ranks, found)
            kind = ir.FunctionType(number, [vector])
            name = f"llvm.vector.reduce.umin.v{lanes}i32"
            least_of = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.zext(builder.call(least_of, [found]), WORD)

        return types.int64(view, types.int64, types.int64, a, b, c, d), codegen

    @kernel
    def plain(view, here, k, a, b, c, d):
        while k < count:
            place = here + view.to_prev + places[k, 0] * view.row + places[k, 1]
            label = view.plane[np.uint64(place)]
            if label != 0 and label != a and label != b and label != c and label != d:
                break
            k += 1
        return np.int64(k)

    return pick(plain, llvm)


BITS_NEAR_3D, BITS_FAR_3D, BITS_MOTION_3D, BITS_SAME_2D, BITS_LEFT_2D = 16, 24, 18, 18, 16


@outline
def moves(plane, at, label, least, most):
    """How far right of ``at`` the label goes on, or how far left it ends, -least..most."""
    steps = np.int64(0)
    if plane[U64(at)] == label:
        steps += 1
        while steps < most and plane[U64(at + steps)] == label:
            steps += 1
    else:
        while steps > -least and plane[U64(at + steps - 1)] != label:
            steps -= 1
    return steps


@intrinsic
def _equal16_llvm(typing_context, plane, at, label):
    def codegen(context, builder, signature, arguments):
        plane, at, label = arguments
        vector = ir.VectorType(label.type, 16)
        place = builder.bitcast(builder.gep(plane, [at]), vector.as_pointer())
        equal = builder.icmp_unsigned(
            "==", builder.load(place, align=4), _splat(builder, label, 16)
        )
        return builder.zext(builder.bitcast(equal, ir.IntType(16)), WORD)

    return types.uint64(plane, types.uint64, types.uint32), codegen


@kernel
def _equal16_plain(plane, at, label):
    word = U64(0)
    for k in range(16):
        word |= U64(plane[at + U64(k)] == label) << U64(k)
    return word


#: ``_equal16(plane, at, label)``: bit k is set if ``plane[at + k]`` has that label, k in 0..15.
_equal16 = pick(_equal16_plain, _equal16_llvm)


@inline
def _edge(plane, at, label):
    """The same as ``moves(plane, at, label, 8, 8)``, from a vector."""
    equal = _equal16(plane, U64(at - 8), label)
    right = np.int64(trailing_zeros(~(equal >> U64(8))))
    left = np.int64(leading_zeros(equal << U64(56) | U64(1 << 55)))
    return right - left * (right == 0)  # without a branch, which is often mispredicted


@inline
def _clip(number, least, most):
    return min(max(number, least), most)


@inline
def _octal(number):
    """-4..3 as 0..7."""
    return _clip(number, -4, 3) + 4


@inline
def _fine(number):
    """-7..8 as 0..15."""
    return _clip(number, -7, 8) + 7


@inline
def edge_near_3d(view, here):
    """The edge of W's label: its position in the row above, in the slices before, and around."""
    plane, row, before = view.plane, view.row, here + view.to_prev
    label = plane[U64(here - 1)]
    context = _fine(_edge(plane, before, label))
    context |= _octal(_edge(plane, here - row, label)) << 4
    context |= _octal(_edge(plane, before - row, label)) << 7
    context |= _octal(_edge(plane, before + 2 * row, label)) << 10
    return context | _octal(_edge(plane, here + view.to_prev2, label)) << 13


@outline
def edge_far_3d(view, here):
    """The same from more rows, and more precisely."""
    plane, row, before = view.plane, view.row, here + view.to_prev
    label = plane[U64(here - 1)]
    one = _edge(plane, here - row, label)
    context = _fine(one) | _fine(_edge(plane, before, label)) << 4
    context |= _octal(_edge(plane, here - 2 * row + _clip(one, -4, 4), label)) << 8
    context |= _octal(_edge(plane, before + row, label)) << 11
    context |= _fine(_edge(plane, before + 2 * row, label)) << 14
    context |= _octal(_edge(plane, before + 4 * row, label)) << 18
    return context | _octal(_edge(plane, here + view.to_prev2 + row, label)) << 21


@outline
def edge_motion_3d(view, here):
    """How the edge moves: in the rows above, in the slices before, and over three rows below."""
    plane, row = view.plane, view.row
    label, above = plane[U64(here - 1)], plane[U64(here - row)]
    before, before2 = here + view.to_prev, here + view.to_prev2
    one = _edge(plane, here - row, label)
    two = _edge(plane, here - 2 * row + _clip(one, -4, 4), label)
    three = _edge(plane, here - 3 * row + _clip(one + two, -6, 6), label)
    now = _edge(plane, before, label)
    context = _octal(now + one - _edge(plane, before - row, label))
    context |= _octal(2 * now - _edge(plane, before2, label)) << 3
    context |= _octal(three) << 6
    context |= _octal(_edge(plane, before + 3 * row, label)) << 9
    context |= _octal(two) << 12
    return context | (_edge(plane, here - row, above) - 1) << 15


@outline
def edge_same_2d(view, here):
    """Where W and N agree: how the right end of N's label moves in the rows above."""
    plane, row, label = view.plane, view.row, view.plane[U64(here - 1)]
    far = moves(plane, here - row, label, 7, 7)
    end = here + far
    one = moves(plane, end - 2 * row, label, 6, 9)
    two = moves(plane, end + one - 3 * row, label, 6, 6)
    three = moves(plane, end + one + two - 4 * row, label, 4, 4)
    context = far | (one + 6) << 3 | (two + 6) << 7 | (three + 4) << 11
    context |= np.int64(plane[U64(here - row - 1)] == label) << 15
    context |= np.int64(plane[U64(here - 2 * row - 1)] == label) << 16
    return context | np.int64(plane[U64(end - 2 * row)] == plane[U64(end - row)]) << 17


@outline
def edge_left_2d(view, here):
    """Where they differ: how long the edge between them is, how it began, and the rows above."""
    plane, row = view.plane, view.row
    label, above = plane[U64(here - 1)], plane[U64(here - row)]
    far = np.int64(0)
    end_label, end_above = label, plane[U64(here - row - 1)]
    while far < 15 and end_label == label and end_above == above:
        far += 1
        end_label, end_above = plane[U64(here - 1 - far)], plane[U64(here - row - 1 - far)]
    kind = np.int64(end_label != label) + 2 * (end_above != above)
    if end_above == label:
        kind = np.int64(4)
    if end_label == above:
        kind = np.int64(5)
    one = moves(plane, here - far - 2 * row, label, 9, 9)
    two = moves(plane, here - far + one - 3 * row, label, 5, 5)
    return far | kind << 4 | (one + 9) << 7 | (two + 5) << 12

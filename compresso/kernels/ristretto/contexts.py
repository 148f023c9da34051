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
from compresso.kernels.words import (
    equal16,
    leading_zeros,
    load,
    or_llvm,
    spread_item,
    store,
    trailing_zeros,
    with_pointer,
)

#: plane: pointer to the uint32 labels of slices, with ``row`` voxels from one row to the next. The
#: same voxel of the slice before is at ``to_prev``, the one of two slices before at ``to_prev2``.
View = namedtuple("View", "plane to_prev to_prev2 row")

U64 = np.uint64
WORD = ir.IntType(64)
LANES = 8  # voxels whose contexts :func:`compare_row` finds at once
#: Voxels around a slice that templates and contours may look at.
TOP, BOTTOM, SIDE = 8, 8, 32

ZERO = (1, 0, 0)  # stands for the label 0: no context looks at a slice that comes later
W, N = (0, 0, -1), (0, -1, 0)
NEIGHBOURS = {"0": ZERO, "W": W, "N": N, "NW": (0, -1, -1), "NE": (0, -1, 1)}
#: The partner of a neighbour that is not in a pair, by question.
REFERENCES = {"same": "W", "left": "W", "above": "N", "background": "0", "corner": "NE"}
#: The templates of docs/formats.md, section 9, in its notation, for 2-D and 3-D slices. Those of
#: effort 1 begin with the most informative pairs: the first seven are the context of the coarse
#: counter, the first ten choose the refinement. Effort 2 mixes the first two of "more", too, and
#: effort 3 all. "weights" are the contexts that choose the weights.
TEMPLATES = """
same 2: c-6,2 NE c-1,2=c-2,2 c-3,0 c-3,4 c-4,1 NE=c-2,1 c-5,3 c-6,1 c-2,1=c-3,1 c-3,3 c-4,2
  c-2,0=c-2,1 c-4,3 c-3,2 c-5,2 c-3,0=c-3,1 c-1,2
same 3: c-1,2 NE c-3,1 c-1,4 c-2,3 q-1,0 p1,-2 NE=0 c-2,2 p0,0=q0,0 p5,0 p-2,0 p0,0 p-1,2 p2,-1
  p1,1=NE W=0 c-2,0
left 2: c-2,-3=N c-4,-1 c-1,-5=N NW=N c-3,-2=N c-1,-2 c-1,3 N=0 c-2,-1=NW c-6,-2=N c-4,-4 c-2,-5
  c-6,-1=N c-5,-3=N c-1,-3=N c-3,-5=N c-3,-1=N c-2,-2=N
left 3: p2,2 c-1,3 c-3,-1 NW=c-2,0 c-2,-3 p0,2=N W=0 p-1,-1=N p0,0=p0,-1 p3,0=N q-1,0 NW c-2,-2 NE
  p0,0 p-2,0=c-2,0 p0,5 q0,-1
above 2: NE N=0 c-2,-2=W NE=W c-1,3 c-4,2 c-1,3=W c-3,4 c-2,-1=NW NW=W c-2,-1 c-1,-3=W
above 3: c-1,3 p2,2 p0,0=0 c-1,-3 p2,0=W p0,0 q-1,0 NE c-3,2 p0,0=p0,-1 NW=c-2,0 c-2,-2 W=0 c-1,2
  N=0
background 2: c-1,2 NW=c-2,0 NE NW NW=NE c-2,1=NE W=N
background 3: p0,0 p3,0=NE c-1,2=NE c-2,1=NE c-1,2 NW=c-2,0 p0,-1=W p0,-1=NE NE p0,1=p1,0 NW
  p0,0=p0,-1 NW=NE W=N
corner 2: c-1,2 c-2,1 c-2,2 c-1,2=N c-2,0 NW NW=c-2,0 c-3,2 c-3,1 c-1,4 W=N
corner 3: p3,2 c-3,1 p2,1=N p4,0 c-4,0 p-2,1 p1,1 q1,1 c-1,4 c-3,2 W=N
same 2 more: NE c-1,2 c-1,3 c-1,4 c-1,5 c-1,6 c-2,0 c-2,1 c-2,2 c-2,3 c-2,4 c-2,5 NW c-2,-1 c-3,1
  c-3,2 c-3,3 c-3,4
same 2 more: c-6,2 NE c-1,2=c-2,2 c-3,0 c-3,4 c-4,1 NE=c-2,1 c-5,3 c-6,1 c-2,1=c-3,1
same 2 more: c-6,2 NE c-1,2=c-2,2 c-3,0 c-3,4 c-4,1 NE=c-2,1 c-5,3 c-6,1 c-2,1=c-3,1 c-3,3 c-4,2
  c-2,0=c-2,1 c-4,3 c-3,2 c-5,2 c-3,0=c-3,1 c-1,2 c-7,2 c-8,1 c-5,4 c-6,4 c-2,2 c-2,3
same 2 more: c-6,2 NE c-1,2=c-2,2 c-3,0 c-3,4 c-4,1 NE=c-2,1 c-5,3 c-6,1 c-2,1=c-3,1 c-3,3 c-4,2
  c-2,0=c-2,1 c-4,3
same 2 more: NW NE c-2,-1 c-2,0 c-2,1 c-3,-1 c-3,0 c-3,1 c0,-2 NW=c-2,0 NE=c-2,1 c-1,2 W=0
same 2 weights: NE NW c-2,0 c-2,1 c-1,2
same 3 more: c-1,3 p3,2 q0,2 p1,-1 p1,2 c-4,0 q0,-1 p-1,3 p0,-1 p0,0=p0,1 p-2,1 c-3,2 NE=c-2,1
  p-1,1=NE p0,0 NE
same 3 more: NE p3,-1 c-1,3 c-3,1 c-4,4 NE=c-1,2 p2,-3 p-3,0 p0,0 q0,-1 p-3,5 p1,4 NE=c-2,1
same 3 more: c-1,2 c-4,1 NE c-3,3 NW=c-2,0 c-1,4 W=0 c-3,5 c-1,2=c-2,2 c-4,2 c-1,2=c-1,3 NE=c-2,1
  NE=c-1,2 c-2,5 c-3,0 c-3,2 c-2,1
same 3 more: NE p4,-1 c-2,0 p0,4 p-3,1 p0,0 q-1,0 p3,-3 q0,0 p0,0=p1,0 p0,-1 p-3,-2 p-2,3
same 3 more: NE c-1,2 c-2,0 c-2,1 p0,0 p0,1 p1,0 p1,1 p-1,0 p0,-1 q0,0 q0,1 q1,0 p2,0 p0,2 q0,-1
same 3 more: c-1,2 NE c-3,1 c-1,4 c-2,3 q-1,0 p1,-2 NE=0 c-2,2 p0,0=q0,0 p5,0 p-2,0 p0,0 p-1,2 p2,-1
  p1,1=NE W=0 c-2,0 c-1,3 p3,2 q0,2 p1,-1 p1,2 c-4,0 q0,-1 p-1,3 p0,-1 p0,0=p0,1 p-2,1 c-3,2
  NE=c-2,1 p-1,1=NE
same 3 weights: p0,0 NE p1,0 p0,1 NW=c-2,0
left 2 more: NE c-1,2 c-1,3 c-1,4 c-1,5 c-1,6 NE=N c-1,2=N c-1,3=N c-2,0=N c-2,1=N c-2,0 c-2,1
  c-2,-1 NW=N c-2,-1=N NW
left 2 more: c-2,-3=N c-4,-1 c-1,-5=N NW=N c-3,-2=N c-1,-2 c-1,3 N=0 c-2,-1=NW c-6,-2=N c-4,-4
left 2 more: c-2,-3=N c-4,-1 c-1,-5=N NW=N c-3,-2=N c-1,-2 c-1,3 N=0 c-2,-1=NW c-6,-2=N c-4,-4
  c-2,-5 c-6,-1=N c-5,-3=N c-1,-3=N c-3,-5=N c-3,-1=N c-2,-2=N c-7,-1=N c-5,-2=N c-3,-3 c-3,-2 c-4,3
  NE c-1,-2=NW
left 2 more: c-2,-3=N c-4,-1 c-1,-5=N NW=N c-3,-2=N c-1,-2 c-1,3 N=0 c-2,-1=NW c-6,-2=N c-4,-4
  c-2,-5 c-6,-1=N c-5,-3=N c-1,-3=N
left 2 more: NW=N c-1,-2=N c-1,-3=N c-1,-4=N c-1,-5=N c0,-2 c0,-3 c0,-4 c0,-5 c-2,0=N c-2,-1=N
  c-2,-2=N c-2,-3=N c-2,-4=N c-2,1=N c-2,2=N c-3,-1=N
left 2 weights: NW NW=N c0,-2 NE c-1,-2=N
left 3 more: c-1,2 c-4,0 c-1,4 NE=0 NE=c-2,1 NW=c0,-2 p1,2 p-1,-2 c0,-2 p2,1=N p1,-2 p0,0=0 q0,0=N
  c-1,2=N p5,0 NE
left 3 more: p2,2 c-1,3 c-4,-1 c-2,-1=NW c-3,-5=N p0,2=N c-3,-2=N p-2,-3 c-1,-2=NW p0,0 p0,0=p-1,0
  p3,0 p0,-1 NW q-1,-1 c-3,0 NE c-3,-4
left 3 more: c-1,4 c-4,-2 W=0 c-2,-5=N NW=c-2,0 c-3,-3 c-4,-1=N N=0 c-1,-6 NE c-1,-2=NW c-2,-3=N NW
  c-3,-2=N c-4,0 c-1,6 c-2,-4 c-2,-1
left 3 more: p2,3 NE p3,2=N p-3,-3 NW=c-2,0 p0,0 p4,0 q0,-1 p0,4 p-2,-2=N p-3,-1 NW p0,2=N p1,-2=N
  p-3,1 p0,-1
left 3 more: NE NW c0,-2 c0,-2=NW NW=N p0,0 p0,0=N p0,1 p1,0 p1,1 p-1,0 p0,-1 q0,0 q0,0=N q0,1 q1,0
  p2,0
left 3 more: p2,2 c-1,3 c-3,-1 NW=c-2,0 c-2,-3 p0,2=N W=0 p-1,-1=N p0,0=p0,-1 p3,0=N q-1,0 NW c-2,-2
  NE p0,0 p-2,0=c-2,0 p0,5 q0,-1 c-1,2 c-4,0 c-1,4 NE=0 NE=c-2,1 NW=c0,-2 p1,2 p-1,-2 c0,-2 p2,1=N
  p1,-2 p0,0=0 q0,0=N c-1,2=N p5,0
left 3 weights: p0,0 NE p0,0=N NW c0,-2
above 2 more: NE N=0 c-2,-2=W NE=W c-1,3 c-4,2
above 2 more: NE N=0 c-2,-2=W NE=W c-1,3 c-4,2 c-1,3=W c-3,4 c-2,-1=NW
above 2 weights: NE=W NE NW NW=W c0,-2=W
above 3 more: p1,4 NE p0,0=p-1,0 p-3,-3 p0,0=W p0,0 q-1,1 p0,0=p1,0 NW p0,-3 p4,4 p1,0 NE=W
above 3 more: c-1,3 c-1,-4 c-5,-2 NE NW=c-2,0 c0,-5=W c-3,-3 c-1,6 c-4,4 c-1,2 c-1,2=W N=0
above 3 weights: p0,0=W NE=W p0,0 NW NE
"""


def _neighbour(text):
    """The neighbour ``c-1,2``, one row above and two to the right; p and q are slices before."""
    if text in NEIGHBOURS:
        return NEIGHBOURS[text]
    dy, dx = text[1:].split(",")
    return -"cpq".index(text[0]), int(dy), int(dx)


def _templates(name):
    """The templates of a name."""
    found = []
    for line in TEMPLATES.replace("\n  ", " ").splitlines():
        if line.startswith(f"{name}: "):
            reference = REFERENCES[name.split()[0]]
            pairs = [item.partition("=") for item in line.split(": ")[1].split()]
            found.append(tuple((_neighbour(a), _neighbour(b or reference)) for a, _, b in pairs))
    return found


def _rings(text):
    """Neighbours of a run's first voxel, of its middle and of the voxel after it."""
    return [tuple(map(_neighbour, ring.split())) for ring in text.split("|")]


#: By question of effort 1: its template in 2-D and in 3-D.
SAME, LEFT, ABOVE, BACKGROUND, CORNER = (
    _templates(f"{question} 2") + _templates(f"{question} 3") for question in REFERENCES
)
#: For SAME, LEFT and ABOVE: further templates, and the ones that choose the weights.
MIXED = ("same", "left", "above")
MORE = [[_templates(f"{question} {n} more") for n in (2, 3)] for question in MIXED]
WEIGHTS = [_templates(f"{name} 2 weights") + _templates(f"{name} 3 weights") for name in MIXED]
#: Contexts of runs.
RUN_3D = _rings("c0,-2 c-1,-2 c-2,0 q1,-1 | p2,0 | c-2,0 NE p2,0 q0,0")
MORE_RUN_2D = (
    _rings(
        "c-2,0 c-3,0 c-2,-1 c-1,-2 c-3,-1 c-1,-3 | c-2,0 c-3,0"
        " | c-2,0 c-3,0 c-2,1 c-3,1 c-2,2 c-3,2 c-2,-1"
    ),
    _rings("c-1,-2 c0,-2 | c-2,0 c-4,0 | c-2,1 c-2,2 c-2,3 c-1,2 c-1,3 c-3,3 c-3,1"),
)
MORE_RUN_3D = (
    _rings("p2,0 q0,0 | p2,0 p3,0 q1,0 q2,0 c-3,0 | NE c-2,1 p1,1 p-1,1 p0,1 p2,0 p3,0"),
    _rings("p3,1 q2,0 c0,-2 | q0,0 p4,0 p1,0 | c-2,-1 N p2,-1 q1,-1"),
)


def with_n_for_w(pairs):
    """The same template for a voxel whose neighbours W and N have the same label."""
    return tuple(tuple(N if item == W else item for item in pair) for pair in pairs)


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


def _fetch(builder, view, here, lanes=0):
    """A function that gives a neighbour's label, and loads it only once.

    With lanes, it gives a vector: the neighbours of ``lanes`` voxels from ``here`` on.
    """
    plane, to_prev, to_prev2, row = cgutils.unpack_tuple(builder, view)
    item = plane.type.pointee
    loaded = {}

    def label(neighbour):
        if neighbour == ZERO:
            return ir.Constant(ir.VectorType(item, lanes) if lanes else item, None)
        if neighbour not in loaded:
            dz, dy, dx = neighbour
            at = here
            if dz:
                at = builder.add(at, (to_prev, to_prev2)[-dz - 1])
            if dy:
                at = builder.add(at, builder.mul(row, ir.Constant(row.type, dy)))
            if dx:
                at = builder.add(at, ir.Constant(at.type, dx))
            loaded[neighbour] = load(builder, plane, at, lanes)
        return loaded[neighbour]

    return label


def _context(builder, pairs, word=WORD):
    """The integer, or vector of integers, whose bit i says whether the i-th pair is equal."""
    parts = [ir.Constant(word, None)] * 4  # four short sums instead of a long one
    for i, (one, other) in enumerate(pairs):
        bit = builder.icmp_unsigned("==", one, other)
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
        def emit(builder, view, here):
            label = _fetch(builder, view, here)
            return _context(builder, ((label(a), label(b)) for a, b in pairs))

        return types.int64(view, types.int64), with_pointer(emit)

    @or_llvm(llvm)
    def plain(view, here):
        context = np.int64(0)
        for i in range(table.shape[0]):
            equal = _label(view, here, table[i, 0]) == _label(view, here, table[i, 1])
            context |= np.int64(equal) << i
        return context

    return plain


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
        def emit(builder, view, here, left, contexts, at):
            there, left = _fetch(builder, view, here, LANES), spread_item(builder, left, LANES)

            def label(neighbour):
                return left if neighbour == W else there(neighbour)

            for n, pairs in enumerate(templates):
                found = _context(builder, ((label(a), label(b)) for a, b in pairs), vector)
                store(builder, found, contexts, builder.add(at, ir.Constant(at.type, n * LANES)))

        kinds = view, types.int64, types.uint32, contexts, types.int64
        return types.void(*kinds), with_pointer(emit)

    @or_llvm(llvm)
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

    return plain


def match(neighbours):
    """Make ``f(view, here, label)``: bit i says whether neighbour i of ``here`` has that label."""
    table = np.array(neighbours, np.int64)

    @intrinsic
    def llvm(typing_context, view, here, label):
        def emit(builder, view, here, label):
            there = _fetch(builder, view, here)
            return _context(builder, ((there(place), label) for place in neighbours))

        return types.int64(view, types.int64, types.uint32), with_pointer(emit)

    @or_llvm(llvm)
    def plain(view, here, label):
        context = np.int64(0)
        for i in range(table.shape[0]):
            context |= np.int64(_label(view, here, table[i]) == label) << i
        return context

    return plain


def match_run(rings):
    """Make ``f(view, here, middle, end, label)``: the context of a run, ring after ring."""
    start, half, after = map(match, rings)
    second, third = len(rings[0]), len(rings[0] + rings[1])

    def context(view, here, middle, end, label):
        found = start(view, here, label) | half(view, middle, label) << second
        return found | after(view, end, label) << third

    return inline(context)


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
        def emit(builder, view, here, k, a, b, c, d):
            plane, to_prev, _, row = cgutils.unpack_tuple(builder, view)
            vector = ir.VectorType(plane.type.pointee, lanes)
            found = none = ir.Constant(vector, [count] * lanes)
            known = [spread_item(builder, label, lanes) for label in (a, b, c, d)]
            known.append(ir.Constant(vector, None))
            least = spread_item(builder, builder.trunc(k, number), lanes)
            first = builder.add(here, to_prev)
            for dy in rows:
                at = builder.add(first, builder.mul(row, ir.Constant(row.type, dy)))
                at = builder.add(at, ir.Constant(row.type, columns[0]))
                labels = load(builder, plane, at, lanes)
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

        return types.int64(view, types.int64, types.int64, a, b, c, d), with_pointer(emit)

    @or_llvm(llvm)
    def plain(view, here, k, a, b, c, d):
        while k < count:
            place = here + view.to_prev + places[k, 0] * view.row + places[k, 1]
            label = view.plane[np.uint64(place)]
            if label != 0 and label != a and label != b and label != c and label != d:
                break
            k += 1
        return np.int64(k)

    return plain


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


@inline
def _edge(plane, at, label):
    """The same as ``moves(plane, at, label, 8, 8)``, from a vector."""
    equal = equal16(plane, at - 8, label)
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

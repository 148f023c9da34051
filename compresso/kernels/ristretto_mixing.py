"""Mixing for efforts 2 and 3: a bit by several counters, whose odds are added up by learnt weights.

Probabilities are mixed as ``ln(p / (1 - p))`` in 1/256, *stretched*. All of it is integers: the two
tables are rounded from values that are nowhere near half a unit (tests/test_ristretto_coder.py).
"""

import math
from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from compresso.kernels import PORTABLE, kernel
from compresso.kernels.ristretto_coder import (
    LEAST,
    ONE,
    code,
    inline,
    observe,
    outline,
)
from compresso.kernels.ristretto_contexts import _context, _fetch, _label

U64 = np.uint64
MOST = 2815  # of stretched odds
#: Of the middle of each of 4096 steps of probability.
STRETCH = np.array([round(256 * math.log((i + 0.5) / (4095.5 - i))) for i in range(4096)], np.int64)
#: Of -MOST - 1..MOST + 1: back to 22 bits.
SQUASH = np.array(
    [
        min(max(round((1 << 22) / (1 + math.exp(-(i - MOST - 1) / 256))), 64), (1 << 22) - 64)
        for i in range(2 * MOST + 3)
    ],
    np.int64,
)
HASH = 0x9E3779B97F4A7C15
RATE = 3  # of weights
STEP = 176  # of stretched odds between two of the 33 counters of a refinement
COLUMNS = 33

#: effort; width: each model has 2**width counters; models, odds: scratch, where the counters of a
#: question are, and their stretched odds; weights: int64, in 1/65536.
Mixer = namedtuple("Mixer", "effort width models odds weights")


def _spread(builder, context, bits, width):
    """A context of so many bits as one of ``width``: itself where it fits, else a hash of it."""
    word = context.type
    rest = builder.sub(ir.Constant(word, 64), width)
    hashed = builder.lshr(builder.mul(context, ir.Constant(word, HASH)), rest)
    fits = builder.icmp_signed("<=", ir.Constant(word, bits), width)
    return builder.select(fits, context, hashed)


def place_models(templates, few):
    """Make ``f(view, here, mixer, first)``: store the counters of templates in ``mixer.models``.

    They go to ``models[1:]``; model i has ``2**width`` counters from ``first + (i << width)`` on.
    At effort 2 only the first ``few`` are placed.
    """

    @intrinsic
    def llvm(typing_context, view, here, mixer, first):
        def codegen(context, builder, signature, arguments):
            view, here, mixer, first = arguments
            effort, width, models, *_ = cgutils.unpack_tuple(builder, mixer)
            label = _fetch(builder, view, here)

            def place(number):
                pairs = templates[number]
                equal = (builder.icmp_unsigned("==", label(a), label(b)) for a, b in pairs)
                at = _spread(builder, _context(builder, equal), len(pairs), width)
                table = builder.shl(ir.Constant(width.type, number), width)
                at = builder.add(builder.add(first, table), at)
                builder.store(at, builder.gep(models, [ir.Constant(width.type, 1 + number)]))

            for number in range(few):
                place(number)
            with builder.if_then(builder.icmp_signed(">", effort, ir.Constant(effort.type, 2))):
                for number in range(few, len(templates)):
                    place(number)
            return context.get_dummy_value()

        return types.void(view, types.int64, mixer, types.int64), codegen

    bits = np.array([len(pairs) for pairs in templates], np.int64)
    table = np.array([pair for pairs in templates for pair in pairs], np.int64)

    @kernel
    def plain(view, here, mixer, first):
        n = 0
        for number in range(bits.size if mixer.effort > 2 else few):
            context = U64(0)
            for i in range(bits[number]):
                equal = _label(view, here, table[n, 0]) == _label(view, here, table[n, 1])
                context |= U64(equal) << U64(i)
                n += 1
            at = spread(context, bits[number], mixer.width)
            mixer.models[U64(1 + number)] = first + (number << mixer.width) + at

    return plain if PORTABLE else llvm


@inline
def spread(context, bits, width):
    """A context of so many bits as one of ``width``: itself where it fits, else a hash of it."""
    if bits <= width:
        return np.int64(context)
    return np.int64((U64(context) * U64(HASH)) >> U64(64 - width))


@outline
def decide_mixed(encoding, bit, count, weights_at, refine, mixer, coder):
    """Code a bit by the counters at ``mixer.models[:count]``, which learn it; (bit, coder).

    The mean of the mix and of what a refinement makes of it, 33 counters from ``refine`` on, is
    used, or the mix alone where ``refine`` is negative.
    """
    counters, models, odds, weights = coder.counters, mixer.models, mixer.odds, mixer.weights
    total = np.int64(0)
    for n in range(count):
        stretched = STRETCH[U64(counters[U64(models[U64(n)])] >> np.uint32(20))]
        odds[U64(n)] = stretched
        total += stretched * weights[U64(weights_at + n)]
    total >>= 16
    total = max(total, np.int64(-MOST)) if total < 0 else min(total, np.int64(MOST))
    total += MOST + 1
    mixed = SQUASH[U64(total)]
    if refine < 0:
        bit, coder = code(encoding, bit, mixed, coder)
    else:
        column = total // STEP
        part = total - column * STEP
        low = np.int64(counters[U64(refine + column)] >> np.uint32(10))
        high = np.int64(counters[U64(refine + column + 1)] >> np.uint32(10))
        refined = (low * (STEP - part) + high * part) // STEP
        chance = min(max((mixed + refined) >> 1, LEAST), ONE - LEAST)
        bit, coder = code(encoding, bit, chance, coder)
        place = U64(refine + column + (2 * part >= STEP))
        counters[place] = observe(bit, counters[place])
    error = ((ONE if bit else np.int64(0)) - mixed) * RATE
    for n in range(count):
        weights[U64(weights_at + n)] += (odds[U64(n)] * error + (1 << 23)) >> 24
        place = U64(models[U64(n)])
        counters[place] = observe(bit, counters[place])
    return bit, coder

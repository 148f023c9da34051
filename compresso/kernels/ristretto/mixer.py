"""Efforts 2 and 3: a bit is predicted by several counters, whose logits are added with weights.

The weights are trained, too. All arithmetic is on integers. The tables of logits are rounded from
values that are not near half a unit (tests/compresso/kernels), so every machine has the same.
"""

from collections import namedtuple

import numpy as np

from compresso.kernels import SPREAD
from compresso.kernels.ristretto import contexts
from compresso.kernels.ristretto.coder import (
    LEAST,
    MOST,
    ONE,
    SQUASH,
    STRETCH,
    U64,
    code,
    inline,
    observe,
    outline,
)
from compresso.kernels.ristretto.contexts import (
    BITS_FAR_3D,
    BITS_LEFT_2D,
    BITS_MOTION_3D,
    BITS_NEAR_3D,
    BITS_SAME_2D,
    edge_far_3d,
    edge_left_2d,
    edge_motion_3d,
    edge_near_3d,
    edge_same_2d,
)
from compresso.kernels.ristretto.start import (
    ABOVE,
    BEFORE,
    COLUMNS,
    EXTRA,
    FEW,
    LEFT,
    MIXED_RUN,
    MODELS,
    MORE,
    REFINEMENTS,
    SAME,
    SETS,
    STEP,
    TABLES,
    slot,
)

RATE = 2  # of the training of weights

#: width: a model has 2**width counters; models, logits: scratch memory for the addresses of the
#: counters of a question and their logits; weights: int64, in 1/65536.
Mixer = namedtuple("Mixer", "width models logits weights")


@inline
def spread(context, bits, width):
    """A context of ``bits`` bits, or a hash of ``width`` bits if it has more."""
    if bits <= width:
        return np.int64(context)
    return np.int64((U64(context) * SPREAD) >> U64(64 - width))


@inline
def _place(context, bits, number, first, mixer):
    """Make a context the one of a question's further models with that number, from 1 on."""
    at = first + ((number - 1) << mixer.width) + spread(context, bits, mixer.width)
    mixer.models[U64(number)] = at


def place_models(templates):
    """Make ``f(view, here, first, mixer)``: make templates a question's further models, from 1 on.

    All are compared before the first address is written: so a label is loaded only once.
    """

    @inline
    def place_rest(view, here, first, mixer):
        pass

    for number in range(len(templates), 0, -1):
        place_rest = _place_before(place_rest, templates[number - 1], number)
    return place_rest


def _place_before(place_rest, pairs, number):
    compare, bits = contexts.compare(pairs), len(pairs)

    def place(view, here, first, mixer):
        context = compare(view, here)
        place_rest(view, here, first, mixer)
        _place(context, bits, number, first, mixer)

    return inline(place)


@inline
def decide_mixed(encoding, bit, count, weights_at, refine, mixer, coder):
    """Code a bit with the counters at ``mixer.models[:count]`` and train them; (bit, coder).

    The probability is the mean of the mix and of its refinement, interpolated between two of the
    COLUMNS counters from ``refine`` on. If ``refine`` is negative, it is the mix alone.
    """
    counters, models, logits, weights = coder.counters, mixer.models, mixer.logits, mixer.weights
    total = np.int64(0)
    for n in range(count):
        stretched = np.int64(STRETCH[U64(counters[U64(models[U64(n)])] >> np.uint32(20))])
        logits[U64(n)] = stretched
        total += stretched * weights[U64(weights_at + n)]
    total >>= 16
    total = max(total, np.int64(-MOST)) if total < 0 else min(total, np.int64(MOST))
    total += MOST + 1
    mixed = np.int64(SQUASH[U64(total)])
    if refine < 0:
        bit, coder = code(encoding, bit, U64(mixed), coder)
    else:
        column = np.int64(U64(total) // U64(STEP))
        part = total - column * STEP
        low = np.int64(counters[U64(refine + column)] >> np.uint32(10))
        high = np.int64(counters[U64(refine + column + 1)] >> np.uint32(10))
        refined = np.int64(U64(low * (STEP - part) + high * part) // U64(STEP))
        chance = min(max((mixed + refined) >> 1, LEAST), ONE - LEAST)
        bit, coder = code(encoding, bit, U64(chance), coder)
        place = U64(refine + column + (2 * part >= STEP))
        counters[place] = observe(bit, counters[place])
    error = ((ONE if bit else np.int64(0)) - mixed) * RATE
    for n in range(count):
        weights[U64(weights_at + n)] += (logits[U64(n)] * error + (1 << 23)) >> 24
        place = U64(models[U64(n)])
        counters[place] = observe(bit, counters[place])
    return bit, coder


def _make_question(effort, question, edge_2d, bits_2d):
    """Make the function that asks SAME, LEFT or ABOVE; without bits, no edge is used."""
    more = [templates[: FEW if effort == 2 else None] for templates in MORE[question]]
    (place_2d, place_3d), (many_2d, many_3d) = map(place_models, more), map(len, more)
    weigh_2d, weigh_3d = map(contexts.compare, contexts.WEIGHTS[question])
    before_2d, before_3d = map(int, BEFORE[effort, question])
    count_2d, count_3d = (1 + int(extra) for extra in EXTRA[effort, question])
    near, far = bits_2d > 0, bits_2d > 0 and effort > 2

    def ask(encoding, is_3d, bit, context, view, here, mixer, coder):
        mixer.models[U64(0)] = slot(question, is_3d, context)
        number = question * 2 + np.int64(is_3d)
        refine = REFINEMENTS + (number * 1024 + (context & 1023)) * COLUMNS
        if is_3d:
            first = TABLES + (before_3d << mixer.width)
            place_3d(view, here, first, mixer)
            weights_at = (number * SETS + weigh_3d(view, here)) * MODELS
            if near:
                _place(edge_near_3d(view, here), BITS_NEAR_3D, 1 + many_3d, first, mixer)
            if far:
                _place(edge_far_3d(view, here), BITS_FAR_3D, 2 + many_3d, first, mixer)
                _place(edge_motion_3d(view, here), BITS_MOTION_3D, 3 + many_3d, first, mixer)
            return decide_mixed(encoding, bit, count_3d, weights_at, refine, mixer, coder)
        first = TABLES + (before_2d << mixer.width)
        place_2d(view, here, first, mixer)
        weights_at = (number * SETS + weigh_2d(view, here)) * MODELS
        if far:
            _place(edge_2d(view, here), bits_2d, 1 + many_2d, first, mixer)
        return decide_mixed(encoding, bit, count_2d, weights_at, refine, mixer, coder)

    return outline(ask)


_run_2d, _more_run_2d = map(contexts.match_run, contexts.MORE_RUN_2D)
_run_3d, _more_run_3d = map(contexts.match_run, contexts.MORE_RUN_3D)


def _make_ask_run(effort):
    """Make the function that asks whether all voxels of a flat stretch have W's label."""
    before_2d, before_3d = map(int, BEFORE[effort, MIXED_RUN])

    def ask_run(encoding, is_3d, bit, place, view, here, flat, power, mixer, coder):
        label, middle, end = view.plane[U64(here - 1)], here + flat // 2, here + flat
        if is_3d:
            one = _run_3d(view, here, middle, end, label)
            two = _more_run_3d(view, here, middle, end, label)
        else:
            one = _run_2d(view, here, middle, end, label)
            two = _more_run_2d(view, here, middle, end, label)
        size = min(power, 7)
        first = TABLES + ((before_3d if is_3d else before_2d) << mixer.width)
        mixer.models[U64(0)] = place
        _place(one << 3 | size, 18, 1, first, mixer)
        _place(two << 3 | size, 18, 2, first, mixer)
        weights_at = ((MIXED_RUN * 2 + np.int64(is_3d)) * SETS + size) * MODELS
        return decide_mixed(encoding, bit, 3, weights_at, -1, mixer, coder)

    return outline(ask_run)


def questions(effort):
    """The functions that ask SAME, LEFT, ABOVE and RUN at effort 2 or 3."""
    return (
        _make_question(effort, SAME, edge_same_2d, BITS_SAME_2D),
        _make_question(effort, LEFT, edge_left_2d, BITS_LEFT_2D),
        _make_question(effort, ABOVE, edge_left_2d, 0),
        _make_ask_run(effort),
    )

"""The questions of :mod:`compresso.kernels.ristretto_questions` by several contexts at once."""

import numpy as np

from compresso.kernels import ristretto_contexts as contexts
from compresso.kernels import ristretto_models as models
from compresso.kernels.ristretto_coder import outline
from compresso.kernels.ristretto_contours import (
    BITS_3D,
    BITS_LEFT_2D,
    BITS_SAME_2D,
    contour_3d,
    contour_left_2d,
    contour_same_2d,
)
from compresso.kernels.ristretto_mixing import COLUMNS, decide_mixed, place_models, spread
from compresso.kernels.ristretto_places import (
    ABOVE,
    BEFORE,
    EXTRA,
    FEW,
    LEFT,
    MIXED,
    MODELS,
    REFINE,
    SAME,
    SETS,
)

U64 = np.uint64
SAME_Q, LEFT_Q, ABOVE_Q, RUN_Q = range(4)

_left_3d, _left_2d = contexts.compare(contexts.LEFT_3D), contexts.compare(contexts.LEFT_2D)
_above_3d, _above_2d = contexts.compare(contexts.ABOVE_3D), contexts.compare(contexts.ABOVE_2D)
_more_same_3d = place_models(models.MORE_SAME_3D, FEW)
_more_same_2d = place_models(models.MORE_SAME_2D, FEW)
_more_left_3d = place_models(models.MORE_LEFT_3D, FEW)
_more_left_2d = place_models(models.MORE_LEFT_2D, FEW)
_more_above_3d = place_models(models.MORE_ABOVE_3D, FEW)
_more_above_2d = place_models(models.MORE_ABOVE_2D, FEW)
_weigh_same_3d, _weigh_same_2d = (
    contexts.compare(models.WEIGH_SAME_3D),
    contexts.compare(models.WEIGH_SAME_2D),
)
_weigh_left_3d, _weigh_left_2d = (
    contexts.compare(models.WEIGH_LEFT_3D),
    contexts.compare(models.WEIGH_LEFT_2D),
)
_weigh_above_3d, _weigh_above_2d = (
    contexts.compare(models.WEIGH_ABOVE_3D),
    contexts.compare(models.WEIGH_ABOVE_2D),
)
_rings_3d = [[contexts.match(ring) for ring in rings] for rings in models.MORE_RUN_3D]
_rings_2d = [[contexts.match(ring) for ring in rings] for rings in models.MORE_RUN_2D]
_start_3d, _middle_3d, _end_3d = _rings_3d[0]
_start_3d_b, _middle_3d_b, _end_3d_b = _rings_3d[1]
_start_2d, _middle_2d, _end_2d = _rings_2d[0]
_start_2d_b, _middle_2d_b, _end_2d_b = _rings_2d[1]


@outline
def mix_same(encoding, deep, bit, context, view, here, mixer, coder):
    """Is it the label of W, which is that of N?"""
    first = _first(SAME_Q, deep, mixer)
    if deep:
        place = SAME + (1 << 18)
        _more_same_3d(view, here, mixer, first)
        chosen = _weigh_same_3d(view, here)
        if mixer.effort > 2:
            _place_contour(contour_3d(view, here), BITS_3D, SAME_Q, deep, mixer)
    else:
        place = SAME
        _more_same_2d(view, here, mixer, first)
        chosen = _weigh_same_2d(view, here)
        if mixer.effort > 2:
            _place_contour(contour_same_2d(view, here), BITS_SAME_2D, SAME_Q, deep, mixer)
    return _mix(encoding, bit, SAME_Q, deep, place, context, chosen, mixer, coder)


@outline
def mix_left(encoding, deep, bit, view, here, mixer, coder):
    """Is it the label of W, which is not that of N?"""
    first = _first(LEFT_Q, deep, mixer)
    if deep:
        context, place = _left_3d(view, here), LEFT + (1 << 18)
        _more_left_3d(view, here, mixer, first)
        chosen = _weigh_left_3d(view, here)
        if mixer.effort > 2:
            _place_contour(contour_3d(view, here), BITS_3D, LEFT_Q, deep, mixer)
    else:
        context, place = _left_2d(view, here), LEFT
        _more_left_2d(view, here, mixer, first)
        chosen = _weigh_left_2d(view, here)
        if mixer.effort > 2:
            _place_contour(contour_left_2d(view, here), BITS_LEFT_2D, LEFT_Q, deep, mixer)
    return _mix(encoding, bit, LEFT_Q, deep, place, context, chosen, mixer, coder)


@outline
def mix_above(encoding, deep, bit, view, here, mixer, coder):
    """Is it the label of N?"""
    first = _first(ABOVE_Q, deep, mixer)
    if deep:
        context, place = _above_3d(view, here), ABOVE + (1 << 15)
        _more_above_3d(view, here, mixer, first)
        chosen = _weigh_above_3d(view, here)
    else:
        context, place = _above_2d(view, here), ABOVE
        _more_above_2d(view, here, mixer, first)
        chosen = _weigh_above_2d(view, here)
    return _mix(encoding, bit, ABOVE_Q, deep, place, context, chosen, mixer, coder)


@outline
def mix_run(encoding, deep, bit, view, here, flat, power, place, mixer, coder):
    """Does W's label fill the flat stretch?"""
    label, middle, end = view.plane[U64(here - 1)], here + flat // 2, here + flat
    if deep:
        one = _start_3d(view, here, label) | _middle_3d(view, middle, label) << 2
        one |= _end_3d(view, end, label) << 7
        two = _start_3d_b(view, here, label) | _middle_3d_b(view, middle, label) << 3
        two |= _end_3d_b(view, end, label) << 6
    else:
        one = _start_2d(view, here, label) | _middle_2d(view, middle, label) << 6
        one |= _end_2d(view, end, label) << 8
        two = _start_2d_b(view, here, label) | _middle_2d_b(view, middle, label) << 2
        two |= _end_2d_b(view, end, label) << 4
    size = min(power, 7)
    first = _first(RUN_Q, deep, mixer)
    mixer.models[U64(0)] = place
    mixer.models[U64(1)] = first + spread(one << 3 | size, 18, mixer.width)
    second = first + (np.int64(1) << mixer.width)
    mixer.models[U64(2)] = second + spread(two << 3 | size, 18, mixer.width)
    weights_at = ((RUN_Q * 2 + np.int64(deep)) * SETS + size) * MODELS
    return decide_mixed(encoding, bit, 3, weights_at, -1, mixer, coder)


@outline
def _first(question, deep, mixer):
    """Where the counters of a question's further models begin."""
    return MIXED + (BEFORE[mixer.effort, question, np.int64(deep)] << mixer.width)


@outline
def _place_contour(context, bits, question, deep, mixer):
    """Make a contour the last of a question's models."""
    last = EXTRA[3, question, np.int64(deep)]
    first = _first(question, deep, mixer) + ((last - 1) << mixer.width)
    mixer.models[U64(last)] = first + spread(context, bits, mixer.width)


@outline
def _mix(encoding, bit, question, deep, place, context, chosen, mixer, coder):
    """Code a bit by the context of effort 1 and by those in ``mixer.models[1:]``."""
    mixer.models[U64(0)] = place + context
    number = question * 2 + np.int64(deep)
    weights_at = (number * SETS + chosen) * MODELS
    refine = REFINE + (number * 1024 + (context & 1023)) * COLUMNS
    count = 1 + EXTRA[mixer.effort, question, np.int64(deep)]
    return decide_mixed(encoding, bit, count, weights_at, refine, mixer, coder)

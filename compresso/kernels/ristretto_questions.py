"""The questions of ``ristretto`` about a voxel or a run, and the counters that tell their odds."""

import numpy as np

from compresso.kernels import ristretto_contexts as contexts
from compresso.kernels.ristretto_coder import (
    decide,
    decide_fine,
    decide_number,
    decide_rarely,
    inline,
    outline,
    prefetch,
)
from compresso.kernels.ristretto_contexts import LANES
from compresso.kernels.ristretto_contours import moves
from compresso.kernels.ristretto_mixed import mix_above, mix_left, mix_run, mix_same
from compresso.kernels.ristretto_places import (
    ABOVE,
    BREAK,
    COARSE,
    COARSE_BITS,
    CORNER,
    LEFT,
    NOTHING,
    RUN_2D,
    RUN_3D,
    SAME,
    STEPS_BACK,
)
from compresso.kernels.words import trailing_zeros

U64 = np.uint64

_same_row_3d = contexts.compare_row(contexts.SAME_3D)
_same_row_2d = contexts.compare_row(contexts.SAME_2D)
_left_3d, _left_2d = contexts.compare(contexts.LEFT_3D), contexts.compare(contexts.LEFT_2D)
_above_3d, _above_2d = contexts.compare(contexts.ABOVE_3D), contexts.compare(contexts.ABOVE_2D)
_nothing_3d = contexts.compare(contexts.NOTHING_3D)
_nothing_2d = contexts.compare(contexts.NOTHING_2D)
_corner_3d, _corner_2d = contexts.compare(contexts.CORNER_3D), contexts.compare(contexts.CORNER_2D)
_run_start = contexts.match(contexts.RUN_START)
_run_middle = contexts.match(contexts.RUN_MIDDLE)
_run_end = contexts.match(contexts.RUN_END)


@inline
def _coarse(question, deep, context):
    """The counter of the first bits of a context."""
    first = context & ((1 << COARSE_BITS) - 1)
    return COARSE + ((question * 2 + np.int64(deep)) << COARSE_BITS) + first


@inline
def same_left(encoding, deep, bit, known, view, here, mixer, coder):
    """Is it the label of W, which is that of N? ``known`` is what :func:`look_ahead` found."""
    context = np.int64(known)
    if mixer.effort > 1:
        return mix_same(encoding, deep, bit, context, view, here, mixer, coder)
    place = SAME + (np.int64(deep) << 18) + context
    return decide_fine(encoding, bit, place, _coarse(0, deep, context), coder)


@outline
def look_ahead(deep, view, at, nx, stops, known, counters):
    """Find the contexts of :func:`same_left` of a row's voxels that are not flat.

    Nothing of the row itself is in them, so that they are found many at once, and the memory is
    asked for their counters before they are wanted.
    """
    for x in range(0, nx, LANES):
        bits = stops[U64(x) >> U64(6)] >> (U64(x) & U64(63)) & U64((1 << LANES) - 1)
        if bits == U64(0):
            continue
        if deep:
            _same_row_3d(view, at + x, known, x)
        else:
            _same_row_2d(view, at + x, known, x)
        place = U64(SAME + (np.int64(deep) << 18))
        while bits != U64(0):
            n = U64(x) + trailing_zeros(bits)
            prefetch(counters, place + U64(known[n]))
            bits &= bits - U64(1)


@inline
def either_left(encoding, deep, bit, view, here, mixer, coder):
    """Is it the label of W, which is not that of N?"""
    if mixer.effort > 1:
        return mix_left(encoding, deep, bit, view, here, mixer, coder)
    if deep:
        context, place = _left_3d(view, here), LEFT + (1 << 18)
    else:
        context, place = _left_2d(view, here), LEFT
    return decide_fine(encoding, bit, place + context, _coarse(1, deep, context), coder)


@outline
def same_above(encoding, deep, bit, view, here, mixer, coder):
    """Is it the label of N?"""
    if mixer.effort > 1:
        return mix_above(encoding, deep, bit, view, here, mixer, coder)
    if deep:
        context, place = _above_3d(view, here), ABOVE + (1 << 15)
    else:
        context, place = _above_2d(view, here), ABOVE
    return decide_fine(encoding, bit, place + context, _coarse(2, deep, context), coder)


@outline
def is_nothing(encoding, deep, bit, view, here, coder):
    """Is it 0?"""
    context = (1 << 14) + _nothing_3d(view, here) if deep else _nothing_2d(view, here)
    return decide(encoding, bit, NOTHING + context, coder)


@outline
def same_corner(encoding, deep, bit, view, here, coder):
    """Is it the label of NE?"""
    context = (1 << 11) + _corner_3d(view, here) if deep else _corner_2d(view, here)
    return decide(encoding, bit, CORNER + context, coder)


@inline
def floor_log2(number):
    """Of a number of at least 1."""
    power = np.int64(0)
    while number >> (power + 1) > 0:
        power += 1
    return power


@inline
def code_run(encoding, deep, view, here, flat, to_the_end, length, mixer, coder):
    """Code how many of the ``flat`` voxels from ``here`` on have the label of W."""
    label = view.plane[U64(here - 1)]
    power = floor_log2(flat)
    steps = (np.int64(0), np.int64(0), np.int64(0))
    if deep:
        context = _run_start(view, here, label) | _run_middle(view, here + flat // 2, label) << 4
        place = RUN_3D + (power << 9) + (context | _run_end(view, here + flat, label) << 5)
    else:
        steps = _contour(view, here + flat - 2 * view.row, to_the_end, label)
        place = min(power, 7) * 512 + steps[0] * 32 + steps[1] * 4 + steps[2]
        place = place * 4 + 2 * (view.plane[U64(here - view.row - 2)] == label)
        place += view.plane[U64(here - 2 * view.row + flat // 2)] == label
        place += RUN_2D
    whole = length == flat
    if mixer.effort > 1:
        whole, coder = mix_run(encoding, deep, whole, view, here, flat, power, place, mixer, coder)
    else:
        whole, coder = decide(encoding, whole, place, coder)
    if whole:
        return flat, coder
    if deep:
        return decide_number(encoding, length, power + 1, BREAK + (power << 10), coder)
    back, coder = _code_steps_back(encoding, flat, flat - 1 - length, steps, coder)
    return flat - 1 - back, coder


@outline
def _contour(view, end, to_the_end, label):
    """How the end of the label's run moves from row to row, for the three rows above N's.

    ``end`` is the voxel two rows above the end of the stretch.
    """
    plane, row = view.plane, view.row
    if to_the_end:
        second = np.int64(plane[U64(end - 1)] == label) + 2 * (plane[U64(end - row - 1)] == label)
        return np.int64(15), second, np.int64(0)
    first = moves(plane, end + 1, label, 3, 12)
    second = moves(plane, end + 1 + first - row, label, 2, 5)
    third = moves(plane, end + 1 + first + second - 2 * row, label, 2, 1)
    return first + 3, second + 2, third + 2


@outline
def _code_steps_back(encoding, flat, back, steps, coder):
    """Code a number below ``flat``: up to 12 questions, then what is left."""
    done = np.int64(0)
    while done < 12 and done < flat - 1:
        place = STEPS_BACK + ((steps[0] * 12 + done) * 8 + steps[1]) * 4 + steps[2]
        ends, coder = decide_rarely(encoding, back == done, place, coder)
        if ends:
            return done, coder
        done += 1
    if done == 12 and flat > 13:
        bits = floor_log2(flat - 13) + 1
        rest, coder = decide_number(encoding, back - 12, bits, BREAK + ((13 + bits) << 10), coder)
        done += rest
    return done, coder

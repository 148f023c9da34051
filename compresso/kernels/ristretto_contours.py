"""Contexts of effort 3 that follow the edge of W's label from row to row and slice to slice."""

import numpy as np

from compresso.kernels.ristretto_coder import inline, outline

U64 = np.uint64
BITS_3D, BITS_SAME_2D, BITS_LEFT_2D = 18, 18, 16


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
def _clip(number, least, most):
    return min(max(number, least), most)


@inline
def _octal(number):
    """-4..3 as 0..7."""
    return _clip(number, -4, 3) + 4


@outline
def contour_3d(view, here):
    """How the edge moves: in the rows above, in the slices before, and over three rows below."""
    plane, row = view.plane, view.row
    label, above = plane[U64(here - 1)], plane[U64(here - row)]
    before, before2 = here + view.to_prev, here + view.to_prev2
    one = moves(plane, here - row, label, 8, 8)
    two = moves(plane, here - 2 * row + _clip(one, -4, 4), label, 8, 8)
    three = moves(plane, here - 3 * row + _clip(one + two, -6, 6), label, 8, 8)
    now = moves(plane, before, label, 8, 8)
    context = _octal(now + one - moves(plane, before - row, label, 8, 8))
    context |= _octal(2 * now - moves(plane, before2, label, 8, 8)) << 3
    context |= _octal(three) << 6
    context |= _octal(moves(plane, before + 3 * row, label, 8, 8)) << 9
    context |= _octal(two) << 12
    return context | (moves(plane, here - row, above, 8, 8) - 1) << 15


@outline
def contour_same_2d(view, here):
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
def contour_left_2d(view, here):
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

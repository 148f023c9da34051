"""The walk of ``ristretto`` over slices: every voxel is a few yes-no questions, or part of a run.

One text encodes and decodes: the encoder finds a slice's labels in its plane, the decoder writes
them there as they come, and the contexts look only at what both have.

Labels are numbers from 1 on in the order in which a slab meets them; 0 is the label 0. A slice is
*deep* where its contexts look at the two before it, else it is coded as a picture of its own.
"""

from collections import namedtuple

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.ristretto_coder import (
    decide_rarely,
    inline,
    load,
    outline,
    pointer,
    save,
)
from compresso.kernels.ristretto_contexts import BOTTOM, SIDE, TOP, View
from compresso.kernels.ristretto_mixing import Mixer
from compresso.kernels.ristretto_new import Met, among_candidates, code_number
from compresso.kernels.ristretto_places import BY_COLUMNS, DEEP
from compresso.kernels.ristretto_questions import (
    code_run,
    either_left,
    is_nothing,
    look_ahead,
    same_above,
    same_corner,
    same_left,
)
from compresso.kernels.ristretto_seen import forget
from compresso.kernels.words import ALL, differ64, trailing_zeros

U64 = np.uint64

#: What :func:`code_slices` is given besides planes: counters, uint32[COUNTERS]; the stream's bytes;
#: state of the coder, uint64[3]; met, int64[3]: labels known, the most there may be, whether the
#: slice before was deep; seen, uint64[SEEN]; stops and turns,
#: uint64[nx // 64 + 1]; known, uint32[nx + LANES]; asked, uint32[ASKED]; and what a
#: Mixer has.
Work = namedtuple(
    "Work",
    "counters data state met seen stops turns known asked effort width models odds weights",
)


@kernel
def plane_size(ny, nx):
    """Voxels of a slice with its margins."""
    return np.int64(ny + TOP + BOTTOM) * (nx + 2 * SIDE)


@kernel
def _fill_top(planes, here, to_prev, row):
    """Above a deep slice is the first row of the one before, above a picture 0."""
    for y in range(TOP):
        for x in range(row):
            at = here + y * row + x
            planes[at] = planes[here + to_prev + TOP * row + x] if to_prev else np.uint32(0)


@kernel
def _fill_bottom(planes, after, row):
    """Below a slice is its last row."""
    for y in range(BOTTOM):
        for x in range(row):
            planes[after + y * row + x] = planes[after - row + x]


@kernel
def _find_stops_3d(planes, at, to_prev, row, nx, stops):
    """Bit x is 0 where a voxel is flat: NW, N, NE and the nine about P have one label."""
    for n in range(stops.size):
        above = at + 64 * n - row
        below = above + row + to_prev
        stop = differ64(planes, above, above - 1) | differ64(planes, above, above + 1)
        stop |= differ64(planes, above, below)
        for y in range(-1, 2):
            for x in range(-1, 2):
                if x != 0 or y != 0:
                    stop |= differ64(planes, below, below + y * row + x)
        stops[n] = stop
    _close(stops, nx)


@kernel
def _find_stops_2d(planes, at, row, nx, stops):
    """Bit x is 0 where a voxel is flat: NW, N and NE have one label."""
    for n in range(stops.size):
        above = at + 64 * n - row
        stops[n] = differ64(planes, above, above - 1) | differ64(planes, above, above + 1)
    _close(stops, nx)


@kernel
def _find_turns(planes, at, nx, turns):
    """Bit x is 1 where a voxel differs from the one before it."""
    for n in range(turns.size):
        turns[n] = differ64(planes, at + 64 * n, at + 64 * n - 1)
    _close(turns, nx)


@kernel
def _close(words, nx):
    """Set the bits past the row's end."""
    words[words.size - 1] |= ALL << U64(nx % 64)


@inline
def _next(words, x):
    """The first bit set from x on."""
    n = U64(x) >> U64(6)
    word = words[n] & (ALL << (U64(x) & U64(63)))
    while word == U64(0):
        n += U64(1)
        word = words[n]
    return np.int64((n << U64(6)) + trailing_zeros(word))


def _row_coder(encoding):
    """The walk of one direction along a row."""

    def code_row(deep, view, at, nx, y, ny, work, met, coder):
        plane, row, nothing = view.plane, view.row, np.uint32(0)
        stops, turns, asked = pointer(work.stops), pointer(work.turns), pointer(work.asked)
        known = pointer(work.known)
        look_ahead(deep, view, at, nx, stops, known, coder.counters)
        mixer = Mixer(
            work.effort, work.width, pointer(work.models), pointer(work.odds), pointer(work.weights)
        )
        x = np.int64(0)
        while x < nx:
            here = at + x
            label = plane[U64(here)]
            left, above = plane[U64(here - 1)], plane[U64(here - row)]
            if left == above:
                flat = _next(stops, x) - x
                if flat > 0:
                    length = min(_next(turns, x) - x, flat) if encoding else np.int64(0)
                    ends = x + flat == nx
                    length, coder = code_run(
                        encoding, deep, view, here, flat, ends, length, mixer, coder
                    )
                    if not 0 <= length <= flat:
                        return met, coder, False
                    if not encoding:
                        for n in range(length):
                            plane[U64(here + n)] = left
                    x += length
                    if length == flat:
                        continue
                    here += length
                    label = plane[U64(here)]
                    above = plane[U64(here - row)]
                else:
                    context = known[U64(x)]
                    same, coder = same_left(
                        encoding, deep, label == left, context, view, here, mixer, coder
                    )
                    if same:
                        plane[U64(here)] = left
                        x += 1
                        continue
            else:
                same, coder = either_left(encoding, deep, label == left, view, here, mixer, coder)
                if same:
                    plane[U64(here)] = left
                    x += 1
                    continue
                same, coder = same_above(encoding, deep, label == above, view, here, mixer, coder)
                if same:
                    plane[U64(here)] = above
                    x += 1
                    continue
            x += 1
            if left != nothing and above != nothing:
                same, coder = is_nothing(encoding, deep, label == nothing, view, here, coder)
                if same:
                    plane[U64(here)] = nothing
                    continue
            corner = plane[U64(here - row + 1)]
            if corner != left and corner != above and corner != nothing:
                same, coder = same_corner(encoding, deep, label == corner, view, here, coder)
                if same:
                    plane[U64(here)] = corner
                    continue
            found, label, coder = among_candidates(
                encoding, deep, label, view, here, y, ny, asked, coder
            )
            if not found:
                label, met, coder = code_number(encoding, deep, label, met, coder)
                if label == nothing:
                    return met, coder, False
            plane[U64(here)] = label
        return met, coder, True

    return outline(code_row)


_encode_row, _decode_row = _row_coder(True), _row_coder(False)


def _slice_coder(encoding):
    """The kernel of one direction."""

    def code_slices(planes, slots, ny, nx, first, deep, columns, work):
        coder = load(encoding, work.state, work.data, work.counters)
        row = np.int64(nx + 2 * SIDE)
        size = plane_size(ny, nx)
        was_deep = work.met[2]
        met = Met(work.met[0], work.met[1], 0, pointer(work.seen))
        damaged = False
        for n in range(deep.size):
            z = np.int64(first + n)
            here = z % slots * size
            to_prev = (z + slots - 1) % slots * size - here
            to_prev2 = (z + slots - 2) % slots * size - here
            view = View(pointer(planes), to_prev, to_prev2, row)
            is_deep, coder = decide_rarely(encoding, deep[n] == 1, DEEP + was_deep, coder)
            by_columns, coder = decide_rarely(
                encoding, columns[n] == 1, BY_COLUMNS + is_deep, coder
            )
            was_deep, deep[n], columns[n] = np.int64(is_deep), is_deep, by_columns
            _fill_top(planes, here, to_prev if is_deep else 0, row)
            met = Met(met.known, met.most, 0, met.seen)
            if not is_deep:
                forget(met.seen, met.most + 1)
            for y in range(ny):
                at = here + (TOP + y) * row + SIDE
                for x in range(1, SIDE + 1):
                    planes[at - x] = planes[at - row]
                if is_deep:
                    _find_stops_3d(planes, at, to_prev, row, nx, work.stops)
                else:
                    _find_stops_2d(planes, at, row, nx, work.stops)
                if encoding:
                    _find_turns(planes, at, nx, work.turns)
                    met, coder, fine = _encode_row(is_deep, view, at, nx, y, ny, work, met, coder)
                else:
                    met, coder, fine = _decode_row(is_deep, view, at, nx, y, ny, work, met, coder)
                if not fine:
                    damaged = True
                    break
                for x in range(SIDE):
                    planes[at - 1 - x] = planes[at]
                    planes[at + nx + x] = planes[at + nx - 1]
            if damaged:
                break
            _fill_bottom(planes, here + (TOP + ny) * row, row)
        work.met[0], work.met[2] = met.known, was_deep
        save(coder, work.state)
        return -1 if damaged else 0

    return kernel(code_slices)


#: ``encode_slices(planes, slots, ny, nx, first, deep, columns, work)``: encode slices ``first``..
#: of a slab, one for each of ``deep``.
#:
#: planes : (slots * plane_size(ny, nx),) uint32
#:     Slice z of the slab is in plane ``z % slots``, its voxel (y, x) at
#:     ``(TOP + y) * (nx + 2 * SIDE) + SIDE + x``; the planes of slices -1 and -2 are 0.
#: ny, nx : int
#:     At least 1.
#: deep, columns : (count,) uint8
#:     Whether slices are deep, and whether their labels were numbered by columns.
#: work : Work
encode_slices = _slice_coder(True)
#: Undoes it: writes to the planes, to ``deep`` and to ``columns``. Returns 0, or -1 where the
#: stream is damaged.
decode_slices = _slice_coder(False)

"""The path of ``ristretto`` over slices: every voxel is a few yes-no questions, or part of a run.

The same functions encode and decode. The encoder finds the labels of a slice in its plane, the
decoder writes them there one by one, and the contexts only look at labels that both have.

Labels are numbers, see :mod:`compresso.kernels.ristretto.labels`. A slice that resembles the one
before is coded in 3-D: its contexts look at the two slices before. The others are coded in 2-D.
"""

from collections import namedtuple

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.ristretto import contexts, mixer
from compresso.kernels.ristretto.coder import (
    decide,
    decide_fine,
    decide_number,
    decide_rarely,
    inline,
    load,
    outline,
    pointer,
    prefetch,
    save,
)
from compresso.kernels.ristretto.contexts import (
    BOTTOM,
    LANES,
    SIDE,
    TOP,
    View,
    moves,
)
from compresso.kernels.ristretto.labels import (
    Numbers,
    among_candidates,
    bit_length,
    code_number,
    forget,
)
from compresso.kernels.ristretto.mixer import Mixer
from compresso.kernels.ristretto.start import (
    ABOVE,
    BACKGROUND,
    BREAK,
    BY_COLUMNS,
    CORNER,
    IS_3D,
    LEFT,
    RUN,
    RUN_BITS,
    SAME,
    STEPS_BACK,
    coarse_slot,
    slot,
)
from compresso.kernels.words import ALL, differ64, prefetch64, splat32, trailing_zeros

U64 = np.uint64
NO_LABEL = np.uint32(0)

#: Memory of a piece, apart from its planes: counters, uint32, see :mod:`.start`; data, uint8, the
#: stream; state, uint64[3], of the coder; numbers, int64[3]: 1 + the labels so far, the most there
#: may be, and whether the last slice was 3-D; used, uint64[USED], see :mod:`.labels`; then the
#: arrays of Row and Mixer.
Work = namedtuple(
    "Work",
    "counters data state numbers used turns above stops ends same edge group asked"
    " width models logits weights",
)
#: Pointers to the memory of a row.
#:
#: turns, above, stops, ends : uint64[nx // 64 + 2], a bit for each voxel
#:     turns: it differs from the one before; above: the same of the row above; stops: it is not
#:     flat; ends: it is flat or N is not NW.
#: same : uint32[nx + LANES], the contexts of SAME
#: edge, group : uint32[edge_size(nx)] and uint32[nx], see :func:`_find_contexts`
#: asked : uint32[MAX_CANDIDATES], the labels that were asked for
Row = namedtuple("Row", "turns above stops ends same edge group asked")

_same_row_2d, _same_row_3d = (
    contexts.compare_row(contexts.with_n_for_w(pairs)) for pairs in contexts.SAME
)
_edge_row_2d, _edge_row_3d = map(
    contexts.compare_row, contexts.LEFT, contexts.ABOVE, contexts.BACKGROUND
)
_run_context = contexts.match_run(contexts.RUN_3D)
#: A group of contexts: LEFT, ABOVE and BACKGROUND of LANES voxels.
GROUP = 3 * LANES


def edge_size(nx: int) -> int:
    """Items of ``Work.edge``: a group for contexts that were not found ahead, then the others."""
    return GROUP * (1 + nx)


@outline
def _fill_margin(planes, rows, first, source, row):
    """Copy the row at ``source`` to ``rows`` rows from ``first`` on, or 0 if it is negative."""
    for y in range(rows):
        for x in range(row):
            label = planes[U64(source + x)] if source >= 0 else NO_LABEL
            planes[U64(first + y * row + x)] = label


@outline
def _find_turns(planes, at, nx, turns):
    """Find voxels that differ from the one before; bits after the row's end are 1."""
    for n in range(U64(nx // 64 + 1)):
        turns[n] = differ64(planes, at + 64 * np.int64(n), at + 64 * np.int64(n) - 1)
    _close(turns, nx)


@inline
def _close(words, nx):
    """Set the bits after the row's end."""
    words[U64(nx >> 6)] |= ALL << U64(nx & 63)
    words[U64(nx // 64 + 1)] = ALL


@outline
def _find_stops(is_3d, planes, at, view, nx, line):
    """Find voxels that are not flat, and where questions about them end.

    A voxel is flat if N = NE and, in 3-D slices, p0,0 and p2,1 are the same as N. ``line.turns`` is
    of the row above.
    """
    words = U64(nx // 64 + 1)
    for n in range(words):
        line.above[n] = line.turns[n]
    line.above[U64(0)] &= ~U64(1)  # left of a row is its first voxel, and right of it its last one
    line.above[U64(nx >> 6)] &= ~(ALL << U64(nx & 63))
    line.above[words] = U64(0)
    for n in range(words):
        turn = line.above[n]
        stop = turn >> U64(1) | line.above[n + U64(1)] << U64(63)
        if is_3d:
            here = at + 64 * np.int64(n)
            before = here + view.to_prev
            stop |= differ64(planes, here - view.row, before)
            stop |= differ64(planes, here - view.row, before + 2 * view.row + 1)
            prefetch64(planes, before + 7 * view.row)
            prefetch64(planes, here + view.to_prev2 + 3 * view.row)
        line.stops[n] = stop
        line.ends[n] = ~stop | turn
    _close(line.stops, nx)
    _close(line.ends, nx)


@inline
def _next_set(words, x):
    """The first bit set from x on."""
    n = U64(x) >> U64(6)
    word = words[n] & (ALL << (U64(x) & U64(63)))
    while word == U64(0):
        n += U64(1)
        word = words[n]
    return np.int64((n << U64(6)) + trailing_zeros(word))


@outline
def _find_edge(is_3d, view, here, label, edge, group):
    """Find the contexts of LEFT, ABOVE and BACKGROUND of LANES voxels, where W has that label."""
    if is_3d:
        _edge_row_3d(view, here, label, edge, group)
    else:
        _edge_row_2d(view, here, label, edge, group)


@outline
def _find_contexts(is_3d, view, at, nx, counters, line):
    """Find the contexts of a row ahead, LANES voxels at once, and prefetch their counters.

    Those of SAME do not depend on the row: W and N are the same. They are found for all voxels that
    are not flat. Those of LEFT, ABOVE and BACKGROUND depend on W only. They are found for groups of
    voxels from each x on where N differs from NW, assuming that W is the same as NW.
    """
    same, edge, first = line.same, line.edge, slot(SAME, is_3d, 0)
    x = _next_set(line.stops, 0)
    while x < nx:
        if is_3d:
            _same_row_3d(view, at + x, NO_LABEL, same, x)
        else:
            _same_row_2d(view, at + x, NO_LABEL, same, x)
        for lane in range(0, LANES, 2):
            prefetch(counters, U64(first + same[U64(x + lane)]))
        x = _next_set(line.stops, x + LANES)
    first, second = slot(LEFT, is_3d, 0), slot(ABOVE, is_3d, 0)
    group = np.int64(GROUP)
    for n in range(U64(nx + 63) >> U64(6)):
        bits = line.above[n]
        while bits != U64(0):
            x = np.int64((n << U64(6)) + trailing_zeros(bits))
            bits &= bits - U64(1)
            label = view.plane[U64(at + x - view.row - 1)]
            _find_edge(is_3d, view, at + x, label, edge, group)
            prefetch(counters, U64(first + edge[U64(group)]))
            prefetch(counters, U64(first + edge[U64(group + 1)]))
            prefetch(counters, U64(second + edge[U64(group + LANES)]))
            line.group[U64(x)] = np.uint32(group)
            group += GROUP


def _ask_plain(question):
    """Make the function that asks SAME, LEFT or ABOVE at effort 1."""

    def ask(encoding, is_3d, bit, context, view, here, mixer, coder):
        place, coarse = slot(question, is_3d, context), coarse_slot(question, is_3d, context)
        return decide_fine(encoding, bit, place, coarse, coder)

    return inline(ask)


@inline
def _ask_run_plain(encoding, is_3d, bit, place, view, here, flat, power, mixer, coder):
    """Ask at effort 1 whether a run fills its flat stretch."""
    return decide(encoding, bit, place, coder)


#: By effort, the functions that ask SAME, LEFT, ABOVE and RUN.
QUESTIONS = {
    1: (_ask_plain(SAME), _ask_plain(LEFT), _ask_plain(ABOVE), _ask_run_plain),
    2: mixer.questions(2),
    3: mixer.questions(3),
}


def _run_coder(ask_run):
    """Make the function that codes a run."""

    def code_run(encoding, is_3d, view, here, flat, to_the_end, length, mixer, coder):
        """Code how many of the ``flat`` voxels from ``here`` on have W's label; (length, coder)."""
        plane, row = view.plane, view.row
        label, power = plane[U64(here - 1)], bit_length(flat) - 1
        steps = (np.int64(0), np.int64(0), np.int64(0))
        if is_3d:
            context = _run_context(view, here, here + flat // 2, here + flat, label)
            context |= power << RUN_BITS
        else:
            steps = _edge_steps(view, here + flat - 2 * row, to_the_end, label)
            context = (power if power < 7 else 7) * 512 + steps[0] * 32 + steps[1] * 4 + steps[2]
            context = context * 4 + 2 * (plane[U64(here - row - 2)] == label)
            context += plane[U64(here - 2 * row + flat // 2)] == label
        whole, place = length == flat, slot(RUN, is_3d, context)
        whole, coder = ask_run(encoding, is_3d, whole, place, view, here, flat, power, mixer, coder)
        if whole:
            return flat, coder
        if is_3d:
            place = slot(BREAK, True, power << 10)
            return decide_number(encoding, length, power + 1, place, coder)
        back, coder = _code_steps_back(encoding, flat, flat - 1 - length, steps, coder)
        return flat - 1 - back, coder

    return inline(code_run)


@outline
def _edge_steps(view, end, to_the_end, label):
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
    """Code a number below ``flat``: up to 12 questions, then the rest as a number."""
    done = np.int64(0)
    while done < 12 and done < flat - 1:
        context = ((steps[0] * 12 + done) * 8 + steps[1]) * 4 + steps[2]
        ends, coder = decide_rarely(encoding, back == done, slot(STEPS_BACK, False, context), coder)
        if ends:
            return done, coder
        done += 1
    if done == 12 and flat > 13:
        bits = bit_length(flat - 13)
        place = slot(BREAK, False, bits << 10)
        rest, coder = decide_number(encoding, back - 12, bits, place, coder)
        done += rest
    return done, coder


def _ask_alone(question, templates):
    """Make the function that asks BACKGROUND or CORNER."""
    context_2d, context_3d = map(contexts.compare, templates)

    def ask(encoding, is_3d, bit, view, here, coder):
        context = context_3d(view, here) if is_3d else context_2d(view, here)
        return decide(encoding, bit, slot(question, is_3d, context), coder)

    return outline(ask)


_is_background = _ask_alone(BACKGROUND, contexts.BACKGROUND)
_is_corner = _ask_alone(CORNER, contexts.CORNER)


@inline
def _fill(plane, start, end, label):
    """Write a label to a run, and up to 31 voxels further."""
    at = U64(start)
    while at < U64(end):
        splat32(plane, at, label)
        at += U64(32)


def _row_coder(encoding, ask_same, ask_left, ask_above, ask_run):
    """Make the path along a row, for one direction and effort 1 or the others."""
    code_run = _run_coder(ask_run)

    def code_row(is_3d, view, at, nx, line, mixer, numbers, coder):
        """Code a row; (numbers, coder, False if the stream is damaged)."""
        plane, row = view.plane, view.row
        turns, stops, ends, edge = line.turns, line.stops, line.ends, line.edge
        _find_contexts(is_3d, view, at, nx, coder.counters, line)
        x = np.int64(0)
        while x < nx:
            here = at + x
            left, above = plane[U64(here - 1)], plane[U64(here - row)]
            is_left = True
            if left == above:
                turn = _next_set(turns, x) if encoding else np.int64(0)
                flat = _next_set(stops, x) - x
                if flat > 0:
                    length = turn - x if turn - x < flat else flat
                    length, coder = code_run(
                        encoding, is_3d, view, here, flat, x + flat == nx, length, mixer, coder
                    )
                    if not 0 <= length <= flat:
                        return numbers, coder, False
                    if not encoding:
                        _fill(plane, here, here + length, left)
                    x += length
                    is_left = length == flat
                # Up to the next flat voxel or turn of the row above, N still has W's label.
                end = _next_set(ends, x + 1)
                end = end if end < nx else nx
                while is_left and x < end:
                    context = np.int64(line.same[U64(x)])
                    is_left, coder = ask_same(
                        encoding, is_3d, x != turn, context, view, at + x, mixer, coder
                    )
                    if is_left:
                        if not encoding:
                            plane[U64(at + x)] = left
                        x += 1
                if is_left:
                    continue
                here = at + x
                label = plane[U64(here)]
                x += 1
                if left != NO_LABEL:
                    found = label == NO_LABEL
                    found, coder = _is_background(encoding, is_3d, found, view, here, coder)
                    if found:
                        plane[U64(here)] = NO_LABEL
                        continue
            else:
                # n: the voxel's contexts in ``edge``; end: where those that were found end.
                n = end = np.int64(0)
                if plane[U64(here - row - 1)] == left:
                    n = np.int64(line.group[U64(x)])
                    end = n + LANES
                while is_left and x < nx and above != left:
                    if n == end:
                        n, end = np.int64(0), np.int64(LANES)
                        _find_edge(is_3d, view, here, left, edge, 0)
                    is_left, context = plane[U64(here)] == left, np.int64(edge[U64(n)])
                    is_left, coder = ask_left(
                        encoding, is_3d, is_left, context, view, here, mixer, coder
                    )
                    if is_left:
                        if not encoding:
                            plane[U64(here)] = left
                        x += 1
                        n += 1
                        here += 1
                        above = plane[U64(here - row)]
                if is_left:
                    continue
                label = plane[U64(here)]
                x += 1
                context = np.int64(edge[U64(n + LANES)])
                found, coder = ask_above(
                    encoding, is_3d, label == above, context, view, here, mixer, coder
                )
                if found:
                    plane[U64(here)] = above
                    continue
                if left != NO_LABEL and above != NO_LABEL:
                    place = slot(BACKGROUND, is_3d, np.int64(edge[U64(n + 2 * LANES)]))
                    found, coder = decide(encoding, label == NO_LABEL, place, coder)
                    if found:
                        plane[U64(here)] = NO_LABEL
                        continue
            corner = plane[U64(here - row + 1)]
            if corner != left and corner != above and corner != NO_LABEL:
                found, coder = _is_corner(encoding, is_3d, label == corner, view, here, coder)
                if found:
                    plane[U64(here)] = corner
                    continue
            found, label, coder = among_candidates(
                encoding, is_3d, label, view, here, line.asked, coder
            )
            if not found:
                label, numbers, coder = code_number(encoding, is_3d, label, numbers, coder)
                if label == NO_LABEL:
                    return numbers, coder, False
            plane[U64(here)] = label
        return numbers, coder, True

    return outline(code_row)


def _slice_coder(encoding, questions):
    """Make the kernel of one direction, for effort 1 or the others."""
    code_row = _row_coder(encoding, *questions)

    def code_slices(planes, slots, ny, nx, first, is_3d, by_columns, work):
        coder = load(encoding, work.state, work.data, work.counters)
        row = np.int64(nx + 2 * SIDE)
        size = planes.size // slots
        was_3d = work.numbers[U64(2)] == 1
        numbers = Numbers(work.numbers[U64(0)], work.numbers[U64(1)], 0, pointer(work.used))
        line = Row(
            pointer(work.turns),
            pointer(work.above),
            pointer(work.stops),
            pointer(work.ends),
            pointer(work.same),
            pointer(work.edge),
            pointer(work.group),
            pointer(work.asked),
        )
        logits, weights = pointer(work.logits), pointer(work.weights)
        mixer = Mixer(work.width, pointer(work.models), logits, weights)
        for n in range(is_3d.size):
            z = np.int64(first + n)
            here = z % slots * size
            to_prev = (z + slots - 1) % slots * size - here
            to_prev2 = (z + slots - 2) % slots * size - here
            view = View(pointer(planes), to_prev, to_prev2, row)
            place = slot(IS_3D, was_3d, 0)
            deep, coder = decide_rarely(encoding, is_3d[U64(n)] == 1, place, coder)
            place = slot(BY_COLUMNS, deep, 0)
            columns, coder = decide_rarely(encoding, by_columns[U64(n)] == 1, place, coder)
            was_3d, is_3d[U64(n)], by_columns[U64(n)] = deep, deep, columns
            _fill_margin(planes, TOP, here, here + to_prev + TOP * row if deep else -1, row)
            numbers = Numbers(numbers.known, numbers.most, 0, numbers.used)
            if not deep:
                forget(numbers.used, numbers.most + 1)
            _find_turns(planes, here + (TOP - 1) * row + SIDE, nx, line.turns)
            for y in range(ny):
                at = here + (TOP + y) * row + SIDE
                splat32(planes, at - SIDE, planes[U64(at - row)])
                _find_stops(deep, planes, at, view, nx, line)
                if encoding:
                    _find_turns(planes, at, nx, line.turns)
                numbers, coder, fine = code_row(deep, view, at, nx, line, mixer, numbers, coder)
                if not fine:
                    return -1
                splat32(planes, at - SIDE, planes[U64(at)])
                splat32(planes, at + nx, planes[U64(at + nx - 1)])
                if not encoding:
                    _find_turns(planes, at, nx, line.turns)
            end = here + (TOP + ny) * row
            _fill_margin(planes, BOTTOM, end, end - row, row)
        work.numbers[U64(0)], work.numbers[U64(2)] = numbers.known, was_3d
        save(coder, work.state)
        return 0

    return kernel(code_slices)


#: By effort, ``encode(planes, slots, ny, nx, first, is_3d, by_columns, work)``: encode slices
#: ``first``.. of a piece, one for each of ``is_3d``.
#:
#: planes : (slots * (TOP + ny + BOTTOM) * (nx + 2 * SIDE),) uint32
#:     Slice z of the piece is in plane ``z % slots``, its voxel (y, x) at
#:     ``(TOP + y) * (nx + 2 * SIDE) + SIDE + x``; the planes of slices -1 and -2 are 0.
#: ny, nx : int
#:     At least 1.
#: is_3d, by_columns : (count,) uint8
#:     Whether slices are coded in 3-D, and whether their labels were numbered by columns.
#: work : Work
ENCODE = {effort: _slice_coder(True, questions) for effort, questions in QUESTIONS.items()}
#: The inverse: write to the planes, to ``is_3d`` and ``by_columns``. The result is 0, or -1 if the
#: stream is damaged.
DECODE = {effort: _slice_coder(False, questions) for effort, questions in QUESTIONS.items()}

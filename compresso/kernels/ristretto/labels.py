"""Labels of ``ristretto``: their numbers in a piece, the table of labels, and labels far away.

Kernels work on numbers: 0 is the label 0, and the others are 1, 2, 3.. in the order in which they
occur in the piece.
"""

from collections import namedtuple

import numpy as np

from compresso.kernels import SPREAD, kernel
from compresso.kernels.ristretto.coder import (
    decide_number,
    decide_rarely,
    decide_size,
    inline,
    load,
    outline,
    save,
)
from compresso.kernels.ristretto.contexts import (
    BELOW,
    BELOW_COLUMNS,
    BELOW_ROWS,
    BESIDE,
    SIDE,
    TOP,
    find_other,
)
from compresso.kernels.ristretto.start import BELOW as BELOW_Q
from compresso.kernels.ristretto.start import BESIDE as BESIDE_Q
from compresso.kernels.ristretto.start import KNOWN, NUMBER, slot
from compresso.kernels.words import ALL, differ64, leading_zeros, popcount, splat32, trailing_zeros

U64 = np.uint64
FREE = np.uint32(0)
#: Labels by columns are below.
MAX_ORDERED = 1 << 12
MAX_BELOW, MAX_CANDIDATES = 12, 24
#: Unused numbers up to this one are found quickly.
MAX_SORTED = 1 << 16
BLOCKS = (MAX_SORTED >> 12) + 1
WORDS = 32
USED = WORDS + 64 * BLOCKS
# The trees of the label table.
GAPS, MEMBERS, ORDER = 0, 128, 256
TABLE_COUNTERS = 384

#: known: 1 + the labels that a piece has had; most: the largest number there may be; count: labels
#: that this 2-D slice has coded by number; used: pointer to uint64[USED], which ones those are: a
#: bit for each number from WORDS on, and before them the number of bits in each block of 64 words.
Numbers = namedtuple("Numbers", "known most count used")

_find_below = find_other(BELOW, BELOW_ROWS, BELOW_COLUMNS)


@kernel
def number_labels(labels, ny, nx, planes, slots, first, hashed, table, loaded):
    """Copy the labels of slices, from ``first`` on, to their planes (``slices.ENCODE``) as numbers.

    hashed, (a power of 2,) uint32, FREE at first, and table, (capacity,) uint64, hold loaded[0] - 1
    labels. Returns 0, or -1 if one of them is full: enlarge it, :func:`rehash`, and call again.
    """
    row, size = nx + 2 * SIDE, planes.size // slots
    for line in range(labels.size // nx):
        n, y = line // ny, line % ny
        at = (first + n) % slots * size + (TOP + y) * row + SIDE
        start = line * nx
        begun, number = np.int64(0), np.uint32(0)
        for word_x in range(0, nx, 64):
            word = _turns(labels, start, word_x, nx)
            while word != U64(0):
                x = word_x + np.int64(trailing_zeros(word))
                word &= word - U64(1)
                # Voxels after the run are overwritten later, or are a margin.
                for place in range(at + begun, at + x, 32):
                    splat32(planes, place, number)
                begun, label = x, U64(labels[U64(start + x)])
                number = _number(label, hashed, table)
                if number == FREE and label != U64(0):
                    if 2 * loaded[U64(0)] >= hashed.size or loaded[U64(0)] >= table.size:
                        return -1
                    number = np.uint32(loaded[U64(0)])
                    loaded[U64(0)] += 1
                    table[U64(number)] = label
                    _enter(label, number, hashed)
        for place in range(at + begun, at + nx, 32):
            splat32(planes, place, number)
    return 0


@outline
def _turns(labels, start, x, nx):
    """Bit k is 1 if voxel x + k of a row starts a run: it differs from the one before it."""
    at = start + x
    if at > 0 and at + 64 <= labels.size:
        word = differ64(labels, at, at - 1)
    else:
        word = U64(0)
        for k in range(1 if x == 0 else 0, nx - x if nx - x < 64 else 64):
            word |= U64(labels[U64(at + k)] != labels[U64(at + k - 1)]) << U64(k)
    if x == 0:
        word |= U64(1)
    if nx - x < 64:
        word &= ALL >> U64(64 - (nx - x))
    return word


@inline
def _home(label, hashed):
    """Where a label's entry is looked for first."""
    product = label * SPREAD
    return (product ^ (product >> U64(32))) & U64(hashed.size - 1)


@inline
def _number(label, hashed, table):
    """The number of a label; FREE if it is not known, or 0."""
    if label == U64(0):
        return FREE
    at = _home(label, hashed)
    while hashed[at] != FREE and table[U64(hashed[at])] != label:
        at = (at + U64(1)) & U64(hashed.size - 1)
    return hashed[at]


@inline
def _enter(label, number, hashed):
    """Enter a new label in a hash table."""
    at = _home(label, hashed)
    while hashed[at] != FREE:
        at = (at + U64(1)) & U64(hashed.size - 1)
    hashed[at] = number


@kernel
def rehash(table, known, hashed):
    """Enter labels 1..known-1 of a table in a new hash table."""
    for n in range(hashed.size):
        hashed[U64(n)] = FREE
    for number in range(1, known):
        _enter(table[U64(number)], np.uint32(number), hashed)


@kernel
def restore_labels(planes, slots, ny, nx, first, table, labels):
    """Undo :func:`number_labels`: table (known,) and labels (overwritten) have the same dtype."""
    row, size = nx + 2 * SIDE, planes.size // slots
    for line in range(labels.size // nx):
        n, y = line // ny, line % ny
        at = (first + n) % slots * size + (TOP + y) * row + SIDE
        start = line * nx
        begun, label = start, table[U64(planes[U64(at)])]
        for word_x in range(0, nx, 64):
            word = differ64(planes, at + word_x, at + word_x - 1)
            if nx - word_x < 64:
                word &= ALL >> U64(64 - (nx - word_x))
            while word != U64(0):
                x = word_x + np.int64(trailing_zeros(word))
                word &= word - U64(1)
                _fill(labels, begun, start + x, label)
                begun, label = start + x, table[U64(planes[U64(at + x)])]
        _fill(labels, begun, start + nx, label)


@outline
def _fill(labels, begun, end, label):
    """Write a label to a run; voxels after it are overwritten later."""
    if end + 32 <= labels.size:
        for place in range(begun, end, 32):
            splat32(labels, place, label)
    else:
        for place in range(begun, end):
            labels[U64(place)] = label


@outline
def _find_firsts(labels, ny, nx, order):
    """Find the labels of a slice: (largest label, labels); (0, 0) if one is 0 or too large.

    order[0, label] is its number in the order of rows, order[1, label] its first voxel by columns.
    """
    count, most = U64(0), U64(0)
    for n in range(MAX_ORDERED):
        order[0, n], order[1, n] = U64(0), ~U64(0)
    for y in range(ny):
        for word_x in range(0, nx, 64):
            word = _turns(labels, y * nx, word_x, nx)
            while word != U64(0):
                x = U64(word_x) + trailing_zeros(word)
                word &= word - U64(1)
                label = U64(labels[U64(y * nx) + x])
                if label == U64(0) or label >= U64(MAX_ORDERED):
                    return U64(0), U64(0)
                if order[0, label] == U64(0):
                    count += U64(1)
                    order[0, label] = count
                    most = max(most, label)
                order[1, label] = min(order[1, label], (x << U64(32)) | U64(y))
    return most, count


@kernel
def order_by_rows(labels, ny, nx, order):
    """Renumber a slice (ny * nx,) by rows whose labels are 1, 2, 3.. in the order of its columns.

    order is scratch memory, (2, MAX_ORDERED) uint64. Returns False, and changes no label, if they
    are not in that order.
    """
    if labels[0] != 1:
        return False
    most, count = _find_firsts(labels, ny, nx, order)
    if most != count or count == U64(0):
        return False
    for n in range(2, count + U64(1)):
        if order[1, n] < order[1, n - 1]:
            return False
    for place in range(labels.size):
        labels[U64(place)] = order[0, U64(labels[U64(place)])]
    return True


@kernel
def order_by_columns(labels, ny, nx, order):
    """Undo :func:`order_by_rows`; False if labels are not such ones."""
    most, _ = _find_firsts(labels, ny, nx, order)
    if most == U64(0):
        return False
    # Sort the labels by their first voxels, by insertion: they are few.
    for n in range(1, most + U64(1)):
        label, at = U64(n), U64(n)
        while at > U64(1) and order[1, order[0, at - U64(1)]] > order[1, label]:
            order[0, at] = order[0, at - U64(1)]
            at -= U64(1)
        order[0, at] = label
    for rank in range(1, most + U64(1)):
        order[1, order[0, rank]] = U64(rank)
    for place in range(labels.size):
        labels[U64(place)] = order[1, U64(labels[U64(place)])]
    return True


@kernel
def code_table(encoding, labels, sizes, members, order, left, counters, data, state):
    """Code the label table: all labels, and which of them each piece has.

    labels, (n_labels,) uint64, are those above 0, ascending. The other two are (sum(sizes),) int64,
    piece after piece: members, the ascending ranks in ``labels`` of the piece's labels; order, the
    ranks in ``members`` of its labels in its own order. left is scratch memory, (1 + max(sizes),)
    int64. Returns 0, or -1 if the stream is damaged.
    """
    coder = load(encoding, state, data, counters)
    last = U64(0)
    for n in range(labels.size):
        gap, coder = decide_size(encoding, labels[U64(n)] - last - U64(1), GAPS, coder)
        label = last + gap + U64(1)
        if label <= last:
            return -1
        labels[U64(n)] = last = label
    # left[i]: how many of the i & -i before the i-th are still to come, a Fenwick tree.
    first = np.int64(0)
    for piece in range(sizes.size):
        size, rank = sizes[U64(piece)], np.int64(-1)
        for n in range(first, first + size):
            gap, coder = decide_size(encoding, U64(members[U64(n)] - rank - 1), MEMBERS, coder)
            if gap >= U64(labels.size - 1 - rank):
                return -1
            members[U64(n)] = rank = rank + 1 + np.int64(gap)
        for n in range(size + 1):
            left[U64(n)] = n & -n
        top = np.int64(1)
        while 2 * top <= size:
            top *= 2
        for n in range(size):
            smaller, i = np.int64(0), np.int64(order[U64(first + n)] if encoding else 0)
            while i > 0:
                smaller += left[U64(i)]
                i &= i - 1
            later, coder = decide_size(encoding, U64(smaller), ORDER, coder)
            if later >= U64(size - n):
                return -1
            step, remaining = top, np.int64(later)
            while step > 0:
                if i + step <= size and left[U64(i + step)] <= remaining:
                    i += step
                    remaining -= left[U64(i)]
                step //= 2
            order[U64(first + n)] = i
            i += 1
            while i <= size:
                left[U64(i)] -= 1
                i += i & -i
        first += size
    save(coder, state)
    return 0


@outline
def among_candidates(encoding, is_3d, label, view, here, asked, coder):
    """Ask for labels nearby that are none of 0, W, N and NE; (found, label, coder)."""
    plane, row = view.plane, view.row
    left, above = plane[U64(here - 1)], plane[U64(here - row)]
    corner = plane[U64(here - row + 1)]
    count, k, last = np.int64(0), np.int64(0), left
    while is_3d and count < MAX_BELOW:
        k = _find_below(view, here, k, left, above, corner, last)
        if k == BELOW.shape[0]:
            break
        last = plane[U64(here + view.to_prev + BELOW[U64(k), U64(0)] * row + BELOW[U64(k), U64(1)])]
        k += 1
        if _is_known(last, left, above, corner, asked, count):
            continue
        place = slot(BELOW_Q, True, _candidate_context(view, here, last, count, k - 1))
        found, coder = decide_rarely(encoding, label == last, place, coder)
        if found:
            return True, last, coder
        asked[U64(count)] = last
        count += 1
    for n in range(BESIDE.shape[0]):
        last = plane[U64(here + BESIDE[U64(n), U64(0)] * row + BESIDE[U64(n), U64(1)])]
        if _is_known(last, left, above, corner, asked, count):
            continue
        place = slot(BESIDE_Q, is_3d, n)
        found, coder = decide_rarely(encoding, label == last, place, coder)
        if found:
            return True, last, coder
        asked[U64(count)] = last
        count += 1
        if count == MAX_CANDIDATES:
            break
    return False, label, coder


@inline
def _is_known(label, left, above, corner, asked, count):
    """Whether a label is already excluded."""
    known = (label == left) | (label == above) | (label == corner) | (label == np.uint32(0))
    n = np.int64(0)
    while n < count and not known:
        known = asked[U64(n)] == label
        n += 1
    return known


@outline
def _candidate_context(view, here, candidate, number, k):
    """The context of a candidate: the k-th of BELOW, after ``number`` others."""
    plane, row, below = view.plane, view.row, here + view.to_prev
    seen = False
    for dx in range(2, 9):
        seen |= plane[U64(here - row + dx)] == candidate
        seen |= plane[U64(here - row - dx)] == candidate
        seen |= plane[U64(here - dx)] == candidate
    ring = np.int64(k >= 4) + (k >= 12) + (k >= 30) + (k >= 80)
    context = ((number if number < 5 else 5) * 2 + seen) * 5 + ring
    context = context * 2 + (plane[U64(below)] == candidate)
    context = context * 2 + (plane[U64(below + row + 1)] == candidate)
    context = context * 2 + (plane[U64(here + view.to_prev2 + 2 * row)] == candidate)
    context = context * 2 + (plane[U64(below + 4 * row)] == candidate)
    return context * 2 + (plane[U64(here - 1)] == plane[U64(here - row)])


@outline
def code_number(encoding, is_3d, label, numbers, coder):
    """Code a label by its number; (label, numbers, coder), label 0 if the stream is damaged."""
    known, count, used = numbers.known, numbers.count, numbers.used
    number = np.int64(label)
    many = not is_3d and known > MAX_SORTED
    if is_3d or many:
        place = slot(KNOWN, is_3d, np.int64(many) << 2)
        is_new, coder = decide_rarely(encoding, number == known, place, coder)
        if not is_new:
            place = slot(NUMBER, is_3d, 0)
            number, coder = decide_number(encoding, number - 1, bit_length(known - 2), place, coder)
            number += 1
    else:
        again = encoding and number < known and is_used(used, number)
        place = slot(KNOWN, False, count if count < 3 else 3)
        again, coder = decide_rarely(encoding, again, place, coder)
        place = slot(NUMBER, False, 1024 if again else 2048)
        if again:
            number, coder = decide_number(encoding, number - 1, bit_length(known - 2), place, coder)
            number += 1
            is_new = False
        else:
            # The rank among the unused numbers of this slice; ``known`` is the next new label.
            rank = unused_below(used, number) if encoding else np.int64(0)
            rank, coder = decide_number(encoding, rank, bit_length(known - 1), place, coder)
            if not encoding:
                number = unused_at(used, rank, known)
            is_new = number == known
            use(used, number)
            count += 1
    if is_new:
        number = known
        known += 1
    if number >= known or number > numbers.most:
        number = np.int64(0)
    return np.uint32(number), Numbers(known, numbers.most, count, used), coder


@inline
def bit_length(number):
    """The number of bits of a number; 0 if it is negative."""
    return np.int64(U64(64) - leading_zeros(U64(number))) if number > 0 else np.int64(0)


@inline
def forget(used, most):
    """Start a slice: none of the numbers up to ``most``, at most MAX_SORTED, is used, except 0."""
    blocks = ((most if most < MAX_SORTED else MAX_SORTED) >> 12) + 1
    for block in range(blocks):
        used[U64(block)] = U64(0)
    for word in range(WORDS, WORDS + 64 * blocks):
        used[U64(word)] = U64(0)
    used[U64(0)], used[U64(WORDS)] = U64(1), U64(1)


@inline
def is_used(used, number):
    """Whether a number is used."""
    return (used[U64(WORDS + (number >> 6))] >> U64(number & 63)) & U64(1) == U64(1)


@inline
def use(used, number):
    """Mark a number as used, which was not."""
    used[U64(WORDS + (number >> 6))] |= U64(1) << U64(number & 63)
    used[U64(number >> 12)] += U64(1)


@outline
def unused_below(used, number):
    """How many numbers below this one are not used."""
    found = np.int64(number)
    for block in range(number >> 12):
        found -= np.int64(used[U64(block)])
    for word in range(number >> 12 << 6, number >> 6):
        found -= np.int64(popcount(used[U64(WORDS + word)]))
    below = (U64(1) << U64(number & 63)) - U64(1)
    return found - np.int64(popcount(used[U64(WORDS + (number >> 6))] & below))


@outline
def unused_at(used, rank, most):
    """The unused number with ``rank`` unused ones below it, but at most ``most``."""
    if rank >= unused_below(used, most):
        return most
    left, block = np.int64(rank), np.int64(0)
    while left >= 4096 - np.int64(used[U64(block)]):
        left -= 4096 - np.int64(used[U64(block)])
        block += 1
    word = block << 6
    while left >= 64 - np.int64(popcount(used[U64(WORDS + word)])):
        left -= 64 - np.int64(popcount(used[U64(WORDS + word)]))
        word += 1
    free = ~used[U64(WORDS + word)]
    while left > 0:
        free &= free - U64(1)
        left -= 1
    return (word << 6) + np.int64(trailing_zeros(free))

"""The label of a voxel that none of its neighbours has: where it is looked for, and its number."""

from collections import namedtuple
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from compresso.kernels import PORTABLE, kernel
from compresso.kernels.ristretto_coder import decide_number, decide_rarely, inline, outline
from compresso.kernels.ristretto_contexts import BELOW, BESIDE
from compresso.kernels.ristretto_places import (
    CANDIDATE_BELOW,
    CANDIDATE_BESIDE,
    KNOWN,
    NUMBER,
)
from compresso.kernels.ristretto_questions import floor_log2
from compresso.kernels.ristretto_seen import MAX_SORTED, is_seen, see, unseen_at, unseen_below

U64 = np.uint64

MAX_BELOW, MAX_CANDIDATES = 12, 24
ASKED = 32  # 0, W, N, NE, the candidates and zeros: a vector of them is looked through at once
#: What a slab has met: labels known, and the most there may be; labels that the picture which is
#: coded has asked for by number, and which they are (:mod:`compresso.kernels.ristretto_seen`).
Met = namedtuple("Met", "known most count seen")


@outline
def among_candidates(encoding, deep, label, view, here, y, ny, asked, coder):
    """Ask for labels nearby that are none of 0, W, N and NE; (found, label, coder)."""
    plane, row = view.plane, view.row
    for k in range(ASKED):
        asked[U64(k)] = np.uint32(0)
    asked[U64(1)] = plane[U64(here - 1)]
    asked[U64(2)] = plane[U64(here - row)]
    asked[U64(3)] = plane[U64(here - row + 1)]
    count = np.int64(4)
    if deep:
        for k in range(BELOW.shape[0]):
            dy = min(max(BELOW[k, 0], -y), ny - 1 - y)
            candidate = plane[U64(here + view.to_prev + dy * row + BELOW[k, 1])]
            if _is_among(candidate, asked):
                continue
            place = CANDIDATE_BELOW + _candidate_context(view, here, candidate, count - 4, k)
            found, coder = decide_rarely(encoding, label == candidate, place, coder)
            if found:
                return True, candidate, coder
            asked[U64(count)] = candidate
            count += 1
            if count == 4 + MAX_BELOW:
                break
    for k in range(BESIDE.shape[0]):
        candidate = plane[U64(here + BESIDE[k, 0] * row + BESIDE[k, 1])]
        if _is_among(candidate, asked):
            continue
        place = CANDIDATE_BESIDE + (np.int64(deep) << 8) + k
        found, coder = decide_rarely(encoding, label == candidate, place, coder)
        if found:
            return True, candidate, coder
        asked[U64(count)] = candidate
        count += 1
        if count == 4 + MAX_CANDIDATES:
            break
    return False, label, coder


@intrinsic
def _is_among_llvm(typing_context, label, labels):
    def codegen(context, builder, signature, arguments):
        label, labels = arguments
        vector = ir.VectorType(label.type, ASKED)
        loaded = builder.load(builder.bitcast(labels, vector.as_pointer()), align=4)
        spread = ir.Constant(vector, ir.Undefined)
        for lane in range(ASKED):
            spread = builder.insert_element(spread, label, ir.Constant(ir.IntType(32), lane))
        equal = builder.bitcast(builder.icmp_unsigned("==", loaded, spread), ir.IntType(ASKED))
        return builder.icmp_unsigned("!=", equal, ir.Constant(equal.type, 0))

    return types.boolean(label, labels), codegen


@kernel
def _is_among_plain(label, labels):
    among = False
    for k in range(ASKED):
        among |= labels[U64(k)] == label
    return among


#: ``_is_among(label, labels)``: whether one of ASKED labels is this one.
_is_among: Callable[..., bool] = _is_among_plain if PORTABLE else _is_among_llvm


@inline
def _candidate_context(view, here, candidate, number, k):
    """What tells whether the k-th place of BELOW has the label, when ``number`` were asked."""
    plane, row, below = view.plane, view.row, here + view.to_prev
    seen = False
    for dx in range(2, 9):
        seen |= plane[U64(here - row + dx)] == candidate
        seen |= plane[U64(here - row - dx)] == candidate
        seen |= plane[U64(here - dx)] == candidate
    ring = np.int64(k >= 4) + (k >= 12) + (k >= 30) + (k >= 80)
    context = (min(number, 5) * 2 + seen) * 5 + ring
    context = context * 2 + (plane[U64(below)] == candidate)
    context = context * 2 + (plane[U64(below + row + 1)] == candidate)
    context = context * 2 + (plane[U64(here + view.to_prev2 + 2 * row)] == candidate)
    context = context * 2 + (plane[U64(below + 4 * row)] == candidate)
    return context * 2 + (plane[U64(here - 1)] == plane[U64(here - row)])


@outline
def code_number(encoding, deep, label, met, coder):
    """Code a label by its number; (label, met, coder), the label 0 where the stream is damaged."""
    known, count, seen = met.known, met.count, met.seen
    number = np.int64(label)
    if deep or known > MAX_SORTED:
        is_new, coder = decide_rarely(encoding, number == known, KNOWN + 4 + np.int64(deep), coder)
        if not is_new:
            bits = _bits(known - 2)
            number, coder = decide_number(encoding, number - 1, bits, NUMBER, coder)
            number += 1
    else:
        again = encoding and number < known and is_seen(seen, number)
        again, coder = decide_rarely(encoding, again, KNOWN + min(count, 3), coder)
        if again:
            bits = _bits(known - 2)
            number, coder = decide_number(encoding, number - 1, bits, NUMBER + 1024, coder)
            number += 1
            is_new = False
        else:
            # The how-manieth of those that this picture has not seen, the next new one among them.
            rank = unseen_below(seen, number) if encoding else np.int64(0)
            rank, coder = decide_number(encoding, rank, _bits(known - 1), NUMBER + 2048, coder)
            if not encoding:
                number = unseen_at(seen, rank, known)
            is_new = number == known
            see(seen, number)
            count += 1
    if is_new:
        number = known
        known += 1
    if number >= known or number > met.most:
        number = np.int64(0)
    return np.uint32(number), Met(known, met.most, count, seen), coder


@inline
def _bits(number):
    """Bits that the numbers up to this one take."""
    return floor_log2(number) + 1 if number > 0 else np.int64(0)

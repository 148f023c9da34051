"""The range coder of ``ristretto``, and the counters that predict its bits.

The same functions encode and decode. If ``encoding`` is true, a bit is written; otherwise the given
bit is ignored and one is read. Callers pass a constant, so the compiler drops the other half.

The state is a :class:`Coder`, which is passed and returned as a whole so that LLVM keeps it in
registers. A *pointer* is an array without bounds and reference count, both of which cost more than
coding a bit. With ``COMPRESSO_PORTABLE=1`` it is the array itself, so numba can check the bounds.
"""

import math
from collections import namedtuple
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic
from numpy.typing import NDArray

from compresso.kernels.words import or_llvm, prefetch_line, with_pointer

U64 = np.uint64
HELPER: dict[str, Any] = {
    **{"nogil": True, "no_rewrites": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
}


class _Library(JITCodeLibrary):
    """The code of a helper, which is optimised and translated only as part of its callers."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _Helper(Compiler):
    """Compiles helpers in half the time: by default, numba optimises each on its own as well."""

    def compile_extra(self, func):
        """Compile a helper; the result can be called from kernels, but not from Python."""
        state = self.state
        state.flags.no_compile = True
        state.library = _Library(state.targetctx.codegen(), func.__qualname__)
        result = super().compile_extra(func)
        # The key stands for the address: numba wants built-in functions, all different.
        key: Any = [].append
        state.targetctx.insert_user_function(key, result.fndesc, [result.library])
        return result._replace(entry_point=key)


def inline(function: Any) -> Any:
    """Compile a function that becomes part of its callers."""
    return _once(njit(**HELPER, pipeline_class=_Helper, forceinline=True)(function))


def outline(function: Any) -> Any:
    """Compile a function that is called: being part of its callers would take time to compile."""
    return _once(njit(**HELPER, pipeline_class=_Helper)(function))


def _once(compiled: Any) -> Any:
    """Compile a function once, not again for every constant that is passed to it."""
    if hasattr(compiled, "get_call_template"):  # otherwise numba compiles nothing
        template = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: template(
            tuple(map(types.unliteral, args)), kws
        )
    return compiled


STATE = 56  # bits of low and span
FLOOR = U64(1 << 40)  # lower limit of span
MASK = U64((1 << STATE) - 1)
SCALE = 22  # bits of a probability
ONE = np.int64(1 << SCALE)
LEAST = np.int64(64)  # mixed probabilities are between LEAST and ONE - LEAST
LIMIT = U64(255)  # observations that a counter remembers
YOUNG = np.uint32(8)  # a counter with fewer observations also trains its coarse counter
#: Step of a counter after n observations, 65536 / (n + 1.6).
STEPS = np.array([655360 // (10 * n + 16) for n in range(256)], np.uint64)
#: A new counter: probability 1/2, no observations.
FRESH = np.uint32(1 << 31)

MOST = 2815  # of logits, which are ln(p / (1 - p)) in 1/256
#: The logit of the middle of each of 4096 steps of probability.
STRETCH = np.array([round(256 * math.log((i + 0.5) / (4095.5 - i))) for i in range(4096)], np.int16)
#: The probability, in 1/2**22, of each logit from -MOST - 1 to MOST + 1.
SQUASH = np.array(
    [
        min(max(round((1 << 22) / (1 + math.exp(-(i - MOST - 1) / 256))), 64), (1 << 22) - 64)
        for i in range(2 * MOST + 3)
    ],
    np.int32,
)

#: low, span: the interval; while decoding, low is the stream's value minus the interval's start.
#: at: bytes written or read; data, end: the bytes and their number; counters: pointer to uint32.
Coder = namedtuple("Coder", "low span at data end counters")


@intrinsic
def _pointer(typing_context, array):
    return types.CPointer(array.dtype)(array), with_pointer(lambda builder, pointer: pointer)


@or_llvm(_pointer)
def pointer(array):
    """The first element of a C-contiguous 1-D array, to be indexed with uint64."""
    return array


@intrinsic
def _prefetch(typing_context, pointer, at):
    def emit(builder, pointer, at):
        prefetch_line(builder, builder.gep(pointer, [at]), 1)

    return types.void(pointer, types.uint64), with_pointer(emit)


@or_llvm(_prefetch)
def prefetch(array, at):
    """Load an item into the cache that is about to be read and written."""


@intrinsic
def _likely(typing_context, condition):
    def emit(builder, condition):
        bit = ir.IntType(1)
        kind = ir.FunctionType(bit, [bit, bit])
        expect = builder.module.declare_intrinsic("llvm.expect", [bit], kind)
        return builder.call(expect, [condition, ir.Constant(bit, 1)])

    return types.boolean(types.boolean), with_pointer(emit)


@or_llvm(_likely)
def likely(condition):
    """The condition, with a hint that it is usually true."""
    return condition


@inline
def load(encoding, state, data, counters):
    """Resume from the state of :func:`save`, or start a stream with ``[0, 0, 0]``."""
    low, span, at = state[U64(0)], state[U64(1)], state[U64(2)]
    if span == U64(0):
        span = MASK
        if not encoding:
            for _ in range(STATE // 8):
                low <<= U64(8)
                if at < U64(data.size):
                    low |= U64(data[at])
                at += U64(1)
    return Coder(low, span, at, pointer(data), U64(data.size), pointer(counters))


@inline
def save(coder, state):
    """Store the interval for the next call."""
    state[U64(0)], state[U64(1)], state[U64(2)] = coder.low, coder.span, coder.at


@inline
def code(encoding, bit, probability, coder):
    """Code a bit that is 1 with ``probability / 2**22``, which is not 0 or 1; (bit, coder)."""
    bound = (coder.span >> U64(SCALE)) * U64(probability)
    low, span, at, data = coder.low, coder.span, coder.at, coder.data
    if not encoding:
        bit = low < bound
    if bit:
        span = bound
    else:
        span -= bound
        if encoding:
            low += bound
        else:
            low -= bound
    while not likely(span >= FLOOR):
        if encoding:
            if at + U64(2) <= coder.end:
                _carry(low, at, data)
                data[at] = np.uint8((low >> U64(48)) & U64(255))
                data[at + U64(1)] = np.uint8((low >> U64(40)) & U64(255))
            low = (low << U64(16)) & MASK
        else:
            low <<= U64(16)
            if at < coder.end:
                low |= U64(data[at]) << U64(8)
            if at + U64(1) < coder.end:
                low |= U64(data[at + U64(1)])
        at += U64(2)
        span <<= U64(16)
    return bit, Coder(low, span, at, data, coder.end, coder.counters)


@outline
def _carry(low, at, data):
    """Add the carry of ``low``, if there is one, to the bytes before ``at``."""
    if low >> U64(STATE):
        at -= U64(1)
        while data[at] == np.uint8(255):
            data[at] = np.uint8(0)
            at -= U64(1)
        data[at] += np.uint8(1)


class FullError(Exception):
    """A stream does not fit its array."""


def finish(state: NDArray[np.uint64], data: NDArray[np.uint8]) -> bytes:
    """Return the stream that :func:`code` encoded; raises FullError if ``data`` was too short.

    Zeros at its end are left out: a decoder reads zeros there.
    """
    low, at = int(state[0]) + int(FLOOR) - 1, int(state[2])
    if at + 2 > data.size:
        raise FullError
    number = (int.from_bytes(data[:at].tobytes(), "big") << 16) + (low >> 40)
    return number.to_bytes(at + 2, "big").rstrip(b"\0")


@inline
def probability(counter):
    """A counter's probability of 1, in 1/2**22; :func:`observe` keeps it between 0 and 1."""
    return counter >> np.uint32(10)


@inline
def observe(bit, counter):
    """A counter after one more bit: 22 bits of probability, 10 of observations up to LIMIT."""
    chance, seen = U64(counter >> np.uint32(10)), U64(counter & np.uint32(1023))
    step, counter = STEPS[seen], U64(counter)
    if bit:
        counter += ((U64(ONE - 1) - chance) * step >> U64(16)) << U64(10)
    else:
        counter -= (chance * step >> U64(16)) << U64(10)
    return np.uint32(counter + U64(seen < LIMIT))


@inline
def decide(encoding, bit, place, coder):
    """Code a bit with the counter at ``place`` and train it; (bit, coder)."""
    counter = coder.counters[U64(place)]
    bit, coder = code(encoding, bit, probability(counter), coder)
    coder.counters[U64(place)] = observe(bit, counter)
    return bit, coder


@outline
def decide_rarely(encoding, bit, place, coder):
    """The same as :func:`decide`, for rare decisions."""
    return decide(encoding, bit, place, coder)


@inline
def decide_fine(encoding, bit, place, coarse, coder):
    """Code a bit with the counter at ``place``, which starts with a copy of the coarse counter.

    While it is YOUNG, the coarse counter is trained, too.
    """
    counter = coder.counters[U64(place)]
    old = counter & np.uint32(1023) >= YOUNG
    if not likely(old) and counter & np.uint32(1023) == np.uint32(0):
        known = coder.counters[U64(coarse)]
        counter = np.uint32(known & np.uint32(0xFFFFFC00))
        if known != counter:
            counter = np.uint32(counter + np.uint32(2))
    bit, coder = code(encoding, bit, probability(counter), coder)
    coder.counters[U64(place)] = observe(bit, counter)
    if not likely(old):
        coder.counters[U64(coarse)] = observe(bit, coder.counters[U64(coarse)])
    return bit, coder


@outline
def decide_number(encoding, number, bits, place, coder):
    """Code a number of ``bits`` bits from the top, each with one of 1023 counters at ``place``.

    The preceding bits choose the counter; after the ninth, only their number does.
    """
    value, node = np.int64(0), np.int64(1)
    for shift in range(bits - 1, -1, -1):
        bit = (number >> shift) & 1 == 1
        bit, coder = decide_rarely(encoding, bit, place + (node if node < 1023 else 1023), coder)
        value = value * 2 + bit
        node = node * 2 + bit
    return value, coder


@outline
def decide_size(encoding, number, place, coder):
    """Code a uint64 number: its number of bits with 128 counters, then the bits.

    The bits below the top one have a probability of 1/2.
    """
    bits = np.int64(0)
    while bits < 64 and number >> U64(bits) != U64(0):
        bits += 1
    bits, coder = decide_number(encoding, bits, 7, place, coder)
    bits = bits if bits < 64 else np.int64(64)
    value = U64(bits > 0)
    for shift in range(bits - 2, -1, -1):
        bit = (number >> U64(shift)) & U64(1) == U64(1)
        bit, coder = code(encoding, bit, U64(ONE >> 1), coder)
        value = (value << U64(1)) | U64(bit)
    return value, coder

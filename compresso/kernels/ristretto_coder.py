"""The range coder of ``ristretto``, and the counters that predict its bits.

One text serves both directions: where ``encoding`` is true a bit is written, else the bit that is
given is ignored and one is read. Callers pass a constant, so that the other half disappears.

The state is a :class:`Coder`, which is taken and returned whole so that LLVM keeps it in registers.
A *pointer* is an array without its bounds and its reference count, both of which cost more than a
bit does; with ``COMPRESSO_PORTABLE=1`` it is the array itself, so that numba can check the bounds.
"""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from compresso.kernels import PORTABLE, kernel

U64 = np.uint64
#: For helpers that take pointers and are called often: they become part of their caller.
inline = njit(nogil=True, forceinline=True)


def outline(function: Any) -> Any:
    """For those that are not: each place that they become part of costs time to compile.

    They are compiled once, and not again for every constant that they are called with.
    """
    compiled: Any = njit(nogil=True)(function)
    if hasattr(compiled, "get_call_template"):  # else numba compiles nothing
        template = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: template(
            tuple(map(types.unliteral, args)), kws
        )
    return compiled


STATE = 56  # bits of low and span
FLOOR = U64(1 << 40)  # span is kept at or above it
MASK = U64((1 << STATE) - 1)
SCALE = 22  # bits of a probability
ONE = np.int64(1 << SCALE)
LEAST = np.int64(64)  # no bit is ever surer than 64 / 2**22
LIMIT = np.uint32(255)  # observations that a counter remembers
YOUNG = np.uint32(8)  # observations below which a counter teaches its coarser one
#: Step of a counter after n observations, 65536 / (n + 1.6).
STEPS = np.array([655360 // (10 * n + 16) for n in range(256)], np.int64)
#: A counter that has seen nothing: probability 1/2, no observations.
FRESH = np.uint32(1 << 31)

#: low, span: the interval; while decoding, low is the stream's value less the interval's start.
#: at: bytes written or read; data, end: the bytes, and how many there are.
Coder = namedtuple("Coder", "low span at data end counters")


@intrinsic
def _pointer_llvm(typing_context, array):
    def codegen(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), codegen


@kernel
def _pointer_plain(array):
    return array


@intrinsic
def _prefetch_llvm(typing_context, pointer, at):
    def codegen(context, builder, signature, arguments):
        place = builder.gep(arguments[0], [arguments[1]])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, *[number] * 3])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        write_keep_data = [ir.Constant(number, value) for value in (1, 3, 1)]
        builder.call(fetch, [builder.bitcast(place, byte), *write_keep_data])
        return context.get_dummy_value()

    return types.void(pointer, types.uint64), codegen


@kernel
def _prefetch_plain(array, at):
    pass


#: ``prefetch(pointer, at)``: ask the memory for an item that is soon read and written.
prefetch: Callable[..., None] = _prefetch_plain if PORTABLE else _prefetch_llvm
#: ``pointer(array)``: the first element of a C-contiguous 1-D array, to be indexed with uint64.
pointer: Callable[..., Any] = _pointer_plain if PORTABLE else _pointer_llvm


@inline
def load(encoding, state, data, counters):
    """Begin with the state that :func:`save` left, or ``[0, 0, 0]`` at the start of a stream."""
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
    """Keep the interval for the next call."""
    state[U64(0)], state[U64(1)], state[U64(2)] = coder.low, coder.span, coder.at


@inline
def code(encoding, bit, probability, coder):
    """Code a bit that is 1 with ``probability / 2**22``, LEAST..ONE - LEAST; (bit, coder)."""
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
    while span < FLOOR:
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


@inline
def _carry(low, at, data):
    """Add the carry of ``low``, if there is one, to the bytes before ``at``."""
    if low >> U64(STATE):
        at -= U64(1)
        while data[at] == np.uint8(255):
            data[at] = np.uint8(0)
            at -= U64(1)
        data[at] += np.uint8(1)


@kernel
def finish(state, data):
    """Write what is left of an interval that :func:`code` encoded.

    Returns
    -------
    int
        Bytes of the stream, or -1 where ``data`` was too short for it. Zeros at the end are left
        out: a decoder reads zeros there.
    """
    low, at = state[0] + FLOOR - U64(1), state[2]
    if at + U64(2) > U64(data.size):
        return -1
    _carry(low, at, data)
    data[at] = np.uint8((low >> U64(48)) & U64(255))
    data[at + U64(1)] = np.uint8((low >> U64(40)) & U64(255))
    size = np.int64(at) + 2
    while size > 0 and data[size - 1] == 0:
        size -= 1
    return size


@inline
def probability(counter):
    """A counter's probability of 1, kept off both ends."""
    return min(max(np.int64(counter >> np.uint32(10)), LEAST), ONE - LEAST)


@inline
def observe(bit, counter):
    """A counter after one more bit: 22 bits of probability, 10 of observations up to LIMIT."""
    seen = counter & np.uint32(1023)
    chance = np.int64(counter >> np.uint32(10))
    step = STEPS[U64(seen)]
    if bit:
        chance += ((ONE - 1 - chance) * step) >> 16
    else:
        chance -= (chance * step) >> 16
    if seen < LIMIT:
        seen += np.uint32(1)
    return np.uint32(chance << 10) | seen


@inline
def decide(encoding, bit, place, coder):
    """Code a bit by the counter at ``place``, which learns it; (bit, coder)."""
    counter = coder.counters[U64(place)]
    bit, coder = code(encoding, bit, probability(counter), coder)
    coder.counters[U64(place)] = observe(bit, counter)
    return bit, coder


@outline
def decide_rarely(encoding, bit, place, coder):
    """The same for decisions that are few."""
    return decide(encoding, bit, place, coder)


@inline
def decide_fine(encoding, bit, place, coarse, coder):
    """Code a bit by the counter at ``place``, which begins with what the coarser one knows.

    As long as it is YOUNG, the coarser one learns too.
    """
    counter = coder.counters[U64(place)]
    young = counter & np.uint32(1023) < YOUNG
    if counter & np.uint32(1023) == np.uint32(0):
        known = coder.counters[U64(coarse)]
        counter = known & np.uint32(0xFFFFFC00)
        if known & np.uint32(1023) > np.uint32(0):
            counter |= np.uint32(2)
    bit, coder = code(encoding, bit, probability(counter), coder)
    coder.counters[U64(place)] = observe(bit, counter)
    if young:
        coder.counters[U64(coarse)] = observe(bit, coder.counters[U64(coarse)])
    return bit, coder


@outline
def decide_number(encoding, number, bits, place, coder):
    """Code a number of ``bits`` bits from the top, each by 1023 counters at ``place``.

    The bits before it choose the counter, and after the ninth only that there are so many.
    """
    value, node = np.int64(0), np.int64(1)
    for shift in range(bits - 1, -1, -1):
        bit = (number >> shift) & 1 == 1
        bit, coder = decide_rarely(encoding, bit, place + min(node, 1023), coder)
        value = value * 2 + bit
        node = node * 2 + bit
    return value, coder


@outline
def decide_size(encoding, number, place, coder):
    """Code a number from 0 to 2**64 - 1: how many bits it has by 128 counters, then the bits.

    Those below the top one have a probability of 1/2.
    """
    number, bits = U64(number), np.int64(0)
    while bits < 64 and number >> U64(bits) != U64(0):
        bits += 1
    bits, coder = decide_number(encoding, bits, 7, place, coder)
    bits = min(bits, np.int64(64))
    value = U64(bits > 0)
    for shift in range(bits - 2, -1, -1):
        bit = (number >> U64(shift)) & U64(1) == U64(1)
        bit, coder = code(encoding, bit, ONE >> 1, coder)
        value = (value << U64(1)) | U64(bit)
    return value, coder

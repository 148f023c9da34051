"""The few word operations that Python has no name for, as LLVM code with a plain fallback.

The vector code is LLVM's own (``icmp`` on ``<64 x iN>``), not one CPU's: LLVM lowers it to
whatever the machine has.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from compresso.kernels import PORTABLE, kernel

ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
TOP = np.uint64(63)
LINE = 64  # bytes of a cache line, about
SLACK = 8  # items that a kernel may write past the last one of a list


def or_llvm(llvm):
    """Compile the decorated function with COMPRESSO_PORTABLE=1, else take the LLVM code."""
    return kernel if PORTABLE else lambda plain: llvm


def with_pointer(emit):
    """Make a code generator of ``emit(builder, ...)``: an array becomes a pointer to its items."""

    def codegen(context, builder, signature, arguments):
        first, *rest = arguments
        if isinstance(signature.args[0], types.Array):
            first = context.make_array(signature.args[0])(context, builder, first).data
        result = emit(builder, first, *rest)
        return context.get_dummy_value() if result is None else result

    return codegen


def load(builder, pointer, index, lanes):
    """The vector of ``lanes`` items from ``index`` on, or the item there for no lanes."""
    place, align = _vector_at(builder, pointer, index, lanes)
    return builder.load(place, align=align)


def store(builder, vector, pointer, index):
    """Store a vector from ``index`` on."""
    place, align = _vector_at(builder, pointer, index, vector.type.count)
    builder.store(vector, place, align=align)


def _vector_at(builder, pointer, index, lanes):
    """Pointer to ``lanes`` items from ``index`` on, and their alignment."""
    item = pointer.type.pointee
    vector = ir.VectorType(item, lanes) if lanes else item
    return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer()), item.width // 8


def spread_item(builder, item, lanes):
    """A vector with ``item`` in every lane."""
    vector = ir.Constant(ir.VectorType(item.type, lanes), ir.Undefined)
    for lane in range(lanes):
        vector = builder.insert_element(vector, item, ir.Constant(ir.IntType(32), lane))
    return vector


@intrinsic
def _differ64(typing_context, labels, i, j):
    def emit(builder, labels, i, j):
        one, other = load(builder, labels, i, 64), load(builder, labels, j, 64)
        return builder.bitcast(builder.icmp_unsigned("!=", one, other), ir.IntType(64))

    return types.uint64(labels, types.intp, types.intp), with_pointer(emit)


@or_llvm(_differ64)
def differ64(labels, i, j):
    """Bit k is set where ``labels[i + k] != labels[j + k]``, k in 0..63."""
    word = np.uint64(0)
    for k in range(64):
        word |= np.uint64(labels[i + k] != labels[j + k]) << np.uint64(k)
    return word


def _make_equal(lanes):
    @intrinsic
    def llvm(typing_context, labels, i, label):
        def emit(builder, labels, i, label):
            vector = spread_item(builder, label, lanes)
            same = builder.icmp_unsigned("==", load(builder, labels, i, lanes), vector)
            return builder.zext(builder.bitcast(same, ir.IntType(lanes)), ir.IntType(64))

        return types.uint64(labels, types.intp, labels.dtype), with_pointer(emit)

    @or_llvm(llvm)
    def plain(labels, i, label):
        word = np.uint64(0)
        for k in range(lanes):
            word |= np.uint64(labels[np.int64(i) + k] == label) << np.uint64(k)
        return word

    return plain


#: ``equal64(labels, i, label)``: bit k is set where ``labels[i + k] == label``, of their dtype.
equal16, equal64 = _make_equal(16), _make_equal(64)


@intrinsic
def _blend64(typing_context, labels, i, source, mask):
    def emit(builder, labels, i, source, mask):
        lanes = builder.bitcast(mask, ir.VectorType(ir.IntType(1), 64))
        new, old = load(builder, labels, source, 64), load(builder, labels, i, 64)
        store(builder, builder.select(lanes, new, old), labels, i)

    return types.void(labels, types.intp, types.intp, types.uint64), with_pointer(emit)


@or_llvm(_blend64)
def blend64(labels, i, source, mask):
    """Copy ``labels[source + k]`` to ``labels[i + k]`` where bit k of ``mask`` is set.

    All 64 labels from ``i`` and from ``source`` on must be inside the array.
    """
    for k in range(64):
        if (mask >> np.uint64(k)) & ONE:
            labels[i + k] = labels[source + k]


def _make_splat(lanes):
    @intrinsic
    def llvm(typing_context, out, i, value):
        def emit(builder, out, i, value):
            store(builder, spread_item(builder, value, lanes), out, i)

        return types.void(out, types.intp, out.dtype), with_pointer(emit)

    @or_llvm(llvm)
    def plain(out, i, value):
        for k in range(lanes):
            out[np.int64(i) + k] = value

    return plain


#: ``splat8(out, i, value)``: store ``value`` in ``out[i : i + 8]``; ``splat32`` in 32 items.
splat8, splat32 = _make_splat(8), _make_splat(32)


def prefetch_line(builder, pointer, write):
    """Ask the memory for the cache line at an LLVM pointer, to be read (0) or written (1)."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, *[number] * 3])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    keep_data = [ir.Constant(number, value) for value in (write, 3, 1)]
    builder.call(prefetch, [builder.bitcast(pointer, byte), *keep_data])


@intrinsic
def _prefetch64(typing_context, labels, i):
    def emit(builder, labels, i):
        octets = builder.bitcast(builder.gep(labels, [i]), ir.IntType(8).as_pointer())
        for offset in range(0, 8 * labels.type.pointee.width, LINE):
            line = builder.gep(octets, [ir.Constant(ir.IntType(32), offset)])
            prefetch_line(builder, line, 0)

    return types.void(labels, types.intp), with_pointer(emit)


@or_llvm(_prefetch64)
def prefetch64(labels, i):
    """Ask the memory for ``labels[i : i + 64]``, which may be outside."""


@intrinsic
def _word_at(typing_context, array, i):
    def emit(builder, array, i):
        return builder.bitcast(
            load(builder, array, i, 64 // array.type.pointee.width), ir.IntType(64)
        )

    return types.uint64(array, types.intp), with_pointer(emit)


@or_llvm(_word_at)
def word_at(array, i):
    """The 8 bytes from ``array[i]`` on, the first in the lowest bits."""
    word = np.uint64(0)
    for k in range(8 // array.itemsize):
        word |= np.uint64(array[np.int64(i) + k]) << np.uint64(8 * array.itemsize * k)
    return word


def _of_word(emit):
    """The function of a uint64 that ``emit(builder, word)`` writes."""

    @intrinsic
    def llvm(typing_context, word):
        return types.uint64(types.uint64), with_pointer(emit)

    return llvm


_OF_ZERO_TOO = ir.Constant(ir.IntType(1), 0)


@or_llvm(_of_word(lambda builder, word: builder.ctpop(word)))
def popcount(word):
    """Number of set bits."""
    count = 0
    while word != np.uint64(0):
        word &= word - ONE
        count += 1
    return np.uint64(count)


@or_llvm(_of_word(lambda builder, word: builder.bitreverse(word)))
def reverse(word):
    """Bit k becomes bit 63 - k."""
    reverse = np.uint64(0)
    for _ in range(64):
        reverse = (reverse << ONE) | (word & ONE)
        word >>= ONE
    return reverse


@or_llvm(_of_word(lambda builder, word: builder.cttz(word, _OF_ZERO_TOO)))
def trailing_zeros(word):
    """Index of the lowest set bit; 64 for 0."""
    return popcount((word & (~word + ONE)) - ONE)


@or_llvm(_of_word(lambda builder, word: builder.ctlz(word, _OF_ZERO_TOO)))
def leading_zeros(word):
    """Zeros above the highest set bit; 64 for 0."""
    count = np.uint64(0)
    while count < np.uint64(64) and not (word >> (np.uint64(63) - count)) & ONE:
        count += ONE
    return count

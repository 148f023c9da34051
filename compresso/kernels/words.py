"""The few word operations that Python has no name for, as LLVM code with a plain fallback.

The vector code is LLVM's own (``icmp`` on ``<64 x iN>``), not one CPU's: LLVM lowers it to
whatever the machine has.
"""

from typing import Any

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


def pick(plain: Any, llvm: Any) -> Any:
    """The plain function of a pair with COMPRESSO_PORTABLE=1, else the LLVM code."""
    return plain if PORTABLE else llvm


def _vector_at(context, builder, signature, array, index, lanes=64):
    """Pointer to ``lanes`` elements of a 1-D array from ``index`` on, and their alignment."""
    item = context.get_data_type(signature.args[0].dtype)
    data = context.make_array(signature.args[0])(context, builder, array).data
    vector = ir.VectorType(item, lanes)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer()), item.width // 8


def _load64(context, builder, signature, array, *indices):
    """For each index, the vector of 64 elements from there on."""
    places = [_vector_at(context, builder, signature, array, index) for index in indices]
    return [builder.load(pointer, align=align) for pointer, align in places]


@intrinsic
def _differ64_llvm(typing_context, labels, i, j):
    def codegen(context, builder, signature, arguments):
        one, other = _load64(context, builder, signature, *arguments)
        return builder.bitcast(builder.icmp_unsigned("!=", one, other), ir.IntType(64))

    return types.uint64(labels, types.intp, types.intp), codegen


def _splat(builder, item, lanes):
    """A vector with ``item`` in every lane."""
    vector = ir.Constant(ir.VectorType(item.type, lanes), ir.Undefined)
    for lane in range(lanes):
        vector = builder.insert_element(vector, item, ir.Constant(ir.IntType(32), lane))
    return vector


@intrinsic
def _equal64_llvm(typing_context, labels, i, label):
    def codegen(context, builder, signature, arguments):
        array, index, item = arguments
        (loaded,) = _load64(context, builder, signature, array, index)
        same = builder.icmp_unsigned("==", loaded, _splat(builder, item, 64))
        return builder.bitcast(same, ir.IntType(64))

    return types.uint64(labels, types.intp, labels.dtype), codegen


@intrinsic
def _edges64_llvm(typing_context, labels, i, below):
    def codegen(context, builder, signature, arguments):
        array, i, below = arguments
        after = builder.add(i, ir.Constant(i.type, 1))
        here, right, lower = _load64(context, builder, signature, array, i, after, below)
        differs = builder.or_(
            builder.icmp_unsigned("!=", here, right), builder.icmp_unsigned("!=", here, lower)
        )
        return builder.bitcast(differs, ir.IntType(64))

    return types.uint64(labels, types.intp, types.intp), codegen


@intrinsic
def _blend64_llvm(typing_context, labels, i, source, mask):
    def codegen(context, builder, signature, arguments):
        array, i, source, mask = arguments
        pointer, align = _vector_at(context, builder, signature, array, i)
        lanes = builder.bitcast(mask, ir.VectorType(ir.IntType(1), 64))
        new, old = _load64(context, builder, signature, array, source, i)
        builder.store(builder.select(lanes, new, old), pointer, align=align)
        return context.get_dummy_value()

    return types.void(labels, types.intp, types.intp, types.uint64), codegen


def _splat_llvm(lanes):
    @intrinsic
    def splat(typing_context, out, i, value):
        def codegen(context, builder, signature, arguments):
            array, index, item = arguments
            pointer, align = _vector_at(context, builder, signature, array, index, lanes)
            builder.store(_splat(builder, item, lanes), pointer, align=align)
            return context.get_dummy_value()

        return types.void(out, types.intp, out.dtype), codegen

    return splat


@intrinsic
def _splat32_at_llvm(typing_context, pointer, i, value):
    def codegen(context, builder, signature, arguments):
        pointer, index, item = arguments
        spread = _splat(builder, item, 32)
        place = builder.bitcast(builder.gep(pointer, [index]), spread.type.as_pointer())
        builder.store(spread, place, align=item.type.width // 8)
        return context.get_dummy_value()

    return types.void(pointer, types.uint64, pointer.dtype), codegen


def prefetch_line(builder, pointer, write):
    """Ask the memory for the cache line at an LLVM pointer, to be read (0) or written (1)."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, *[number] * 3])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    keep_data = [ir.Constant(number, value) for value in (write, 3, 1)]
    builder.call(prefetch, [builder.bitcast(pointer, byte), *keep_data])


@intrinsic
def _prefetch64_llvm(typing_context, labels, i):
    def codegen(context, builder, signature, arguments):
        pointer, item_bytes = _vector_at(context, builder, signature, *arguments)
        octets = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        for offset in range(0, 64 * item_bytes, LINE):
            line = builder.gep(octets, [ir.Constant(ir.IntType(32), offset)])
            prefetch_line(builder, line, 0)
        return context.get_dummy_value()

    return types.void(labels, types.intp), codegen


@intrinsic
def _word_at_llvm(typing_context, array, i):
    def codegen(context, builder, signature, arguments):
        array, index = arguments
        pointer, align = _vector_at(context, builder, signature, array, index, 1)
        word = builder.bitcast(pointer, ir.IntType(64).as_pointer())
        return builder.load(word, align=align)

    return types.uint64(array, types.intp), codegen


def _of_word(emit):
    """The function of a uint64 that ``emit(builder, word)`` writes."""

    @intrinsic
    def llvm(typing_context, word):
        def codegen(context, builder, signature, arguments):
            return emit(builder, arguments[0])

        return types.uint64(types.uint64), codegen

    return llvm


_OF_ZERO_TOO = ir.Constant(ir.IntType(1), 0)
_trailing_zeros_llvm = _of_word(lambda builder, word: builder.cttz(word, _OF_ZERO_TOO))
_leading_zeros_llvm = _of_word(lambda builder, word: builder.ctlz(word, _OF_ZERO_TOO))
_reverse_llvm = _of_word(lambda builder, word: builder.bitreverse(word))
_popcount_llvm = _of_word(lambda builder, word: builder.ctpop(word))


@kernel
def _differ64_plain(labels, i, j):
    word = np.uint64(0)
    for k in range(64):
        word |= np.uint64(labels[i + k] != labels[j + k]) << np.uint64(k)
    return word


@kernel
def _equal64_plain(labels, i, label):
    word = np.uint64(0)
    for k in range(64):
        word |= np.uint64(labels[i + k] == label) << np.uint64(k)
    return word


@kernel
def _edges64_plain(labels, i, below):
    return _differ64_plain(labels, i, i + 1) | _differ64_plain(labels, i, below)


@kernel
def _blend64_plain(labels, i, source, mask):
    for k in range(64):
        if (mask >> np.uint64(k)) & ONE:
            labels[i + k] = labels[source + k]


def _splat_plain(lanes):
    @kernel
    def splat(out, i, value):
        for k in range(lanes):
            out[i + k] = value

    return splat


@kernel
def _splat32_at_plain(out, i, value):
    for k in range(np.uint64(32)):
        out[i + np.uint64(k)] = value


@kernel
def _prefetch64_plain(labels, i):
    pass


@kernel
def _word_at_plain(array, i):
    word = np.uint64(0)
    for k in range(8 // array.itemsize):
        word |= np.uint64(array[i + k]) << np.uint64(8 * array.itemsize * k)
    return word


@kernel
def _popcount_plain(word):
    count = 0
    while word != np.uint64(0):
        word &= word - ONE
        count += 1
    return np.uint64(count)


@kernel
def _reverse_plain(word):
    reverse = np.uint64(0)
    for _ in range(64):
        reverse = (reverse << ONE) | (word & ONE)
        word >>= ONE
    return reverse


@kernel
def _trailing_zeros_plain(word):
    return _popcount_plain((word & (~word + ONE)) - ONE)


@kernel
def _leading_zeros_plain(word):
    count = np.uint64(0)
    while count < np.uint64(64) and not (word >> (np.uint64(63) - count)) & ONE:
        count += ONE
    return count


#: ``differ64(labels, i, j)``: bit k is set where ``labels[i + k] != labels[j + k]``, k in 0..63.
differ64 = pick(_differ64_plain, _differ64_llvm)
#: ``equal64(labels, i, label)``: bit k is set where ``labels[i + k] == label``, of their dtype.
equal64 = pick(_equal64_plain, _equal64_llvm)
#: ``edges64(labels, i, below)``: bit k is set where ``labels[i + k]`` differs from
#: ``labels[i + k + 1]`` or ``labels[below + k]``.
edges64 = pick(_edges64_plain, _edges64_llvm)
#: ``blend64(labels, i, source, mask)``: copy ``labels[source + k]`` to ``labels[i + k]`` where bit
#: k of ``mask`` is set; ``labels[i : i + 64]`` and the source must be inside the array.
blend64 = pick(_blend64_plain, _blend64_llvm)
#: ``splat8(out, i, value)``: store ``value`` in ``out[i : i + 8]``; ``splat32`` in 32.
splat8 = pick(_splat_plain, _splat_llvm)(8)
splat32 = pick(_splat_plain, _splat_llvm)(32)
#: ``splat32_at(pointer, i, value)``: the same through a pointer.
splat32_at = pick(_splat32_at_plain, _splat32_at_llvm)
#: ``prefetch64(labels, i)``: ask the memory for ``labels[i : i + 64]``, which may be outside.
prefetch64 = pick(_prefetch64_plain, _prefetch64_llvm)
#: ``word_at(array, i)``: the 8 bytes from ``array[i]`` on, the first in the lowest bits.
word_at = pick(_word_at_plain, _word_at_llvm)
#: ``trailing_zeros(word)``: index of the lowest set bit; 64 for 0.
trailing_zeros = pick(_trailing_zeros_plain, _trailing_zeros_llvm)
#: ``leading_zeros(word)``: zeros above the highest set bit; 64 for 0.
leading_zeros = pick(_leading_zeros_plain, _leading_zeros_llvm)
#: ``reverse(word)``: bit k becomes bit 63 - k.
reverse = pick(_reverse_plain, _reverse_llvm)
#: ``popcount(word)``: number of set bits.
popcount = pick(_popcount_plain, _popcount_llvm)

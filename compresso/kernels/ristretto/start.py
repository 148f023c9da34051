"""The counters of ``ristretto``: which there are, their addresses, and their initial values.

The counters of effort 1 begin with trained values, a *start*. It is an xz file: uint32
little-endian, the number of counters, and 63 more, *levels*, which are probabilities in 2**22; then
a byte per counter, 0 for an untrained one, else 1 + its level.
"""

import lzma
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from compresso.kernels.ristretto import contexts
from compresso.kernels.ristretto.coder import FRESH, MOST, SQUASH, U64, inline

COARSE_BITS = 7

# The questions. "Same", "left" and "above" are the ones with fine and coarse counters.
SAME, LEFT, ABOVE = range(3)  # is it W's label, where N has it too? or not? is it N's label?
COARSE = 3  # + SAME, LEFT or ABOVE
BACKGROUND, CORNER = 6, 7  # is it the label 0? that of NE?
RUN = 8  # do all voxels of a flat stretch have W's label?
BREAK = 9  # how many have it, as a number
STEPS_BACK = 10  # 2-D: how many have it, counted from the end
BELOW, BESIDE = 11, 12  # is it a label near P? near the voxel?
KNOWN, NUMBER = 13, 14  # has the label been coded before? its number
IS_3D, BY_COLUMNS = 15, 16  # is the slice coded in 3-D? are its labels numbered by columns?

RUN_BITS = sum(map(len, contexts.RUN_3D))
TEMPLATES = {
    **{SAME: contexts.SAME, LEFT: contexts.LEFT, ABOVE: contexts.ABOVE},
    **{BACKGROUND: contexts.BACKGROUND, CORNER: contexts.CORNER},
}
#: Counters of each question, in 2-D and in 3-D slices, in the order of their addresses.
COUNTS = {
    IS_3D: (1, 1),  # by whether the slice before was
    BY_COLUMNS: (1, 1),
    **{COARSE + question: (1 << COARSE_BITS, 1 << COARSE_BITS) for question in range(3)},
    **{question: [1 << len(pairs) for pairs in both] for question, both in TEMPLATES.items()},
    RUN: (8 * 16 * 8 * 4 * 4, 13 << RUN_BITS),
    STEPS_BACK: (16 * 12 * 8 * 4, 0),
    BREAK: (13 << 10, 13 << 10),
    BELOW: (0, 12 * 5 * 8 * 4),
    BESIDE: (1 << 8, 1 << 8),
    KNOWN: (5, 1),
    NUMBER: (3 << 10, 1 << 10),
}
#: The first counter of each question, in 2-D and in 3-D slices.
FIRST = np.zeros((len(COUNTS), 2), np.int64)
_sizes = np.array(list(COUNTS.values()), np.int64)
FIRST[list(COUNTS)] = (np.cumsum(_sizes) - _sizes.reshape(-1)).reshape(-1, 2)
COUNTERS = int(_sizes.sum())


@inline
def slot(question, is_3d, context):
    """The address of the counter of a question in a context."""
    return FIRST[U64(question), U64(is_3d)] + context


@inline
def coarse_slot(question, is_3d, context):
    """The address of the coarse counter: that of the first bits of the context."""
    return slot(COARSE + question, is_3d, context & ((1 << COARSE_BITS) - 1))


# The rest is for efforts 2 and 3.
#: Four questions are mixed, in this order: SAME, LEFT, ABOVE and runs, each in 2-D and in 3-D.
MIXED_RUN = 3
MORE = [*contexts.MORE, (contexts.MORE_RUN_2D, contexts.MORE_RUN_3D)]
FEW = 2  # templates of effort 2, in addition to the one of effort 1
EDGES = {2: (0, 1), 3: (1, 3)}  # models of the edge of W's label, by effort, in 2-D and in 3-D
SETS = 32  # sets of weights of each question
COLUMNS = 33  # counters of a row of refinements
STEP = 176  # logits from one of them to the next
REFINEMENTS = COUNTERS  # the address of the first one: 1024 rows of COLUMNS for each question
TABLES = REFINEMENTS + 6 * 1024 * COLUMNS  # the address of the first model's counters
#: By effort, question and 2-D or 3-D: further models, and the number of those before.
EXTRA = np.zeros((4, 4, 2), np.int64)
BEFORE = np.zeros((4, 4, 2), np.int64)
for _effort in (2, 3):
    _count = 0
    for _question in range(4):
        for _is_3d in range(2):
            _extra = FEW if _effort == 2 else len(MORE[_question][_is_3d])
            if _question in (SAME, LEFT):
                _extra += EDGES[_effort][_is_3d]
            EXTRA[_effort, _question, _is_3d], BEFORE[_effort, _question, _is_3d] = _extra, _count
            _count += _extra
MODELS = 1 + int(EXTRA.max())  # of a question, at most


def width(effort: int, voxels: int) -> int:
    """Bits of the contexts of a model, in a piece with that many voxels."""
    return min(max(voxels.bit_length() - 3, 12), 14 + 2 * effort)


def make_counters(start: int, effort: int, bits: int) -> NDArray[np.uint32]:
    """The counters of a piece: those of a start, then those of the mixer."""
    if effort == 1:
        return trained(start).copy()
    tables = int(EXTRA[effort].sum()) << bits
    counters = np.full(TABLES + tables, FRESH, np.uint32)
    counters[:COUNTERS] = trained(start)
    row = SQUASH[np.minimum(np.arange(COLUMNS) * STEP, 2 * MOST + 2)]
    counters[REFINEMENTS:TABLES] = np.tile(row.astype(np.uint32) << 10 | 6, 6 * 1024)
    return counters


def make_weights(effort: int) -> NDArray[np.int64]:
    """The weights of a piece, in 1/65536: their sum is 1.2, and none is above 1."""
    weights = np.zeros((4, 2, SETS, MODELS), np.int64)
    for question in range(4):
        for is_3d in range(2):
            count = 1 + int(EXTRA[effort, question, is_3d])
            weights[question, is_3d, :, :count] = min(65536, 78643 // count)
    return weights.reshape(-1)


#: The files of starts by their number in a stream; 0 is untrained. Published ones never change.
STARTS = (None, "ristretto-start-1.xz")
OBSERVATIONS = np.uint32(6)  # of a trained counter
LEVELS = 63


@lru_cache(maxsize=2)
def trained(number: int) -> NDArray[np.uint32]:
    """The counters of a start, read-only."""
    counters = np.full(COUNTERS, FRESH, np.uint32)
    file = STARTS[number]
    if file:
        found = unpack(resources.files("compresso.encodings").joinpath(file).read_bytes())
        counters[: found.size] = found
    counters.flags.writeable = False
    return counters


def pack(counters: NDArray[np.uint32], least: int) -> bytes:
    """Make a start's file from the counters that made ``least`` observations or more."""
    # Levels are even in the logarithm of the odds, from 2**-12 to 2**12 to one.
    odds = 2.0 ** (np.arange(-31, 32) * 12 / 31)
    levels = np.round((1 << 22) * odds / (1 + odds)).astype("<u4")
    edges = (levels[1:].astype(np.int64) + levels[:-1]) // 2
    codes = 1 + np.searchsorted(edges, counters >> np.uint32(10)).astype(np.uint8)
    codes[counters & np.uint32(1023) < least] = 0
    plain = np.array([codes.size], "<u4").tobytes() + levels.tobytes() + codes.tobytes()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]
    return lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


def unpack(packed: bytes) -> NDArray[np.uint32]:
    """The counters of a start's file."""
    plain = lzma.decompress(packed, lzma.FORMAT_XZ)
    numbers = np.frombuffer(plain, "<u4", 1 + LEVELS)
    codes = np.frombuffer(plain, np.uint8, offset=numbers.nbytes)
    known = np.empty(1 + LEVELS, np.uint32)
    known[0] = FRESH
    known[1:] = numbers[1:] << np.uint32(10) | OBSERVATIONS
    return known[codes]

"""Where the counters of ``ristretto`` are, and its weights."""

import numpy as np
from numpy.typing import NDArray

from compresso.kernels import ristretto_models as models
from compresso.kernels.ristretto_coder import FRESH
from compresso.kernels.ristretto_mixing import COLUMNS, MOST, SQUASH, STEP


class _Layout:
    """Hands out places, one after another."""

    size = 0

    def take(self, count: int) -> int:
        self.size += count
        return self.size - count


_layout = _Layout()
DEEP = _layout.take(2)  # is the slice deep?
BY_COLUMNS = _layout.take(2)  # are its labels numbered by columns?
COARSE_BITS = 7
COARSE = _layout.take(6 << COARSE_BITS)
SAME = _layout.take(2 << 18)  # [2-D or 3-D][context], as all that follow
LEFT = _layout.take(2 << 18)
ABOVE = _layout.take(2 << 15)
NOTHING = _layout.take(2 << 14)
CORNER = _layout.take(2 << 11)
RUN_3D = _layout.take(16 << 9)  # does a run fill its flat stretch?
RUN_2D = _layout.take(1 << 14)
STEPS_BACK = _layout.take(16 * 12 * 8 * 4)  # 2-D: where it breaks, counted from the end
BREAK = _layout.take(26 << 10)  # where it breaks, as a number
CANDIDATE_BELOW = _layout.take(12 * 5 * 8 * 4)
CANDIDATE_BESIDE = _layout.take(2 << 8)
KNOWN = _layout.take(8)  # was the label met before?
NUMBER = _layout.take(3 << 10)  # its number
COUNTERS = _layout.size
# The rest is for efforts 2 and 3.
REFINE = _layout.take(6 * 1024 * COLUMNS)
MIXED = _layout.size

#: What is mixed, in this order: same left, either left, same above and runs, each 2-D, then 3-D.
MORE = (
    (models.MORE_SAME_2D, models.MORE_SAME_3D),
    (models.MORE_LEFT_2D, models.MORE_LEFT_3D),
    (models.MORE_ABOVE_2D, models.MORE_ABOVE_3D),
    (models.MORE_RUN_2D, models.MORE_RUN_3D),
)
FEW = 2  # more models at effort 2
SETS = 32  # of weights for each
MODELS = 9  # of a set, at most
#: By effort, question and 2-D or 3-D: models beside the first, and those of all before.
EXTRA = np.zeros((4, 4, 2), np.int64)
BEFORE = np.zeros((4, 4, 2), np.int64)
for _effort in (2, 3):
    _count = 0
    for _question in range(4):
        for _deep in range(2):
            _extra = FEW
            if _effort == 3:  # all, and the contour where W's label is asked for
                _extra = len(MORE[_question][_deep]) + (_question < 2)
            EXTRA[_effort, _question, _deep], BEFORE[_effort, _question, _deep] = _extra, _count
            _count += _extra


def width(effort: int, voxels: int) -> int:
    """Bits of a model's contexts in a piece of so many voxels."""
    return min(max(voxels.bit_length() - 3, 12), 14 + 2 * effort)


def make_counters(trained: NDArray[np.uint32], effort: int, bits: int) -> NDArray[np.uint32]:
    """Counters of a piece: the trained ones of effort 1, then those that mixing needs."""
    if effort == 1:
        return trained.copy()
    tables = int(EXTRA[effort].sum()) << bits
    counters = np.full(MIXED + tables, FRESH, np.uint32)
    counters[:COUNTERS] = trained
    row = SQUASH[np.minimum(np.arange(COLUMNS) * STEP, 2 * MOST + 2)]
    counters[REFINE:MIXED] = np.tile(row << 10 | 6, 6 * 1024)
    return counters


def make_weights(effort: int) -> NDArray[np.int64]:
    """Weights of a piece, in 1/65536: together 1.2, and none above 1."""
    weights = np.zeros((4, 2, SETS, MODELS), np.int64)
    for question in range(4):
        for deep in range(2):
            count = 1 + int(EXTRA[effort, question, deep])
            weights[question, deep, :, :count] = min(65536, 78643 // count)
    return weights.reshape(-1)

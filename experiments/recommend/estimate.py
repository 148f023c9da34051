"""From the bytes of a sample to those of the whole volume, and how sure that is.

A volume in one piece takes fewer bytes than its chunks do together, for three reasons, each of
which is measured with the cell itself on the same voxels:

growth
    Models, dictionaries and tables of windows or labels are learnt once. The chunks are encoded
    in quarters of one stack, in halves, and in one: each doubling saves some, and what the
    doublings that are missing would save is continued from these.
seams
    The first slice of a chunk has no slice before it. The chunks are cut in halves and in quarters
    and stacked so that what belongs together is apart: what more seams cost tells what fewer save.
edges
    The same in y and x, where chunks are narrower than the volume.

The interval adds, as independent errors, what other chunks might have been (Student's, of what
density does not explain), what the continuation may be wrong by, and how large the part of the
volume may be that the chunks stand for. The rest of the volume has one label, so its bytes follow
from three pieces of that label: what another slice takes, and what a wider one.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels
from experiments.measure import Method, prepared
from experiments.recommend.sample import Sample, stack
from experiments.records.intervals import CONFIDENCE

#: What the next doubling saves of what the last one saved: expected, and at most.
DECLINE, SLOWEST = 0.8, 0.97
#: How much smaller an excess is where seams are half as many: expected bounds.
HALVED = (0.25, 0.5)
#: No interval of a sample is narrower than this, relative, on either side.
NARROWEST = 0.03
#: Pieces of one label: slices, and rows and columns at most. Blocks are 8 voxels along each axis.
PIECE = (8, 512)
#: By what their sizes may be wrong: bytes, and a share.
ROUNDING, DRIFT = 8, 0.1


@dataclass(frozen=True)
class Bytes:
    """The bytes of the whole volume: expected, and the bounds of the 95% interval.

    The bounds are NaN if nothing is known about the error.
    """

    expected: float
    low: float
    high: float


def exactly(size: float) -> Bytes:
    """What was measured, and not estimated."""
    return Bytes(size, size, size)


def size(cell: Method, labels: Labels) -> int:
    """The bytes that a cell makes of labels."""
    stream = cell.encoding.encode_volume(prepared(labels, cell.encoding), cell.threads)
    return memoryview(cell.compressor.compress(stream)).nbytes


@dataclass(frozen=True)
class Continuation:
    """By which a size is to be multiplied, as a logarithm: expected, and its bounds."""

    expected: float
    low: float
    high: float


#: Where there is nothing to save.
NOTHING = Continuation(0.0, 0.0, 0.0)


def estimate(cell: Method, sample: Sample) -> Bytes:
    """The bytes of the whole volume, in one piece as the grid measures it."""
    other = rest(cell, sample)
    if not sample.content.share:
        return Bytes(other.expected, math.nan, math.nan)
    found = _content(cell, sample)
    expected = found.expected + other.expected
    low = math.hypot(found.expected - found.low, other.expected - other.low)
    high = math.hypot(found.high - found.expected, other.high - other.expected)
    return Bytes(expected, expected - low, expected + high)


def rest(cell: Method, sample: Sample) -> Bytes:
    """The bytes of the part of the volume that has one label, and is not sampled."""
    share = 1 - sample.content.share
    if not share:
        return exactly(0)
    pieces = [blank(sample, deeper, wider) for deeper, wider in ((1, 1), (2, 1), (1, 8))]
    one, deep, wide = (size(cell, labels) for labels in pieces)
    depth, more = len(pieces[0]), pieces[2].size - pieces[0].size
    voxel = max(0, wide - one) / more
    plane = max(0.0, (deep - one) / depth - voxel * pieces[0][0].size)
    least = max(1.0, one - depth * plane - pieces[0].size * voxel)
    voxels, planes = share * sample.volume.voxels, share * sample.volume.shape[0]
    expected = least + planes * plane + voxels * voxel
    error = ROUNDING * voxels / more + DRIFT * expected
    return Bytes(expected, max(1.0, expected - error), expected + error)


def blank(sample: Sample, deeper: int = 1, wider: int = 1) -> Labels:
    """A piece of the label of the part that is not sampled, not much larger than the volume."""
    depth, most = PIECE
    side = math.isqrt(sample.volume.voxels // (64 * depth))
    side = min(most, max(64, side // 8 * 8))
    return np.full((deeper * depth, side, wider * side), sample.content.label, sample.volume.dtype)


def _content(cell: Method, sample: Sample) -> Bytes:
    """The bytes of the part of the volume that the chunks stand for."""
    chunks, whole, content = sample.chunks, sample.volume, sample.content
    alone = np.array([size(cell, chunk) for chunk in chunks], float)
    grown = _grown(cell, chunks, float(alone.sum()))
    voxels = sum(chunk.size for chunk in chunks)
    times = content.share * whole.voxels / voxels
    steps = [
        growth(grown, math.log2(max(1.0, times))),
        *(_seams(cell, chunks, axis, content.joined[axis], grown[-1]) for axis in range(3)),
    ]
    mean, reach = _of_a_chunk(alone, sample)
    expected = grown[-1] * mean / alone.mean() * times
    expected *= math.exp(sum(step.expected for step in steps))
    sides = math.log(content.share / content.low), math.log(content.high / content.share)
    low = math.hypot(reach, NARROWEST, sides[0], *(step.expected - step.low for step in steps))
    high = math.hypot(reach, NARROWEST, sides[1], *(step.high - step.expected for step in steps))
    return Bytes(expected, expected * math.exp(-low), expected * math.exp(high))


def _grown(cell: Method, chunks: Sequence[Labels], alone: float) -> list[float]:
    """All bytes of the chunks in a quarter of a stack each, in half of one, and in one.

    The numbers of chunks are powers of 2, up to the first that holds all; one chunk is known.
    """
    deepest = (len(chunks) - 1).bit_length()
    found = []
    for together in (1 << power for power in range(max(0, deepest - 2), deepest + 1)):
        groups = [chunks[i : i + together] for i in range(0, len(chunks), together)]
        sizes = (size(cell, stack(group)) for group in groups)
        found.append(alone if together == 1 else float(sum(sizes)))
    return found


def growth(grown: Sequence[float], doublings: float) -> Continuation:
    """What so many more doublings save, by what the last ones saved."""
    saved = [math.log(b / a) for a, b in itertools.pairwise(grown)]
    if not saved:
        return NOTHING
    last, before = saved[-1], saved[-2] if len(saved) > 1 else saved[-1]
    typical = min(0.0, (2 * last + DECLINE * before) / 3)
    expected = typical * _series(DECLINE, doublings)
    most = min(last, (last + before) / 2, 0.0) * _series(SLOWEST, doublings)
    return Continuation(expected, min(most, 1.5 * expected), 0.0)


def _series(ratio: float, terms: float) -> float:
    """The sum of ratio + ratio**2 + ..., of so many terms, whole or not."""
    return float(ratio * (1 - ratio**terms) / (1 - ratio))


def _seams(
    cell: Method, chunks: Sequence[Labels], axis: int, joined: float, together: float
) -> Continuation:
    """What is saved where a chunk goes on along an axis, as this share of them does."""
    side = chunks[0].shape[axis]
    if not joined or side < 2:
        return NOTHING
    halves = _apart(cell, chunks, axis, 2) / together - 1
    share = HALVED[1]
    if axis == 0 and side >= 4:
        quarters = _apart(cell, chunks, axis, 4) / together - 1
        if quarters > halves > 0:
            share = min(HALVED[1], max(HALVED[0], halves / (quarters - halves)))
    excess = max(0.0, halves) * share / (1 - share) * joined
    excess = min(excess, 0.5)
    return Continuation(math.log1p(-excess), math.log1p(-min(0.75, 1.75 * excess)), 0.0)


def _apart(cell: Method, chunks: Sequence[Labels], axis: int, parts: int) -> float:
    """The bytes of the chunks in parts along an axis, stacked so that neighbours are apart."""
    cut = [np.array_split(chunk, parts, axis) for chunk in chunks]
    index = [slice(None)] * 3
    index[axis] = slice(0, chunks[0].shape[axis] // parts)  # what is odd is left out
    order = (*range(0, parts, 2), *range(1, parts, 2))
    labels = stack([np.ascontiguousarray(c[i][tuple(index)]) for i in order for c in cut])
    return size(cell, labels) * sum(chunk.size for chunk in chunks) / labels.size


def _of_a_chunk(alone: NDArray[np.float64], sample: Sample) -> tuple[float, float]:
    """The bytes of a chunk on average over the volume, and the interval's reach, a logarithm.

    The bytes follow the density of labels, which is known at more places than were read. What it
    does not explain is what another draw would have changed.
    """
    from scipy import stats

    count, density = len(alone), sample.density
    if sample.content.weights is not None:
        alone = alone * sample.content.weights
    slope, left = 0.0, count - 1
    if count > 3 and np.ptp(density) > 0:
        slope = max(0.0, float(np.polyfit(density, alone, 1)[0]))
        left = count - 2
    around = alone - alone.mean() - slope * (density - density.mean())
    spread = float((around**2).sum()) / max(1, left)
    missing = max(0.0, 1 - count / sample.drawn_from)
    variance = spread / count * missing + (slope * sample.density_error) ** 2
    mean = float(alone.mean() + slope * (sample.mean_density - density.mean()))
    mean = max(mean, float(alone.mean()) / 4)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, max(1, left)) * math.sqrt(variance) / mean
    return mean, float(reach)

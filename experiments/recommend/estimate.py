"""Estimate the bytes of the whole volume from a sample, with a 95% interval.

A volume in one piece takes fewer bytes than its chunks together. The method itself measures why:

growth
    Models and tables are learnt once. The chunks are compressed in quarters of one stack, in
    halves, and in one. The savings of further doublings are extrapolated from these.
boundaries
    Chunks have more boundaries than the volume. Some are cut into halves along each axis, and
    stacked with others between neighbours. The cost of these cuts shows what the volume saves.

The interval adds independent errors: that other chunks might have been drawn (Student's interval
of the differences between chunks of similar density), of the extrapolation, and of the content's
share of the volume. The rest of the volume has one label; its bytes follow from three pieces of it.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from compresso.arrays import Labels
from compresso.codec import ignore
from compresso.parallel import cores, on_threads
from experiments.measure import Method, prepared
from experiments.recommend.sample import Sample, stack
from experiments.records.intervals import CONFIDENCE, Interval

#: Savings of a doubling compared with the one before: expected, and at most.
DECLINES = (0.8, 0.97)
#: Savings of fewer boundaries compared with the cost of twice as many: expected, and at most.
SAVED, MOST_SAVED = 0.7, 1.3
#: Chunks that are cut to measure boundaries.
CUT_CHUNKS = 4
#: Stacks that are compressed at the same time, at most: each takes memory.
THREADS = 4
#: No interval of a sample is narrower than this, relative, on either side.
LEAST_ERROR = 0.03
#: Pieces of one label: slices, and rows and columns at most. Blocks are 8 voxels along each axis.
PIECE_SIDES = (8, 512)
#: Errors of their sizes: bytes, and a share.
ROUNDING_BYTES, DRIFT_SHARE = 8, 0.1


def size(method: Method, labels: Labels) -> int:
    """The compressed bytes of labels."""
    volume = prepared(labels, method.encoding)
    stream = method.encoding.encode_volume(volume, method.threads, ignore)
    return memoryview(method.compressor.compress(stream)).nbytes


def estimate_size(method: Method, sample: Sample, stacked: int) -> Interval:
    """Estimate the bytes of the whole volume in one piece, as the grid measures it.

    ``stacked`` are the bytes of all chunks in one stack.
    """
    chunks, content, rest = sample.chunks, sample.content, blank_size(method, sample)
    if not content.share:
        return Interval(rest.value, math.nan, math.nan)
    deepest = (len(chunks) - 1).bit_length()
    depths = sorted({1, *(1 << power for power in range(max(0, deepest - 2), deepest))})
    few = chunks[:: max(1, len(chunks) // CUT_CHUNKS)]
    axes = [a for a, share in enumerate(content.joined) if share and few[0].shape[a] > 1]
    jobs = [(f"{n} at once", chunks[i : i + n]) for n in depths for i in range(0, len(chunks), n)]
    jobs += [("uncut", few), *((f"cut along {axis}", _cut(few, axis)) for axis in axes)]
    threads = min(THREADS, cores(0))
    measured = on_threads(lambda job: size(method, stack(job[1])), jobs, threads)
    sizes = pd.Series(measured, [name for name, _ in jobs], float)
    times = content.share * sample.volume.voxels / sum(map(np.size, chunks))
    grown = [*(sizes[[f"{n} at once"]].sum() for n in depths), stacked]
    savings = [_growth(grown[-3:], math.log2(max(1.0, times)))]
    for axis in axes:
        odd = few[0].shape[axis] / (few[0].shape[axis] // 2 * 2)
        cost = max(0.0, odd * sizes[f"cut along {axis}"] / sizes["uncut"] - 1)
        factors = (factor * cost * content.joined[axis] for factor in (SAVED, MOST_SAVED))
        here, most = (math.log1p(-min(0.75, factor)) for factor in factors)
        savings.append((here, most))
    alone = sizes[["1 at once"]].to_numpy()
    weighted = alone * content.weights
    found = stacked * times * math.exp(sum(here for here, _ in savings))
    found *= float(weighted.sum() / alone.sum())
    spread = _spread(weighted, sample)
    sides = math.log(content.share / content.low), math.log(content.high / content.share)
    low = math.hypot(spread, LEAST_ERROR, sides[0], *(here - most for here, most in savings))
    high = math.hypot(spread, LEAST_ERROR, sides[1], *(here for here, _ in savings))
    less = math.hypot(found * -math.expm1(-low), rest.value - rest.low)
    more = math.hypot(found * math.expm1(high), rest.high - rest.value)
    expected = found + rest.value
    return Interval(expected, expected - less, expected + more)


def blank_size(method: Method, sample: Sample) -> Interval:
    """Estimate the bytes of the part of the volume that has one label, which is not sampled."""
    share = 1 - sample.content.share
    if not share:
        return Interval(0.0, 0.0, 0.0)
    pieces = [blank(sample, deeper, wider) for deeper, wider in ((1, 1), (2, 1), (1, 8))]
    one, deep, wide = (size(method, labels) for labels in pieces)
    depth, more = len(pieces[0]), pieces[2].size - pieces[0].size
    voxel = max(0, wide - one) / more
    plane = max(0.0, (deep - one) / depth - voxel * pieces[0][0].size)
    least = max(1.0, one - depth * plane - pieces[0].size * voxel)
    voxels, planes = share * sample.volume.voxels, share * sample.volume.shape[0]
    expected = least + planes * plane + voxels * voxel
    error = ROUNDING_BYTES * voxels / more + DRIFT_SHARE * expected
    return Interval(expected, max(1.0, expected - error), expected + error)


def blank(sample: Sample, deeper: int = 1, wider: int = 1) -> Labels:
    """A piece of the label of the part that is not sampled, not much larger than the volume."""
    depth, most = PIECE_SIDES
    side = math.isqrt(sample.volume.voxels // (64 * depth))
    side = min(most, max(64, side // 8 * 8))
    return np.full((deeper * depth, side, wider * side), sample.content.label, sample.volume.dtype)


def _cut(chunks: Sequence[Labels], axis: int) -> list[Labels]:
    """The first halves of all chunks along an axis, and then the second ones."""
    side = chunks[0].shape[axis] // 2  # an odd rest is left out
    halves = (np.split(chunk, (side, 2 * side), axis)[:2] for chunk in chunks)
    return [*itertools.chain(*zip(*halves, strict=True))]


def _growth(grown: Sequence[float], doublings: float) -> tuple[float, float]:
    """Extrapolate what more doublings save from what the last ones saved: expected, and at most.

    Savings are logarithms, and so negative.
    """
    saved = [math.log(b / a) for a, b in itertools.pairwise(grown)]
    last, before = saved[-1], saved[-2] if len(saved) > 1 else saved[-1]
    # ratio + ratio**2 + ..., also of a fractional number of terms
    few, most = (ratio * (1 - ratio**doublings) / (1 - ratio) for ratio in DECLINES)
    expected = few * min(0.0, (2 * last + DECLINES[0] * before) / 3)
    return expected, min(most * min(last, (last + before) / 2, 0.0), 1.5 * expected)


def _spread(alone: Labels, sample: Sample) -> float:
    """The relative error of the mean bytes of a chunk, as other chunks might have been drawn.

    Chunks of similar density are similar, and one of each density was drawn: so neighbours in the
    order of density show the error. The positions that were looked at are a sample themselves.
    """
    from scipy import stats

    count = len(alone)
    if count < 2:
        return 0.0
    steps = np.diff(alone[np.argsort(sample.density, kind="stable")])
    read, looked = (max(0.0, 1 - n / sample.drawn_from) for n in (count, sample.looked))
    variance = read * float(np.square(steps).mean()) / 2 / count
    variance += looked * float(alone.var()) / sample.looked
    student = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return student * math.sqrt(variance) / float(alone.mean())

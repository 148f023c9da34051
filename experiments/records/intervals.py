"""Medians of runs with their 95% intervals, and ranks based on them.

Bytes are the same in every run, so ratios are exact. Seconds are not: if the intervals of two
speeds overlap, the runs show *no difference* between them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from experiments import SEED
from experiments.records import METHOD
from experiments.records.results import STAGES, is_raw, is_trained
from experiments.text import DASH

CONFIDENCE = 0.95  # the default of scipy's bootstrap, too
#: Fewer runs have no interval: that of two runs may reach from 0.2 to 300,000 MB/s.
LEAST_RUNS = 3
#: From this number of runs on the interval is bootstrapped. The range of n runs holds the median
#: with probability 1 - 2**(1 - n), which is too low for fewer.
BOOTSTRAP_RUNS = 5
#: For ranks, no interval is narrower than this or than the typical one of its dataset: a few runs
#: that happen to agree prove little, and the machine is another one tomorrow.
LEAST_WIDTH = 0.05
#: The columns that are the same in every run.
EXACT = ("ratio", "native_ratio", "encoding_ratio", "encoded_bytes", "compressed_bytes")


@dataclass(frozen=True)
class Interval:
    """A number and its 95% interval, whose bounds are NaN if they are not known."""

    value: float
    low: float
    high: float
    runs: int = field(default=0, compare=False)  # of which it is the median

    def over(self, amount: float) -> "Interval":
        """Return an amount divided by this: a speed, if these are seconds."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value, low, high = amount / np.array([self.value, self.high, self.low])
        return Interval(float(value), float(low), float(high), self.runs)

    def within(self, factor: float) -> "Interval":
        """Return the number with an interval of a factor in either direction."""
        return Interval(self.value, self.value / factor, self.value * factor, self.runs)

    def text(self, number: Callable[[float], str] = "{:,.2f}".format) -> str:
        """Return ``882 (860 to 901)``, or as :meth:`span` says; a dash for an unknown speed."""
        if math.isnan(self.value):
            return DASH
        span = self.span(number)
        return f"{number(self.value)} ({span})" if span else number(self.value)

    def span(self, number: Callable[[float], str]) -> str:
        """Return the bounds, ``860 to 901``; or ``n = 2`` without bounds, or ``""`` for one run."""
        if math.isnan(self.low):
            return f"n = {self.runs}" if self.runs > 1 else ""
        return f"{number(self.low)} to {number(self.high)}"


def interval(values: ArrayLike) -> Interval:
    """Return the median of runs, which are seconds or ratios of them, and its 95% interval.

    From 5 runs on it is that of the percentile bootstrap, seeded; for 3 and 4 Student's of the
    logarithms.
    """
    runs = np.asarray(values, float)
    median = low = high = float(np.median(runs)) if len(runs) else math.nan
    if len(runs) < LEAST_RUNS or not np.all((runs > 0) & np.isfinite(runs)):
        low = high = math.nan
    elif np.ptp(runs) > 0:
        from scipy import stats

        if len(runs) < BOOTSTRAP_RUNS:
            logs = np.log(runs)
            bounds = stats.t.interval(CONFIDENCE, len(runs) - 1, logs.mean(), stats.sem(logs))
            low, high = np.exp(bounds)
        else:
            random = np.random.default_rng(SEED)
            found = stats.bootstrap((runs,), np.median, method="percentile", rng=random)
            low, high = found.confidence_interval
    return Interval(median, float(low), float(high), len(runs))


def intervals(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per method of derived rows, in their order, with medians and intervals.

    ``trained`` is whether the encoding was trained on the dataset. A speed is the size divided by
    the median of the seconds; ``compress_speed_low`` and ``compress_speed_high`` are its bounds.
    """
    lines = []
    for key, runs in rows.groupby(METHOD, sort=False):
        line: dict[str, Any] = dict(zip(METHOD, key, strict=True)) | {"runs": len(runs)}
        line |= {"group": runs["group"].iloc[-1], "trained": is_trained(runs.iloc[-1])}
        line |= runs[list(EXACT)].median().to_dict()
        size = math.nan if is_raw(line) else runs["raw_bytes"].median() / 1e6
        for speed, stages in STAGES.items():
            found = interval(runs[list(stages)].sum(axis=1)).over(size)
            line |= {speed: found.value, f"{speed}_low": found.low, f"{speed}_high": found.high}
        lines.append(line)
    columns = [*METHOD, "group", "runs", "trained", *EXACT]
    columns += [f"{speed}{end}" for speed in STAGES for end in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=columns)


def speed_of(line: Mapping[str, Any], speed: str) -> Interval:
    """Return a speed of a line of :func:`intervals`."""
    median, low, high = (line[f"{speed}{end}"] for end in ("", "_low", "_high"))
    return Interval(median, low, high, line["runs"])


def ranks(lines: pd.DataFrame, speed: str) -> "pd.Series[str]":
    """Return the rank of each method of each dataset by a speed: ``3``, or ``=2`` for a tie.

    The rank is 1 plus the number of methods that are surely faster. It is a tie if the interval
    overlaps another one. None counts as narrower than ``LEAST_WIDTH`` or the typical one of its
    dataset. Methods of few runs, which have no interval, and raw labels have no rank.
    """
    median, low, high = (lines[f"{speed}{end}"] for end in ("", "_low", "_high"))
    width = (high - low) / 2 / median
    least = 1 + width.groupby(lines["dataset"]).transform("median").clip(lower=LEAST_WIDTH)
    low, high = low.clip(upper=median / least), high.clip(lower=median * least)
    bounds = pd.concat({"low": low, "high": high}, axis=1)
    found = pd.Series("", index=lines.index)
    for _, rows in bounds.dropna().groupby(lines["dataset"]):
        low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
        first = 1 + (low[None, :] > high[:, None]).sum(axis=1)
        last = len(rows) - (high[None, :] < low[:, None]).sum(axis=1)
        pairs = zip(first, last, strict=True)
        found[rows.index] = [str(a) if a == b else f"={a}" for a, b in pairs]
    return found

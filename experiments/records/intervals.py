"""Medians of runs with their 95% intervals, and which cells the runs tell apart.

Bytes are the same in every run, so ratios are exact and always ranked. Seconds are not: where two
intervals of a speed overlap, there is *no difference* that these runs can show. Raw labels have no
speed: it is NaN.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from experiments.records.best import best, is_raw
from experiments.records.columns import CELL
from experiments.records.trained import is_trained
from experiments.text import plainly

CONFIDENCE = 0.95
RESAMPLES = 9999
SEED = 2017
#: Fewer runs have no interval: that of two that differ a little reaches from 0.2 to 300,000 MB/s.
LEAST = 3
#: From so many runs on the interval is bootstrapped: the range of fewer holds the median less
#: often than the interval promises (of n runs with the probability 1 - 2**(1 - n)).
ENOUGH = 5
#: No cell is surer of its speed than this, or than the typical cell beside it: few runs that
#: happen to agree prove little, and the machine is another one tomorrow.
FLOOR = 0.05
#: Speeds, by the stages whose seconds they are made of.
STAGES = {
    "encode_speed": ("encode_s",),
    "decode_speed": ("decode_s",),
    "compress_speed": ("encode_s", "compress_s"),
    "decompress_speed": ("decompress_s", "decode_s"),
}
#: The speeds of both stages together, and what they do.
BOTH = {"compress_speed": "compress", "decompress_speed": "decompress"}
#: What is the same in every run.
EXACT = ("ratio", "native_ratio", "encoding_ratio", "encoded_bytes", "compressed_bytes")


@dataclass(frozen=True)
class Interval:
    """A median and its 95% interval; the bounds are NaN where the runs are too few.

    Parameters
    ----------
    median, low, high : float
    runs : int
        How many runs it is of; 0 where it is of none, but computed.
    """

    median: float
    low: float
    high: float
    runs: int = field(default=0, compare=False)

    def over(self, amount: float) -> "Interval":
        """The interval of an amount by this: of bytes by seconds, a speed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            median, low, high = amount / np.array([self.median, self.high, self.low])
        return Interval(float(median), float(low), float(high), self.runs)

    def within(self, factor: float) -> "Interval":
        """The median, which may be wrong by a factor either way."""
        return Interval(self.median, self.median / factor, self.median * factor, self.runs)

    def spelled(self, form: str = ",.2f") -> str:
        """The median, and if there are enough runs the interval after it, in a format."""
        return self.told(lambda value: format(value, form))

    def told(self, spell: Callable[[float], str]) -> str:
        """The same, each number as a function spells it; a speed that is unknown is a dash."""
        if math.isnan(self.median):
            return "-"
        span = self.span(spell)
        return f"{spell(self.median)} ({span})" if span else spell(self.median)

    def span(self, spell: Callable[[float], str]) -> str:
        """The bounds, ``860 to 901``; ``n = 2`` if there are none, and nothing for one run."""
        if math.isnan(self.median):
            return ""
        if math.isnan(self.low):
            return f"n = {self.runs}" if self.runs > 1 else ""
        return f"{spell(self.low)} to {spell(self.high)}"


#: Of what has no speed.
UNKNOWN = Interval(math.nan, math.nan, math.nan)


def interval(values: ArrayLike) -> Interval:
    """The median of some runs and its 95% interval.

    Parameters
    ----------
    values : (n,) float
        Seconds, or ratios of seconds; above 0.

    Returns
    -------
    Interval
        Of 5 runs or more by the percentile bootstrap, seeded; of 3 and 4, whose own range is too
        narrow, Student's interval of the logarithms; of fewer none.
    """
    runs = np.asarray(values, float)
    median = float(np.median(runs))
    if len(runs) < LEAST or not np.all((runs > 0) & np.isfinite(runs)):
        return Interval(median, math.nan, math.nan, len(runs))
    if np.ptp(runs) == 0:
        return Interval(median, median, median, len(runs))
    from scipy import stats

    if len(runs) < ENOUGH:
        logs = np.log(runs)
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, len(runs) - 1) * stats.sem(logs)
        low, high = np.exp([logs.mean() - reach, logs.mean() + reach])
        return Interval(median, float(low), float(high), len(runs))
    found = stats.bootstrap(
        (runs,),
        np.median,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(median, float(found.low), float(found.high), len(runs))


def intervals(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a cell: its medians, and the intervals of its speeds.

    Parameters
    ----------
    rows : DataFrame
        Derived rows, of one volume and setting a dataset (:func:`newest`).

    Returns
    -------
    DataFrame
        ``dataset``, ``encoding``, ``compression``, ``group``; ``runs``; ``trained``, whether the
        encoding was trained on the dataset; ``ratio``, ``native_ratio``,
        ``encoding_ratio``, ``encoded_bytes`` and ``compressed_bytes``; of each speed, which is the
        size by the median of the seconds, ``compress_speed``, ``compress_speed_low`` and
        ``compress_speed_high``, and so on; in the order of the rows.
    """
    lines: list[dict[str, Any]] = []
    for key, cell in rows.groupby(CELL, sort=False):
        line: dict[str, Any] = dict(zip(CELL, key, strict=True)) | {"runs": len(cell)}
        line |= {"group": cell["group"].iloc[-1], "trained": is_trained(cell.iloc[-1])}
        line |= {name: cell[name].median() for name in EXACT}
        size = cell["raw_bytes"].median() / 1e6
        for speed, stages in STAGES.items():
            found = interval(cell[list(stages)].sum(axis=1)).over(size)
            if is_raw(line["encoding"], line["compression"]):
                found = UNKNOWN
            line |= {speed: found.median, f"{speed}_low": found.low, f"{speed}_high": found.high}
        lines.append(line)
    columns = [*CELL, "group", "runs", "trained", *EXACT]
    columns += [f"{speed}{end}" for speed in STAGES for end in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=columns)


def of_line(cell: Mapping[str, Any], speed: str) -> Interval:
    """A speed of one line of :func:`intervals`."""
    median, low, high = (cell[f"{speed}{end}"] for end in ("", "_low", "_high"))
    return Interval(median, low, high, cell["runs"])


def spelled(cell: Mapping[str, Any], speed: str) -> str:
    """A speed of one line of :func:`intervals` as text, ``882 (860 to 901)``."""
    return of_line(cell, speed).told(plainly)


def cautious(cells: pd.DataFrame, speed: str) -> pd.DataFrame:
    """The intervals by which cells are told apart, ``low`` and ``high``, NaN where there is none.

    None is narrower than ``FLOOR``, or than the typical one of its dataset, on either side of the
    median.

    Parameters
    ----------
    cells : DataFrame
        Of :func:`intervals`.
    speed : str
        ``compress_speed``, say.
    """
    median = cells[speed]
    width = (cells[f"{speed}_high"] - cells[f"{speed}_low"]) / 2 / median
    least = width.groupby(cells["dataset"]).transform("median").clip(lower=FLOOR)
    none = width.isna()
    low = (median / (1 + least)).where(median / (1 + least) < cells[f"{speed}_low"])
    high = (median * (1 + least)).where(median * (1 + least) > cells[f"{speed}_high"])
    found = {
        "low": low.fillna(cells[f"{speed}_low"]).mask(none),
        "high": high.fillna(cells[f"{speed}_high"]).mask(none),
    }
    return pd.DataFrame(found, index=cells.index)


def places(cells: pd.DataFrame, speed: str) -> "pd.Series[str]":
    """The place of each cell in its dataset by a speed, ``3``, or ``2-4`` where intervals overlap.

    A cell is behind all that are surely faster and before all that are surely slower. So two cells
    whose places do not overlap have intervals that do not either; the others show no difference.
    A cell of few runs, which has no interval, has no place, nor have raw labels.
    """
    bounds = cautious(cells, speed)
    found = pd.Series("", index=cells.index)
    for _, rows in bounds.dropna().groupby(cells["dataset"]):
        low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
        first = 1 + (low[None, :] > high[:, None]).sum(axis=1)
        last = len(rows) - (high[None, :] < low[:, None]).sum(axis=1)
        for index, a, b in zip(rows.index, first, last, strict=True):
            found[index] = str(a) if a == b else f"{a}-{b}"
    return found


def fastest(cells: pd.DataFrame, speed: str) -> "pd.Index[int]":
    """The cells of one dataset that no other is surely faster than, the fastest median first."""
    bounds = cautious(cells, speed).dropna()
    if bounds.empty:
        return bounds.index
    first = best(cells.loc[bounds.index, speed])
    equal = bounds.index[bounds["high"] >= bounds["low"].max()]
    others = cells.loc[equal.difference([first]), speed].sort_values(ascending=False)
    return pd.Index([first, *others.index])


def told_fastest(cells: pd.DataFrame, speed: str, name: Callable[[Any], str]) -> str:
    """The fastest cells of one dataset in words, by what a cell is called; empty without any."""
    found = [name(cells.loc[index]) for index in fastest(cells, speed)]
    rest = f"; no difference: {', '.join(found[1:])}" if found[1:] else ""
    return found[0] + rest if found else ""

"""What was measured, looked up by dataset and method, and how often windows occur."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compresso.arrays import as_volume
from compresso.boundaries import WindowCollector, mark_boundaries
from compresso.codec import unwatched
from experiments.datasets import LoadedVolume
from experiments.paper.published import ALONE, FIRST_STAGES, SECOND_STAGES
from experiments.records.intervals import intervals
from experiments.records.results import derive
from experiments.records.rows import METHOD
from experiments.text import display_name

UNMEASURED = "not measured"
FREQUENT = 100


class Coverage(NamedTuple):
    """The share of a volume's windows that its 100 most frequent ones cover."""

    name: str
    group: str
    share: float
    part: str = ""


def coverage(volume: LoadedVolume) -> Coverage:
    """Measure what the paper's Figure 3 claims, on one volume."""
    counts = np.sort(window_counts(volume)[1])[::-1]
    share = float(counts[:FREQUENT].sum() / max(1, counts.sum()))
    return Coverage(volume.name, volume.group, share, volume.part)


def window_counts(volume: LoadedVolume) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Count the 8x8x1 windows of a volume: their values, ascending, and how often each occurs."""
    labels = as_volume(volume.labels)
    if labels.size == 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    collector = WindowCollector(labels.shape, (1, 8, 8))
    for slab in mark_boundaries(labels, (0, len(labels)), 1, unwatched):
        collector.add(slab.own_bits)
    found = collector.finish()
    return found.values, np.bincount(found.indices, minlength=found.values.size)


def in_table(text: str) -> str:
    """Escape text for a Markdown table; names of stores have a ``|``, which ends a column."""
    return text.replace("|", r"\|")


class Measured:
    """The rows of one report.

    Parameters
    ----------
    table : DataFrame
        Rows of results, including failed ones.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        escaped = {name: table[name].map(in_table) for name in ("dataset", "status")}
        self._table = table.assign(**escaped)
        self.rows = derive(self._table)

    def datasets(self, group: str | None = None) -> list[str]:
        """The datasets with a result, of one group or of all."""
        rows = self.rows if group is None else self.rows[self.rows["group"] == group]
        return list(rows["dataset"].unique())

    def of(self, name: str) -> pd.DataFrame:
        """The rows of a dataset."""
        return self.rows[self.rows["dataset"] == name]

    def ratios(self, name: str) -> "pd.Series[float]":
        """Mean ratio of each of the paper's methods on a dataset, by (encoding, compression)."""
        rows = self.of(name)
        known = rows["encoding"].isin((*FIRST_STAGES, *ALONE))
        known &= rows["compression"].isin(SECOND_STAGES)
        return rows[known].groupby(["encoding", "compression"])["ratio"].mean()

    def method(self, name: str, encoding: str) -> "pd.Series | None":
        """Medians and intervals of an encoding followed by LZMA; None without a result."""
        rows = self.of(name)
        rows = rows[(rows["encoding"] == encoding) & (rows["compression"] == "lzma")]
        return intervals(rows).iloc[0] if len(rows) else None

    def statuses(self) -> "pd.Series[str]":
        """The last status of each method, by dataset, encoding and compression."""
        status = self._table[self._table["shape"] != ""].set_index(METHOD)["status"]
        return status[~status.index.duplicated(keep="last")]

    def title(self, name: str) -> str:
        """The name of a dataset; a synthetic one says so."""
        return display_name(name, str(self.of(name)["group"].iloc[-1]))

    def part(self, name: str) -> str:
        """Which part of a dataset was measured; empty for the whole."""
        parts = self.of(name)["part"]
        return str(parts.iloc[0]) if len(parts) else ""

    def untested(self, name: str) -> str:
        """Why a dataset has no result of Compresso + LZMA."""
        status = self.statuses().get((name, "compresso", "lzma"))
        return f"not tested: {status}" if status else UNMEASURED

"""Measured values, the paper's claims, and a verdict on each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compresso.arrays import as_volume
from compresso.boundaries import WindowCollector, mark_boundaries
from compresso.codec import ignore
from compresso.text import method_name
from experiments import datasets
from experiments.datasets import LoadedVolume
from experiments.paper.published import (
    ALONE,
    COVERED_BY_100,
    FIRST_STAGES,
    LEAD_ON_EM,
    SECOND_STAGES,
)
from experiments.records import METHOD
from experiments.records.intervals import intervals
from experiments.records.results import best, derive
from experiments.text import EM, display_name

UNMEASURED = "not measured"
FREQUENT_WINDOWS = 100


class Coverage(NamedTuple):
    """The share of a volume's windows that its 100 most frequent ones cover."""

    name: str
    group: str
    share: float
    part: str = ""


def coverage(volume: LoadedVolume) -> Coverage:
    """Measure what the paper's Figure 3 claims, on one volume."""
    counts = np.sort(window_counts(volume)[1])[::-1]
    share = float(counts[:FREQUENT_WINDOWS].sum() / max(1, counts.sum()))
    return Coverage(volume.dataset.name, volume.dataset.group, share, volume.part)


def window_counts(volume: LoadedVolume) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Count the 8x8x1 windows of a volume: their values, ascending, and how often each occurs."""
    labels = as_volume(volume.labels)
    if labels.size == 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    collector = WindowCollector(labels.shape, (1, 8, 8))
    for slab in mark_boundaries(labels, (0, len(labels)), 1, ignore):
        collector.add(slab.own_bits)
    found = collector.finish()
    return found.values, np.bincount(found.indices, minlength=found.values.size)


class Measured:
    """The rows of one report, including failed ones."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self.rows = derive(table)

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


OURS = ("compresso", "lzma")
#: The largest difference of a ratio that is reproduced, and of one that is close.
SAME, CLOSE = 0.005, 0.025

REPRODUCED, NEAR, MISSED = "reproduced", "close", "not reproduced"
UNTESTABLE = "not testable: the paper's segmentation was never published"
HOLDS, FAILS = "holds on this volume", "not on this volume"
NO_EM = "not tested: no EM volume was measured"


class Claim(NamedTuple):
    """A claim of the paper, the measurement, and the verdict."""

    text: str
    measured: str
    verdict: str
    difference: float = 0.0

    @property
    def line(self) -> list[str]:
        """A line of the table of claims."""
        changed = f" ({self.difference:+.1%})" if self.difference else ""
        return [self.text, self.measured, self.verdict + changed]


def claims(measured: Measured, covered: Sequence[Coverage]) -> list[Claim]:
    """Judge every claim; claims about EM are judged on each EM volume."""
    return [*_ratios(measured), *_best_on_em(measured), *_windows(covered)]


def summary(found: Sequence[Claim], measured: Measured) -> str:
    """Summarise the verdicts, as Markdown."""
    counts = Counter(claim.verdict for claim in found)
    exact = [abs(claim.difference) for claim in found if claim.verdict == REPRODUCED]
    total = len(datasets.published())
    lines = {
        f"reproduced, all within {max(exact, default=0):.1%}": len(exact),
        f"within {CLOSE:.1%}": counts[NEAR],
        "not reproduced": counts[MISSED],
        UNTESTABLE: counts[UNTESTABLE],
    }
    lines["not tested here"] = total - sum(lines.values())
    listed = "\n".join(f"- {count} {text}" for text, count in lines.items() if count)
    names = ", ".join(measured.title(name) for name in measured.datasets(EM))
    judged = counts[HOLDS] + counts[FAILS]
    tested = f"tested on {names}, other labels than the paper's: {counts[HOLDS]} of {judged} hold"
    return (
        f"The paper publishes {total} ratios of Compresso + LZMA:\n\n{listed}\n\n"
        f"Its claims about EM data were {tested if judged else 'not tested'}."
    )


def compared(table: pd.DataFrame) -> Iterator[str]:
    """Yield a line about each ratio of whole public labels that the paper publishes, too."""
    measured = Measured(table)
    for name, published in datasets.published().items():
        line = measured.method(name, "compresso")
        if line is not None and not (published.ground_truth or measured.part(name)):
            text = f"The paper's ratio of Compresso + LZMA on {name}: {published.ratio}"
            yield f"{text}; here {line['ratio']:,.1f}"


def _ratios(measured: Measured) -> Iterator[Claim]:
    for name, published in datasets.published().items():
        text = f"Compresso + LZMA reaches {published.ratio} on {name}"
        line = measured.method(name, "compresso")
        if line is None:
            why = measured.untested(name)
            absent = published.ground_truth and why == UNMEASURED
            yield Claim(text, "", UNTESTABLE if absent else why)
            continue
        difference = line["ratio"] / published.ratio - 1
        verdict = MISSED
        if published.ground_truth:
            verdict = UNTESTABLE
        elif abs(difference) <= CLOSE:
            verdict = REPRODUCED if abs(difference) <= SAME else NEAR
        if part := measured.part(name):
            verdict, difference = f"not judged: {part}", 0.0
        yield Claim(text, f"{line['ratio']:,.1f}", verdict, difference)


def _best_on_em(measured: Measured) -> Iterator[Claim]:
    best_claim = "Compresso + LZMA is best on every EM set"
    lead_claim = f"Compresso leads by {LEAD_ON_EM:.0%} on EM"
    names = measured.datasets(EM)
    if not names:
        yield from (Claim(text, "", NO_EM) for text in (best_claim, lead_claim))
    for name in names:
        means, part = measured.ratios(name), measured.part(name)
        if OURS not in means.index:
            why = measured.untested(name)
            yield from (Claim(text, name, why) for text in (best_claim, lead_claim))
            continue
        first = best(means)
        yield Claim(best_claim, f"{name}: {method_name(*first)}", _verdict(first == OURS, part))
        others = means[means.index.get_level_values("encoding") != "compresso"]
        if len(others):
            second = best(others)
            lead = means[OURS] / others[second] - 1
            text = f"{name}: {abs(lead):.0%} {'larger' if lead >= 0 else 'smaller'} ratio than "
            text += method_name(*second)
            yield Claim(lead_claim, text, _verdict(lead >= LEAD_ON_EM - 0.05, part))


def _windows(covered: Sequence[Coverage]) -> Iterator[Claim]:
    text = (
        f"The 100 most frequent 8x8x1 windows cover {COVERED_BY_100:.0%} (a representative EM set)"
    )
    on_em = [one for one in covered if one.group == EM]
    if not on_em:
        yield Claim(text, "", NO_EM)
    for one in on_em:
        verdict = _verdict(abs(one.share - COVERED_BY_100) <= 0.05, one.part)
        yield Claim(text, f"{one.name}: {one.share:.1%}", verdict)


def _verdict(holds: bool, part: str) -> str:
    return f"not judged: {part}" if part else HOLDS if holds else FAILS

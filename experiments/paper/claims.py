"""Measured values, the paper's claims, and a verdict on each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compresso.arrays import as_volume
from compresso.boundaries import encode_slabs, mark_boundaries
from compresso.codec import ignore
from compresso.text import method_name
from experiments import datasets
from experiments.datasets import LoadedVolume
from experiments.paper.published import (
    ALONE,
    COVERED_BY_100,
    FIRST_STAGES,
    LEAD_ON_EM,
    OURS,
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
    _, values, indices = encode_slabs(
        labels.shape,
        (1, 8, 8),
        lambda span: mark_boundaries(labels, span, 1, ignore),
        lambda slab: None,
        threads=1,
    )
    return values, np.bincount(indices, minlength=values.size)


class Measured:
    """The rows of one report, including failed ones."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.rows = rows = derive(table)
        #: The last row of each dataset that has a result, its title, and which part was measured.
        self.volumes = rows.groupby("dataset", sort=False).last()
        groups = self.volumes["group"].items()
        self.titles = {name: display_name(name, group) for name, group in groups}
        self.parts = dict(self.volumes["part"])
        #: The last status of each method, by dataset, encoding and compression.
        self.statuses = table[table["shape"] != ""].groupby(METHOD)["status"].last()
        #: Medians and intervals of first stages followed by LZMA, by dataset and encoding.
        lzma = rows[(rows["compression"] == "lzma") & rows["encoding"].isin(FIRST_STAGES)]
        lines = [line for _, line in intervals(lzma).iterrows()]
        self.lzma = {(line["dataset"], line["encoding"]): line for line in lines}

    def datasets(self, group: str) -> list[str]:
        """The datasets of a group with a result."""
        return list(self.volumes.index[self.volumes["group"] == group])

    def untested(self, name: str) -> str:
        """Why a dataset has no result of Compresso + LZMA."""
        status = self.statuses.get((name, *OURS))
        return f"not tested: {status}" if status else UNMEASURED


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
    names = ", ".join(measured.titles[name] for name in measured.datasets(EM))
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
        line = measured.lzma.get((name, "compresso"))
        if line is not None and not (published.ground_truth or measured.parts[name]):
            text = f"The paper's ratio of Compresso + LZMA on {name}: {published.ratio}"
            yield f"{text}; here {line['ratio']:,.1f}"


def _ratios(measured: Measured) -> Iterator[Claim]:
    for name, published in datasets.published().items():
        text = f"Compresso + LZMA reaches {published.ratio} on {name}"
        line = measured.lzma.get((name, "compresso"))
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
        if part := measured.parts[name]:
            verdict, difference = f"not judged: {part}", 0.0
        yield Claim(text, f"{line['ratio']:,.1f}", verdict, difference)


def _best_on_em(measured: Measured) -> Iterator[Claim]:
    best_claim = "Compresso + LZMA is best on every EM set"
    lead_claim = f"Compresso leads by {LEAD_ON_EM:.0%} on EM"
    rows, names = measured.rows, measured.datasets(EM)
    rows = rows[rows["encoding"].isin((*FIRST_STAGES, *ALONE))]
    rows = rows[rows["compression"].isin(SECOND_STAGES)]
    if not names:
        yield from (Claim(text, "", NO_EM) for text in (best_claim, lead_claim))
    for name in names:
        part = measured.parts[name]
        means = rows[rows["dataset"] == name].groupby(METHOD[1:])["ratio"].mean()
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

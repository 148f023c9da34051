"""The paper's claims, a verdict on each, and a summary of the verdicts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compresso.cli import method
from experiments import datasets
from experiments.paper.measured import UNMEASURED, Coverage, Measured
from experiments.paper.published import COVERED_BY_100, LEAD_ON_EM
from experiments.records.results import best
from experiments.text import EM

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
    def line(self) -> str:
        """A line of a Markdown table."""
        changed = f" ({self.difference:+.1%})" if self.difference else ""
        return f"| {self.text} | {self.measured} | {self.verdict}{changed} |"


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
        yield Claim(best_claim, f"{name}: {method(*first)}", _verdict(first == OURS, part))
        others = means[means.index.get_level_values("encoding") != "compresso"]
        if len(others):
            second = best(others)
            lead = means[OURS] / others[second] - 1
            text = f"{name}: {abs(lead):.0%} {'larger' if lead >= 0 else 'smaller'} ratio than "
            text += method(*second)
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

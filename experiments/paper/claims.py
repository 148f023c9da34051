"""The paper's claims, and a verdict on each, as lines of a Markdown table."""

from collections.abc import Iterator, Sequence

from experiments import datasets
from experiments.paper.coverage import Coverage
from experiments.paper.measured import Measured
from experiments.paper.published import COVERED_BY_100, LEAD_ON_EM
from experiments.records.results import best
from experiments.text import EM

OURS = ("compresso", "lzma")
NO_EM = "not tested: no EM set was measured"


def claims(measured: Measured, covered: Sequence[Coverage]) -> list[str]:
    """Claim, what was measured, verdict."""
    return [*_ratios(measured), *_best_on_em(measured), *_windows(covered)]


def _ratios(measured: Measured) -> Iterator[str]:
    for name, published in datasets.published().items():
        claim = f"Compresso + LZMA reaches {published.ratio} on {name}"
        cell = measured.cell(name, *OURS)
        if cell is None:
            yield f"| {claim} | | {measured.untested(name)} |"
            continue
        verdict = "not reproduced"
        if abs(cell["ratio"] / published.ratio - 1) <= 0.02:
            verdict = "reproduced"
        elif published.ground_truth:
            verdict = "not comparable: ground truth, not the authors' segmentation"
        if part := measured.part(name):
            verdict = f"not judged: {part}"
        yield f"| {claim} | {cell['ratio']:,.1f} | {verdict} |"


def _best_on_em(measured: Measured) -> Iterator[str]:
    best_claim = "Compresso + LZMA is best on every EM set"
    lead_claim = f"Compresso leads by {LEAD_ON_EM:.0%} on EM"
    names = measured.datasets(EM)
    if not names:
        yield from (f"| {c} | | {NO_EM} |" for c in (best_claim, lead_claim))
    for name in names:
        means, part = measured.schemes(name), measured.part(name)
        if OURS not in means.index:
            told = f"{name} | {measured.untested(name)}"
            yield from (f"| {claim} | {told} |" for claim in (best_claim, lead_claim))
            continue
        first = best(means)
        yield f"| {best_claim} | {name}: {' + '.join(first)} | {_verdict(first == OURS, part)} |"
        others = means[means.index.get_level_values("encoding") != "compresso"]
        if len(others):
            next_ = best(others)
            lead = means[OURS] / others[next_] - 1
            yield (
                f"| {lead_claim} | {name}: {_lead(lead)} {' + '.join(next_)} | "
                f"{_verdict(lead >= LEAD_ON_EM - 0.05, part)} |"
            )


def _windows(covered: Sequence[Coverage]) -> Iterator[str]:
    claim = (
        f"The 100 most frequent 8x8x1 windows cover {COVERED_BY_100:.0%} (a representative EM set)"
    )
    on_em = [c for c in covered if c.group == EM]
    if not on_em:
        yield f"| {claim} | | {NO_EM} |"
    for c in on_em:
        verdict = _verdict(abs(c.share - COVERED_BY_100) <= 0.05, c.part)
        yield f"| {claim} | {c.name}: {c.share:.1%} | {verdict} |"


def _lead(lead: float) -> str:
    return f"{lead:.0%} ahead of" if lead >= 0 else f"{-lead:.0%} behind"


def _verdict(holds: bool, part: str) -> str:
    return f"not judged: {part}" if part else "yes" if holds else "no"

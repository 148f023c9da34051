"""Check that ``recommend`` names the best methods, and compare its cost with that of the grid.

    python -m experiments.checks.named_is_best DATASET ... [--runs N] [--patience SECONDS]

Every method that ``recommend`` chooses from is measured on the whole volume in rounds, and the same
rules choose among these rows. If they choose another method, the runs may not distinguish the two:
a speed may be above a limit, or not. All seconds are this process's on the processor, so that
other work on the machine does not count: for ``recommend`` everything that it does, for the grid
only the four stages. Rows are kept in ``--output``, and are not measured again.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time, process_time_ns

import click
import numpy as np

from experiments import datasets, recommend, records
from experiments.checks import Program
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import Method, rounds, warm_up
from experiments.measure.method import describe
from experiments.recommend import limits
from experiments.recommend.cells import sensible
from experiments.recommend.limits import Limit
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import BLINK_S, Purposes
from experiments.recommend.sample import Plan, draw
from experiments.recommend.standing import Standing, sifted
from experiments.records import Row
from experiments.records.intervals import FLOOR, Interval
from experiments.records.rows import SECONDS

#: The factor by which the median time of eight boxes may be wrong.
BOXES_MAY_BE = 1.5
#: Counts the seconds of this process on the processor.
MEASURER = Measurer(now=process_time_ns)


def verdict(purposes: Purposes, purpose: str, best: Standing, method: Method) -> str:
    """Compare a method with the best one for a purpose, in a few words.

    Parameters
    ----------
    purposes : Purposes
        Of the rows of the grid.
    purpose : str
    best : Standing
        The choice from these rows.
    method : Method
        The choice of ``recommend``.
    """
    if method == best.cell:
        return "the best"
    named = next((one for one in purposes.standing if one.cell == method), None)
    if not named:
        return "failed"
    ratio, best_ratio = named.ratio, best.ratio
    if purpose == "random_access":
        boxes, best_boxes = purposes.alone(named), purposes.alone(best)
        if not boxes or not best_boxes:
            return "failed"
        ratio, best_ratio = boxes.ratio, best_boxes.ratio
    limit = _limit(purposes, purpose)
    if limit and not limit.may_be_met(named):
        return "too slow"
    if ratio > best_ratio or (limit and not limit.is_met(best)):
        return "no difference"
    return f"{ratio / best_ratio:.1%} of the best one's ratio"


def _limit(purposes: Purposes, purpose: str) -> Limit | None:
    """The time limit of a purpose, if it has one."""

    def boxes(one: Standing) -> Interval:
        alone = purposes.alone(one)
        seconds = alone.seconds if alone else np.inf
        return Interval(seconds, seconds, seconds).within(BOXES_MAY_BE)

    if purpose == "everyday":
        return limits.everyday(purposes.standing, _widened)
    if purpose == "interactive":
        return limits.interactive(purposes.standing, _widened)
    if purpose == "random_access":
        return Limit(boxes, Interval(BLINK_S, BLINK_S, BLINK_S))
    return None


def _widened(found: Interval) -> Interval:
    """The interval, at least as wide as the uncertainty of any speed."""
    least = found.within(1 + FLOOR)
    return Interval(found.median, min(found.low, least.low), max(found.high, least.high))


def grid(volume: LoadedVolume, runs: int, patience: float, output: Path) -> dict[Method, list[Row]]:
    """The rows of every method on the whole volume."""
    kept = records.measured(output, failed=True)
    measurer = replace(MEASURER, record=partial(records.append, output))
    rows: dict[Method, list[Row]] = {method: [] for method in sensible()}
    for run, method in rounds(list(rows), runs):
        if all(_seconds(row) <= patience for row in rows[method]):
            known = kept.get(records.key(describe(volume, method, run)))
            rows[method].append(known or measurer.measure(volume, method, run))
    return rows


def _seconds(row: Row) -> float:
    """The seconds of the stages of a run; 0 for one that failed."""
    return float(np.nansum([row.get(stage, 0.0) for stage in SECONDS]))


def compare(dataset: Dataset, runs: int, patience: float, output: Path) -> Sequence[str]:
    """A line of Markdown per purpose; raises HarnessError if every method failed."""
    with dataset.boxes() as (source, boxes):
        sample = draw(boxes, Plan(boxes.shape, 0, 0), MEASURER.announce)
    volume = LoadedVolume(dataset.name, source, dataset.group, sample.chunks[0])
    for method in sensible():  # compiles the kernels, which counts for neither
        warm_up(volume, method)
    start = process_time()
    advice = recommend.recommend(dataset, recommend.Question(runs=runs), MEASURER)
    took = process_time() - start
    rows = grid(volume, runs, patience, output)
    standing, _ = sifted(dataset.name, [Standing(method, found) for method, found in rows.items()])
    purposes = Purposes(sample, volume, standing, MEASURER)
    best = {purpose: choice.standing for purpose, choice in purposes.choose().items()}
    whole = sum(runs * float(np.mean([_seconds(row) for row in found])) for found in rows.values())
    named = {purpose: choice.standing.cell for purpose, choice in advice.choices.items()}
    return [
        f"| {dataset.name} | {purpose.replace('_', ' ')} | {method} | {best[purpose].cell} | "
        f"{verdict(purposes, purpose, best[purpose], method)} | "
        f"{took:,.0f} of {whole:,.0f}, {took / whole:.1%} |"
        for purpose, method in named.items()
    ]


@click.command(cls=Program)
@click.argument("names", nargs=-1, required=True, metavar="DATASET...")
@click.option("--runs", type=click.IntRange(1), default=5, help="Runs of each method.")
@click.option(
    "--patience",
    type=float,
    default=np.inf,
    help="A method that takes more seconds runs once, and counts as often as the others.",
)
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("named_is_best.csv"))
def main(names: tuple[str, ...], runs: int, patience: float, directory: Path, output: Path) -> None:
    """Print a table with a line per volume and purpose."""
    records.check(output)
    click.echo("| volume | purpose | recommend names | the grid's best | | seconds |")
    click.echo("|---|---|---|---|---|---:|")
    for dataset in (d for name in names for d in datasets.choose(name, directory)):
        click.echo("\n".join(compare(dataset, runs, patience, output)))


if __name__ == "__main__":
    main()

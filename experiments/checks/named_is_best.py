"""Whether ``recommend`` names the best cells, and what it costs beside the grid.

    python -m experiments.checks.named_is_best DATASET ... [--runs N] [--patience SECONDS]

Every cell that ``recommend`` chooses from is measured on the whole volume in rounds, as the grid
does, and the same rules choose among these. Where they choose another cell than ``recommend`` did,
the runs may not tell the two apart: a speed may be above a limit, or not. All seconds are this
process's on the processor, so that other work on the machine is charged to nobody: everything that
``recommend`` does, but of the grid only what the four stages take. The grid's rows are kept in
``--output``; those that are there are not measured again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time, process_time_ns

import click
import numpy as np

from experiments import datasets, recommend, records
from experiments.checks import Program
from experiments.datasets import Dataset, Volume
from experiments.measure import Cell, rounds, warm_up
from experiments.measure.cell import describe
from experiments.recommend import limits
from experiments.recommend.cells import sensible
from experiments.recommend.limits import Limit
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import BLINK_S, Choice, Purposes
from experiments.recommend.sample import Plan, draw, opened
from experiments.recommend.standing import Standing, sifted
from experiments.records import Row
from experiments.records.columns import SECONDS
from experiments.records.intervals import FLOOR, Interval

#: By how much the median of eight boxes may be wrong.
BOXES_MAY_BE = 1.5
#: On the processor, quietly.
MEASURER = Measurer(now=process_time_ns)


@dataclass(frozen=True)
class Wanted:
    """How the grid is measured.

    Parameters
    ----------
    runs : int
        Of each cell.
    patience : float
        Seconds; a cell of which a run takes longer is run once, and charged for all.
    output : Path
        Where rows are kept.
    """

    runs: int
    patience: float
    output: Path


@dataclass(frozen=True)
class Found:
    """What the grid says of a volume.

    Parameters
    ----------
    purposes : Purposes
        Which has every cell that did not fail.
    choices : dict of str to Choice
    seconds : float
        That the stages of all runs take.
    """

    purposes: Purposes
    choices: dict[str, Choice]
    seconds: float

    def verdict(self, purpose: str, cell: Cell) -> str:
        """What a cell is for a purpose, in a few words, beside the one that is the best."""
        best = self.choices[purpose].standing
        if cell == best.cell:
            return "the best"
        named = next((one for one in self.purposes.standing if one.cell == cell), None)
        if not named:
            return "failed"
        ratios = named.ratio, best.ratio
        if purpose == "random_access":
            mine, its = self.purposes.alone(named), self.purposes.alone(best)
            if not mine or not its:
                return "failed"
            ratios = mine.ratio, its.ratio
        limit = self._limit(purpose)
        if limit and not limit.may_be_met(named):
            return "too slow"
        if ratios[0] > ratios[1] or (limit and not limit.is_met(best)):
            return "no difference"
        return f"{ratios[0] / ratios[1]:.1%} of the best one's ratio"

    def _limit(self, purpose: str) -> Limit | None:
        """How long a purpose waits; None where it has time."""
        if purpose == "everyday":
            return limits.everyday(self.purposes.standing, _cautious)
        if purpose == "interactive":
            return limits.interactive(self.purposes.standing, _cautious)
        if purpose == "random_access":
            return Limit(self._box, Interval(BLINK_S, BLINK_S, BLINK_S))
        return None

    def _box(self, one: Standing) -> Interval:
        alone = self.purposes.alone(one)
        seconds = alone.seconds if alone else np.inf
        return Interval(seconds, seconds, seconds).within(BOXES_MAY_BE)


def _cautious(found: Interval) -> Interval:
    """The interval, not narrower than any speed is known."""
    least = found.within(1 + FLOOR)
    return Interval(found.median, min(found.low, least.low), max(found.high, least.high))


def grid(volume: Volume, cells: Sequence[Cell], wanted: Wanted) -> dict[Cell, list[Row]]:
    """Measure every cell on the whole volume; the rows of each cell."""
    kept = records.measured(wanted.output, failed=True)
    measurer = replace(MEASURER, record=partial(records.append, wanted.output))
    rows: dict[Cell, list[Row]] = {cell: [] for cell in cells}
    for run, cell in rounds(cells, wanted.runs):
        if any(_seconds(row) > wanted.patience for row in rows[cell]):
            continue
        known = kept.get(records.key(describe(volume, cell, run)))
        rows[cell].append(known or measurer.measure(volume, cell, run))
    return rows


def _seconds(row: Row) -> float:
    """What the stages of a run took; 0 where it failed."""
    return float(np.nansum([row.get(stage, 0.0) for stage in SECONDS]))


def _charged(rows: Sequence[Row], runs: int) -> float:
    """What all runs of a cell take, also those that patience left out."""
    return runs * float(np.mean([_seconds(row) for row in rows]))


def judge(dataset: Dataset, wanted: Wanted) -> Found:
    """What the grid says of a volume; raises HarnessError where every cell failed."""
    with opened(dataset) as (source, boxes):
        sample = draw(boxes, Plan(boxes.shape, 0, 0), MEASURER.announce)
    volume = Volume(dataset.name, source, dataset.group, sample.chunks[0])
    rows = grid(volume, sensible(), wanted)
    found = [Standing(cell, measured) for cell, measured in rows.items()]
    standing, _ = sifted(dataset.name, found)
    purposes = Purposes(sample, volume, standing, MEASURER)
    seconds = sum(_charged(measured, wanted.runs) for measured in rows.values())
    return Found(purposes, purposes.choose(), seconds)


def _compile(dataset: Dataset) -> None:
    """Compile the kernels of every cell: that is a cost of the first run only, whoever's it is."""
    with opened(dataset) as (source, boxes):
        corner = boxes.fetch(tuple((0, min(n, 64)) for n in boxes.shape))
    for cell in sensible():
        warm_up(Volume(dataset.name, source, dataset.group, corner), cell)


def _compare(dataset: Dataset, wanted: Wanted) -> None:
    _compile(dataset)
    start = process_time()
    question = recommend.Question(runs=wanted.runs)
    advice = recommend.recommend(dataset, question, MEASURER)
    took = process_time() - start
    found = judge(dataset, wanted)
    seconds = f"{took:,.0f} of {found.seconds:,.0f}, {took / found.seconds:.1%}"
    for purpose, choice in advice.choices.items():
        cell = choice.standing.cell
        click.echo(
            f"| {dataset.name} | {purpose.replace('_', ' ')} | {cell} | "
            f"{found.choices[purpose].standing.cell} | {found.verdict(purpose, cell)} | "
            f"{seconds} |"
        )


@click.command(cls=Program)
@click.argument("names", nargs=-1, required=True, metavar="DATASET...")
@click.option("--runs", type=click.IntRange(1), default=5)
@click.option("--patience", type=float, default=np.inf)
@click.option("-d", "--directory", type=click.Path(path_type=Path), default=Path("data"))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("named_is_best.csv"))
def main(names: tuple[str, ...], runs: int, patience: float, directory: Path, output: Path) -> None:
    """Compare, and print a line of Markdown a purpose and volume."""
    records.check(output)
    click.echo("| volume | purpose | recommend names | the grid's best | | seconds |")
    click.echo("|---|---|---|---|---|---:|")
    for dataset in (d for name in names for d in datasets.choose(name, directory)):
        _compare(dataset, Wanted(runs, patience, output))


if __name__ == "__main__":
    main()

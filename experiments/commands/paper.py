"""paper: reproduce the paper, and report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.commands._options import DIRECTORY, FIGURES, KEEP_FAILED, SEED, SLICES, VERBOSE
from experiments.commands._options import output as output_option
from experiments.commands._options import runs as runs_option
from experiments.commands._options import timeout as timeout_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from experiments.datasets import Dataset


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    dataset: str
    directory: Path
    runs: int
    seed: int
    slices: int | None
    timeout: float | None
    output: Path
    resume: bool
    keep_failed: bool
    figures: Path
    only_report: bool
    verbose: bool


@click.command()
@click.argument("dataset", default="all")
@runs_option(5)
@SEED
@SLICES
@DIRECTORY
@output_option("paper.csv")
@FIGURES
@timeout_option(600.0)
@click.option(
    "--resume/--again",
    default=True,
    help="Leave out what the CSV has of the same labels, or measure it again.",
)
@KEEP_FAILED
@click.option("--only-report", is_flag=True, help="Measure nothing; report what the CSV has.")
@VERBOSE
def command(**options: Any) -> None:
    """Reproduce the paper: every scheme on every dataset that is here, and a report.

    The methods of today (Ristretto, Crackle, PyPI's compresso, compressed_segmentation) are
    measured too, and stand in a table of their own.

    Writes Table 1, Figures 1, 3 and 4, the figures of each dataset, a sweep of window sizes, and
    the paper's claims beside the measured numbers, to report.md among the figures. Stopped at any
    moment, it goes on from there when called again; --only-report tells what there is.
    """
    from experiments import datasets, paper, records
    from experiments.commands import _progress
    from experiments.measure import Grid, isolate

    settings = Settings(**options)
    timeout = settings.timeout if isolate.available() else None
    chosen = datasets.choose(settings.dataset, settings.directory)
    for line in datasets.checked(chosen, settings.slices):
        click.echo(line, err=True)
    if settings.only_report:
        table = _rows_of(chosen, settings.output)
        _progress.report_skipped(table)
        _report(table, chosen, settings)
        return
    grid = Grid(
        [*paper.cells(), *paper.cells_of_today()],
        chosen,
        settings.output,
        runs=settings.runs,
        slices=settings.slices,
        seed=settings.seed,
        resume=settings.resume,
        keep_failed=settings.keep_failed,
        timeout=timeout,
    )
    rows = _progress.run(grid, settings.verbose, settings.figures)
    _report(records.tabulate(rows), chosen, settings)
    _progress.finish(rows)


def _rows_of(chosen: "Sequence[Dataset]", output: Path) -> "pd.DataFrame":
    """What the CSV has of some datasets; raises ResultsError where it has nothing."""
    from experiments import records
    from experiments.errors import ResultsError

    table = records.read(output)
    table = table[table["dataset"].isin([one.name for one in chosen])]
    absent = [one.name for one in chosen if one.name not in set(table["dataset"])]
    if absent:
        told = f"{output}: has no row of {', '.join(absent)}"
        if table.empty:
            raise ResultsError(f"{told}; measure first, without --only-report")
        click.echo(told, err=True)
    return table


def _report(table: "pd.DataFrame", chosen: "Sequence[Dataset]", settings: Settings) -> None:
    """Draw the figures of what was asked for, and write the report of the paper."""
    from experiments import figures, page, paper, records
    from experiments.records.results import newest

    directory = settings.figures
    rows = newest(table)
    succeeded = bool((rows["status"] == str(records.OK)).any())
    drawn = list(figures.draw_all(table, directory)) if succeeded else []
    covered = []
    for dataset in chosen:
        measured = set(rows["fingerprint"][rows["dataset"] == dataset.name]) - {""}
        if not measured:  # the rows tell why
            continue
        volume = dataset.load(settings.slices)
        if volume.fingerprint not in measured:
            told = "are other labels than those measured; their windows and slices are left out"
            click.echo(f"{dataset.name}: {told}", err=True)
            continue
        covered.append(paper.coverage(volume))
        drawn += figures.draw_volume(volume, directory)
    click.echo(f"{len(drawn)} figures in {directory}")
    click.echo(f"report in {paper.report(rows, covered, drawn, directory)}")
    if succeeded:
        click.echo(f"page in {page.write(table, drawn, directory)}")

"""paper: reproduce the paper, and report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compresso.text import counted
from experiments.commands import _options as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from experiments.datasets import Dataset

#: Seconds; a method of which a run takes longer is measured once.
PATIENCE = 60.0


@options.command("paper", "paper spl-knee,bsd500 --runs 1", docs="docs/reproducing.md")
@click.argument("dataset", default="all")
@options.grid_options("paper.csv", 5, 7200.0)
@click.option("--only-report", is_flag=True, help="Measure nothing; report the rows of the CSV.")
def paper(
    dataset: str,
    directory: Path,
    slices: int | None,
    output: Path,
    restart: bool,
    only_report: bool,
    figures: Path,
    plot: bool,
    verbose: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Reproduce the paper and write a report.

    Every method of the paper is measured on every downloaded dataset. The current methods
    (Ristretto, Crackle, PyPI's compresso, compressed_segmentation) are measured too, and have a
    table of their own.

    Writes Table 1, Figures 1, 3 and 4, the figures of each dataset, a comparison of window sizes
    and the paper's claims with the measured numbers to report.md in the folder of the figures.
    Compresso + LZMA, the method of Table 1, is measured first. A method that takes more than a
    minute is measured once. If you interrupt the command, run it again to continue.
    """
    from experiments import datasets, paper, records
    from experiments.commands import _run
    from experiments.measure import Grid

    if only_report:
        table, chosen = _measured(dataset, directory, output)
        _run.print_notes([one for one in chosen if one.text], slices)
        _report(table, chosen, slices, figures, plot)
        return
    chosen = datasets.choose(dataset, directory)
    _run.print_notes(chosen, slices)
    methods = paper.all_methods()
    if not quiet:
        names = ", ".join(one.name for one in chosen)
        click.echo(
            f"{counted(len(methods), 'method')}, {counted(settings['runs'], 'run')} each, on "
            f"{names}. Compresso + LZMA comes first. You can stop with Ctrl-C and continue with "
            "the same command.",
            err=True,
        )
    grid = Grid(
        methods,
        chosen,
        output,
        first=1,
        slices=slices,
        patience=PATIENCE,
        resume=not restart,
        **settings,
    )
    rows, added = _run.measure(grid, "table", verbose, quiet, figures)
    _report(records.tabulate(rows), chosen, slices, figures, plot)
    _run.finish(grid, rows, added, quiet, None, dataset)


def _measured(
    dataset: str, directory: Path, output: Path
) -> tuple["pd.DataFrame", "list[Dataset]"]:
    """The rows of the given datasets, and these; all are those measured, downloaded or not."""
    from experiments import ResultsError, datasets
    from experiments.commands import _run

    table = _run.read(output)
    names = set(table["dataset"])
    if dataset == "all":
        chosen = [one for one in datasets.known(directory) if one.name in names]
    else:
        chosen = datasets.choose(dataset, directory)
    table = table[table["dataset"].isin([one.name for one in chosen])]
    if table.empty:
        what = "published datasets" if dataset == "all" else dataset
        raise ResultsError(f"{output}: no rows of {what}. Measure first, without --only-report")
    if absent := [one.name for one in chosen if one.name not in names]:
        click.echo(f"{output}: no rows of {', '.join(absent)}", err=True)
    return table, chosen


def _report(
    table: "pd.DataFrame",
    chosen: "Sequence[Dataset]",
    slices: int | None,
    directory: Path,
    plot: bool,
) -> None:
    """Draw the figures of the chosen datasets, and write the report of the paper."""
    from experiments import figures, page, paper, records
    from experiments.records.results import newest

    figures.check_folder(directory)
    rows = newest(table)
    succeeded = bool((rows["status"] == records.OK).any()) and plot
    drawn = list(figures.draw_all(table, directory)) if succeeded else []
    covered = []
    for dataset in chosen:
        measured = set(rows["fingerprint"][rows["dataset"] == dataset.name]) - {""}
        if not measured:  # the rows have the reason
            continue
        reason = "not downloaded"
        if dataset.text:
            volume = dataset.load(slices)
            is_same = volume.fingerprint in measured
            reason = "" if is_same else "the labels differ from those measured"
        if reason:
            click.echo(f"{dataset.name}: {reason}, so windows and slices are not drawn", err=True)
            continue
        covered.append(paper.coverage(volume))
        if plot:
            drawn += figures.draw_slices(dataset, slices, directory)
            drawn += figures.draw_windows(volume, directory)
    click.echo(f"{len(drawn)} figure files in {directory}", err=True)
    methods = paper.all_methods()
    wanted = {(dataset.name, *method.specs) for dataset in chosen for method in methods}
    done = len(wanted & set(zip(*(rows[name] for name in records.METHOD), strict=True)))
    advice = "Run the command without --only-report to continue."
    incomplete = f"Incomplete: {done} of {len(wanted)} measurements. {advice}"
    incomplete *= done < len(wanted)
    report = paper.report(rows, covered, drawn, directory, figures.caption, incomplete)
    click.echo(f"Report: {report}", err=True)
    if succeeded:
        click.echo(f"Page: {page.write(table, drawn, directory)}", err=True)

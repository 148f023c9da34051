"""Shared by commands that measure: a progress bar, figures and the exit code."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd
from tqdm import tqdm

from compresso.cli import INTERRUPTED, announce_compilation, on_interruption
from compresso.text import counted, digits, method_name, ratio_text
from experiments import figures, page, paper, records
from experiments.datasets import Dataset
from experiments.measure import Grid
from experiments.records import OK, SECONDS, Row, table
from experiments.records.results import describe_skipped, describe_unusable
from experiments.text import display_name


def print_notes(datasets: Sequence[Dataset], slices: int | None) -> None:
    """Print what the user should know of datasets; raises an error for those that are missing."""
    for dataset in datasets:
        for line in dataset.notes(slices):
            click.echo(line, err=True)


def measure(
    grid: Grid, form: str, verbose: bool, quiet: bool, directory: Path | None
) -> tuple[list[Row], int]:
    """Run a grid under a progress bar, and print its table, as ``render`` lays it out.

    Returns all of its rows, and how many were measured now. Figures will go to ``directory``, which
    is checked first.
    """
    if directory:
        figures.check_folder(directory)
    rows, added = [], 0
    again = f"Run the same command again{'' if grid.resume else ' without --restart'} to continue"
    with on_interruption("nothing was measured"), bar(len(grid), quiet) as progress:
        for row, new in grid.run(progress.set_description_str):
            rows.append(row)
            added += new
            progress.initial = len(rows) - added  # took no time
            progress.update()
            known = f"{grid.output} has {len(rows)} of {counted(len(grid), 'run')}"
            click.get_current_context().meta[INTERRUPTED] = f"{known}. {again}"
            if verbose and new:
                progress.write(_line(row), file=sys.stderr)
    whole = records.tabulate(row for row in rows if not row.get("chunk"))
    click.echo(table.render(whole, form))
    if form in ("table", "md"):
        click.echo("".join(f"{line}\n" for line in paper.compared(whole)), nl=False)
    return rows, added


@contextmanager
def bar(total: int | None, quiet: bool) -> Iterator[Any]:
    """Show a progress bar on a terminal, whose clock goes on during a long run."""
    tqdm.monitor_interval = 0  # it would be one more thread
    form = "{desc} {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"
    form = form if total is not None else "{elapsed} {desc}"
    hidden = quiet or not sys.stderr.isatty()
    ended = threading.Event()
    with tqdm(total=total, bar_format=form, disable=hidden, leave=False, smoothing=0) as progress:

        def tick() -> None:
            while not ended.wait(1):
                progress.refresh()

        if not hidden:
            announce_compilation()
            threading.Thread(target=tick, daemon=True).start()
        try:
            yield progress
        finally:
            ended.set()


def finish(
    grid: Grid, rows: Sequence[Row], added: int, quiet: bool, directory: Path | None, dataset: str
) -> None:
    """Draw the figures, name the next steps, and end with exit code 1 if a run failed."""
    failed = sum(row["status"] != OK for row in rows)
    earlier = len(rows) - added
    steps = [f"{counted(added, 'row')} added to {grid.output}"]
    if earlier:
        steps[0] += f", which already had {counted(earlier, 'run')}. --restart measures them again"
    if directory and failed < len(rows):
        steps += draw(read(grid.output), directory, grid.datasets, grid.slices)
    if not quiet:
        steps.append(f"To choose a method: python run.py recommend {dataset}")
        click.echo("\n".join(("", *steps)), err=True)
    if failed:
        click.echo(f"Error: {failed} of {counted(len(rows), 'run')} failed. See ! above", err=True)
        sys.exit(1)


def read(output: Path) -> pd.DataFrame:
    """Read a CSV, and print to standard error which of its rows are not shown, if any."""
    rows = records.read(output)
    for line in filter(None, (describe_skipped(rows), describe_unusable(rows))):
        click.echo(line, err=True)
    return rows


def draw(
    rows: pd.DataFrame,
    directory: Path,
    datasets: Sequence[Dataset] = (),
    slices: int | None = None,
    answers: dict[str, Any] | None = None,
) -> list[str]:
    """Draw the figures of rows and slices of datasets, write the page, and return their paths."""
    paths = list(figures.draw_all(rows, directory))
    for dataset in datasets:
        paths += figures.draw_slices(dataset, slices, directory)
    written = page.write(rows, paths, directory, answers)
    return [f"{len(paths)} figure files in {directory}", f"Report: {written}"]


def _line(row: Row) -> str:
    where = " ".join(filter(None, (display_name(row["dataset"], row["group"]), row.get("chunk"))))
    run = f"{where} {method_name(row['encoding'], row['compression'])} run {row['run']}: "
    if row["status"] != OK:
        return f"{run}{row['status']}"
    ratio = ratio_text(row["raw_bytes"] / row["compressed_bytes"])
    seconds = (f"{name.removesuffix('_s')} {digits(row[name])} s" for name in SECONDS)
    return f"{run}ratio {ratio}; {', '.join(seconds)}"

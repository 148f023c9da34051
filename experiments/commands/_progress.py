"""A grid under a progress bar, its table, and an exit code that tells the truth."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import pandas as pd
from tqdm import tqdm

from experiments import figures, page, records
from experiments.measure import Grid
from experiments.records import OK, Row
from experiments.records.results import describe_skipped, describe_unusable
from experiments.records.table import render
from experiments.text import display_name


def run(grid: Grid, verbose: bool, directory: Path | None) -> list[Row]:
    """Run a grid and show its table; returns all rows that were asked for.

    Figures are to go to ``directory``, which is tried first. Ctrl-C ends the program with what is
    done.
    """
    if directory:
        figures.check(directory)
    tqdm.monitor_interval = 0  # it would be one thread more
    rows: list[Row] = []
    added = 0
    with tqdm(total=len(grid), unit="run", disable=not sys.stderr.isatty(), leave=False) as bar:
        try:
            with _ticking(bar):
                for row, new in grid.run(bar.set_description_str):
                    bar.update()
                    rows.append(row)
                    added += new
                    if verbose and new:
                        bar.write(_line(row))
        except KeyboardInterrupt:
            bar.close()
            stop(added, grid.output)
    whole = [row for row in rows if not row.get("chunk")]
    click.echo("\n" + render(records.tabulate(whole)))
    click.echo(f"\n{added} rows added to {grid.output}")
    return rows


def stop(added: int, output: Path) -> NoReturn:
    """End as Ctrl-C wants it, and say what is kept."""
    click.echo(f"Interrupted; {added} rows are safe in {output}", err=True)
    sys.exit(130)


def succeeded(rows: list[Row]) -> int:
    """How many rows are ok."""
    return sum(row["status"] == str(OK) for row in rows)


def finish(rows: list[Row]) -> None:
    """End with the exit code 1 where a run failed."""
    failed = len(rows) - succeeded(rows)
    if failed:
        click.echo(f"Error: {failed} of {len(rows)} runs failed; see ! above", err=True)
        sys.exit(1)


def draw(output: Path, directory: Path) -> None:
    """Draw the figures of a CSV, and write the page; say which rows neither shows."""
    table = records.read(output)
    report_skipped(table)
    paths = list(figures.draw_all(table, directory))
    click.echo(f"{len(paths)} figures in {directory}")
    click.echo(f"page in {page.write(table, paths, directory)}")


def report_skipped(table: pd.DataFrame) -> None:
    """Say on standard error which rows of a CSV are not shown, where there are any."""
    for told in filter(None, (describe_skipped(table), describe_unusable(table))):
        click.echo(told, err=True)


@contextmanager
def _ticking(bar: Any) -> Iterator[None]:
    """Let the bar's clock go on while a long run is measured."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(1):
            bar.refresh()

    if bar.disable:
        yield
        return
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()


def _line(row: Row) -> str:
    where = " ".join(filter(None, (display_name(row["dataset"], row["group"]), row.get("chunk"))))
    run = f"{where} {row['encoding']} {row['compression']} run {row['run']}: "
    if not succeeded([row]):
        return f"{run}{row['status']}"
    return (
        f"{run}{row['raw_bytes'] / row['compressed_bytes']:.2f} x; "
        f"encode {row['encode_s']:.4f} s, compress {row['compress_s']:.4f} s, "
        f"decompress {row['decompress_s']:.4f} s, decode {row['decode_s']:.4f} s"
    )

"""recommend: which encoding and compressor to use for a volume, and how sure that is."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compresso.cli import chunks as chunks_option
from compresso.cli import seed as seed_option
from experiments.commands._options import DIRECTORY, FIGURES, VERBOSE
from experiments.commands._options import output as output_option
from experiments.commands._options import runs as runs_option

if TYPE_CHECKING:
    from compresso.plugins import Extent
    from experiments.recommend import Candidate


class Share(click.ParamType[float]):
    """A part of a volume, above 0 and at most 1; ``5%`` too."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text."""
        text = str(value)
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is not a share above 0 and at most 1 (example: 5%)", param, ctx)
        return share


@click.command()
@click.argument("dataset")
@click.option(
    "--sample",
    type=Share(),
    metavar="SHARE",
    show_default="5%, 16 to 64 chunks",
    help="Share of the volume to measure.",
)
@chunks_option(None, "Size of a chunk of the sample in voxels (about 256,256,16 by default).")
@seed_option("Random seed for choosing the sample.")
@runs_option(5, "Measure the best methods N times.")
@DIRECTORY
@output_option("recommend.csv")
@FIGURES
@click.option("--plot/--no-plot", default=True, help="Draw the figures at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@VERBOSE
def command(
    dataset: str,
    sample: float | None,
    chunks: "Extent | None",
    seed: int,
    runs: int,
    directory: Path,
    output: Path,
    plot: bool,
    as_json: bool,
    verbose: bool,
    **settings: Any,
) -> None:
    """Recommend an encoding and a compressor for a volume of any size.

    There are four answers: for the smallest archive, general use, interactive viewing and random
    access. Only a sample is read, unless the volume is small. All methods are measured on a small
    block, and the best ones on larger parts. docs/choosing.md explains the answers.
    """
    from experiments import datasets, figures, page, recommend, records
    from experiments.commands import _progress
    from experiments.text import display_name

    chosen = datasets.choose_one(dataset, directory, "recommend")
    for line in chosen.notes():
        click.echo(line, err=True)
    records.check(output)
    if plot:
        figures.check(settings["figures"])
    source = "" if dataset.partition(":")[0] in datasets.names() else dataset
    added = 0

    def record(row: records.Row) -> None:
        nonlocal added
        records.append(output, row)
        added += 1

    try:
        with _announcing(verbose) as (announce, write):
            measurer = recommend.Measurer(announce, record)
            chunk = chunks and tuple(reversed(chunks))
            for advice in recommend.recommend(chosen, measurer, sample, chunk, seed, runs):
                if not advice.final:
                    write(recommend.as_line(advice))
    except KeyboardInterrupt:
        _progress.stop(added, output)
    answers = recommend.as_json(advice, source)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    else:
        click.echo(
            f"{display_name(chosen.name, chosen.group)}, {recommend.as_text(advice, source)}"
        )
    click.echo(f"{added} rows added to {output}", err=True)
    if plot:
        rows = [row for one in (*advice.failed, *advice.candidates) for row in one.rows]
        table = records.tabulate(rows)
        paths = list(figures.draw_all(table, settings["figures"]))
        written = page.write(table, paths, settings["figures"], answers)
        click.echo(f"{len(paths)} figures in {settings['figures']}", err=True)
        click.echo(f"page in {written}", err=True)
    _complain(advice.failed)


def _complain(failed: "Sequence[Candidate]") -> None:
    """Print what failed, and end with 1; an encoding that cannot hold a label is not a failure."""
    from compresso.cli import complain

    for encoding, status in {
        str(o.method.encoding): o.failure for o in failed if o.refused
    }.items():
        complain(f"{encoding} is left out: {status}")
    broken = [one for one in failed if not one.refused]
    for one in broken:
        complain(f"! {one.method}: {one.failure}")
    if broken:
        click.echo(f"Error: {len(broken)} methods failed; see ! above", err=True)
        sys.exit(1)


@contextmanager
def _announcing(verbose: bool) -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """Show on standard error what is measured, in a line that changes, or a line each."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # it would be one thread more
    shown = sys.stderr.isatty() and not verbose
    with tqdm(bar_format="{elapsed} {desc}", disable=not shown, leave=False) as bar:

        def announce(text: str) -> None:
            bar.set_description_str(text)
            if verbose:
                click.echo(text, err=True)

        def write(text: str) -> None:
            bar.clear()
            click.echo(text, err=True)

        yield announce, write

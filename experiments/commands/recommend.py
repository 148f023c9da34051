"""recommend: which encoding and compressor to use for a volume, and how sure that is."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.commands._options import DIRECTORY, FIGURES, VERBOSE, Voxels
from experiments.commands._options import output as output_option
from experiments.commands._options import runs as runs_option

if TYPE_CHECKING:
    from compresso.plugins import Extent
    from experiments.recommend import Advice, Standing


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
            self.fail(f"{value!r} is no share above 0 and at most 1, such as 0.05", param, ctx)
        return share


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    dataset: str
    directory: Path
    sample: float | None
    chunk: "Extent | None"
    seed: int
    runs: int
    output: Path
    figures: Path
    plot: bool
    json: bool
    verbose: bool


@click.command()
@click.argument("dataset")
@click.option(
    "--sample",
    type=Share(),
    show_default="0.05, 16 to 64 chunks",
    help="Share of the volume to measure.",
)
@click.option(
    "--chunk",
    type=Voxels(),
    show_default="about 256x256x16",
    help="Size of a chunk of the sample, x, y, z.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the sample.")
@runs_option(5, "Runs of each cell that a purpose may take.")
@DIRECTORY
@output_option("recommend.csv")
@FIGURES
@click.option("--plot/--no-plot", default=True, help="Draw the figures at the end.")
@click.option("--json", is_flag=True, help="Print one JSON object and nothing else.")
@VERBOSE
def command(**options: Any) -> None:
    """Name the encoding and compressor to use for a volume, of any size, for each purpose.

    Reads a sample only, unless the volume is small: chunks drawn by how dense the labels are. Every
    cell that makes sense is run on a little of it, the better ones on more, the best on all.
    docs/recommend.md says what the purposes are, and how sure the numbers.
    """
    from experiments import datasets, figures, page, recommend, records
    from experiments.commands import _progress
    from experiments.text import display_name

    settings = Settings(**options)
    dataset = datasets.choose_one(settings.dataset, settings.directory, "recommend")
    for line in dataset.notes():
        click.echo(line, err=True)
    records.check(settings.output)
    if settings.plot:
        figures.check(settings.figures)
    chunk = settings.chunk and tuple(reversed(settings.chunk))
    question = recommend.Question(settings.sample, chunk, settings.seed, settings.runs)
    kept = 0

    def record(row: records.Row) -> None:
        nonlocal kept
        records.append(settings.output, row)
        kept += 1

    try:
        with _announcing(settings.verbose) as announce:
            advice = recommend.recommend(dataset, question, recommend.Measurer(announce, record))
    except KeyboardInterrupt:
        _progress.stop(kept, settings.output)
    title = f"{display_name(dataset.name, dataset.group)}, {records.cpu()}"
    _tell(settings, advice, title)
    click.echo(f"{kept} rows added to {settings.output}", err=True)
    if settings.plot:
        rows = [row for one in (*advice.failed, *advice.standing) for row in one.rows]
        table = records.tabulate(rows)
        paths = list(figures.draw_all(table, settings.figures))
        answers = recommend.as_json(advice.choices, advice.sample)
        written = page.write(table, paths, settings.figures, answers)
        click.echo(f"{len(paths)} figures in {settings.figures}", err=True)
        click.echo(f"page in {written}", err=True)
    _tell_failed(advice.failed)


def _tell(settings: Settings, advice: "Advice", title: str) -> None:
    """The answer on standard output."""
    from experiments import recommend

    if settings.json:
        click.echo(json.dumps(recommend.as_json(advice.choices, advice.sample), indent=2))
        click.echo(f"Measured: {advice.sample.told()}", err=True)
        return
    click.echo(recommend.as_text(title, advice.standing, advice.choices, advice.sample))


def _tell_failed(failed: "Sequence[Standing]") -> None:
    """What failed, which ends the run with 1, and which encodings have no stream of such labels."""
    from compresso.cli import complain

    refused = {str(one.cell.encoding): one.failure for one in failed if one.refused}
    for encoding, status in refused.items():
        complain(f"{encoding} is left out: {status}")
    broken = [one for one in failed if not one.refused]
    for one in broken:
        complain(f"! {one.cell}: {one.failure}")
    if broken:
        click.echo(f"Error: {len(broken)} cells failed; see ! above", err=True)
        sys.exit(1)


@contextmanager
def _announcing(verbose: bool) -> Iterator[Callable[[str], None]]:
    """Tell on standard error what is going on: in one line that changes, or a line each."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # it would be one thread more
    shown = sys.stderr.isatty() and not verbose
    with tqdm(bar_format="{elapsed} {desc}", disable=not shown, leave=False) as bar:

        def announce(text: str) -> None:
            bar.set_description_str(text)
            if verbose:
                click.echo(text, err=True)

        yield announce

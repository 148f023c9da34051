"""recommend: choose an encoding and a compressor for a volume."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compresso import cli
from compresso.text import counted
from experiments.commands import _options as options

if TYPE_CHECKING:
    from compresso.codec import Extent
    from experiments.recommend import Candidate


def _share(text: object) -> float:
    """Parse a share of a volume, above 0 and at most 1: ``0.05`` or ``5%``."""
    digits = str(text).removesuffix("%")
    try:
        share = float(digits) / (1 if digits == str(text) else 100)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise click.BadParameter(f"{text!r} is not a share of a volume (examples: 0.05, 5%)")
    return share


@options.command(
    "recommend my.h5:/labels", "recommend pinky40 --sample 10% --json", docs="docs/choosing.md"
)
@click.argument("dataset")
@options.runs(5, "Measure the best methods N times.")
@options.seed("Random seed for choosing the sample.")
@click.option(
    "--sample",
    type=_share,
    metavar="SHARE",
    help="Share of the volume to measure.  [default: 5%, 16 to 64 chunks]",
)
@cli.chunks(None, "Size of a chunk of the sample in voxels (about 256,256,16 by default).")
@options.measuring("recommend.csv")
@cli.JSON
def recommend(
    dataset: str,
    sample: float | None,
    chunks: "Extent | None",
    seed: int,
    runs: int,
    directory: Path,
    output: Path,
    figures: Path,
    plot: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Recommend a method for a volume of any size.

    There are four answers: for the smallest archive, general use, interactive viewing and random
    access. Only a sample is read, unless the volume is small. All methods are measured on a small
    block, and the best ones on larger parts. docs/choosing.md explains the answers.
    """
    from experiments import datasets, recommend, records
    from experiments import figures as pictures
    from experiments.commands import _run
    from experiments.text import display_name

    chosen = datasets.choose_one(dataset, directory, "recommend")
    _run.print_notes([chosen], 0)
    records.check_csv(output)
    if plot:
        pictures.check_folder(figures)
    source = "" if dataset.partition(":")[0] in datasets.names() else dataset
    measured: list[records.Row] = []

    def record(row: records.Row) -> None:
        records.append(output, row)
        measured.append(row)

    saved = cli.on_interruption(f"finished runs are in {output}. The next run starts anew")
    with saved, _run.bar(None, quiet or verbose) as bar:

        def announce(text: str) -> None:
            bar.set_description_str(text)
            if verbose:
                click.echo(text, err=True)

        chunk = chunks and tuple(reversed(chunks))
        both = recommend.recommend(chosen, sample, chunk, seed, runs, announce, record)
        for advice in both:
            if not (advice.sizes or quiet):
                bar.write(recommend.as_line(advice), file=sys.stderr)
    answers = recommend.as_json(advice, source)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    else:
        name = display_name(chosen.name, chosen.group)
        click.echo(f"{name}, {recommend.as_text(advice, source)}")
    steps = [f"{counted(len(measured), 'row')} added to {output}"]
    if plot:
        rows = [row for one in (*advice.failed, *advice.candidates) for row in one.rows]
        steps += _run.draw(records.tabulate(rows), figures, [chosen], answers=answers)
    if not quiet:
        click.echo("\n".join(steps), err=True)
    _complain(advice.failed)


def _complain(failed: "Sequence[Candidate]") -> None:
    """Print what failed, and end with 1; an encoding that cannot hold a label is not a failure."""
    from experiments.records import Outcome

    refused, broken = {}, 0
    for one in failed:
        if one.failure.startswith(f"{Outcome.REFUSED}: "):
            refused[str(one.method.encoding)] = one.failure
        else:
            broken += 1
            cli.complain(f"! {one.method}: {one.failure}")
    for encoding, status in refused.items():
        cli.complain(f"{encoding} is skipped: {status}")
    if broken:
        click.echo(f"Error: {counted(broken, 'method')} failed. See ! above", err=True)
        sys.exit(1)

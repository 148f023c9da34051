"""plot: draw the figures from the CSV alone."""

from pathlib import Path

import click

from compresso.cli import DEBUG
from experiments.commands import _options as options
from experiments.commands._options import FIGURES, Command
from experiments.commands._options import output as output_option


@click.command(cls=Command, epilog=options.examples("plot", "plot -o my.csv --figures my-figures"))
@output_option("results.csv")
@FIGURES
@DEBUG
def command(output: Path, figures: Path) -> None:
    """Draw the figures and write the report of a CSV."""
    from experiments.commands._run import draw, read

    for line in draw(read(output), figures):
        click.echo(line, err=True)

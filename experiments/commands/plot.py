"""plot: draw the figures from the CSV alone."""

from pathlib import Path

import click

from experiments.commands._options import FIGURES
from experiments.commands._options import output as output_option


@click.command()
@output_option("results.csv")
@FIGURES
def command(output: Path, figures: Path) -> None:
    """Draw the figures from the CSV alone."""
    from experiments.commands._progress import draw

    draw(output, figures)

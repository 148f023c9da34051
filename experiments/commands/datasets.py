"""datasets: list them, and what is here of them."""

from pathlib import Path

import click

from experiments.commands._options import DIRECTORY


@click.command()
@DIRECTORY
def command(directory: Path) -> None:
    """List the datasets, and what is here of them."""
    from experiments import datasets
    from experiments.text import display_name

    for dataset in datasets.known(directory):
        title = display_name(dataset.title, dataset.group)
        click.echo(f"{dataset.name:14} {title:20} {dataset.status()}")

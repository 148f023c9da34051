"""fetch: download datasets of the paper."""

import sys
from pathlib import Path

import click

from experiments.commands._options import DIRECTORY


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--mirror", metavar="URL", help="Take the files from another host.")
@DIRECTORY
def command(names: tuple[str, ...], mirror: str | None, directory: Path) -> None:
    """Download datasets of the paper (or all), check them, and convert them to HDF5."""
    from compresso import CompressoError
    from compresso.cli import complain
    from experiments.datasets import _fetch
    from experiments.errors import HarnessError

    failed = False
    for name in _fetch.fetchable() if "all" in names else names:
        try:
            click.echo(f"{name}: {_fetch.fetch(name.lower(), directory, mirror)}")
        except (HarnessError, CompressoError) as error:
            failed = True
            complain(f"Error: {error}")
    sys.exit(1 if failed else 0)

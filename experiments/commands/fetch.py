"""fetch: download datasets."""

from pathlib import Path

import click

from compresso.cli import DEBUG, QUIET
from experiments.commands import _options as options
from experiments.commands._options import DIRECTORY, Command


@click.command(cls=Command, epilog=options.examples("fetch pinky40 fib25", "fetch all -d /data"))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--mirror", metavar="URL", help="Take the files from this address.")
@DIRECTORY
@QUIET
@DEBUG
@click.pass_context
def command(
    ctx: click.Context, names: tuple[str, ...], mirror: str | None, directory: Path, quiet: bool
) -> None:
    """Download datasets, or list them without NAME.

    Each file is checked and converted to HDF5, NAME.h5 in the data folder. NAME may be all.
    """
    from compresso import CompressoError
    from compresso.cli import complain
    from experiments.commands import datasets
    from experiments.datasets import CATALOGUE, fetch
    from experiments.errors import HarnessError

    if not names:
        ctx.invoke(datasets.command, directory=directory, as_json=False)
        return
    chosen = list(CATALOGUE) if "all" in names else [name.lower() for name in names]
    fetch.check(chosen)
    failed = False
    for name in chosen:

        def announce(text: str, name: str = name) -> None:
            if not quiet:
                click.echo(f"{name}: {text}", err=True)

        try:
            click.echo(f"{name}: {fetch.fetch(name, directory, mirror, announce, not quiet)}")
        except (HarnessError, CompressoError) as error:
            failed = True
            complain(f"Error: {error}")
    ctx.exit(1 if failed else 0)

"""datasets: list them, and show which are downloaded; fetch: download them."""

import json
from pathlib import Path
from typing import Any

import click

from compresso.cli import JSON, QUIET, complain
from compresso.text import file_size
from experiments.commands import _options as options
from experiments.commands._options import DIRECTORY

HEADINGS = ("name", "title", "size (x, y, z)", "licence", "downloaded", "origin")


@options.command("datasets", "datasets --json", docs="docs/reproducing.md")
@DIRECTORY
@JSON
def datasets(directory: Path, as_json: bool) -> None:
    """List the datasets and show which are downloaded."""
    from experiments.datasets import known

    found = [dataset.describe() for dataset in known(directory)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    lines = [HEADINGS, *map(_line, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        fields = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(fields).rstrip())
    for about in found:
        if "error" in about:
            click.echo(f"! {about['name']}: {about['error']}")
    click.echo(
        "\nDownload: python run.py fetch NAME. Files and stores of your own need no name; "
        f"mri is every file in {directory / 'MRI'}."
    )


def _line(about: dict[str, Any]) -> tuple[str, ...]:
    from experiments.text import SYNTHETIC, display_name

    public, size = bool(about["origin"]), about["download_bytes"]
    title = display_name(about["title"], about["group"])
    title += " (not in the paper)" * (public and not about["in_paper"])
    state = "yes" if about["path"] else f"no ({file_size(size)})" if size else "no"
    if about["group"] == SYNTHETIC:
        state = "made on demand"
    elif "error" in about:
        state = "! unreadable"
    licence, origin = about["licence"] * public, about["origin"] or about["path"] or ""
    return about["name"], title, about["size"], licence, state, origin


@options.command("fetch pinky40 fib25", "fetch all -d /data", docs="docs/reproducing.md")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--mirror", metavar="URL", help="Base URL to download from, instead of the original servers."
)
@DIRECTORY
@QUIET
@click.pass_context
def fetch(
    ctx: click.Context, names: tuple[str, ...], mirror: str | None, directory: Path, quiet: bool
) -> None:
    """Download datasets, or list them without NAME.

    Each file is checked and converted to HDF5, NAME.h5 in the data folder. NAME may be all.
    """
    from compresso import CompressoError
    from experiments import HarnessError
    from experiments.datasets import CATALOGUE
    from experiments.datasets import fetch as downloads

    if not names:
        ctx.invoke(datasets, directory=directory, as_json=False)
        return
    chosen = list(CATALOGUE) if "all" in names else [name.lower() for name in names]
    downloads.check_names(chosen)
    failed = False
    for name in chosen:

        def announce(text: str, name: str = name) -> None:
            if not quiet:
                click.echo(f"{name}: {text}", err=True)

        try:
            click.echo(f"{name}: {downloads.fetch(name, directory, mirror, announce, not quiet)}")
        except (HarnessError, CompressoError) as error:
            failed = True
            complain(f"Error: {error}")
    ctx.exit(1 if failed else 0)

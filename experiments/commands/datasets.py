"""datasets: list them, and show which are downloaded."""

import json
from pathlib import Path
from typing import Any

import click

from compresso.cli import DEBUG, JSON, file_size
from experiments.commands import _options as options
from experiments.commands._options import DIRECTORY, Command

HEADINGS = ("name", "title", "size (x, y, z)", "licence", "downloaded", "origin")


@click.command(cls=Command, epilog=options.examples("datasets", "datasets --json"))
@DIRECTORY
@JSON
@DEBUG
def command(directory: Path, as_json: bool) -> None:
    """List the datasets and show which are downloaded."""
    from experiments import datasets

    found = [dataset.describe() for dataset in datasets.known(directory)]
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
    click.echo("\nDownload: python run.py fetch NAME. Files and stores of your own need no name.")


def _line(about: dict[str, Any]) -> tuple[str, ...]:
    from experiments.text import SYNTHETIC, display_name

    title = display_name(about["title"], about["group"])
    if about["origin"] and not about["in_paper"]:
        title += " (not in the paper)"
    state = "yes" if about["path"] else "no"
    if about["group"] == SYNTHETIC:
        state = "made on demand"
    elif "error" in about:
        state = "! unreadable"
    elif state == "no" and about["download_bytes"]:
        state += f" ({file_size(about['download_bytes'])})"
    licence = about["licence"] if about["origin"] else ""
    origin = about["origin"] or about["path"] or ""
    return about["name"], title, about["size"], licence, state, origin

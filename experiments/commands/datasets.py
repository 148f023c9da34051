"""datasets: list them, and show which are downloaded."""

import json
from collections.abc import Sequence
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
    show([_line(about) for about in found])
    click.echo("\nDownload: python run.py fetch NAME. Files and stores of your own need no name.")


def show(lines: Sequence[Sequence[str]]) -> None:
    """Print datasets in columns."""
    widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
    for line in (HEADINGS, *lines):
        fields = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(fields).rstrip())


def _line(about: dict[str, Any]) -> tuple[str, ...]:
    from experiments.text import SYNTHETIC, display_name

    title = display_name(about["title"], about["group"])
    if about["origin"] and not about["in_paper"]:
        title += " (not in the paper)"
    state = "yes" if about["path"] else "no"
    if about["group"] == SYNTHETIC:
        return about["name"], title, about["size"], "", "made on demand", ""
    if state == "no" and about["download_bytes"]:
        state += f" ({file_size(about['download_bytes'])})"
    state = about.get("error", state)
    licence = about["licence"] if about["origin"] else ""
    return about["name"], title, about["size"], licence, state, about["origin"] or about["path"]

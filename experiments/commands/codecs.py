"""codecs: list the encodings and compressors."""

import dataclasses
import json
from typing import Any

import click

from compresso.cli import DEBUG, JSON
from experiments.commands._options import Command


@click.command(cls=Command, examples=["codecs", "codecs --json"])
@JSON
@DEBUG
def command(as_json: bool) -> None:
    """List encodings and compressors with their parameters."""
    from compresso import compressors, encodings

    found = {"encodings": _described(encodings), "compressors": _described(compressors)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for kind, codecs in found.items():
        click.echo(f"{kind}:")
        for codec in codecs:
            parameters = ",".join(f"{name}={value}" for name, value in codec["parameters"].items())
            needed = " ".join(codec["missing"])
            state = f"  not installed: pip install {needed}" if needed else ""
            click.echo(f"  {codec['name']}{':' * bool(parameters)}{parameters}{state}")


def _described(registry: Any) -> list[dict[str, Any]]:
    """Name, parameters with their defaults, and missing packages of each codec."""
    return [
        {
            "name": name,
            "parameters": {
                field.name: field.default
                if isinstance(field.default, int | float | bool)
                else str(field.default)
                for field in dataclasses.fields(codec)
            },
            "missing": codec.missing(),
        }
        for name, codec in ((name, registry.parse(name)) for name in registry.names())
    ]

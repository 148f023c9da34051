"""Checks of this project's own claims; run one as ``python -m experiments.checks.NAME``."""

from typing import Any

import click

from compresso.cli import DEBUG, SETTINGS, reporting
from experiments import HarnessError


class Program(click.Command):
    """A command that prints its errors in one line, as ``run.py`` does."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options | {"context_settings": SETTINGS})
        DEBUG(self)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with reporting(ctx, (HarnessError,), "the printed lines are valid"):
            return super().invoke(ctx)

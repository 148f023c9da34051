"""Programs of their own, beside the verbs of ``run.py``: ``python -m experiments.trust....``."""

from typing import Any

import click

from compresso.cli import VERBOSE, reporting
from experiments.errors import HarnessError


class Program(click.Command):
    """A program whose errors are one line each, as those of ``run.py`` are."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        VERBOSE(self)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the program, and tell its errors."""
        with reporting(ctx, (HarnessError,), "what was printed stands"):
            return super().invoke(ctx)

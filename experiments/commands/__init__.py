"""The command line of run.py: one file a verb, with a ``command``; grid is the verb of no name.

Whatever is heavy is imported by the command that needs it.
"""

import importlib
import io
import pkgutil
import sys
from typing import Any

import click

DEFAULT = "grid"


class Harness(click.Group):
    """A group whose commands are the files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs; a file whose name begins with ``_`` is a helper."""
        names = [module.name for module in pkgutil.iter_modules(__path__)]
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a verb."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the default verb where there is none."""
        known = [*self.list_commands(ctx), "-h", "--help", "--version"]
        if args and args[0] not in known:
            args.insert(0, DEFAULT)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the user can mend is told in one line."""
        from compresso.cli import reporting
        from experiments.errors import HarnessError

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a file's name may be anything
        with reporting(ctx, (HarnessError,), "what is done is safe"):
            return super().invoke(ctx)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import compresso

        click.echo(f"compresso {compresso.__version__}")
        ctx.exit()


@click.group(
    cls=Harness,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog="Without a command: run.py ENCODING COMPRESSION DATASET, see run.py grid --help.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Encode, compress, time and plot label volumes of connectomics.

    \b
      python run.py compresso lzma phantom          one method, on synthetic data
      python run.py all all my.h5:/labels --runs 3  every pair, on your volume
      python run.py COMPRESSO LZMA ac3 -r 1 -s 1    as in the original program
    """

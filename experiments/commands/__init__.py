"""The command line of run.py: the commands are in files of this folder.

Heavy packages are imported by the command that needs them.
"""

import importlib
import io
import sys
from typing import Any

import click

from compresso.cli import SETTINGS, VERSION, Commands, reporting
from compresso.errors import did_you_mean

#: The commands and their modules, in the order of their use.
MODULES = {
    "grid": ".grid",
    "recommend": ".recommend",
    "datasets": ".datasets",
    "fetch": ".datasets",
    "codecs": "compresso.__main__",
    "plot": ".grid",
    "paper": ".paper",
    "bench": ".bench",
}


class Harness(Commands):
    """The group of all commands, and the grid without a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in MODULES:
            return None
        command: click.Command = getattr(importlib.import_module(MODULES[name], __name__), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the default command if the first word is an encoding, or a list of some."""
        if args and args[0] not in (*MODULES, "help", "-h", "--help", "--version"):
            from compresso import encodings
            from compresso.codec import split_codec, split_list

            known = ["all", *encodings.names()]
            for name in (split_codec(spec)[0] for spec in split_list(args[0])):
                if name not in known and not name.startswith("-"):
                    commands, others = ", ".join(MODULES), ", ".join(known)
                    advice = f" Commands: {commands}. Encodings: {others}."
                    advice = did_you_mean(name, [*MODULES, *known]) or advice
                    ctx.fail(f"no command or encoding {name!r}.{advice}")
            args.insert(0, "grid")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that the user can correct is one line."""
        from experiments import HarnessError

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a file's name may be anything
        with reporting(ctx, (HarnessError,), "run the same command again"):
            return click.Group.invoke(self, ctx)


@click.group(
    cls=Harness,
    context_settings=SETTINGS,
    epilog="Without a command, it is grid: run.py ENCODING COMPRESSION DATASET.",
)
@VERSION
def main() -> None:
    """Compress label volumes with many methods, compare and recommend them.

    \b
      python run.py recommend my.h5:/labels         the best method for your volume
      python run.py all all my.h5:/labels --runs 3  every method, compared
      python run.py COMPRESSO LZMA ac3 -r 1 -s 1    the command line of the original program
    """

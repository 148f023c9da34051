"""Options that several commands of run.py have, and the sections of their help."""

import math
from pathlib import Path
from typing import Any

import click

from compresso import cli
from compresso.cli import Decorator

ROOT = Path(__file__).resolve().parents[2]
#: The sections of the help, with the names of their options in order; the last has all others.
SECTIONS = {
    "Measuring": (
        *("runs", "restart", "keep_failed", "threads", "timeout", "isolated", "seed"),
        *("scheduler", "encodings", "quick", "others", "peers", "commands"),
    ),
    "Data": ("slices", "chunks", "sample", "dtypes", "group", "directory", "mirror"),
    "Output": ("form", "as_json", "output", "figures", "plot", "only_report", "verbose", "quiet"),
    "Other": (),
}


class Command(click.Command):
    """A command whose help has sections of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        named = [name for names in SECTIONS.values() for name in names]
        for title, names in SECTIONS.items():
            chosen = [p for name in names for p in options if p.name == name]
            chosen = chosen or [p for p in options if p.name not in named] * (not names)
            if lines := [record for p in chosen if (record := p.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(lines)


def examples(*lines: str, docs: str = "docs/benchmarking.md") -> str:
    """Return the epilog of a command's help, with command lines without ``python run.py``."""
    return cli.examples(*(f"python run.py {line}" for line in lines), docs=docs)


def runs(default: int, what: str = "Measure every method N times, in random order.") -> Decorator:
    """Return the option ``--runs``."""
    return click.option("-r", "--runs", type=cli.number(1), metavar="N", default=default, help=what)


def seed(what: str = "Random seed for the order of measurements.") -> Decorator:
    """Return the option ``--seed``."""
    return click.option("--seed", type=cli.number(0), metavar="N", default=2017, help=what)


def _seconds(text: object) -> float | None:
    """Parse a time limit; None for inf."""
    try:
        seconds = float(str(text))
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise click.BadParameter(f"{text!r} is not a number of seconds above 0")
    return None if seconds == math.inf else seconds


def _slices(text: object) -> int | None:
    """Parse a number of slices; None for -1, as in the original program."""
    return None if str(text) == "-1" else cli.number(1)(text)


def timeout(default: float | None) -> Decorator:
    """Return the option ``--timeout``; inf disables it."""
    return click.option(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=default,
        help="Time limit of one run, after its kernels are compiled; inf for none.",
    )


def output(name: str, what: str = "CSV to which each run is added.") -> Decorator:
    """Return the option ``--csv``, by default a CSV of this name."""
    return click.option(
        *("-o", "--csv", "output"),
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        default=ROOT / "experiments" / "results" / name,
        show_default=False,
        help=f"{what}  [default: experiments/results/{name}]",
    )


SLICES = click.option(
    *("-s", "--slices"),
    type=_slices,
    metavar="N",
    help="Use only the first N slices.  [default: all; -1 also means all]",
)
DIRECTORY = click.option(
    *("-d", "--directory"),
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default=ROOT / "data",
    show_default=False,
    help="Folder with the downloaded datasets.  [default: data/]",
)
FIGURES = click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=ROOT / "figures",
    show_default=False,
    help="Folder for the figures and the report.  [default: figures/]",
)
PLOT = click.option("--plot/--no-plot", default=True, help="Draw figures and write the report.")
RESTART = click.option("--restart", is_flag=True, help="Repeat runs that are already in the CSV.")
VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Show details of the progress.")
KEEP_FAILED = click.option("--keep-failed", is_flag=True, help="Do not retry failed runs.")


def codecs(what: str, text: str, registry: Any) -> list[Any]:
    """Return the codecs of a comma-separated list, each once; raises SpecError if it is empty."""
    from compresso.codec import split_list
    from compresso.errors import SpecError

    given, installed = split_list(text), registry.installed()
    chosen = [s for one in given for s in (installed if one.lower() == "all" else [one])]
    if not chosen:
        raise SpecError(f"{what} is empty. Give all, or some of: {', '.join(registry.names())}")
    for name in registry.names():
        if name not in installed and len(chosen) > len(given):
            needed = " ".join(registry.parse(name).missing())
            click.echo(f"{name} is skipped. To include it: pip install {needed}", err=True)
    return list({codec.spec: codec for codec in map(registry.parse, chosen)}.values())

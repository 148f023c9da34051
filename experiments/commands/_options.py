"""Options that several commands of run.py have, and the sections of their help."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from compresso import cli
from compresso.cli import Decorator
from experiments import SEED

ROOT = Path(__file__).resolve().parents[2]
#: The sections of the help after "Measuring", which has all other options.
SECTIONS = {
    "Data": "--slices --chunks --sample --dtype --group --directory --mirror",
    "Output": "--csv --figures --plot --only-report --format --json --verbose --quiet",
    "Other": "--bockwurst --debug --help",
}


class Command(click.Command):
    """A command whose help has sections of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        section = {flag: title for title, flags in SECTIONS.items() for flag in flags.split()}
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        for title in ("Measuring", *SECTIONS):
            own = (p for p in options if section.get(p.opts[-1], "Measuring") == title)
            if lines := list(filter(None, (p.get_help_record(ctx) for p in own))):
                with formatter.section(title):
                    formatter.write_dl(lines)


def command(
    *examples: str, docs: str = "docs/benchmarking.md"
) -> Callable[[Callable[..., None]], click.Command]:
    """Return the decorator of a command, with examples without ``python run.py``, and --debug."""
    epilog = cli.examples(*(f"python run.py {line}" for line in examples), docs=docs)
    return lambda function: click.command(cls=Command, epilog=epilog)(cli.DEBUG(function))


def runs(default: int, what: str = "Measure every method N times, in random order.") -> Decorator:
    """Return the option ``--runs``."""
    return click.option(
        "-r", "--runs", type=click.IntRange(1), metavar="N", default=default, help=what
    )


def seed(what: str = "Random seed for the order of measurements.") -> Decorator:
    """Return the option ``--seed``."""
    return click.option("--seed", type=click.IntRange(0), metavar="N", default=SEED, help=what)


def _seconds(text: object) -> float | None:
    """Parse a time limit; None for inf."""
    try:
        seconds = float(str(text))
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise click.BadParameter(f"{text!r} is not a number of seconds above 0")
    return None if seconds == math.inf else seconds


def _path(*flags: str, at: str, what: str, folder: bool = True) -> Decorator:
    """Return the option of a folder or file, by default one of this repository."""
    return click.option(
        *flags,
        type=click.Path(file_okay=not folder, dir_okay=folder, path_type=Path),
        metavar="FOLDER" if folder else "FILE",
        default=ROOT / at,
        show_default=False,
        help=f"{what}  [default: {at}{'/' * folder}]",
    )


def figures(at: str = "figures") -> Decorator:
    """Return the option ``--figures``; the reports of different commands differ in their folder."""
    return _path("--figures", at=at, what="Folder for the figures and the report.")


SLICES = click.option(
    "-s",
    "--slices",
    # -1 is what the original program has for all.
    type=lambda text: None if text == "-1" else click.IntRange(1).convert(text, None, None),
    metavar="N",
    help="Use only the first N slices.  [default: all; -1 also means all]",
)
DIRECTORY = _path("-d", "--directory", at="data", what="Folder with the downloaded datasets.")
PLOT = click.option("--plot/--no-plot", default=True, help="Draw figures and write the report.")


def results(name: str, what: str = "CSV to which each run is added.") -> Decorator:
    """Return the options of a CSV, by default one of this name, and of the figures from it."""
    folder = figures() if name == "results.csv" else figures(f"figures/{Path(name).stem}")
    at = f"experiments/results/{name}"
    csv = _path("-o", "--csv", "output", at=at, what=what, folder=False)
    return lambda function: csv(folder(function))


def measuring(name: str) -> Decorator:
    """Return the options of a command that measures datasets and writes a CSV."""
    verbose = click.option("-v", "--verbose", is_flag=True, help="Show details of the progress.")
    return lambda function: DIRECTORY(results(name)(PLOT(verbose(cli.QUIET(function)))))


def grid_options(name: str, count: int, seconds: float | None) -> Decorator:
    """Return the options of a command that measures a grid, with the defaults of two of them."""
    again = click.option("--restart", is_flag=True, help="Repeat runs that are already in the CSV.")
    keep = click.option("--keep-failed", is_flag=True, help="Do not retry failed runs.")
    timeout = click.option(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=seconds,
        help="Time limit of one run, after its kernels are compiled; inf for none.",
    )
    order = runs(count)
    return lambda f: order(again(keep(timeout(seed()(SLICES(measuring(name)(f)))))))


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

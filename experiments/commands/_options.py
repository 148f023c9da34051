"""Options that several commands of run.py have, and the layout of their help."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from compresso.cli import DEBUG as DEBUG
from compresso.cli import Decorator

ROOT = Path(__file__).resolve().parents[2]
#: The sections of the help, with the names of their options in order; the last has all others.
SECTIONS = {
    "Measuring": (
        *("runs", "restart", "keep_failed", "threads", "timeout", "isolated", "seed"),
        *("scheduler", "encodings", "peers", "commands"),
    ),
    "Data": ("slices", "chunks", "sample", "dtypes", "group", "directory", "mirror"),
    "Output": ("form", "as_json", "output", "figures", "plot", "only_report", "verbose", "quiet"),
    "Other": (),
}
LINKS = (
    "Documentation: README.md and docs/. Paper: https://doi.org/10.1007/978-3-319-66182-7_89",
    "Questions and bugs: CONTRIBUTING.md",
)


class Command(click.Command):
    """A command whose help has sections of options, examples and links.

    Parameters
    ----------
    examples : sequence of str
        Command lines without ``python run.py``.
    """

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and links."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}python run.py {line}\n")
        formatter.write_paragraph()
        formatter.write("\n".join((*LINKS, "")))


class Seconds(click.ParamType[float]):
    """A time limit above 0."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            self.fail(f"{value!r} is not a number of seconds above 0", param, ctx)
        return seconds


class Slices(click.ParamType[int]):
    """A number of slices, at least 1; or -1 for all, as in the original program."""

    name = "slices"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text."""
        try:
            slices = int(str(value))
        except ValueError:
            slices = 0
        if slices < 1 and slices != -1:
            self.fail(f"{value!r} is not a number of slices (1 or more, -1 for all)", param, ctx)
        return slices


def timeout(default: float | None) -> Decorator:
    """Return the option ``--timeout``; inf is no limit."""
    return click.option(
        "--timeout",
        type=Seconds(),
        metavar="SECONDS",
        default=default,
        callback=lambda _, __, value: None if value == math.inf else value,
        help="Time limit of one run, after its kernels are compiled; inf for none.",
    )


def output(name: str) -> Decorator:
    """Return the option ``--csv``, by default a CSV of this name."""
    return click.option(
        *("-o", "--csv", "--output", "output"),
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        default=ROOT / "experiments" / "results" / name,
        show_default=False,
        help=f"CSV to which each run is added.  [default: experiments/results/{name}]",
    )


SLICES = click.option(
    *("-s", "--slices"),
    type=Slices(),
    metavar="N",
    default=-1,
    callback=lambda _, __, value: None if value == -1 else value,
    help="Use only the first N slices; -1 for all.",
)
DIRECTORY = click.option(
    *("-d", "--directory"),
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default=ROOT / "data",
    show_default=False,
    help="Folder of the named datasets.  [default: data/]",
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
RESTART = click.option(
    "--restart", is_flag=True, help="Measure again the runs that the CSV already has."
)
KEEP_FAILED = click.option("--keep-failed", is_flag=True, help="Do not retry failed runs.")


def codecs(what: str, text: str, registry: Any) -> list[Any]:
    """Return the codecs of a comma-separated list, each once; raises SpecError if it is empty."""
    from compresso.errors import SpecError
    from compresso.plugins import split_list

    given, installed = split_list(text), registry.installed()
    specs = [s for spec in given for s in (installed if spec.lower() == "all" else [spec])]
    if not specs:
        raise SpecError(f"{what} is empty. Give all, or some of: {', '.join(registry.names())}")
    for name in registry.names():
        if name not in installed and len(specs) > len(given):
            needed = " ".join(registry.parse(name).missing())
            click.echo(f"{name} is skipped. To include it: pip install {needed}", err=True)
    return list({codec.spec: codec for codec in map(registry.parse, specs)}.values())

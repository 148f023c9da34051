"""Options that several commands have."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compresso.cli import TRACEBACKS

if TYPE_CHECKING:
    from compresso.plugins import Extent

ROOT = Path(__file__).resolve().parents[2]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


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
            self.fail(f"{value!r} is no number of seconds above 0", param, ctx)
        return seconds


class Slices(click.ParamType[int]):
    """A number of slices, at least 1, or -1 for all, as the original program has it."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text."""
        try:
            slices = int(str(value))
        except ValueError:
            slices = 0
        if slices < 1 and slices != -1:
            self.fail(f"{value!r} is no number of slices: at least 1, or -1 for all", param, ctx)
        return slices


class Voxels(click.ParamType["Extent"]):
    """A number of voxels along x, y and z, ``256x256x16``."""

    name = "XxYxZ"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Extent":
        """Parse the text."""
        from compresso.plugins import Extent  # with NumPy: not for --help

        try:
            return Extent(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def _none(of: float) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that makes one value, which means no limit, None."""
    return lambda _, __, value: None if value == of else value


def timeout(default: float | None) -> Decorator:
    """The option ``--timeout``; inf is no limit."""
    return click.option(
        "--timeout",
        type=Seconds(),
        default=default,
        callback=_none(math.inf),
        help="Seconds that one run may take, once its kernels are compiled.",
    )


def output(name: str) -> Decorator:
    """The option ``--output``, by default a CSV of this name."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        default=ROOT / "experiments" / "results" / name,
        show_default=f"experiments/results/{name}",
        help="CSV of the results.",
    )


def runs(
    default: int, what: str = "Rounds, in each of which every method is measured once."
) -> Decorator:
    """The option ``--runs``."""
    return click.option(
        "-r",
        "--runs",
        type=click.IntRange(1),
        default=default,
        help=what,
    )


def _cores(_: click.Context, __: click.Parameter, number: int) -> int:
    from compresso.parallel import cores  # with NumPy: not for --help

    return cores(number)


def threads(default: int, what: str) -> Decorator:
    """The option ``--threads``: a number, or 0 for all cores, which is the number of them."""
    return click.option(
        "--threads",
        type=click.IntRange(0),
        default=default,
        callback=_cores,
        help=f"{what}; 0: as many as there are cores.",
    )


SEED = click.option(
    "--seed", default=2017, help="Random seed for the order in which methods are measured."
)
SLICES = click.option(
    "-s",
    "--slices",
    type=Slices(),
    default=-1,
    callback=_none(-1),
    help="Use only the first N slices; -1 is all.",
)
DIRECTORY = click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path),
    default=ROOT / "data",
    show_default="data/",
    help="Folder of the named datasets.",
)
FIGURES = click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "figures",
    show_default="figures/",
    help="Folder for the figures.",
)
KEEP_FAILED = click.option(
    "--keep-failed", is_flag=True, help="With --resume: do not retry failed runs."
)


def _be_verbose(ctx: click.Context, _: click.Parameter, wanted: bool) -> bool:
    ctx.meta[TRACEBACKS] = wanted
    return wanted


VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    callback=_be_verbose,
    help="Show each run, and tracebacks of errors.",
)


def codecs(what: str, text: str, registry: Any) -> list[Any]:
    """The codecs of a comma-separated list, each once; raises SpecError if there are none."""
    from compresso.errors import SpecError
    from compresso.plugins import split_list

    given, installed = split_list(text), registry.installed()
    specs = [s for spec in given for s in (installed if spec.lower() == "all" else [spec])]
    if not specs:
        raise SpecError(
            f"{what} names nothing; give all, or some of: {', '.join(registry.names())}"
        )
    for name in registry.names():
        if name not in installed and len(specs) > len(given):
            needed = " ".join(registry.parse(name).missing())
            click.echo(f"all leaves out {name}; to have it: pip install {needed}", err=True)
    return list({codec.spec: codec for codec in map(registry.parse, specs)}.values())

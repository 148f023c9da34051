"""What all commands of this project share: options, numbers for people, errors in one line.

An error that the user can correct is one line and the exit code 1, or 2 for an unknown name;
anything else is a bug, and its exit code is 70. A group of commands is a :class:`Commands`, and
each command has the option :data:`DEBUG`, which shows tracebacks.

Nothing here imports NumPy: ``--help`` must be fast.
"""

import errno
import math
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from compresso import __version__, atomic
from compresso.errors import CompressoError, SpecError
from compresso.errors import did_you_mean as did_you_mean
from compresso.plugins import Extent

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
BUG = 70
#: The most characters of a line about an error; the middle of a longer line is left out.
LONGEST = 300
#: What the standard output says where there is no room; files' own errors name the file.
FULL = (errno.ENOSPC, errno.EDQUOT)
#: Signals that ask a process to end, and leave it the time to clean up.
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


#: Where a context keeps what becomes of its command's work when it is interrupted now.
LEFT = "compresso.left"
#: Where a context keeps whether to show tracebacks.
TRACEBACKS = "compresso.tracebacks"
#: Settings of every group of commands.
SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Commands(click.Group):
    """Commands whose errors are one line each; ``help COMMAND`` shows the help of one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``help COMMAND`` as ``COMMAND --help``."""
        if args and args[0] == "help":
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown name is an error with the most similar one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            ctx.fail(f"no command {name!r}.{did_you_mean(name, names) or choices(names)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and tell its errors."""
        with reporting(ctx):
            return super().invoke(ctx)


@contextmanager
def reporting(
    ctx: click.Context,
    told: tuple[type[Exception], ...] = (),
    interrupted: str = "nothing was changed",
) -> Iterator[None]:
    """Tell errors in one line each, and end with their exit code.

    Parameters
    ----------
    ctx : Context
        Whose ``meta[TRACEBACKS]`` says whether to show tracebacks.
    told : tuple of types
        Errors whose text is that line, beside CompressoError.
    interrupted : str
        What becomes of the work when it is interrupted.
    """
    try:
        with left_behind(interrupted, ctx), _signals_clean_up(ctx):
            yield
        return
    except click.ClickException as error:
        # Click prints it, after some words that say where it belongs.
        error.message = shortened(error.message, LONGEST - 100)  # type: ignore[misc]
        raise
    except (click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        line, code = f"Interrupted; {ctx.meta[LEFT]}", 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # click knows: nobody reads what is printed
        line, code = _line(error, (CompressoError, *told))
        if ctx.meta.get(TRACEBACKS):
            traceback.print_exc()
    complain(line)
    raise click.exceptions.Exit(code)


def complain(line: str) -> None:
    """Print a line about a problem to standard error."""
    click.echo(shortened(line), err=True)


def shortened(line: str, most: int = LONGEST) -> str:
    """Return a line of at most ``most`` characters.

    It keeps its beginning, which says what has the problem, and its end, which says what to do.
    """
    half = (most - len(" ... ")) // 2
    return line if len(line) <= most else f"{line[:half]} ... {line[-half:]}"


@contextmanager
def left_behind(text: str, ctx: click.Context | None = None) -> Iterator[None]:
    """Until this ends, ``text`` is said of the work of this context's command if it is interrupted.

    An error that passes by leaves the text as it is, for whoever tells the error comes later.
    """
    meta = (ctx or click.get_current_context()).meta
    before, meta[LEFT] = meta.get(LEFT, ""), text
    yield
    meta[LEFT] = before


def _line(error: Exception, told: tuple[type[Exception], ...]) -> tuple[str, int]:
    """What is told of an error, and the exit code."""
    if isinstance(error, told):
        text = " ".join(str(error).splitlines())
        return f"Error: {text}", 2 if isinstance(error, SpecError) else 1
    if isinstance(error, ModuleNotFoundError):
        return f"Error: {error.name} is not installed; run: pip install {error.name}", 1
    if isinstance(error, MemoryError):
        return f"Error: the memory is too small for this ({error or 'MemoryError'})", 1
    if isinstance(error, OSError) and error.errno in FULL:
        return f"Error: what is printed cannot be written ({error.strerror})", 1
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"Internal error: {text}; this is a bug, run again with --debug", BUG


def choices(names: Sequence[str]) -> str:
    """The end of an error about an unknown name, if no name is similar."""
    return f" Choose from: {', '.join(names)}."


def extent(shape: Sequence[int]) -> str:
    """Format a shape ``[z, y, x]`` for people, who read x, y, z.

    >>> extent((119, 512, 512))
    '512 x 512 x 119'
    """
    return " x ".join(str(length) for length in reversed(shape))


def digits(number: float) -> str:
    """Format a number with three significant digits.

    >>> digits(1451.6), digits(10.04), digits(0.00061)
    ('1,450', '10.0', '0.000610')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:.0f}"
    rounded = float(f"{number:.2e}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


class Size(click.ParamType[int]):
    """A number of bytes, such as 1G, of at least ``least``."""

    name = "size"

    def __init__(self, least: str = "1") -> None:
        self.least = least

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text."""
        size = self._parse(value)
        if size is None:
            self.fail(f"{value!r} is not a valid size (examples: 500M, 2G)", param, ctx)
        if size < (self._parse(self.least) or 0):
            self.fail(f"{value!r} is too small (at least {self.least})", param, ctx)
        return size

    @staticmethod
    def _parse(value: object) -> int | None:
        found = re.fullmatch(r"(\d+)([KMGT]?)B?", str(value).upper())
        return int(found[1]) * UNITS[found[2]] if found else None


class Voxels(click.ParamType[Extent]):
    """A number of voxels along x, y and z: ``64,64,64`` or ``64x64x64``."""

    name = "voxels"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Extent:
        """Parse the text."""
        if isinstance(value, Extent):
            return value
        try:
            return Extent(str(value).replace(",", "x"))
        except ValueError:
            self.fail(f"{value!r} is not a size in x, y, z (examples: 64,64,64; 64x64x64)")


def threads(
    default: int = 0, what: str = "Threads; the result is the same for any number"
) -> Decorator:
    """Return the option ``--threads``; for 0, the command gets the number of cores."""
    return click.option(
        "-t",
        "--threads",
        type=click.IntRange(0),
        metavar="N",
        default=default,
        show_default="all cores" if default == 0 else True,
        callback=_cores,
        help=f"{what} (0 = all cores).",
    )


def _cores(_: click.Context, __: click.Parameter, number: int) -> int:
    from compresso.parallel import cores  # with NumPy: not for --help

    return cores(number)


def runs(default: int, what: str = "Measure every method N times, in random order.") -> Decorator:
    """Return the option ``--runs``."""
    return click.option(
        "-r", "--runs", type=click.IntRange(1), metavar="N", default=default, help=what
    )


def chunks(default: str | None, what: str = "Size of a chunk in voxels.") -> Decorator:
    """Return the option ``--chunks``, which is an Extent of x, y, z, or None."""
    return click.option("--chunks", type=Voxels(), metavar="X,Y,Z", default=default, help=what)


def seed(what: str = "Random seed for the order of measurements.") -> Decorator:
    """Return the option ``--seed``."""
    return click.option("--seed", type=click.IntRange(0), metavar="N", default=2017, help=what)


#: Smaller limits make groups so small that files may be several times as large.
MEMORY = click.option(
    "--memory",
    type=Size(least="16M"),
    metavar="SIZE",
    help="Approximate memory limit, e.g. 1G (at least 16M).",
)
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite the target.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Show details of the progress.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _show_tracebacks(ctx: click.Context, _: click.Parameter, show: bool) -> None:
    ctx.meta[TRACEBACKS] = show


DEBUG = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_tracebacks,
    help="Show tracebacks of errors.",
)
VERSION = click.version_option(__version__, prog_name="compresso", message="%(prog)s %(version)s")


@contextmanager
def _signals_clean_up(ctx: click.Context) -> Iterator[None]:
    """Clean up, and say what becomes of the work, before a signal ends the process.

    An exception would not do: raised anywhere, it may be swallowed anywhere. Signals that are
    ignored, as nohup does, stay so; outside the main thread nothing is changed.
    """

    def end(number: int, _: FrameType | None) -> None:
        atomic.remove_unfinished()
        line = f"Ended by a signal; {ctx.meta[LEFT]}\n"
        os.write(2, line.encode())
        os._exit(128 + number)

    old = [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        old = []
    for number in old:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in old:
            signal.signal(number, signal.SIG_DFL)

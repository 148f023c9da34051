"""Options, progress and errors of all commands of this project.

An error that the user can correct is one line and the exit code 1, or 2 for an unknown name;
anything else is a bug, and its exit code is 70. A group of commands is a :class:`Commands`, and
each command has the option :data:`DEBUG`, which shows tracebacks.

Nothing here imports NumPy: ``--help`` must be fast.
"""

import errno
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import click

from compresso import __version__, atomic
from compresso.codec import Extent
from compresso.errors import CompressoError, DecodeError, SpecError, did_you_mean
from compresso.parallel import Progress, cores
from compresso.text import LONGEST_LINE, file_size, shortened

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

BUG = 70
#: Errors of a full disk; those of files name the file, those of the standard output do not.
FULL = (errno.ENOSPC, errno.EDQUOT)
#: Signals that ask a process to end, and leave it the time to clean up.
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
#: Modules whose functions call Python from C, in hooks, and drop exceptions from there.
LOSING_EXCEPTIONS = ("numba.core.serialize", "multiprocessing.popen_fork")
#: Keys of ``Context.meta``: the message about an interruption, whether to show tracebacks, and the
#: exit code of errors other than damage.
INTERRUPTED, TRACEBACKS, FAILURE = "compresso.interrupted", "compresso.tracebacks", "compresso.code"
#: Its messages are that kernels are compiled.
KERNELS = logging.getLogger("compresso.kernels")
#: Settings of every group of commands.
SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}
#: Commands of run.py, which newcomers look for here.
HARNESS = ("recommend", "grid", "paper", "fetch", "bench")
#: Units of sizes that users give.
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def examples(*lines: str, docs: str = "docs/files.md") -> str:
    """Return the epilog of a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines), "", f"See {docs}."])


class Commands(click.Group):
    """Commands whose errors are one line each; ``help COMMAND`` shows the help of one."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line, which imports commands; Ctrl-C ends that as it ends a command."""
        try:
            return super().make_context(*args, **options)
        except KeyboardInterrupt:
            complain("Interrupted; nothing was changed")
            sys.exit(130)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``help COMMAND`` as ``COMMAND --help``."""
        if args and args[0] == "help":
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; the error about an unknown name has the most similar one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            hint = did_you_mean(name, names) or f" Choose from: {', '.join(names)}."
            if name in HARNESS:
                hint = f" In a clone of the repository: python run.py {name}"
            ctx.fail(f"no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and report its errors."""
        with reporting(ctx):
            return super().invoke(ctx)


@contextmanager
def reporting(
    ctx: click.Context,
    expected: tuple[type[Exception], ...] = (),
    interrupted: str = "nothing was changed",
) -> Iterator[None]:
    """Print each error in one line and end with its exit code.

    The line is the text of a CompressoError or an ``expected`` error; any other error is a bug. The
    message about an interruption ends with the state of the work, ``interrupted``.
    """
    try:
        with on_interruption(interrupted, ctx), _cleaning_up_on_signals(ctx):
            yield
        return
    except click.ClickException as error:
        # Click prints it, after some words that say where it belongs.
        error.message = shortened(error.message, LONGEST_LINE - 100)  # type: ignore[misc]
        raise
    except (click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        line, code = f"Interrupted; {ctx.meta[INTERRUPTED]}", 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # click ends silently: the reader of the output is gone
        line, code = _line(error, (CompressoError, *expected), ctx.meta.get(FAILURE, 1))
        if ctx.meta.get(TRACEBACKS):
            traceback.print_exc()
    complain(line)
    raise click.exceptions.Exit(code)


def _line(error: Exception, expected: tuple[type[Exception], ...], code: int) -> tuple[str, int]:
    """The line that is printed for an error, and the exit code."""
    if isinstance(error, expected):
        text = " ".join(str(error).splitlines())
        codes = {SpecError: 2, DecodeError: 1}
        return f"Error: {text}", next((n for t, n in codes.items() if isinstance(error, t)), code)
    if isinstance(error, ModuleNotFoundError):
        return f"Error: {error.name} is not installed. Run: pip install {error.name}", code
    if isinstance(error, MemoryError):
        return f"Error: not enough memory ({error or 'MemoryError'})", code
    if isinstance(error, OSError) and error.errno in FULL:
        return f"Error: cannot write to standard output ({error.strerror})", code
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"Internal error: {text}; this is a bug, run again with --debug", BUG


def complain(line: str) -> None:
    """Print a line about a problem to standard error, above a progress bar if there is one."""
    tqdm = sys.modules.get("tqdm")
    with tqdm.tqdm.external_write_mode(sys.stderr) if tqdm else nullcontext():
        click.echo(shortened(line), err=True)


@contextmanager
def on_interruption(text: str, ctx: click.Context | None = None) -> Iterator[None]:
    """Set the message about the state of the work; an error leaves it, to be printed later."""
    meta = (ctx or click.get_current_context()).meta
    before, meta[INTERRUPTED] = meta.get(INTERRUPTED, ""), text
    yield
    meta[INTERRUPTED] = before


@contextmanager
def _cleaning_up_on_signals(ctx: click.Context) -> Iterator[None]:
    """Clean up and print the state of the work before one of SIGNALS ends the process.

    An exception might be swallowed. Ctrl-C raises one. Ignored signals (nohup) stay ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        atomic.remove_unfinished()
        os.write(2, f"Ended by a signal; {ctx.meta[INTERRUPTED]}\n".encode())
        os._exit(128 + number)

    ours: dict[int, Any] = dict.fromkeys(SIGNALS, end) | {signal.SIGINT: _interrupt}
    usual = (signal.SIG_DFL, signal.default_int_handler)
    main = threading.current_thread() is threading.main_thread()  # only it may have handlers
    old = {n: handler for n in ours if main and (handler := signal.getsignal(n)) in usual}
    for number in old:
        signal.signal(number, ours[number])
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not where an exception would be lost: then try again."""
    while frame and frame.f_globals.get("__name__") not in LOSING_EXCEPTIONS:
        frame = frame.f_back
    if frame is None:
        raise KeyboardInterrupt
    # The signal is sent to this thread, which may be waiting for something by then.
    threading.Timer(0.01, signal.pthread_kill, (threading.get_ident(), number)).start()


class _First(logging.Handler):
    """Prints the first message of a logger."""

    def emit(self, record: logging.LogRecord) -> None:
        if self in KERNELS.handlers:
            KERNELS.removeHandler(self)
            complain(record.getMessage())


def announce_compilation() -> None:
    """Print a line before the first kernel is compiled, if one has to be."""
    KERNELS.setLevel(logging.INFO)
    KERNELS.handlers = [_First()]


@contextmanager
def progress_bar(quiet: bool = False, unit: str = "group") -> Iterator[Progress]:
    """Give a function that shows the numbers of finished and of all units, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm

    announce_compilation()
    with tqdm(unit=f" {unit}", leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.refresh()

        yield show


def size(least: int = 1) -> Callable[[object], int]:
    """Return the parser of a number of bytes, such as 1G, that is not less than ``least``."""

    def parse(text: object) -> int:
        found = re.fullmatch(r"(\d+)([KMGT]?)B?", str(text).upper())
        if not found:
            raise click.BadParameter(f"{text!r} is not a valid size (examples: 500M, 2G)")
        nbytes = int(found[1]) * UNITS[found[2]]
        if nbytes < least:
            raise click.BadParameter(f"{text!r} is too small (at least {file_size(least)})")
        return nbytes

    return parse


def slices(text: str) -> tuple[int, int | None]:
    """Parse a range of slices, such as 10:20."""
    found = re.fullmatch(r"(\d*):(\d*)", text)
    if not found:
        raise click.BadParameter(f"{text!r} is not a range of slices (examples: 10:20, 10:)")
    z0, z1 = int(found[1] or 0), int(found[2]) if found[2] else None
    if z1 is not None and z1 <= z0:
        raise click.BadParameter(f"{text!r} is an empty range of slices")
    return z0, z1


def voxels(text: object) -> Extent:
    """Parse a number of voxels along x, y and z: ``64,64,64`` or ``64x64x64``."""
    try:
        return Extent(str(text).replace(",", "x"))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a size along x, y and z (examples: 64,64,64 or 64x64x64)"
        ) from None


def file(text: str) -> Path:
    """Parse the path of a file; ``-`` is standard input or output, ``./-`` a file of that name."""
    if "://" in text:
        raise click.BadParameter(f"{text} is a URL. Name a local file, or use - and a pipe.")
    return atomic.file_or_standard(text)


def threads(
    default: int | None = 0,
    what: str = "Number of threads (0 = all cores). The output does not depend on it.",
) -> Decorator:
    """Return the option ``--threads``; for 0, the command gets the number of cores."""
    return click.option(
        "-t",
        "--threads",
        type=click.IntRange(0),
        metavar="N",
        default=default,
        callback=lambda _, __, number: number if number is None else cores(number),
        help=what,
    )


def chunks(default: str | None, what: str = "Size of a chunk in voxels.") -> Decorator:
    """Return the option ``--chunks``, which is an Extent of x, y, z, or None."""
    return click.option("--chunks", type=voxels, metavar="X,Y,Z", default=default, help=what)


def _show_tracebacks(ctx: click.Context, _: click.Parameter, show: bool) -> None:
    ctx.meta[TRACEBACKS] = show


#: Smaller limits make groups so small that files may be several times as large.
MEMORY = click.option(
    "--memory",
    type=size(16 * UNITS["M"]),
    metavar="SIZE",
    help="Approximate memory limit, e.g. 1G (at least 16M).",
)
FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite the target.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DEBUG = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_tracebacks,
    help="Show tracebacks of errors.",
)
VERSION = click.version_option(__version__, prog_name="compresso", message="%(prog)s %(version)s")

"""What every command of this project does when something goes wrong.

What the user can mend is told in one line, with the exit code 1, or 2 for a word that is not
known; anything else is a bug, and its exit code is 70. A group of commands is a :class:`Commands`,
and each command has the option :data:`VERBOSE`, with which the traceback is shown too.
"""

import errno
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from compresso import targets
from compresso.errors import CompressoError, SpecError
from compresso.parallel import cores

BUG = 70
#: The most characters of a line about an error; the middle of a longer line is left out.
LONGEST = 300
#: What the standard output says where there is no room; files' own errors name the file.
FULL = (errno.ENOSPC, errno.EDQUOT)
#: Signals that ask a process to end, and leave it the time to clean up.
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


#: Where a context keeps what becomes of its command's work when it is interrupted now.
LEFT = "compresso.left"


class Commands(click.Group):
    """A group of commands whose errors are one line each."""

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
        Whose ``meta["verbose"]`` says whether to show tracebacks.
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
        if ctx.meta.get("verbose"):
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
    return f"Internal error: {text}; this is a bug, run again with --verbose", BUG


def _be_verbose(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    ctx.meta["verbose"] = wanted


VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_be_verbose,
    help="Show tracebacks of errors.",
)


def threads_option(default: int, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--threads``: a number, or 0 for all cores, which is the number of them."""
    return click.option(
        "--threads",
        type=click.IntRange(0),
        default=default,
        show_default=True,
        callback=lambda _, __, number: cores(number),
        help=f"{what}; 0: as many as there are cores.",
    )


@contextmanager
def _signals_clean_up(ctx: click.Context) -> Iterator[None]:
    """Clean up, and say what becomes of the work, before a signal ends the process.

    An exception would not do: raised anywhere, it may be swallowed anywhere. Signals that are
    ignored, as nohup does, stay so; outside the main thread nothing is changed.
    """

    def end(number: int, _: FrameType | None) -> None:
        targets.remove_unfinished()
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

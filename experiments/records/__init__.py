"""The results: rows, which are one run of one method each, and the CSV that keeps them.

Ratios and speeds are not stored: ``results.derive`` computes them, ``intervals.intervals`` their
medians and 95% intervals, ``intervals.ranks`` who is faster.
"""

import csv
import fcntl
import io
import os
import platform
import re
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

import compresso
from compresso.errors import CompressoError, LabelError, MissingPackageError
from experiments import HarnessError, ResultsError

Row = dict[str, Any]
BYTES = ("raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes")
#: The seconds of the four stages of a run.
SECONDS = ("encode_s", "compress_s", "decompress_s", "decode_s")
#: The load average over a minute, the processors' share of other processes, and the page faults.
LOADS = ("load", "other_cpu", "minor_faults", "major_faults")
SURROUNDINGS = (*LOADS, "governor")
#: The columns of the CSV; docs/benchmarking.md describes them.
COLUMNS = (
    "time",
    "dataset",
    "source",
    "shape",
    "dtype",
    "encoding",
    "compression",
    "run",
    "threads",
    *BYTES,
    *SECONDS,
    "lossless",
    "status",
    "group",
    "session",
    "version",
    "python",
    "numpy",
    "numba",
    "zstandard",
    "cpu",
    "fingerprint",
    "part",
    "new_memory_s",
    *SURROUNDINGS,
    "chunk",
    "worker",
    "depth",
)
NUMBERS = ("run", "threads", *BYTES, *SECONDS, "new_memory_s", *LOADS)
#: The columns that ratios and speeds are computed from.
NEEDED = ("dataset", "shape", "encoding", "compression", "run", "threads", *BYTES, *SECONDS)
#: A nanosecond, the unit of the clock, and a number above everything that can be measured.
TICK, LARGEST_NUMBER = 1e-9, 1e18
#: The columns of seconds, and the codec without which they may be 0.
CODECS = dict.fromkeys(("encode_s", "decode_s"), "encoding")
CODECS |= dict.fromkeys(("compress_s", "decompress_s"), "compression")
#: The columns that identify a method on a dataset.
METHOD = ["dataset", "encoding", "compression"]
#: The columns that identify a run, whatever its dataset is called. Runs of another version or on
#: another processor are other runs.
KEY = [
    "source",
    "dtype",
    "fingerprint",
    "chunk",
    "version",
    "cpu",
    "encoding",
    "compression",
    "threads",
    "depth",
    "run",
]


class Outcome(StrEnum):
    """How a run ended. A status is ``ok``, or an outcome and a reason: ``timeout: reason``."""

    OK = "ok"
    TIMEOUT = "timeout"
    CRASH = "crash"  # its process ended without a result
    UNAVAILABLE = "unavailable"  # a package is not installed
    REFUSED = "refused"  # a label that the encoding by definition cannot hold
    UNUSABLE = "unusable"  # a row of a CSV with impossible numbers; never written
    ERROR = "error"


#: The outcomes of errors that the user can correct; any other one is a bug.
OUTCOMES = {MissingPackageError: Outcome.UNAVAILABLE, LabelError: Outcome.REFUSED}
OUTCOMES |= dict.fromkeys((CompressoError, HarnessError, MemoryError), Outcome.ERROR)
OK = str(Outcome.OK)


def status_of(error: Exception) -> str:
    """Return the status of a run that raised ``error``; a bug's reason includes its line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"{Outcome.UNAVAILABLE}: {package} is not installed. Run: pip install {package}"
    for kind, outcome in OUTCOMES.items():
        if isinstance(error, kind):
            return f"{outcome}: {error}" if str(error) else f"{outcome}: out of memory"
    text = f"{Outcome.ERROR}: {type(error).__name__}: {error}".removesuffix(": ")
    for line in traceback.extract_tb(error.__traceback__)[-1:]:
        text += f" ({Path(line.filename).name}:{line.lineno})"
    return text


def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a row's run, the columns of ``KEY``."""
    return tuple(row.get(name, "") for name in KEY)


def tabulate(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of rows, with all columns in their types, whatever columns the rows have.

    A result with impossible numbers, such as 0 seconds, gets the status ``unusable``.
    """
    whole = [[row.get(name, "") for name in COLUMNS] for row in rows]
    given = pd.DataFrame(whole, columns=COLUMNS, dtype=object)
    table = given.copy()
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["lossless"] = table["lossless"].isin([True, "True"])
    for name in NEEDED:
        # NaN is not between any numbers.
        wrong = ~table[name].between(0, LARGEST_NUMBER) if name in NUMBERS else table[name] == ""
        if name in CODECS:
            wrong |= (table[name] < TICK) & (table[CODECS[name]] != "none")
        elif name in BYTES:
            wrong |= (table[name] == 0) & (table["raw_bytes"] > 0)
        wrong &= table["status"] == OK
        reasons = [f"{name} is {str(value).strip() or 'empty'}" for value in given[name][wrong]]
        table.loc[wrong, "status"] = [f"{Outcome.UNUSABLE}: {text}" for text in reasons]
    return table


def now() -> str:
    """Return the time in UTC, to the millisecond, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def environment() -> dict[str, str]:
    """Return versions and CPU, the same for all rows of a session."""
    found = {"session": now(), "version": compresso.__version__, "cpu": cpu()}
    found["python"] = platform.python_version()
    return found | {name: metadata.version(name) for name in ("numpy", "numba", "zstandard")}


def cpu() -> str:
    """Return the processor's name."""
    about = Path("/proc/cpuinfo")  # Linux has one
    found = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


HEADER = ",".join(COLUMNS)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row at the end of the CSV, which is created if it does not exist.

    The row is on the disk when this returns, and two processes may share a file: a killed process
    loses at most the row in progress.
    """
    values = {n: " ".join(v.split()) if isinstance(v, str) else v for n, v in row.items()}
    with _reporting(path, "write results", "Name another file with --csv"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            text = io.StringIO()
            if _is_empty(path):
                text.write(f"{HEADER}\n")
            else:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a killed process left an incomplete row
                    text.write("\n")
            csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(values)
            file.write(text.getvalue().encode(errors="backslashreplace"))
            os.fsync(file.fileno())


def check_csv(path: Path) -> None:
    """Check that rows can be appended, before anything is measured; raises ResultsError."""
    with _reporting(path, "write results", "Name another file with --csv"):
        if path.exists():
            with open(path, "r+b"):
                _is_empty(path)
        else:
            check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Create a folder, and check that files can be written to it; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 12))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _reporting(path: Path, what: str, advice: str) -> Iterator[None]:
    """Raise ResultsError for a file that cannot be used, or a device, whose line may never end."""
    try:
        if path.exists() and not path.is_file():
            raise ResultsError(f"{path}: not a file. Name another one with --csv")
        yield
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{path}: cannot {what} ({reason}). {advice}") from None


def _is_empty(path: Path) -> bool:
    """Whether a CSV is empty; raises ResultsError if its first line is not our header."""
    with open(path, "rb") as file:
        line = file.readline(2 * len(HEADER)).decode(errors="replace").rstrip("\r\n")
    if line not in ("", HEADER):
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line differs). Name "
            "another file with --csv"
        )
    return not line


def read(path: Path) -> pd.DataFrame:
    """Read the CSV without the rows that a killed process left incomplete; raises ResultsError.

    The index of the table is the line number of each row in the file.
    """
    with (
        _reporting(path, "read results", "Run a grid first"),
        open(path, newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        _is_empty(path)
        reader = csv.DictReader(file)
        # Missing values are None, and so is the name of those that are too many.
        rows = [(reader.line_num, row) for row in reader if None not in (*row, *row.values())]
    return tabulate(row for _, row in rows).set_axis([number for number, _ in rows])


def measured(path: Path, failed: bool) -> dict[tuple[Any, ...], Row]:
    """Return the newest row of each lossless or, if ``failed``, failed run, by its ``KEY``."""
    if not path.exists():
        return {}
    table = read(path)
    table = table[table["fingerprint"] != ""]
    good = table["lossless"] & (table["status"] == OK)
    rows = [*table[~good & failed].to_dict("records"), *table[good].to_dict("records")]
    return {key(row): row for row in rows}

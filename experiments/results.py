"""The CSV of results: its columns, appending to it safely, reading it, and what is derived.

A row is one run of one cell. Ratios and speeds are not stored; :func:`derive` computes them.
"""

import csv
import io
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from compresso.targets import replacing
from experiments import files
from experiments.errors import ResultsError
from experiments.status import OK

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
#: Columns of version 1.0, and the ones added since, which are empty in its tables.
FIRST_COLUMNS = (
    *("time", "dataset", "source", "shape", "dtype", "encoding", "compression", "run", "threads"),
    *("raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes"),
    *("encode_s", "compress_s", "decompress_s", "decode_s", "lossless", "status"),
    *("group", "session", "version", "python", "numpy", "numba", "zstandard", "cpu"),
)
COLUMNS = (*FIRST_COLUMNS, "fingerprint", "part")
NUMBERS = FIRST_COLUMNS[FIRST_COLUMNS.index("run") : FIRST_COLUMNS.index("lossless")]
#: A cell of the grid, as far as its numbers can be compared.
CELL = ["dataset", "encoding", "compression"]
#: What tells one run from another, whatever its dataset is called.
KEY = ["source", "dtype", "fingerprint", "encoding", "compression", "threads", "run"]


def now() -> str:
    """The time in UTC, to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def environment() -> dict[str, str]:
    """Versions and CPU, the same for all rows of a session."""
    import compresso

    packages = {name: _version(name) for name in ("numpy", "numba", "zstandard")}
    return {
        "session": now(),
        "version": compresso.__version__,
        "python": platform.python_version(),
        **packages,
        "cpu": cpu(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cpu() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux: the standard library knows less
    return platform.processor() or platform.machine()


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row at the end of the CSV, making the file where there is none.

    The row goes to the disk in one write before this returns, under a lock, so that a killed
    process loses at most the row in progress and two processes may share a file.
    Raises ResultsError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path) as file:
            size = file.seek(0, os.SEEK_END)
            text = ""
            if size == 0:
                text = ",".join(COLUMNS) + "\n"
            else:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a row that was cut off: leave it a line of its own
                    text = "\n"
            line = io.StringIO()
            writer = csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n")
            writer.writerow({key: _one_line(value) for key, value in row.items()})
            file.write((text + line.getvalue()).encode(errors="backslashreplace"))
            os.fsync(file.fileno())
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot write results ({error.strerror}); name another file with --output"
        ) from None


def check(path: Path) -> None:
    """Find out whether rows can be appended, before anything is measured; raises ResultsError."""
    try:
        if path.exists():
            with open(path, "r+b", buffering=0) as file:
                _columns(path, file)
        files.check_writable(path.parent)
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot write results ({error.strerror}); name another file with --output"
        ) from None


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open the CSV for appending, with today's columns, while no other process has it."""
    while True:
        with open(path, "a+b", buffering=0) as file:
            _lock(file)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                continue  # another process gave it today's columns while we waited
            if 0 < _columns(path, file) < len(COLUMNS):
                _widen(path, file)
                continue
            yield file
            return


def _lock(file: BinaryIO) -> None:
    """Wait until no other process has the lock; closing the file gives it back."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _columns(path: Path, file: BinaryIO) -> int:
    """The number of columns of a CSV, 0 where it is empty; raises ResultsError for another file."""
    file.seek(0)
    line = file.readline().decode(errors="replace").rstrip("\r\n")
    if line and not _known(line.split(",")):
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line "
            "differs); name another file with --output"
        )
    return len(line.split(",")) if line else 0


def _known(header: list[str]) -> bool:
    """Whether these are our columns, perhaps those of an earlier version."""
    return len(header) >= len(FIRST_COLUMNS) and tuple(header) == COLUMNS[: len(header)]


def _widen(path: Path, file: BinaryIO) -> None:
    """Give a CSV of an earlier version today's columns, empty in its rows."""
    more = b"," * (len(COLUMNS) - _columns(path, file)) + b"\n"
    lines = file.read().splitlines(keepends=True)
    wide = [line.rstrip(b"\r\n") + more if line.endswith(b"\n") else line for line in lines]
    with replacing(path, force=True) as unfinished:
        unfinished.write_bytes(",".join(COLUMNS).encode() + b"\n" + b"".join(wide))


def read(path: Path) -> "pd.DataFrame":
    """Read the CSV, leaving out rows that a killed process left incomplete; raises ResultsError."""
    try:
        with open(path, newline="", encoding="utf-8", errors="backslashreplace") as file:
            lines = list(csv.reader(file))
    except (OSError, csv.Error) as error:
        raise ResultsError(
            f"{path}: no readable table of results ({error}); run a grid first"
        ) from None
    if not lines or not _known(lines[0]):
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line differs)"
        )
    header, *rows = lines
    return tabulate(dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header))


def tabulate(rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """Make a table of rows, whatever columns they have, with all columns in their types."""
    import pandas as pd

    whole = [[row.get(name, "") for name in COLUMNS] for row in rows]
    table = pd.DataFrame(whole, columns=list(COLUMNS), dtype=object)
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["lossless"] = table["lossless"].map(lambda value: value in (True, "True")).astype(bool)
    return table


def measured(path: Path, failed: bool) -> dict[tuple[Any, ...], Row]:
    """The newest row of every run that need not be measured again, by its ``KEY``.

    Those are the lossless ones and, if ``failed``, those that failed too. Raises ResultsError.
    """
    if not path.exists():
        return {}
    table = read(path)
    table = table[table["fingerprint"] != ""]
    good = table["lossless"] & (table["status"] == str(OK))
    rows = [*table[~good & failed].to_dict("records"), *table[good].to_dict("records")]
    return {tuple(row[name] for name in KEY): row for row in rows}


def newest(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep what can be compared: of each dataset its newest volume and setting, of each cell its
    newest runs. Rows that failed are kept too."""
    table = table[table["shape"] != ""]  # what could not be read is no volume
    table = table.assign(dataset=_told_apart(table))
    volume = ["source", "shape", "dtype", "threads", "fingerprint"]
    last = table.groupby("dataset")[volume].transform("last")
    table = table[(table[volume] == last).all(axis=1)]
    kept: list[Any] = []
    for _, cell in table.groupby(CELL)["run"]:
        lowest = float("inf")
        # A grid that was resumed begins where another one stopped; any other begins with run 1.
        for index, run in reversed(list(cell.items())):
            if run < lowest:
                kept.append(index)
                lowest = run
    return table.loc[sorted(kept)]


def _told_apart(table: "pd.DataFrame") -> "list[str]":
    """The name of each row's dataset; files of one name in several folders get their folders."""
    rows = list(zip(table["dataset"], table["source"], strict=True))
    folders: dict[str, set[str]] = {}
    for name, source in rows:
        if source.endswith(name):  # so it is a file that was given as such
            folders.setdefault(name, set()).add(source)
    names: dict[tuple[str, str], str] = {}
    for name, sources in folders.items():
        if len(sources) > 1:
            names |= {(name, s): new for s, new in files.told_apart(sorted(sources)).items()}
    return [names.get(row, row[0]) for row in rows]


def derive(table: "pd.DataFrame") -> "pd.DataFrame":
    """Add ratios and speeds to the rows that are ok.

    ``ratio`` counts 8 bytes a voxel as the paper does, ``native_ratio`` the input's own dtype;
    speeds are MB (10**6 bytes, 8 a voxel) a second, first and second stage together where total.
    """
    table = table[(table["status"] == str(OK)) & table["lossless"]].copy()
    mb = table["raw_bytes"] / 1e6
    table["ratio"] = table["raw_bytes"] / table["compressed_bytes"]
    table["native_ratio"] = table["native_bytes"] / table["compressed_bytes"]
    table["encoding_ratio"] = table["raw_bytes"] / table["encoded_bytes"]
    table["size_mb"] = table["compressed_bytes"] / 1e6
    table["encode_speed"] = mb / table["encode_s"]
    table["decode_speed"] = mb / table["decode_s"]
    table["compress_speed"] = mb / (table["encode_s"] + table["compress_s"])
    table["decompress_speed"] = mb / (table["decompress_s"] + table["decode_s"])
    return table

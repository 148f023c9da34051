"""The CSV of results: appending to it safely, and reading it."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from compresso.atomic import replacing
from experiments.errors import ResultsError
from experiments.records.columns import COLUMNS, FIRST_COLUMNS, Row, key, tabulate
from experiments.records.status import OK

if TYPE_CHECKING:
    import pandas as pd


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
    _refuse_streams(path)
    try:
        if path.exists():
            with open(path, "r+b", buffering=0) as file:
                _columns(path, file)
        else:
            check_writable(path.parent)
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot write results ({error.strerror}); name another file with --output"
        ) from None


def check_writable(folder: Path) -> None:
    """Make a folder, and find out whether files can be written to it; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 12))
        file.flush()
        os.fsync(file.fileno())


def _refuse_streams(path: Path) -> None:
    """Raise ResultsError for a device, a FIFO or a folder, whose first line may have no end."""
    if path.exists() and not path.is_file():
        raise ResultsError(f"{path}: is no file; name another one with --output")


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
    """Read the CSV, leaving out rows that a killed process left incomplete; raises ResultsError.

    The index of the table is the number of each row's line in the file.
    """
    _refuse_streams(path)
    try:
        with open(path, newline="", encoding="utf-8", errors="backslashreplace") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(
            f"{path}: no readable table of results ({reason}); run a grid first"
        ) from None
    (_, header), *rest = lines or [(1, list(COLUMNS))]  # an empty file is a table without rows
    if not _known(header):
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line differs)"
        )
    rows = {number: row for number, row in rest if len(row) == len(header)}
    table = tabulate(dict(zip(header, row, strict=True)) for row in rows.values())
    return table.set_axis(list(rows))


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
    return {key(row): row for row in rows}

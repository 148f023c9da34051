"""The CSV of results: appending to it safely, and reading it."""

import csv
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from experiments.errors import ResultsError
from experiments.records.rows import COLUMNS, OK, Row, key, tabulate

if TYPE_CHECKING:
    import pandas as pd

HEADER = ",".join(COLUMNS)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row at the end of the CSV, which is created if it does not exist.

    The row goes to the disk in one write before this returns, under a lock, so that a killed
    process loses at most the row in progress and two processes may share a file.
    Raises ResultsError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b", buffering=0) as file:
            _lock(file)
            text = io.StringIO()
            if _is_empty(path, file):
                text.write(f"{HEADER}\n")
            else:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a killed process left an incomplete row
                    text.write("\n")
            writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
            writer.writerow({name: _one_line(value) for name, value in row.items()})
            file.write(text.getvalue().encode(errors="backslashreplace"))
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from None


def check(path: Path) -> None:
    """Check that rows can be appended, before anything is measured; raises ResultsError."""
    _check_is_file(path)
    try:
        if path.exists():
            with open(path, "r+b", buffering=0) as file:
                _is_empty(path, file)
        else:
            check_writable(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def check_writable(folder: Path) -> None:
    """Create a folder, and check that files can be written to it; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 12))
        file.flush()
        os.fsync(file.fileno())


def _unwritable(path: Path, error: OSError) -> ResultsError:
    return ResultsError(
        f"{path}: cannot write results ({error.strerror}). Name another file with --csv"
    )


def _check_is_file(path: Path) -> None:
    """Raise ResultsError for a device, a FIFO or a folder; a device's first line may never end."""
    if path.exists() and not path.is_file():
        raise ResultsError(f"{path}: not a file. Name another one with --csv")


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _lock(file: BinaryIO) -> None:
    """Wait until no other process has the lock; closing the file releases it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _is_empty(path: Path, file: BinaryIO) -> bool:
    """Whether a CSV is empty; raises ResultsError if its first line is not our header."""
    file.seek(0)
    line = file.readline(2 * len(HEADER)).decode(errors="replace").rstrip("\r\n")
    if line not in ("", HEADER):
        raise ResultsError(_other_columns(path))
    return not line


def _other_columns(path: Path) -> str:
    return (
        f"{path}: not a table of results of this version (its first line differs). Name another "
        "file with --csv"
    )


def read(path: Path) -> "pd.DataFrame":
    """Read the CSV without the rows that a killed process left incomplete; raises ResultsError.

    The index of the table is the line number of each row in the file.
    """
    _check_is_file(path)
    try:
        with open(path, newline="", encoding="utf-8", errors="backslashreplace") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{path}: cannot read results ({reason}). Run a grid first") from None
    header, *rest = lines or [(1, list(COLUMNS))]  # an empty file is a table without rows
    if tuple(header[1]) != COLUMNS:
        raise ResultsError(_other_columns(path))
    rows = {number: row for number, row in rest if len(row) == len(COLUMNS)}
    table = tabulate(dict(zip(COLUMNS, row, strict=True)) for row in rows.values())
    return table.set_axis(list(rows))


def measured(path: Path, failed: bool) -> dict[tuple[Any, ...], Row]:
    """Return the newest row of each run that need not be measured again, by its ``KEY``.

    These are the lossless runs and, if ``failed``, the failed ones too. Raises ResultsError.
    """
    if not path.exists():
        return {}
    table = read(path)
    table = table[table["fingerprint"] != ""]
    good = table["lossless"] & (table["status"] == str(OK))
    rows = [*table[~good & failed].to_dict("records"), *table[good].to_dict("records")]
    return {key(row): row for row in rows}

"""The CSV of results: its columns, appending to it safely, reading it, and what is derived.

A row is one run of one cell. Ratios and speeds are not stored; :func:`derive` computes them.
"""

import csv
import io
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import ResultsError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("time", "dataset", "source", "shape", "dtype", "encoding", "compression", "run", "threads"),
    *("raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes"),
    *("encode_s", "compress_s", "decompress_s", "decode_s", "lossless", "status"),
    *("group", "session", "version", "python", "numpy", "numba", "zstandard", "cpu"),
)
#: A cell of the grid, as far as its numbers can be compared.
CELL = ["dataset", "encoding", "compression"]
OK = "ok"


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
        with open(path, "a+b", buffering=0) as file:
            _lock(file)
            size = file.seek(0, os.SEEK_END)
            text = ""
            if size == 0:
                text = ",".join(COLUMNS) + "\n"
            else:
                _check_header(path, file)
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a row that was cut off: leave it a line of its own
                    text = "\n"
            line = io.StringIO()
            writer = csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n")
            writer.writerow({key: _one_line(value) for key, value in row.items()})
            file.write((text + line.getvalue()).encode())
            os.fsync(file.fileno())
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot write results ({error.strerror}); name another file with --output"
        ) from None


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _lock(file: Any) -> None:
    """Wait for the only right to append; released when the file is closed."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _check_header(path: Path, file: Any) -> None:
    file.seek(0)
    header = file.readline().decode(errors="replace").rstrip("\r\n")
    if header != ",".join(COLUMNS):
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line "
            "differs); name another file with --output"
        )


def read(path: Path) -> "pd.DataFrame":
    """Read the CSV, leaving out rows that a killed process left incomplete; raises ResultsError."""
    import pandas as pd

    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(
            f"{path}: no readable table of results ({error}); run a grid first"
        ) from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise ResultsError(
            f"{path}: not a table of results of this version (its first line differs)"
        )
    whole = [line for line in lines[1:] if len(line) == len(COLUMNS)]
    table = pd.DataFrame(whole, columns=list(COLUMNS))
    for name in (*COLUMNS[7:17],):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["lossless"] = table["lossless"] == "True"
    return table


def done(path: Path) -> set[tuple[Any, ...]]:
    """The runs that need not be measured again: lossless ones, and those that took too long.

    Each is dataset, shape, encoding, compression, threads, run. Raises ResultsError.
    """
    if not path.exists():
        return set()
    table = read(path)
    table = table[table["lossless"] | table["status"].str.startswith("timeout")]
    columns = ["dataset", "shape", "encoding", "compression", "threads", "run"]
    return {tuple(row) for row in table[columns].itertuples(index=False)}


def newest(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep what can be compared: of each dataset its newest volume and setting, of each cell its
    newest session. Rows that failed are kept too."""
    volume = ["source", "shape", "dtype", "threads"]
    last = table.groupby("dataset")[volume].transform("last")
    table = table[(table[volume] == last).all(axis=1)]
    return table[table["session"] == table.groupby(CELL)["session"].transform("last")]


def derive(table: "pd.DataFrame") -> "pd.DataFrame":
    """Add ratios and speeds to the rows that are ok.

    ``ratio`` counts 8 bytes a voxel as the paper does, ``native_ratio`` the input's own dtype;
    speeds are MB (10**6 bytes, 8 a voxel) a second, first and second stage together where total.
    """
    table = table[(table["status"] == OK) & table["lossless"]].copy()
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

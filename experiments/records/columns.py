"""What a row of results has: one run of one cell, in the order of the CSV's columns."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
BYTES = ("raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes")
#: What the four stages of a run took.
SECONDS = ("encode_s", "compress_s", "decompress_s", "decode_s")
#: Columns of version 1.0, and the ones added since, which are empty in its tables.
FIRST_COLUMNS = (
    *("time", "dataset", "source", "shape", "dtype", "encoding", "compression", "run", "threads"),
    *(*BYTES, *SECONDS, "lossless", "status"),
    *("group", "session", "version", "python", "numpy", "numba", "zstandard", "cpu"),
)
#: What was around the run, in numbers: load average over a minute, the part of all processors' time
#: that others took, and this process's page faults.
LOADS = ("load", "other_cpu", "minor_faults", "major_faults")
SURROUNDINGS = (*LOADS, "governor")
#: ``new_memory_s`` is what a new array of the volume's size costs; ``chunk`` a box, x, y, z, of a
#: volume that is measured chunk by chunk, empty in the row of their totals; ``worker`` the machine,
#: process and thread of a scheduler, or how many there were; ``depth`` the slices of each group of
#: a volume that several threads worked on so, empty where it was one stream.
COLUMNS = (
    *FIRST_COLUMNS,
    *("fingerprint", "part", "new_memory_s", *SURROUNDINGS, "chunk", "worker", "depth"),
)
NUMBERS = FIRST_COLUMNS[FIRST_COLUMNS.index("run") : FIRST_COLUMNS.index("lossless")]
NUMBERS += ("new_memory_s", *LOADS)
#: A cell of the grid, as far as its numbers can be compared.
CELL = ["dataset", "encoding", "compression"]
#: What tells one run from another, whatever its dataset is called.
KEY = [
    *("source", "dtype", "fingerprint", "chunk"),
    *("encoding", "compression", "threads", "depth", "run"),
]


def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a row's run from every other, by ``KEY``."""
    return tuple(row.get(name, "") for name in KEY)


def told_threads(row: Mapping[str, Any]) -> str:
    """What several threads did, in words; empty where one did it."""
    if not row["threads"] > 1:  # NaN, where unknown, is not above 1 either
        return ""
    plural = "" if str(row["depth"]) == "1" else "s"
    groups = f", groups of {row['depth']} slice{plural}" if row["depth"] else ""
    return f"{row['threads']:.0f} threads{groups}"


def tabulate(rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """Make a table of rows, whatever columns they have, with all columns in their types."""
    import pandas as pd

    whole = [[row.get(name, "") for name in COLUMNS] for row in rows]
    table = pd.DataFrame(whole, columns=list(COLUMNS), dtype=object)
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["lossless"] = table["lossless"].map(lambda value: value in (True, "True")).astype(bool)
    return table

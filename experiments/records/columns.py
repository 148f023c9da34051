"""What a row of results has: one run of one cell, in the order of the CSV's columns."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from experiments.records.status import OK, Outcome, Status

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
#: What a result is computed and named from; stages take no time where their codec is ``none``.
NEEDED = ("dataset", "shape", "encoding", "compression", "run", "threads", *BYTES, *SECONDS)
#: A nanosecond, in which the clock counts, and a number above all that can be measured.
TICK, MOST = 1e-9, 1e18
CODECS = dict.fromkeys(("encode_s", "decode_s"), "encoding")
CODECS |= dict.fromkeys(("compress_s", "decompress_s"), "compression")
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
    """Make a table of rows, whatever columns they have, with all columns in their types.

    A result whose numbers cannot be right, such as 0 seconds, gets the status ``unusable``.
    """
    import pandas as pd

    whole = [[row.get(name, "") for name in COLUMNS] for row in rows]
    given = pd.DataFrame(whole, columns=list(COLUMNS), dtype=object)
    table = given.copy()
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["lossless"] = table["lossless"].map(lambda value: value in (True, "True")).astype(bool)
    for name, wrong in _wrong(table).items():
        wrong &= table["status"] == str(OK)
        reasons = [f"{name} is {str(value).strip() or 'empty'}" for value in given[name][wrong]]
        table.loc[wrong, "status"] = [str(Status(Outcome.UNUSABLE, text)) for text in reasons]
    return table


def _wrong(table: "pd.DataFrame") -> "dict[str, pd.Series[bool]]":
    """The rows of which each column cannot be what was measured."""
    found = {}
    for name in NEEDED:
        values = table[name]
        if name not in NUMBERS:
            found[name] = values == ""
            continue
        found[name] = ~values.between(0, MOST)  # so is NaN
        if name in CODECS:
            found[name] |= (values < TICK) & (table[CODECS[name]] != "none")
        elif name in BYTES:
            found[name] |= (values == 0) & (table["raw_bytes"] > 0)
    return found

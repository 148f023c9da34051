"""What is computed from rows when they are read: which of them count, their ratios and speeds."""

import math
from typing import Any

import pandas as pd

from experiments.records.best import is_raw
from experiments.records.columns import CELL, told_threads
from experiments.records.intervals import STAGES
from experiments.records.status import OK, Outcome, Status
from experiments.text import distinct, shown

#: What the rows of a dataset must have in common to be compared.
VOLUME = ["source", "shape", "dtype", "threads", "depth", "fingerprint"]
#: How many unusable rows are listed.
LISTED = 3


def newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what can be compared: of each dataset its newest volume and setting, of each cell its
    newest runs. Rows that failed are kept too, those of chunks are not."""
    table = _of_volumes(table)
    table = table[(table[VOLUME] == _last(table)).all(axis=1)]
    kept = [index for _, cell in table.groupby(CELL) for index in _newest_runs(cell)]
    return table.loc[sorted(kept)]


def left_out(table: pd.DataFrame) -> str:
    """What :func:`newest` leaves out that is of another volume or setting, in one line.

    Empty where there is none. What was measured again is not told: its newer rows are there.
    """
    table = _of_volumes(table)
    last = _last(table)
    others = (table[VOLUME] != last).any(axis=1) & (table["status"] == str(OK))
    counts: dict[str, int] = {}
    for index in table.index[others]:
        row = table.loc[index]
        what = f"{shown(row['dataset'], row['group'])}, {_difference(row, last.loc[index])}"
        counts[what] = counts.get(what, 0) + 1
    if not counts:
        return ""
    told = (f"{what} ({n} row{'s' * (n != 1)})" for what, n in counts.items())
    return f"Not shown, as newer rows are of other labels or threads: {'; '.join(told)}"


def unusable(table: pd.DataFrame) -> str:
    """Which rows of a CSV have numbers that cannot be right, in one line; empty if none has."""
    bad = table[_is_unusable(table)]
    listed = [
        f"line {index} ({shown(row['dataset'], row['group'])}: {row['encoding']} + "
        f"{row['compression']}: {Status.parse(row['status']).reason})"
        for index, row in bad[:LISTED].iterrows()
    ]
    more = [f"{len(bad) - LISTED} more"] if len(bad) > LISTED else []
    return f"Left out, as their numbers cannot be right: {'; '.join(listed + more)}" * bool(listed)


def _is_unusable(table: pd.DataFrame) -> "pd.Series[bool]":
    return table["status"].str.startswith(f"{Outcome.UNUSABLE}: ")


def _of_volumes(table: pd.DataFrame) -> pd.DataFrame:
    """The usable rows of whole volumes that were read, their datasets told apart."""
    table = table[(table["shape"] != "") & (table["chunk"] == "") & ~_is_unusable(table)]
    return table.assign(dataset=_told_apart(table))


def _last(table: pd.DataFrame) -> pd.DataFrame:
    """Of each row, what the last row of its dataset is of."""
    return table.groupby("dataset")[VOLUME].transform("last")


def _newest_runs(cell: pd.DataFrame) -> list[Any]:
    """The rows of a cell's newest runs.

    A session that measures a good run again begins anew, from that run on; one that has others,
    or those that had failed, goes on. Within a session runs may come in any order.
    """
    kept: dict[float, Any] = {}
    for row in cell.dropna(subset="run").itertuples():
        before = kept.get(row.run)
        if before is not None and before.status == str(OK):
            kept = {n: r for n, r in kept.items() if n < row.run or r.session == row.session}
        kept[row.run] = row
    return [row.Index for row in kept.values()]


def _difference(row: "pd.Series[Any]", shown: "pd.Series[Any]") -> str:
    """What a row is of, as far as it is not what is shown."""
    differs = row[VOLUME] != shown
    words = [row[name] for name in ("shape", "dtype") if differs[name]]
    words += [row["part"]] if row["part"] else []
    if differs["threads"] or differs["depth"]:
        words.append(told_threads(row) or "1 thread")
    if differs["source"]:
        words.append(f"from {row['source']}")
    return ", ".join(words) or "other labels"


def _told_apart(table: pd.DataFrame) -> list[str]:
    """The name of each row's dataset; files of one name in several folders get their folders."""
    rows = list(zip(table["dataset"], table["source"], strict=True))
    folders: dict[str, set[str]] = {}
    for name, source in rows:
        if source.endswith(name):  # so it is a file that was given as such
            folders.setdefault(name, set()).add(source)
    names: dict[tuple[str, str], str] = {}
    for name, sources in folders.items():
        if len(sources) > 1:
            names |= {(name, s): new for s, new in distinct(name, sorted(sources)).items()}
    return [names.get(row, row[0]) for row in rows]


def derive(table: pd.DataFrame) -> pd.DataFrame:
    """Add ratios and speeds to the rows that are ok.

    ``ratio`` counts 8 bytes a voxel as the paper does, ``native_ratio`` the input's own dtype;
    speeds are MB (10**6 bytes, 8 a voxel) a second, first and second stage together where total.
    Raw labels have no speed: it is NaN.
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
    table.loc[is_raw(table["encoding"], table["compression"]), list(STAGES)] = math.nan
    return table

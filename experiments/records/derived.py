"""What is computed from rows when they are read: which of them count, their ratios and speeds."""

from typing import Any

import pandas as pd

from experiments.names import told_apart
from experiments.records.columns import CELL
from experiments.records.status import OK


def newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what can be compared: of each dataset its newest volume and setting, of each cell its
    newest runs. Rows that failed are kept too, those of chunks are not."""
    table = table[(table["shape"] != "") & (table["chunk"] == "")]  # neither unread, nor of a chunk
    table = table.assign(dataset=_told_apart(table))
    volume = ["source", "shape", "dtype", "threads", "depth", "fingerprint"]
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
            names |= {(name, s): new for s, new in told_apart(name, sorted(sources)).items()}
    return [names.get(row, row[0]) for row in rows]


def derive(table: pd.DataFrame) -> pd.DataFrame:
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

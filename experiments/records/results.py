"""Results that are computed from rows: which rows count, ratios and speeds, and the best ones."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from compresso.text import counted, extent, method_name
from experiments.records import METHOD, OK, Outcome
from experiments.text import display_name, distinct

#: Speeds, and the stages whose seconds count.
STAGES = {
    "encode_speed": ("encode_s",),
    "decode_speed": ("decode_s",),
    "compress_speed": ("encode_s", "compress_s"),
    "decompress_speed": ("decompress_s", "decode_s"),
}
#: The speeds of encoding and compressor together, and their verbs.
BOTH = {"compress_speed": "compress", "decompress_speed": "decompress"}
#: Rows of a dataset are compared only if they agree in these.
VOLUME = ["source", "shape", "dtype", "threads", "depth", "fingerprint"]
#: The share of all processors' time from which on other processes are mentioned.
BUSY_SHARE = 0.1
#: How many unusable rows are listed.
LISTED_ROWS = 3
#: Follows the name of an encoding that was trained on the dataset, and what it means.
MARK = "\u2020"
NOTE = (
    f"{MARK} trained on this volume: Ristretto's starting counters come from pinky40, slices 0 to "
    "255, and from the phantom of 512x512x96 voxels"
)
#: The fingerprint of pinky40, slices 0 to 255, whatever the file is called; and how many they are.
PINKY40, SLICES = "a7224fd85413dfe2", 256


def derive(table: pd.DataFrame) -> pd.DataFrame:
    """Add ratios and speeds to the successful rows, and drop all others.

    ``ratio`` counts 8 bytes per voxel as the paper does, ``native_ratio`` the input's own dtype.
    Speeds are MB (10**6 bytes, at 8 bytes per voxel) per second: ``compress_speed`` and
    ``decompress_speed`` of encoding and compressor together. Raw labels have no speed (NaN).
    """
    table = table[(table["status"] == OK) & table["lossless"]].copy()
    table["ratio"] = table["raw_bytes"] / table["compressed_bytes"]
    table["native_ratio"] = table["native_bytes"] / table["compressed_bytes"]
    table["encoding_ratio"] = table["raw_bytes"] / table["encoded_bytes"]
    for speed, stages in STAGES.items():
        table[speed] = table["raw_bytes"] / 1e6 / table[list(stages)].sum(axis=1)
    table.loc[is_raw(table), list(STAGES)] = math.nan
    return table


def newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that can be compared, also failed ones.

    These are of the newest volume and setting of each dataset, without those of chunks, and the
    newest runs of each method.
    """
    table, last = _volumes(table)
    table = table[(table[VOLUME] == last).all(axis=1)]
    kept = [index for _, rows in table.groupby(METHOD) for index in _newest_runs(rows)]
    return table.loc[sorted(kept)]


def describe_skipped(table: pd.DataFrame) -> str:
    """Describe in one line the rows of other volumes or settings that :func:`newest` drops.

    Empty if there are none. Runs that were measured again do not count.
    """
    table, last = _volumes(table)
    others = table[(table[VOLUME] != last).any(axis=1) & (table["status"] == OK)]
    counts: Counter[str] = Counter()
    for index, row in others.iterrows():
        differs = row[VOLUME] != last.loc[index]
        words = [row[name] for name in ("shape", "dtype") if differs[name]]
        words += [row["part"]] if row["part"] else []
        if differs["threads"] or differs["depth"]:
            words.append(describe_threads(row) or "1 thread")
        if differs["source"]:
            words.append(f"from {row['source']}")
        name = display_name(row["dataset"], row["group"])
        counts[f"{name}, {', '.join(words) or 'other labels'}"] += 1
    listed = "; ".join(f"{what} ({counted(n, 'row')})" for what, n in counts.items())
    reason = "Not shown, because newer rows are of other labels or threads"
    return f"{reason}: {listed}" if counts else ""


def describe_unusable(table: pd.DataFrame) -> str:
    """Describe in one line the rows of a CSV with impossible numbers; empty if there are none."""
    bad = table[_is_unusable(table)]
    listed = [
        f"line {index} ({display_name(row['dataset'], row['group'])}: "
        f"{method_name(row['encoding'], row['compression'])}: {row['status'].partition(': ')[2]})"
        for index, row in bad[:LISTED_ROWS].iterrows()
    ]
    more = [f"{len(bad) - LISTED_ROWS} more"] if len(bad) > LISTED_ROWS else []
    text = "; ".join(listed + more)
    return f"Skipped, because the numbers are impossible: {text}" if text else ""


def describe_threads(row: Mapping[str, Any]) -> str:
    """Describe the threads of a run; empty if there was one."""
    if not row["threads"] > 1:  # NaN, if unknown, is not above 1 either
        return ""
    groups = f", groups of {counted(int(row['depth']), 'slice')}" if row["depth"] else ""
    return f"{row['threads']:.0f} threads{groups}"


def describe_volume(name: str, row: Mapping[str, Any]) -> str:
    """Describe a run's volume in one line: its name, size, dtype, part and threads."""
    words = (name, f"{size_of(row)} {row['dtype']}".strip(), row["part"], describe_threads(row))
    return ", ".join(filter(None, words))


def size_of(row: Mapping[str, Any]) -> str:
    """Return the size of a run's volume, ``512 x 512 x 96``; empty if it could not be read."""
    return extent(row["shape"].split("x"))


def describe_busy(shares: Iterable[Any], least: float = BUSY_SHARE) -> str:
    """Say what share of the processors other processes took in the median run.

    Empty if it is not known, or at most ``least``.
    """
    share = pd.to_numeric(pd.Series(list(shares), dtype=object), errors="coerce").median()
    return f"Other processes took {share:.0%} of the processors" if share > least else ""


def warn_busy(rows: pd.DataFrame) -> str:
    """Say when derived rows were measured on a busy machine; empty if they were not."""
    if not (busy := describe_busy(rows["other_cpu"])):
        return ""
    minutes = rows["time"].str[:16].str.replace("T", " ")
    when = " to ".join(dict.fromkeys([minutes.min(), minutes.max()]))
    return f"{busy} ({when} UTC): the speeds are unreliable, the ratios are exact"


def _is_unusable(table: pd.DataFrame) -> "pd.Series[bool]":
    return table["status"].str.startswith(f"{Outcome.UNUSABLE}: ")


def _volumes(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The usable rows of whole volumes that were read, and the newest ``VOLUME`` of their dataset.

    Files of one name in several folders get their folders.
    """
    table = table[(table["shape"] != "") & (table["chunk"] == "") & ~_is_unusable(table)]
    pairs = list(zip(table["dataset"], table["source"], strict=True))
    names = distinct((name, source) for name, source in pairs if source.endswith(name))
    table = table.assign(dataset=[names.get(pair, pair[0]) for pair in pairs])
    return table, table.groupby("dataset")[VOLUME].transform("last")


def _newest_runs(rows: pd.DataFrame) -> list[Any]:
    """The rows of a method's newest runs.

    A session that repeats a successful run replaces that run and all later ones; a session that
    has other runs, or repeats failed ones, adds to them. Within a session runs may be in any order.
    """
    kept: dict[float, Any] = {}
    for row in rows.dropna(subset="run").itertuples():
        before = kept.get(row.run)
        if before is not None and before.status == OK:
            kept = {n: r for n, r in kept.items() if n < row.run or r.session == row.session}
        kept[row.run] = row
    return [row.Index for row in kept.values()]


def is_raw(methods: Mapping[str, Any]) -> Any:
    """Whether labels are stored raw and so have no speed; for a row or for each row of a table."""
    return (methods["encoding"] == "none") & (methods["compression"] == "none")


def best(values: "pd.Series[float]") -> Any:
    """Return the index of the largest value; None if every value is NaN."""
    known = values.dropna()
    return known.idxmax() if len(known) else None


def is_trained(row: Mapping[str, Any]) -> bool:
    """Whether a row, or a mapping of its columns, is of Ristretto on a volume it was trained on.

    In figures an encoding that stands alone is a compressor.
    """
    codecs = (str(row.get(stage, "")).partition(":")[0] for stage in ("encoding", "compression"))
    if "ristretto" not in codecs:
        return False
    dataset = str(row.get("dataset", ""))
    # A file whose name says that it is of later slices only is another volume.
    found = re.search(r"pinky40(?!\d)(?:.*?z_?(\d+))?", dataset, re.IGNORECASE)
    if row.get("fingerprint") == PINKY40 or (found and int(found[1] or 0) < SLICES):
        return True
    name, _, parameters = dataset.partition(":")
    size, seed = (re.search(rf"{key}=(\w+)", parameters) for key in ("size", "seed"))
    # The phantom that was used, in any number of slices and any dtype.
    same = (not size or size[1].startswith("512x512x")) and (not seed or int(seed[1]) == 0)
    return name == "phantom" and same

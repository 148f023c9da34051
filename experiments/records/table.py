"""The table at the end of a grid: one block per dataset, the best ratio first."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from compresso.text import digits, file_size, method_name, ratio_text, shortened
from experiments.records import METHOD, OK
from experiments.records.intervals import LEAST_RUNS, Interval, intervals, ranks, speed_of
from experiments.records.results import (
    BOTH,
    MARK,
    NOTE,
    best,
    derive,
    describe_volume,
    is_raw,
    warn_busy,
)
from experiments.text import DASH, display_name, markdown

#: The most columns of a line; long codec strings are shortened.
WIDTH = 100


def render(rows: pd.DataFrame, form: str = "table") -> str:
    """Lay out the rows of one grid as a ``table``, ``md``, or :func:`summary` as ``csv``, ``json``.

    A speed is followed by the larger half of its 95% interval, in percent of the median, if there
    are enough runs, and by its rank. Raw labels have no speed, and are never the best.
    """
    found = summary(rows)
    if form == "csv":
        return str(found.to_csv(index=False)).rstrip()
    if form == "json":
        return str(found.to_json(orient="records", indent=2))
    blocks = [
        "\n".join(_block(found[found["dataset"] == name], part, form))
        for name, part in rows.groupby("dataset", sort=False)
    ]
    notes = []
    if found["runs"].notna().any():
        notes += ["* smallest. MB/s count 8 bytes per voxel, as does the ratio vs uint64."]
        if found["runs"].max() >= LEAST_RUNS:
            notes += ["\u00b1 95% interval. A rank with = is a tie: the intervals overlap."]
    notes += ["! failed." if found["runs"].isna().any() else "All runs were lossless."]
    if busy := warn_busy(derive(rows)):
        notes += [f"{busy}. Stop them and run this again with --restart."]
    return "\n\n".join([*blocks, "\n".join(notes)])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per method and dataset, the best ratio first; failed methods come last."""
    lines = intervals(derive(rows)).assign(status=OK)
    for speed in BOTH:
        lines[f"{speed}_rank"] = ranks(lines, speed)
    lines = lines.sort_values("ratio", ascending=False, kind="stable")
    failed = rows[(rows["status"] != OK) | ~rows["lossless"]]
    failed = failed.drop_duplicates([*METHOD, "status"])[[*METHOD, "group", "status"]]
    return pd.concat([lines, failed], ignore_index=True) if len(failed) else lines


def _block(found: pd.DataFrame, rows: pd.DataFrame, form: str) -> Iterator[str]:
    """The lines about a dataset, from its part of the summary."""
    lines, failed = found[found["runs"].notna()], found[found["runs"].isna()]
    row = rows.iloc[0]
    yield describe_volume(display_name(row["dataset"], row["group"]), row)
    if len(lines):
        columns = _columns(lines, row["dtype"])
        if form == "md":
            heads = [f"{above} {below}".strip() for above, below, *_ in columns]
            body = zip(*(column[2:] for column in columns), strict=True)
            yield from ("", *markdown(heads, body, left=3), "")
        else:
            yield from _aligned(columns)
    if lines["trained"].any():
        yield f"  {NOTE}"
    if lines.empty and len(rows) > 1 and failed["status"].nunique() == 1:
        yield shortened(f"! all {len(rows)} runs: {row['status']}")
    else:
        for line in failed.itertuples():
            name = method_name(str(line.encoding), str(line.compression))
            yield shortened(f"! {name}: {line.status}")


def _columns(lines: pd.DataFrame, dtype: str) -> list[list[str]]:
    """The columns of a table, each with two lines of heading."""
    first = best(lines["ratio"][~is_raw(lines)])
    narrow = (lines["native_ratio"] != lines["ratio"]).any()
    encodings = lines["encoding"].replace("none", "raw") + np.where(lines["trained"], MARK, "")
    columns = [
        ["", "", *("*" if index == first else "" for index in lines.index)],
        ["", "encoding", *encodings],
        ["", "compressor", *lines["compression"].replace("none", DASH)],
        ["vs", "uint64", *map(ratio_text, lines["ratio"])],
        *([[f"vs {dtype}", "(file)", *map(ratio_text, lines["native_ratio"])]] if narrow else []),
        ["", "size", *map(file_size, lines["compressed_bytes"].astype(int))],
    ]
    for speed, verb in BOTH.items():
        speeds = [speed_of(line, speed) for _, line in lines.iterrows()]
        timed = any(not math.isnan(one.low) for one in speeds)
        columns.append([verb, "MB/s (95%)" if timed else "MB/s", *map(_speed, speeds)])
        if timed:
            columns.append(["", "rank", *lines[f"{speed}_rank"]])
    return columns


def _aligned(columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out lines, the first three columns to the left."""
    widths = [max(map(len, column)) for column in columns]
    widths[1] -= max(0, sum(widths) + 2 * len(widths) - 3 - WIDTH)
    for star, encoding, compressor, *numbers in zip(*columns, strict=True):
        name = encoding if len(encoding) <= widths[1] else f"{encoding[: widths[1] - 1]}\u2026"
        left = f"{star:{widths[0]}} {name:{widths[1]}}  {compressor:{widths[2]}}"
        right = (text.rjust(width) for text, width in zip(numbers, widths[3:], strict=True))
        yield "  ".join([left, *right]).rstrip()


def _speed(speed: Interval) -> str:
    if math.isnan(speed.value):
        return DASH
    text = digits(speed.value)
    if math.isnan(speed.low):
        return text
    share = max(speed.high - speed.value, speed.value - speed.low) / speed.value
    return f"{text} \u00b1{share:.0%}"

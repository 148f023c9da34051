"""The table at the end of a grid: every cell, the best ratio first."""

import math
from collections.abc import Sequence

import pandas as pd

from compresso.cli import shortened
from experiments.records.best import best, is_raw
from experiments.records.columns import told_threads
from experiments.records.derived import derive
from experiments.records.intervals import BOTH, intervals, of_line, places, told_fastest
from experiments.records.trained import NOTE, marked
from experiments.text import shown

HEADINGS = (
    *("encoding", "compression", "ratio", "native ratio", "bytes"),
    *("compress MB/s", "decompress MB/s", "lossless"),
)
#: Of all processors, what others may take before the table tells.
BUSY = 0.1


def render(rows: pd.DataFrame) -> str:
    """Lay out the rows of one grid, one block a dataset.

    Numbers are medians over runs. ``ratio`` and MB/s count 8 bytes a voxel, ``native ratio`` the
    volume's own dtype. The best ratio of a dataset is marked with a star. Where cells were measured
    repeatedly, a second block has the 95% intervals of the speeds and the places by them; a place
    such as ``2-4`` means that the intervals overlap: no difference from those beside it. Raw labels
    have no speed. A dagger marks an encoding that was trained on the dataset.
    """
    blocks = [_block(str(name), part) for name, part in rows.groupby("dataset", sort=False)]
    return "\n\n".join(blocks)


def _block(name: str, rows: pd.DataFrame) -> str:
    good = derive(rows)
    cells = intervals(good).sort_values("ratio", ascending=False, kind="stable")
    lines = [
        (
            marked(cell),
            str(cell["compression"]),
            f"{cell['ratio']:,.2f}",
            f"{cell['native_ratio']:,.2f}",
            f"{cell['compressed_bytes']:,.0f}",
            *(_speed(cell[speed]) for speed in BOTH),
            "yes",
        )
        for _, cell in cells.iterrows()
    ]
    text = [_title(name, rows)]
    if lines:
        first = best(cells["ratio"])
        stars = [" ", *("*" if index == first else " " for index in cells.index)]
        whole = _aligned([HEADINGS, *lines])
        text += [f"{star} {line}" for star, line in zip(stars, whole, strict=True)]
    text += _speeds(good, cells)
    text += [f"  {NOTE}"] if cells["trained"].any() else []
    failed = rows[~rows.index.isin(good.index)]
    reasons = failed["status"].unique()
    if len(failed) == len(rows) > 1 and len(reasons) == 1:
        return "\n".join([*text, shortened(f"! all {len(rows)} runs: {reasons[0]}")])
    for row in failed.drop_duplicates(["encoding", "compression", "status"]).itertuples():
        text.append(shortened(f"! {row.encoding} {row.compression}: {row.status}"))
    return "\n".join(text)


def _speeds(rows: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """The intervals of the speeds and the places by them, where cells were measured repeatedly."""
    known = cells[(cells["runs"] > 1) & ~is_raw(cells["encoding"], cells["compression"])]
    if known.empty:
        return []
    columns = [[marked(cell) for _, cell in known.iterrows()], list(known["compression"])]
    headings = ["encoding", "compression"]
    for speed, heading in BOTH.items():
        headings += [f"{heading} MB/s", "95% interval", "place"]
        columns.append([_speed(median) for median in known[speed]])
        columns.append([of_line(cell, speed).span(_speed) for _, cell in known.iterrows()])
        columns.append(list(places(known, speed)))
    text = ["", *(f"  {line}" for line in _aligned([headings, *zip(*columns, strict=True)]))]
    for speed, verb in BOTH.items():
        if told := told_fastest(known, speed, "{0.encoding} {0.compression}".format):
            text.append(f"  fastest to {verb}: {told}")
    if rows["other_cpu"].median() > BUSY:
        text.append(f"  other processes took {rows['other_cpu'].median():.0%} of the processors")
    return text


def _speed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.1f}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lay out columns, the first two to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        left = "  ".join(part.ljust(w) for part, w in zip(line[:2], widths[:2], strict=True))
        right = "  ".join(part.rjust(w) for part, w in zip(line[2:], widths[2:], strict=True))
        text.append(f"{left}  {right}")
    return text


def _title(name: str, rows: pd.DataFrame) -> str:
    """Name, shape and dtype of a dataset, of what could be read of it, and how it was measured."""
    row = rows.iloc[0]
    known = f"{row['shape']} {row['dtype']}".strip()
    words = (shown(name, row["group"]), known, row["part"], told_threads(row))
    return ", ".join(filter(None, words))

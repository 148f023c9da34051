"""The table at the end of a grid: every cell, the best ratio first."""

import pandas as pd

from experiments.names import shown
from experiments.records.derived import derive

HEADINGS = {
    "encoding": "encoding",
    "compression": "compression",
    "ratio": "ratio",
    "native_ratio": "native ratio",
    "size": "bytes",
    "compress_speed": "compress MB/s",
    "decompress_speed": "decompress MB/s",
    "lossless": "lossless",
}


def render(rows: pd.DataFrame) -> str:
    """Lay out the rows of one grid, one block a dataset.

    Numbers are medians over runs. ``ratio`` and MB/s count 8 bytes a voxel, ``native ratio`` the
    volume's own dtype. The best ratio of a dataset is marked with a star.
    """
    blocks = [_block(str(name), part) for name, part in rows.groupby("dataset", sort=False)]
    return "\n\n".join(blocks)


def _block(name: str, rows: pd.DataFrame) -> str:
    good = derive(rows)
    cells = good.groupby(["encoding", "compression"], as_index=False).agg(
        {
            "ratio": "median",
            "native_ratio": "median",
            "compressed_bytes": "median",
            "compress_speed": "median",
            "decompress_speed": "median",
        }
    )
    cells = cells.sort_values("ratio", ascending=False, kind="stable")
    lines = [tuple(HEADINGS.values())]
    for cell in cells.itertuples():
        lines.append(
            (
                str(cell.encoding),
                str(cell.compression),
                f"{cell.ratio:,.2f}",
                f"{cell.native_ratio:,.2f}",
                f"{cell.compressed_bytes:,.0f}",
                f"{cell.compress_speed:,.1f}",
                f"{cell.decompress_speed:,.1f}",
                "yes",
            )
        )
    text = [_title(name, rows)]
    if len(lines) > 1:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for number, line in enumerate(lines):
            left = "  ".join(part.ljust(w) for part, w in zip(line[:2], widths[:2], strict=True))
            right = "  ".join(part.rjust(w) for part, w in zip(line[2:], widths[2:], strict=True))
            text.append(f"{'*' if number == 1 else ' '} {left}  {right}")
    failed = rows[~rows.index.isin(good.index)]
    reasons = failed["status"].unique()
    if len(failed) == len(rows) > 1 and len(reasons) == 1:
        return "\n".join([*text, f"! all {len(rows)} runs: {reasons[0]}"])
    for row in failed.drop_duplicates(["encoding", "compression", "status"]).itertuples():
        text.append(f"! {row.encoding} {row.compression}: {row.status}")
    return "\n".join(text)


def _title(name: str, rows: pd.DataFrame) -> str:
    """Name, shape and dtype of a dataset, of what could be read of it."""
    row = rows.iloc[0]
    known = f"{row['shape']} {row['dtype']}".strip()
    return ", ".join(filter(None, (shown(name, row["group"]), known, row["part"])))

"""Ratio and speed of Compresso with windows of other sizes, with LZMA behind it."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from experiments.figures._figure import ResultsFigure
from experiments.text import display_name, natural

#: The encodings that are shown.
SPECS = r"compresso(?::window=\d+x\d+x\d+)?"
METRICS = {
    "ratio": "Compression Ratio, with LZMA\n(Original / Compressed)",
    "encode_speed": "Encoding speed\n[MB/s, 8 bytes a voxel]",
}


class WindowSizes(ResultsFigure):
    """Ratio and speed of Compresso with windows of other sizes, with LZMA behind it."""

    name = "window_sizes"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw a line a dataset over window sizes; needs at least three of them."""
        rows = rows[rows["encoding"].str.fullmatch(SPECS) & (rows["compression"] == "lzma")].copy()
        rows["window"] = rows["encoding"].map(_window)
        windows = sorted(rows["window"].unique(), key=_volume)
        if len(windows) < 3:
            return None
        figure, axes = plt.subplots(
            1, 2, figsize=(0.45 * len(windows) * 2 + 3, 4.2), layout="constrained"
        )
        for axis, (value, label) in zip(axes, METRICS.items(), strict=True):
            for _, part in rows.groupby("dataset", sort=False):
                if part["window"].nunique() >= 3:
                    means = part.groupby("window")[value].mean().reindex(windows)
                    row = part.iloc[-1]
                    name = display_name(row["dataset"], row["group"])
                    axis.plot(windows, means, "o-", label=name)
            axis.set_ylabel(label)
            axis.set_xlabel("window, x, y, z in voxels")
            axis.tick_params(axis="x", rotation=35)
            axis.set_ylim(bottom=0)
        axes[0].legend(fontsize=8)
        figure.suptitle("Window size", fontsize=12, fontweight="bold")
        return figure


def _volume(window: str) -> tuple[int, list[str | float]]:
    return math.prod(map(int, window.split("x"))), natural(window)


def _window(spec: str) -> str:
    return spec.partition("window=")[2] or "8x8x1"

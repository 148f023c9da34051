"""Ratio and speed of Compresso with windows of other sizes, with LZMA behind it."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure

METRICS = {
    "ratio": "Compression Ratio, with LZMA\n(Original / Compressed)",
    "encode_speed": "Encoding speed\n[MB/s, 8 bytes a voxel]",
}


class WindowSizes(ResultsFigure):
    """Ratio and speed of Compresso with windows of other sizes, with LZMA behind it."""

    name = "window_sizes"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw a line a dataset over window sizes; needs at least three of them."""
        rows = rows[
            rows["encoding"].str.startswith("compresso") & (rows["compression"] == "lzma")
        ].copy()
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
                    axis.plot(windows, means, "o-", label=bars.dataset_title(part).split(",")[0])
            axis.set_ylabel(label)
            axis.set_xlabel("window, x, y, z in voxels")
            axis.tick_params(axis="x", rotation=35)
            axis.set_ylim(bottom=0)
        axes[0].legend(fontsize=8)
        figure.suptitle("Window size", fontsize=12, fontweight="bold")
        return figure


def _volume(window: str) -> tuple[int, str]:
    size = 1
    for side in window.split("x"):
        size *= int(side)
    return size, window


def _window(spec: str) -> str:
    return spec.partition("window=")[2] or "8x8x1"

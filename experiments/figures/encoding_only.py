"""What the first stage does alone: ratio and both speeds, the datasets side by side."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure

METRICS = {
    "encoding_ratio": "Ratio\n(Original / Encoded)",
    "encode_speed": "Encoding speed\n[MB/s, 8 bytes a voxel]",
    "decode_speed": "Decoding speed\n[MB/s, 8 bytes a voxel]",
}


class EncodingOnly(ResultsFigure):
    """What the first stage does alone: ratio and both speeds, the datasets side by side."""

    name = "encoding_only"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw the figure of derived rows; rows without a first stage are left out."""
        rows, notes = bars.without_sweep(rows[rows["encoding"] != "none"])
        if rows.empty:
            return None
        encodings, _ = bars.order(rows)
        names = list(rows["dataset"].unique())
        width = max(6.5, 0.3 * len(encodings) * len(names) + 3)
        figure, axes = plt.subplots(
            len(METRICS), 1, figsize=(width, 2.9 * len(METRICS) + 1), layout="constrained"
        )
        each = (width - 2) / len(names)
        titles = []
        for name in names:
            parts = bars.dataset_title(rows[rows["dataset"] == name]).split(", ")
            titles.append("\n".join(bars.fitted(part, each, 8) for part in parts))
        for axis, (value, label) in zip(axes, METRICS.items(), strict=True):
            cells = bars.medians(rows, ["encoding", "dataset"], value)
            bars.grouped(axis, cells, encodings, names, titles)
            plt.setp(axis.get_xticklabels(), fontsize=8)
            axis.set_ylabel(label)
        bars.legend(figure, axes[0], notes)
        figure.suptitle("First stage alone", fontsize=12, fontweight="bold")
        return figure

"""The paper's Figure 4: the mean ratio over datasets, EM on the left, other data on the right."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure
from experiments.paper.published import FIGURE_4
from experiments.records.results import best
from experiments.text import EM, OTHER, SYNTHETIC


class MeanRatio(ResultsFigure):
    """EM on the left, other data on the right."""

    name = "mean_ratio"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw derived rows; synthetic data is shown only if there is no real data.

        Error bars are the standard deviation over the datasets, as the paper has it: divided by
        their number.
        """
        rows, notes = bars.without_sweep(rows)
        real = rows[rows["group"] != SYNTHETIC]
        panels = {"EM": real[real["group"] == EM], "Other": real[real["group"] == OTHER]}
        if real.empty:
            panels = {"Synthetic": rows}
        panels = {title: part for title, part in panels.items() if not part.empty}
        if not panels:
            return None
        shown = pd.concat(list(panels.values()))
        encodings, compressors = bars.order(shown)
        width = bars.panel_width(encodings, compressors)
        figure, axes = plt.subplots(
            1, len(panels), figsize=(width * len(panels), 4.6), squeeze=False, layout="constrained"
        )
        for axis, (title, part) in zip(axes.flat, panels.items(), strict=True):
            names = part["dataset"].unique()
            of_datasets = part.groupby(["encoding", "compression", "dataset"])["ratio"].mean()
            cells = of_datasets.groupby(["encoding", "compression"])
            mean, deviation = cells.mean(), cells.std(ddof=0).where(cells.count() > 1)
            heights = pd.DataFrame(
                {"height": mean, "low": mean - deviation, "high": mean + deviation}
            )
            titles = bars.second_stages(part, compressors)
            first = best(mean.rename("ratio"))
            bars.grouped(axis, heights, encodings, compressors, titles, first)
            _mark_published(axis, title.lower(), encodings, compressors)
            plural = "s" if len(names) != 1 else ""
            axis.set_title(f"{title} ({len(names)} dataset{plural})")
            axis.set_ylabel("Compression Ratio\n(Original / Compressed)")
        figure.suptitle("Mean over datasets", fontsize=12, fontweight="bold")
        bars.legend(figure, axes.flat[0], [*notes, *bars.trained_note(shown)])
        return figure


def _mark_published(axis: Axes, group: str, encodings: list[str], compressors: list[str]) -> None:
    """Draw the paper's bar heights as light outlines behind ours."""
    width = 0.84 / len(encodings)
    label = "as published"
    for e, encoding in enumerate(encodings):
        heights = FIGURE_4.get((group, encoding), {})
        for c, compressor in enumerate(compressors):
            if compressor in heights:
                at = c + (e - (len(encodings) - 1) / 2) * width
                height = heights[compressor]
                outline: dict[str, Any] = {"edgecolor": "0.65", "linewidth": 0.9, "zorder": 0.5}
                axis.bar(at, height, width, fill=False, label=label, **outline)
                label = "_"
                axis.set_ylim(top=max(axis.get_ylim()[1], 1.05 * height))

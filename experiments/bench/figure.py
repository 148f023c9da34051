"""The benchmark of a volume as bars."""

import math
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from experiments.bench.tables import STAGES, Results, seconds_of
from experiments.records.intervals import interval

COLOURS = {"copy": "#c8c8c8", "ours": "#d7191c", "peer": "#5f5f5f"}


def draw(labels: Labels, results: Results, title: str, directory: Path) -> Path:
    """Draw the medians and their 95% intervals; returns the path of the PNG."""
    import matplotlib.pyplot as plt

    from experiments.figures import STYLE, save

    colours = [COLOURS[rows[0].get("kind", "ours")] for rows in results.values()]
    with plt.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = plt.subplots(
            1, 2, figsize=(11, 0.36 * len(results) + 1.6), sharey=True, layout="constrained"
        )
        for axis, stage in zip(axes, ("encode_s", "decode_new_s"), strict=True):
            found = [_speed(labels, seconds_of(rows, stage)) for rows in results.values()]
            median, low, high = np.array(found).T
            bars = axis.barh(
                list(results),
                np.nan_to_num(median),
                color=colours,
                xerr=np.nan_to_num([median - low, high - median]),
                error_kw={"elinewidth": 0.9, "ecolor": "0.15"},
            )
            shown = ["" if math.isnan(speed) else f"{speed:,.0f}" for speed in median]
            axis.bar_label(bars, shown, padding=3, fontsize=8)
            axis.set_xlabel(f"{STAGES[stage]}, MVx/s")
            axis.margins(x=0.12)
        axes[0].invert_yaxis()
        figure.suptitle(title, fontsize=11, fontweight="bold")
        png, _ = sorted(
            save(figure, directory, f"bench_{labels.dtype}"), key=lambda p: p.suffix != ".png"
        )
        return png


def _speed(labels: Labels, seconds: list[float]) -> tuple[float, float, float]:
    """The median and the bounds; NaN for a stage that is not measured."""
    if not seconds:
        return math.nan, math.nan, math.nan
    found = interval(seconds).over(labels.size / 1e6)
    return found.median, found.low, found.high

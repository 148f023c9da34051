"""Ratio against speed, a point a cell, and the front of those that nothing beats."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure
from experiments.figures._palette import COLOURS, colour
from experiments.records.intervals import intervals
from experiments.records.results import MARK, NOTE, pareto_front

SPEEDS = {"compress_speed": "Compression", "decompress_speed": "Decompression"}
WIDTH = 13.0  # inches of both panels
#: Where a label may be beside its point, in points to the right and up.
PLACES = [
    (x * far, y * far)
    for far in (1.0, 2.0, 3.0, 4.5, 6.0)
    for x, y in ((7, 3), (7, -9), (-7, 3), (-7, -9), (3, 11), (-3, -17))
]


class Pareto(ResultsFigure):
    """Ratio against both speeds, a row of panels a dataset."""

    name = "pareto"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw derived rows; raw labels, which have no speed, are left out."""
        cells = intervals(rows)
        numbers = cells[["ratio", *SPEEDS]]
        known = (numbers.gt(0) & numbers.lt(math.inf)).all(axis=1)  # of no voxels they are 0
        cells = cells[known].assign(family=_families(cells[known]))
        names = list(cells["dataset"].unique())
        if not names:
            return None
        figure, axes = plt.subplots(
            len(names),
            2,
            figsize=(WIDTH, 5.2 * len(names) + 0.9),
            squeeze=False,
            layout="constrained",
        )
        for name, pair in zip(names, axes, strict=True):
            part = cells[cells["dataset"] == name]
            title = bars.dataset_title(rows[rows["dataset"] == name])
            for axis, (speed, what) in zip(pair, SPEEDS.items(), strict=True):
                _panel(axis, part, speed)
                axis.set_title(bars.fitted(title, WIDTH / 2), fontsize=10)
                axis.set_xlabel(f"{what} speed [MB/s, 8 bytes a voxel]")
                axis.set_ylabel("Compression Ratio\n(Original / Compressed)")
        found: dict[str, Artist] = {}
        for axis in axes.flat:
            found |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        notes = [NOTE] if cells["trained"].any() else []
        bars.place_legend(figure, list(found.values()), list(found), notes)
        figure.suptitle(
            "Ratio against speed; the line is the front: no cell is both smaller and faster",
            fontsize=12,
            fontweight="bold",
        )
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # points stay where they are: labels are placed by them
        for name, pair in zip(names, axes, strict=True):
            for axis, speed in zip(pair, SPEEDS, strict=True):
                _label(axis, cells[cells["dataset"] == name], speed)
        return figure


def _families(cells: pd.DataFrame) -> list[str]:
    """What gives a cell its colour: its encoding, also where that stands as a second stage."""
    pairs = zip(cells["encoding"], cells["compression"], strict=True)
    names = [(e if e != "none" else c).partition(":")[0] for e, c in pairs]
    return [
        name if name in COLOURS else ("none" if name in bars.SECOND_TITLES else "others")
        for name in names
    ]


def _panel(axis: Axes, cells: pd.DataFrame, speed: str) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(cells[speed].min() / 1.6, cells[speed].max() * 1.6)
    least, most = cells["ratio"].min(), cells["ratio"].max()
    margin = max(1.1, (most / least) ** 0.05)  # of one cell, and of cells that are alike, too
    axis.set_ylim(least / margin, most * margin)
    axis.grid(True, axis="both", which="major")
    best = _front(cells, speed)
    corners = cells.loc[best].sort_values(speed)
    axis.step(corners[speed], corners["ratio"], where="pre", color="0.55", lw=1, zorder=1)
    for family in (*COLOURS, "others"):
        part = cells[cells["family"] == family]
        if part.empty:
            continue
        low, high = part[speed] - part[f"{speed}_low"], part[f"{speed}_high"] - part[speed]
        error = [low.clip(lower=0).fillna(0), high.clip(lower=0).fillna(0)]
        axis.errorbar(
            part[speed],
            part["ratio"],
            xerr=error,
            fmt="none",
            ecolor=colour(family),
            elinewidth=0.8,
            alpha=0.5,
            zorder=2,
        )
        label = (bars.SECOND_TITLES | bars.FIRST_TITLES).get(family, family)
        axis.scatter(
            part[speed],
            part["ratio"],
            s=[46 if i in best else 22 for i in part.index],
            color=colour(family),
            edgecolor=["black" if i in best else "white" for i in part.index],
            linewidth=0.7,
            zorder=3,
        )
        axis.scatter([], [], s=36, color=colour(family), label=label)
    for side in (axis.xaxis, axis.yaxis):
        bars.number_decades(side, (1, 3))


def _front(cells: pd.DataFrame, speed: str) -> list[int]:
    return pareto_front(
        list(cells.index), lambda i: cells["ratio"][i], lambda i: float(cells[speed][i])
    )


def _label(axis: Axes, cells: pd.DataFrame, speed: str) -> None:
    """Name the cells of the front, where there is room beside their points."""
    renderer = axis.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    points = axis.transData.transform(cells[[speed, "ratio"]].to_numpy())
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in points]
    frame = axis.get_window_extent(renderer)
    for i in _front(cells, speed):
        cell = cells.loc[i]
        text = axis.annotate(
            _named(cell["encoding"], cell["compression"]) + (MARK if cell["trained"] else ""),
            (cell[speed], cell["ratio"]),
            (0, 0),
            textcoords="offset points",
            fontsize=7.5,
            zorder=4,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "0.5", "shrinkA": 0, "shrinkB": 2},
        )
        for x, y in PLACES:
            text.set_position((x, y))
            text.set_horizontalalignment("left" if x > 0 else "right" if x < 0 else "center")
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer).expanded(1.05, 1.0)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            text.remove()  # its point is drawn as one of the front, and the table has its name


def _named(encoding: str, compression: str) -> str:
    if encoding == "none":
        return bars.second_stage(compression)
    if compression == "none":
        return bars.first_stage(encoding)
    return f"{bars.first_stage(encoding)} + {bars.second_stage(compression)}"

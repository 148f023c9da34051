"""The figures of measured rows: each function yields the figures of its kind, and their names.

Docstrings of figures are their captions.
"""

import math
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments import datasets
from experiments.figures import style
from experiments.figures.style import INK, SMALL, WIDTH, Panel, dataset_name, marked_name, slug
from experiments.paper.published import ALONE, FIGURE_4, FIRST_STAGES
from experiments.records.results import BOTH, MARK, describe_volume, is_raw
from experiments.text import EM, OTHER

Figures = Iterator[tuple[str, Figure]]

#: The bars of Figure 4 in the paper's order, its panels and their limits.
BARS = sorted({second for means in FIGURE_4.values() for second in means})
PANELS = {
    EM: ("Average over connectomics datasets (EM)", 1200),
    OTHER: ("Average over other datasets", 2000),
}
#: How many variants of an encoding are shown.
MOST_VARIANTS = 3
RATIO = "Compression ratio (vs uint64)"
SPEEDS = {speed: f"{verb.capitalize()} [MB/s]" for speed, verb in BOTH.items()}


def figure_4(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """Mean ratio over datasets, as in the paper's Figure 4.

    Thick black lines are the published means over the paper's own datasets; error bars are 1 SD
    (population) over the datasets.
    """
    found = {group: set(rows["encoding"][rows["group"] == group]) for group in PANELS}
    groups = [group for group in PANELS if set(FIRST_STAGES) <= found[group]]
    if not groups:
        return
    figure = plt.figure(figsize=(WIDTH, 3.6 * len(groups)), layout="constrained")
    axes = figure.subplots(len(groups), squeeze=False)
    for axis, group in zip(axes.flat, groups, strict=True):
        part = rows[rows["group"] == group]
        title, limit = PANELS[group]
        names = [
            dataset_name(name, group) + " (not in the paper)" * (name not in datasets.published())
            for name in part["dataset"].unique()
        ]
        axis.set_title(f"{title}\n" + style.fitted(f"measured: {', '.join(names)}", WIDTH, 10))
        _paper_bars(axis, part, group)
        axis.set_ylim(0, max(limit, axis.get_ylim()[1]))
        axis.set_ylabel(RATIO)
        axis.grid(axis="x", visible=False)
        axis.grid(axis="y", visible=True)
        axis.yaxis.set_major_formatter(style.PLAIN)
    handles: list[Any] = []
    for first, label in zip(FIRST_STAGES, ("None", "Neuroglancer", "Compresso"), strict=True):
        handles.append(Patch(facecolor=style.look(first)[0], edgecolor=INK, label=label))
    handles.append(Line2D([], [], color=INK, linewidth=2.5, label="published"))
    style.finish(figure, "Figure 4 of the paper, reproduced", handles=handles)
    yield "figure_4", figure


def _paper_bars(axis: Axes, rows: pd.DataFrame, group: str) -> None:
    width = 0.26
    ratios = rows.groupby(["encoding", "compression", "dataset"])["ratio"].mean()
    for index, second in enumerate(BARS):
        alone = second in ALONE
        for shift, first in ((0, "none"),) if alone else zip((-1, 0, 1), FIRST_STAGES, strict=True):
            pair = (second, "none") if alone else (first, second)
            x = index + shift * width
            if pair in ratios.index:
                found = ratios[pair]
                axis.bar(x, found.mean(), width, color=style.look(first)[0], edgecolor=INK, lw=0.5)
                if len(found) > 1:
                    spread = found.std(ddof=0)
                    axis.errorbar(x, found.mean(), spread, color=INK, capsize=2, lw=1)
            if published := FIGURE_4[group, first].get(second):
                axis.hlines(published, x - width / 2, x + width / 2, INK, linewidth=2.5)
    names = ["None" if second == "none" else style.codec_name(second) for second in BARS]
    axis.set_xticks(range(len(BARS)), names)
    axis.set_xlim(-0.6, len(BARS) - 0.4)
    axis.tick_params(axis="x", length=0)


def current_methods(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """The best compressor of each encoding: one dot per dataset. Further to the right is smaller.

    Methods on all datasets come first, sorted by mean ratio.
    """
    if not leading(methods).empty:
        yield "current_methods", compare(methods)


def compare(methods: pd.DataFrame, figure: "Figure | SubFigure | None" = None) -> Any:
    """Draw the ratios of the leading methods, into a figure if one is given."""
    title = "How many times smaller each method makes label volumes"
    return _dots(leading(methods), {"ratio": Panel(RATIO)}, title, figure)


def speeds(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """Compressed size and the speed of encoding + compressing and back, for methods on a Pareto
    front and the best of each encoding. Bars are 95% intervals; MB/s count 8 bytes per voxel.
    """
    for name, part in methods.groupby("dataset", sort=False):
        chosen = [*leading(part).index, *(i for speed in BOTH for i in front(part, speed))]
        part = part.loc[list(dict.fromkeys(chosen))]
        if part.empty:
            continue
        panels = {"size": Panel("Compressed size [MB]")}
        panels |= {speed: Panel(label) for speed, label in SPEEDS.items()}
        title = f"{_title(rows, str(name))}: size and speed"
        sized = part.assign(size=part["compressed_bytes"] / 1e6)
        yield f"speeds_{slug(str(name))}", _dots(sized, panels, title)


def encoding_only(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """Each encoding without a compressor: one dot per dataset.

    Bars are 95% intervals of the median speed; MB/s count 8 bytes per voxel.
    """
    by_compressor = methods.sort_values("compression", key=lambda c: c != "none", kind="stable")
    alone = by_compressor[by_compressor["encoding"] != "none"]
    alone = _few_variants(alone.drop_duplicates(["dataset", "encoding"]))
    if alone.empty:
        return
    alone = alone.assign(compression="none", ratio=alone["encoding_ratio"])
    panels = {
        "ratio": Panel("Ratio (vs uint64)"),
        "encode_speed": Panel("Encoding [MB/s]"),
        "decode_speed": Panel("Decoding [MB/s]"),
    }
    yield "encoding_only", _dots(alone, panels, "Encodings alone, without a compressor")


def window_sizes(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """Compresso + LZMA with windows of other sizes.

    Right of the dashed line is better than the paper's 8x8x1.
    """
    spec = methods["encoding"].str.fullmatch(r"compresso(?::window=\d+x\d+x\d+)?")
    part = methods[spec & (methods["compression"] == "lzma")]
    part = part.assign(row=[spec.partition("window=")[2] or "8x8x1" for spec in part["encoding"]])
    part = part.drop_duplicates(["dataset", "row"])
    base = part[part["row"] == "8x8x1"].set_index("dataset")
    part = part[part["dataset"].isin(base.index)]
    if part["row"].nunique() < 3:
        return
    for value in ("ratio", "encode_speed"):
        part[value] = 100 * (part[value] / part["dataset"].map(base[value]) - 1)
    points = _points(part).assign(row=part["row"], encode_speed_low=math.nan, hollow=False)
    mean = points.groupby("row")["ratio"].mean().sort_values(ascending=False)
    best = points["ratio"][points["row"] == mean.index[0]]
    title = f"Windows of {mean.index[0]} are the best for Compresso + LZMA: ratio "
    title += f"{best.min():+.1f} % to {best.max():+.1f} % against 8x8x1"
    panels = {
        "ratio": Panel("Ratio compared with 8x8x1 [%]", log=False, line=0),
        "encode_speed": Panel("Encoding speed compared with 8x8x1 [%]", log=False, line=0),
    }
    yield "window_sizes", style.dots(points, list(mean.index), panels, title, "")


def pareto(rows: pd.DataFrame, methods: pd.DataFrame) -> Figures:
    """Compression ratio against speed. Methods on the line are not beaten in both.

    The paper's method, Compresso + LZMA, is always named. Bars are 95% intervals of the median
    speed; MB/s count 8 bytes per voxel.
    """
    for speed in BOTH:
        methods = measurable(methods, speed)
    if methods.empty:
        return
    by_dataset = methods.groupby("dataset", sort=False)
    slowest = float(methods[list(BOTH)].min().min()) / 1.4
    low, high = methods["ratio"].min(), methods["ratio"].max()
    fastest = max(  # so that there is room for names
        slowest * (method[speed] / slowest) ** (1 / (1 - _width(method)))
        for _, part in by_dataset
        for speed in BOTH
        for _, method in part.loc[front(part, speed)].iterrows()
    )
    for name, part in by_dataset:
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 7.4), layout="constrained")
        for axis, (speed, label) in zip(axes, SPEEDS.items(), strict=True):
            axis.set(xscale="log", yscale="log", xlabel=label, ylabel=RATIO)
            axis.set_xlim(slowest, fastest)
            axis.set_ylim(low / 1.3, high * max(2, (high / low) ** 0.3))
            style.number_decades(axis.xaxis)
            style.number_decades(axis.yaxis)
            axis.grid(True, axis="both")
            _scatter(axis, part, speed)
        used = part["encoding"].map(style.family).unique()
        handles = [style.handle(*style.look(one), style.codec_name(one)) for one in used]
        title = f"{_title(rows, str(name))}: ratio and speed"
        style.finish(figure, title, style.trained_note(part), handles)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the positions of the labels depend on the axes
        for axis, speed in zip(axes, SPEEDS, strict=True):
            _label(axis, part, speed)
        yield f"pareto_{slug(str(name))}", figure


def _scatter(axis: Axes, methods: pd.DataFrame, speed: str) -> None:
    """Draw the points, their intervals, the front, and the area that it beats."""
    best = front(methods, speed)
    line = methods.loc[best].sort_values(speed)
    x = [axis.get_xlim()[0], *line[speed]]
    y = [line["ratio"].iloc[0], *line["ratio"]]
    axis.fill_between(x, y, axis.get_ylim()[0], step="pre", color="#808080", alpha=0.1, lw=0)
    axis.step(x, y, where="pre", color="#808080", lw=1.2)
    for encoding, part in methods.groupby(methods["encoding"].map(style.family)):
        colour, marker = style.look(str(encoding))
        large = part.index.isin([*best, *_papers(methods)])
        low, high = part[f"{speed}_low"], part[f"{speed}_high"]
        axis.hlines(part["ratio"], low, high, colour, alpha=0.6)
        axis.scatter(
            part[speed],
            part["ratio"],
            s=np.where(large, 70, 26) * (1.5 if marker == "*" else 1),
            marker=marker,
            color=colour,
            edgecolor=INK,
            linewidth=np.where(large, 0.9, 0.3),
            zorder=3,
        )
    axis.annotate(
        "better \u2197", (0.99, 0.97), xycoords="axes fraction", ha="right", va="top", size=SMALL
    )


def _papers(methods: pd.DataFrame) -> "pd.Index[int]":
    """The paper's method, Compresso + LZMA."""
    return methods.index[(methods["encoding"] == "compresso") & (methods["compression"] == "lzma")]


def _width(method: "pd.Series[Any]") -> float:
    """The width of a method's name and the space before it, as a share of an axis."""
    return min(0.6, SMALL * (0.6 * len(marked_name(method)) + 2) / (72 * (WIDTH - 1)))


def _label(axis: Axes, methods: pd.DataFrame, speed: str) -> None:
    """Name the front, above and to the right of it, and the paper's method."""
    best, papers, points = front(methods, speed), _papers(methods), 72 / axis.figure.dpi
    always = {best[0], best[-1], *papers}
    below, named = -math.inf, 0.0
    line: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
    line["arrowprops"] = {"arrowstyle": "-", "lw": 0.6, "color": "#808080", "relpos": (0, 0.2)}
    for index in reversed(best):  # from the fastest, the lowest, up
        method = methods.loc[index]
        at = (method[speed], method["ratio"])
        y = axis.transData.transform(at)[1] * points
        far = below + 1.3 * SMALL > y + 4 * SMALL or method["ratio"] < 1.25 * named
        if far and index not in always:
            continue
        named, below = method["ratio"], max(y, below + 1.3 * SMALL)
        axis.annotate(marked_name(method), at, (SMALL, below - y + SMALL / 3), **line)
    for index in papers.difference(best):  # no name of the front is below and to the left
        method = methods.loc[index]
        line["arrowprops"] |= {"relpos": (1, 0.8)}
        at = (method[speed], method["ratio"])
        line |= {"ha": "right", "weight": "bold"}
        axis.annotate(marked_name(method), at, (-SMALL, -2 * SMALL), **line)


def leading(methods: pd.DataFrame) -> pd.DataFrame:
    """The best method of each encoding by its mean ratio, and Zstandard alone.

    Raw labels are left out, and all variants of an encoding except some.
    """
    working = methods[~is_raw(methods)]
    if working.empty:
        return working
    pair = ["encoding", "compression"]
    score = _relative(working).groupby([working[name] for name in pair])
    mean, count = score.mean(), score.count()
    whole = mean[count == count.groupby("encoding").transform("max")]  # on as many as any
    best = [*whole.groupby("encoding").idxmax(), ("none", "zstd")]
    return _few_variants(working[pd.MultiIndex.from_frame(working[pair]).isin(best)])


def _few_variants(methods: pd.DataFrame) -> pd.DataFrame:
    """Leave out the parameter variants of an encoding that has more than ``MOST_VARIANTS``."""
    families = methods["encoding"].map(style.family)
    few = methods["encoding"].groupby(families).transform("nunique") <= MOST_VARIANTS
    plain = methods["encoding"] == families
    return methods[few | plain | ~plain.groupby(families).transform("any")]


def _relative(methods: pd.DataFrame) -> "pd.Series[float]":
    """The logarithm of each ratio, less the mean of those of its dataset."""
    logs = pd.Series(np.log(methods["ratio"]), methods.index)
    return logs - logs.groupby(methods["dataset"]).transform("mean")


def _points(methods: pd.DataFrame) -> pd.DataFrame:
    """Methods as :func:`style.dots` takes them."""
    pairs = zip(methods["encoding"], methods["compression"], strict=True)
    sets = zip(methods["dataset"], methods["group"], strict=True)
    return methods.assign(
        row=[style.method_name(*pair) for pair in pairs],
        set=[dataset_name(*one) for one in sets],
        hollow=methods["trained"],
    )


def _dots(
    methods: pd.DataFrame,
    panels: dict[str, Panel],
    title: str,
    figure: "Figure | SubFigure | None" = None,
) -> Any:
    """Draw a row per method: those on most datasets first, and of these the best mean ratio."""
    points = _points(methods)
    scores = _relative(points).groupby(points["row"]).agg(["count", "mean"])
    order = list(scores.sort_values(["count", "mean"], ascending=False).index)
    note = style.trained_note(methods).replace(MARK, "Hollow:")
    return style.dots(points, order, panels, title, note, figure)


def measurable(methods: pd.DataFrame, speed: str) -> pd.DataFrame:
    """Methods that have a ratio and a speed; raw labels and volumes without voxels have none."""
    numbers = methods[["ratio", speed]]
    return methods[(numbers.gt(0) & numbers.lt(math.inf)).all(axis=1)]


def front(methods: pd.DataFrame, speed: str) -> list[int]:
    """The methods that no other beats in both ratio and a speed, the best ratio first."""
    known = measurable(methods, speed).sort_values(["ratio", speed], ascending=False)
    fastest = known[speed].cummax().shift()  # of those with a better ratio
    return list(known.index[~(known[speed] <= fastest)])


def _title(rows: pd.DataFrame, name: str) -> str:
    """Title, size and conditions of a dataset."""
    row = rows[rows["dataset"] == name].iloc[-1]
    return describe_volume(dataset_name(name, row["group"]), row)

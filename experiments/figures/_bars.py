"""The paper's grouped bars: a group for each second stage, a bar for each first stage."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from experiments.figures._palette import shade
from experiments.records.intervals import interval
from experiments.records.results import (
    MARK,
    NOTE,
    SMALLEST,
    STAGES,
    best,
    describe_threads,
    is_raw,
    is_trained,
)
from experiments.text import display_name, natural

#: In Fig. 4's order.
FIRST_TITLES = {"none": "no first stage", "neuroglancer": "Neuroglancer", "compresso": "Compresso"}
SECOND_TITLES = {
    **{"none": "None", "brotli": "Brotli", "bz2": "BZip2", "gzip": "gzip", "lz4": "LZ4"},
    **{"lz78": "LZ78", "lzf": "LZF", "lzma": "LZMA", "lzo": "LZO", "lzw": "LZW", "zlib": "Zlib"},
    **{"zopfli": "Zopfli", "zstd": "ZStandard", "png": "PNG", "jpeg2000": "JPEG2000"},
    "x264": "X.264",
}
#: How wide a letter is, about, by the size of its font.
LETTER = 0.65
#: How many variants of an encoding are shown.
VARIANTS = 3
#: So many second stages, or letters in the names of all, stand beside each other below a panel.
BESIDE, LETTERS = 6, 50
#: The numbers at a logarithmic axis: 0.3, 10,000.
PLAIN = FuncFormatter(lambda value, _: f"{value:,.6g}")


def panels(rows: pd.DataFrame, value: str, label: str, title: str) -> Figure | None:
    """Draw one panel of bars a dataset.

    Speeds span four powers of ten and stand on a logarithmic axis. Raw labels have no speed, and
    their size would hide all others: they have no bar there.

    Parameters
    ----------
    rows : DataFrame
        Derived rows.
    value, label : str
        Column, and the text of its axis.
    title : str
    """
    rows, notes = without_sweep(rows)
    if value in STAGES or value in SMALLEST:
        rows = worked_on(rows)
    names = list(rows["dataset"].unique())
    if not names:
        return None
    encodings, compressors = order(rows)
    width = panel_width(encodings, compressors)
    across = min(len(names), int(18 // width))
    down = math.ceil(len(names) / across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(width * across, 3.4 * down + 0.9),
        squeeze=False,
        layout="constrained",
    )
    for name, axis in zip(names, axes.flat, strict=False):
        part = rows[rows["dataset"] == name]
        compressors = order(part)[1]
        bars = medians(part, ["encoding", "compression"], value)
        first = best(bars["height"].rename(value))
        grouped(axis, bars, encodings, compressors, second_stages(part, compressors), first)
        speeds = part[value][part[value] > 0]
        if value in STAGES and len(speeds):
            axis.set_yscale("log")
            axis.set_ylim(bottom=10 ** math.floor(math.log10(speeds.min())))
            number_decades(axis.yaxis, (1,))
        axis.set_title(fitted(dataset_title(part), width), fontsize=10)
        axis.set_ylabel(label)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    legend(figure, axes.flat[0], [*notes, *trained_note(rows)])
    return figure


def panel_width(encodings: list[str], compressors: list[str]) -> float:
    """Inches that a panel of so many bars needs, within reason."""
    return min(9.0, max(5.0, 0.22 * len(encodings) * len(compressors) + 1.5))


def worked_on(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out raw labels, which take no time."""
    return rows[~is_raw(rows["encoding"], rows["compression"])]


def without_sweep(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out the variants of an encoding if they are many, and note how many.

    Of each encoding ``VARIANTS`` are shown; of one that has more, the one without parameters, or
    else the first ones.
    """
    families: dict[str, list[str]] = {}
    for spec in sorted(rows["encoding"].unique(), key=natural):
        families.setdefault(spec.partition(":")[0], []).append(spec)
    left_out, notes = [], []
    for name, specs in families.items():
        if len(specs) > VARIANTS:
            kept = [name] if name in specs else specs[:VARIANTS]
            left_out += [spec for spec in specs if spec not in kept]
            notes.append(f"Not shown: {len(specs) - len(kept)} of {len(specs)} variants of {name}")
    return rows[~rows["encoding"].isin(left_out)], notes


def trained_note(rows: pd.DataFrame) -> list[str]:
    """The footnote on an encoding that was trained on a dataset, if there is one."""
    return [NOTE] if any(map(is_trained, rows.to_dict("records"))) else []


def dataset_title(rows: pd.DataFrame) -> str:
    """Name and shape of a dataset; the synthetic ones say so."""
    row = rows.iloc[-1]
    size = " x ".join(reversed(row["shape"].split("x")))
    name = display_name(row["dataset"], row["group"])
    return ", ".join(filter(None, (name, size, row["part"], describe_threads(row))))


def number_decades(side: Axis, many: tuple[float, ...]) -> None:
    """Put plain numbers at a logarithmic axis: 1, 2 and 5 of few decades, others of many."""
    low, high = side.get_view_interval()
    few = math.log10(high / low) < 1.5
    side.set_major_locator(LogLocator(subs=(1, 2, 5) if few else many))
    side.set_major_formatter(PLAIN)
    side.set_minor_locator(NullLocator())


def fitted(text: str, inches: float, size: float = 10) -> str:
    """Text in lines that are no longer than this, in letters of this size in points."""
    return textwrap.fill(text, max(12, int(72 * inches / (LETTER * size))))


def medians(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """The median of each cell's runs and its 95% interval: ``height``, ``low``, ``high``.

    Bounds are NaN where the runs are few, or where all are the same, as ratios are.
    """
    found = {}
    for key, runs in rows.groupby(by)[value]:
        if value in STAGES:
            speed = interval(1 / runs).over(1)
            found[key] = (speed.median, speed.low, speed.high)
        else:
            found[key] = (runs.median(), math.nan, math.nan)
    return pd.DataFrame.from_dict(found, orient="index", columns=["height", "low", "high"])


def grouped(
    axis: Axes,
    bars: pd.DataFrame,
    encodings: list[str],
    compressors: list[str],
    titles: Sequence[str],
    first: Any = None,
) -> None:
    """Draw the bars of one panel.

    Parameters
    ----------
    axis : Axes
    bars : DataFrame
        By (encoding, compression) ``height``, and where they are known ``low`` and ``high``.
    encodings, compressors : list of str
        In their order: colours, and groups.
    titles : sequence of str
        The text below each group.
    first : (str, str), optional
        The best bar, whose group's text is bold.
    """
    width = 0.84 / len(encodings)
    whole = bars.set_axis(pd.Index(list(bars.index), tupleize_cols=False))
    for e, encoding in enumerate(encodings):
        at = [c + (e - (len(encodings) - 1) / 2) * width for c in range(len(compressors))]
        keys = pd.Index([(encoding, compressor) for compressor in compressors], tupleize_cols=False)
        part = whole.reindex(keys)
        reach = [part["height"] - part["low"], part["high"] - part["height"]]
        error = None if part["low"].isna().all() else [side.clip(lower=0) for side in reach]
        axis.bar(
            at,
            part["height"],
            width,
            label=first_stage(encoding),
            color=shade(encoding, encodings),
            yerr=error,
            error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": "0.15"},
        )
    wide = max(map(len, titles)) * len(titles)
    slanted = len(titles) > BESIDE or (wide > LETTERS and "\n" not in "".join(titles))
    axis.set_xticks(range(len(titles)), titles)
    axis.tick_params(axis="x", length=0, rotation=35 if slanted else 0)
    for compressor, tick in zip(compressors, axis.get_xticklabels(), strict=True):
        tick.set_fontweight("bold" if first and compressor == first[1] else "normal")
        if slanted:
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    axis.set_ylim(bottom=0)


def legend(figure: Figure, axis: Axes, notes: Sequence[str] = ()) -> None:
    """One legend for all panels, below them, with notes above it."""
    place_legend(figure, *axis.get_legend_handles_labels(), notes, most=4)


def place_legend(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    notes: Sequence[str] = (),
    most: int = 6,
) -> None:
    """A legend below everything, of at most so many columns, and of fewer if they do not fit."""
    width = figure.get_figwidth() - 1
    for columns in range(min(most, max(1, len(labels))), 0, -1):
        drawn = figure.legend(
            handles,
            [fitted(label, width) for label in labels],
            loc="outside lower center",
            ncols=columns,
            title="\n".join(fitted(note, width, 8) for note in notes),
            title_fontsize=8,
        )
        box = drawn.get_window_extent()
        if box.width <= figure.bbox.width or columns == 1:
            break
        drawn.remove()
    rows = max(0.0, box.height / figure.dpi - 0.5)  # what a figure has room for anyway
    figure.set_figheight(figure.get_figheight() + rows)


def order(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The paper's order: first stages by their list, second stages by their names."""
    known = list(FIRST_TITLES)

    def rank(spec: str) -> tuple[int, list[str | float]]:
        name = spec.partition(":")[0]
        return (known.index(name) if name in known else len(known), natural(spec))

    encodings = sorted(rows["encoding"].unique(), key=rank)
    return encodings, sorted(rows["compression"].unique(), key=lambda c: natural(second_stage(c)))


def second_stages(rows: pd.DataFrame, compressors: list[str]) -> list[str]:
    """The texts below the groups of a panel, with a mark on what was trained on its dataset."""
    trained = {row["compression"] for row in rows.to_dict("records") if is_trained(row)}
    return [f"{second_stage(c)}{MARK if c in trained else ''}" for c in compressors]


def first_stage(spec: str) -> str:
    """An encoding's name as the paper writes it."""
    return _named(spec, FIRST_TITLES)


def second_stage(spec: str) -> str:
    """A compressor's name as the paper writes it."""
    return _named(spec, SECOND_TITLES)


def _named(spec: str, names: dict[str, str]) -> str:
    name, _, parameters = spec.partition(":")
    parameters = parameters.replace("window=", "").replace(",", " ")
    return names.get(name, name) + (f" {parameters}" if parameters else "")

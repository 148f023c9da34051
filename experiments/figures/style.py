"""Shared by all figures: colours, markers, names, and rows of dots."""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments import datasets
from experiments.records.results import MARK, NOTE
from experiments.text import display_name

#: Inches: a page of a README is about 840 pixels wide, in which 9 points can still be read.
WIDTH = 9.0
SMALL = 9
#: The colour of text and axes, which :func:`experiments.figures.save` lets an SVG adapt.
INK = "#24292f"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 10,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "axes.titlecolor"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": "#808080",
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "compresso",
    "pdf.fonttype": 42,  # text stays text
    "text.parse_math": False,  # a file may be called a$b$c
}

#: Colour and marker of each encoding, the same in every figure: the colours of Okabe and Ito, which
#: colour-blind readers can distinguish, and the paper's two greys.
LOOKS = {
    "none": ("#b8b8b8", "X"),
    "neuroglancer": ("#6b6b6b", "P"),
    "compresso": ("#d55e00", "o"),
    "cpso": ("#e69f00", "D"),
    "ristretto": ("#009e73", "*"),
    "crackle": ("#cc79a7", "^"),
    "compressed_segmentation": ("#0072b2", "s"),
    "png": ("#56b4e9", "v"),
    "jpeg2000": ("#f0e442", "<"),
    "x264": ("#882255", ">"),
}
#: Those of encodings from plug-ins.
OTHER = ("#ffffff", "h")
MARKERS = "os^DvP*X<>"

NAMES = {
    "none": "raw",
    "neuroglancer": "Neuroglancer",
    "compresso": "Compresso",
    "ristretto": "Ristretto",
    "crackle": "Crackle",
    "png": "PNG",
    "jpeg2000": "JPEG 2000",
    "brotli": "Brotli",
    "lz4": "LZ4",
    "lz78": "LZ78",
    "lzf": "LZF",
    "lzma": "LZMA",
    "lzo": "LZO",
    "lzw": "LZW",
    "zopfli": "Zopfli",
    "zstd": "Zstandard",
    "bz2": "bzip2",
}
PLAIN = FuncFormatter(lambda value, _: f"{value:,.10g}")


def family(spec: str) -> str:
    """The name of a codec without its parameters."""
    return spec.partition(":")[0]


def look(spec: str) -> tuple[str, str]:
    """Colour and marker of an encoding, the same for all its variants."""
    return LOOKS.get(family(spec), OTHER)


def codec_name(spec: str) -> str:
    """The name of a codec as people write it: ``Ristretto (effort 2)``."""
    name, _, parameters = spec.partition(":")
    text = parameters.replace("window=", "").replace("=", " ").replace(",", ", ")
    return NAMES.get(name, name) + (f" ({text})" if text else "")


def method_name(encoding: str, compression: str) -> str:
    """The name of a method: ``Compresso + LZMA``."""
    first = codec_name(encoding)
    return first if compression == "none" else f"{first} + {codec_name(compression)}"


def marked_name(method: Mapping[str, Any]) -> str:
    """The name of a method, marked if its encoding was trained on the dataset."""
    return method_name(method["encoding"], method["compression"]) + MARK * bool(method["trained"])


def dataset_name(name: str, group: str) -> str:
    """The title of a known dataset, or its name; a synthetic one says so."""
    known = datasets.CATALOGUE.get(name)
    return display_name(known.title if known else name, group)


def slug(text: str) -> str:
    """Text as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", text)


def fitted(text: str, inches: float, size: float) -> str:
    """Break text into lines of at most this width, in letters of this size in points."""
    return textwrap.fill(text, max(12, int(72 * inches / (0.62 * size))))


def finish(
    figure: Figure | SubFigure, title: str, note: str = "", handles: Sequence[Any] = ()
) -> None:
    """Set the title of a figure, and a legend with a note above it below everything."""
    inches = figure.bbox.width / figure.figure.dpi
    figure.suptitle(fitted(title, inches, 11), fontsize=11, fontweight="bold")
    for columns in range(max(len(handles), bool(note)), 0, -1):
        legend = figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            title=fitted(note, inches, SMALL),
            title_fontsize=SMALL,
            columnspacing=1.2,
        )
        if columns == 1 or legend.get_window_extent().width < figure.bbox.width:
            break
        legend.remove()


def handle(colour: str, marker: str, name: str) -> Line2D:
    """A marker and its name, for a legend."""
    return Line2D([], [], color=colour, marker=marker, ls="", markeredgecolor=INK, label=name)


def number_decades(side: Axis) -> None:
    """Put plain numbers at a logarithmic axis: at 1, 2 and 5 if few powers of ten are in view."""
    low, high = side.get_view_interval()
    decades = math.floor(math.log10(high)) - math.ceil(math.log10(low)) + 1
    side.set_major_locator(LogLocator(subs=(1,) if decades > 1 else (1, 2, 5)))
    side.set_major_formatter(PLAIN)
    side.set_minor_formatter(NullFormatter())


class Panel(NamedTuple):
    """A panel of :func:`dots`: its axis' label, and a line to compare with."""

    label: str
    log: bool = True
    line: float | None = None


def dots(
    points: pd.DataFrame,
    order: Sequence[str],
    panels: Mapping[str, Panel],
    title: str,
    note: str = "",
    figure: "Figure | SubFigure | None" = None,
) -> Any:
    """Draw a row of dots per name, with intervals, and a panel per column; returns the figure.

    Points have ``row``, a name of ``order``; ``encoding``, which gives the colour; ``set``, which
    gives the marker if there are several; ``hollow``; and the columns of the panels, for which
    ``_low`` and ``_high`` may be given.
    """
    sets = sorted(set(points["set"]))  # so that a dataset has the same marker in every figure
    markers = dict(zip(sets, MARKERS * (1 + len(sets) // len(MARKERS)), strict=False))
    height = 0.25 * len(order) + 1.6 + 0.2 * (len(sets) > 1) + 0.3 * bool(note)
    figure = figure or plt.figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)
    for axis, (value, panel) in zip(axes.flat, panels.items(), strict=True):
        known = points[np.isfinite(points[value])]
        looks = [known["encoding"].map(family), known["set"], known["hollow"]]
        for (name, one, hollow), part in known.groupby(looks):
            colour, marker = look(name)
            y = [order.index(row) for row in part["row"]]
            if f"{value}_low" in part:
                axis.hlines(y, part[f"{value}_low"], part[f"{value}_high"], colour, lw=2, alpha=0.7)
            axis.scatter(
                part[value],
                y,
                s=70 if marker == "*" and len(sets) == 1 else 42,
                marker=markers[one] if len(sets) > 1 else marker,
                facecolor="none" if hollow else colour,
                edgecolor=colour if hollow else INK,
                linewidth=1.6 if hollow else 0.5,
                zorder=3,
            )
        axis.set_xlabel(panel.label)
        if panel.log and len(known):
            axis.set_xscale("log")
            axis.margins(x=0.08)
            number_decades(axis.xaxis)
        if panel.line is not None:
            axis.axvline(panel.line, color=INK, linewidth=1, linestyle="--", zorder=1)
    axes.flat[0].set_yticks(range(len(order)), order)
    axes.flat[0].set_ylim(len(order) - 0.4, -0.6)
    for axis in axes.flat:
        axis.grid(True, axis="y", alpha=0.15)
        axis.tick_params(axis="y", length=0)
    named = markers.items() if len(sets) > 1 else ()
    finish(figure, title, note, [handle(INK, marker, name) for name, marker in named])
    return figure


def trained_note(methods: pd.DataFrame) -> str:
    """The footnote on an encoding that was trained on a dataset, if any was."""
    return f"{NOTE}." if methods["trained"].any() else ""

"""The pictures of the README and of docs/, and the tables of the results in docs/paper/paper.csv.

``python -m experiments.figures.documentation [DATASET]`` draws how Compresso works, and the
overview, which shows a slice of the dataset, by default the phantom; and it updates the tables.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from compresso import COMPRESSO
from compresso.arrays import Labels
from compresso.text import digits, file_size, method_name, ratio_text
from experiments import datasets, figures, records
from experiments.datasets import Dataset, LoadedVolume
from experiments.datasets.synthetic import Phantom
from experiments.figures import style
from experiments.figures.results import compare
from experiments.figures.style import INK, SMALL, WIDTH, dataset_name
from experiments.figures.volumes import colours, draw_window, scale_bar
from experiments.paper.claims import window_counts
from experiments.records.intervals import intervals
from experiments.records.results import BOTH, MARK, derive, newest
from experiments.text import DASH, markdown

ROOT = Path(__file__).resolve().parents[2]
#: The rows of the CSV that all of it is made from.
RESULTS = ROOT / "docs" / "paper" / "paper.csv"
#: The dataset of the README's table, and what the table calls the methods.
EXAMPLE_DATASET = "spl-knee"
EXAMPLE_METHODS = {
    ("none", "zstd"): "Raw labels + Zstandard",
    ("compresso", "lzma"): "Compresso + LZMA (the paper)",
    ("ristretto", "none"): "Ristretto",
}
#: The methods of the tables of docs/ristretto.md.
COMPARED = (
    ("ristretto", "none"),
    ("ristretto:effort=2", "none"),
    ("ristretto:effort=3", "none"),
    ("crackle:markov=5", "lzma"),
    ("compresso", "lzma"),
    ("compresso", "zstd"),
)
#: The example of the schematic: a part of a slice of the phantom.
EXAMPLE = (slice(8, 9), slice(200, 328), slice(200, 328))


def how_compresso_works(labels: Labels) -> Figure:
    """Draw the steps of the encoding on one slice of labels, of shape (1, ny, nx)."""
    stream = COMPRESSO.compress(labels)
    header = np.frombuffer(stream, "<u8", 9).astype(int)
    ids, values, locations = header[3:6]
    parts = {
        "header": 72,
        "label of each region": 8 * ids,
        "different windows": 8 * values,
        "exceptions": 8 * locations,
        "index of each window": len(stream) - 72 - 8 * (ids + values + locations),
    }
    plane = labels[0]
    boundary = np.zeros(plane.shape, bool)
    boundary[:, :-1] |= plane[:, :-1] != plane[:, 1:]
    boundary[:-1] |= plane[:-1] != plane[1:]
    figure = plt.figure(figsize=(WIDTH, 3.1), layout="constrained")
    first, second, third, fourth = figure.subfigures(1, 4, False, width_ratios=(1, 1, 1, 1.15)).flat
    axis = first.subplots()
    axis.imshow(colours(plane), interpolation="nearest")
    first.suptitle("1. Labels", fontsize=10, fontweight="bold")
    axis.set_title(f"{len(np.unique(plane))} labels, {plane.size * 8:,} bytes", fontsize=SMALL)
    grid = second.subplots()
    grid.imshow(boundary, cmap="gray_r", interpolation="nearest")
    second.suptitle("2. Boundary map", fontsize=10, fontweight="bold")
    grid.set_title("in windows of 8 x 8 voxels", fontsize=SMALL)
    for at in range(8, len(plane), 8):
        grid.axhline(at - 0.5, color="#56b4e9", linewidth=0.8)
        grid.axvline(at - 0.5, color="#56b4e9", linewidth=0.8)
    for one in (axis, grid):
        one.set(xticks=[], yticks=[], anchor="N")
        one.grid(False)
        one.spines[:].set_visible(True)
    windows, counts = window_counts(LoadedVolume(Dataset("example"), labels))
    axes = third.subplots(4, 4)
    for axis, index in zip(axes.flat, np.argsort(-counts, kind="stable"), strict=False):
        draw_window(axis, windows[index])
        axis.set_xlabel(f"{counts[index]} x", fontsize=SMALL, labelpad=1)
    title = f"3. {counts.sum()} windows, {len(windows)} different"
    third.suptitle(title, fontsize=10, fontweight="bold")
    axis = fourth.subplots()
    shades = ("#b8b8b8", "#009e73", "#d55e00", "#cc79a7", "#0072b2")
    axis.barh(range(5), [*parts.values()], 0.45, color=shades, edgecolor=INK, linewidth=0.5)
    for i, (name, size) in enumerate(parts.items()):
        axis.text(0, i - 0.34, f"{name}, {size:,} bytes", fontsize=SMALL, va="bottom")
    axis.set_ylim(len(parts) - 0.5, -0.8)
    axis.set_axis_off()
    fourth.suptitle(f"4. Stream, {len(stream):,} bytes", fontsize=10, fontweight="bold")
    return figure


def overview(volume: LoadedVolume, table: pd.DataFrame) -> Figure:
    """Draw a slice of a volume next to the ratios of the methods of a table of results."""
    figure = plt.figure(figsize=(WIDTH, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, False, width_ratios=(1, 2)).flat
    axis = left.subplots()
    planes = volume.labels[:: max(1, len(volume.labels) // 16)]
    plane = max(planes, key=lambda labels: len(np.unique(labels)))
    axis.imshow(colours(plane), interpolation="nearest")
    axis.set_axis_off()
    axis.set_anchor("N")
    scale_bar(axis, plane.shape[1])
    count = np.count_nonzero(np.unique(plane))
    name = dataset_name(volume.dataset.name, volume.dataset.group)
    style.finish(left, f"{name}: {count:,} labels in a slice")
    compare(intervals(derive(newest(table))), right)
    return figure


def tables(table: pd.DataFrame) -> Iterator[tuple[Path, list[str]]]:
    """Yield the Markdown tables made from a table of results, each with the page that shows it."""
    found = intervals(derive(newest(table))).sort_values("trained", kind="stable")
    lines = {tuple(line[name] for name in records.METHOD): line for _, line in found.iterrows()}
    own = {method: lines[EXAMPLE_DATASET, *method] for method in EXAMPLE_METHODS}
    rows = [
        [
            name,
            file_size(int(own[method]["compressed_bytes"])),
            ratio_text(own[method]["ratio"]),
            *(f"{digits(own[method][speed])} MB/s" for speed in BOTH),
        ]
        for method, name in EXAMPLE_METHODS.items()
    ]
    heads = [dataset_name(EXAMPLE_DATASET, ""), "size", "ratio", *BOTH.values()]
    yield ROOT / "README.md", list(markdown(heads, rows))

    contents: dict[str, Callable[[Any], str]] = {
        "ratio": lambda line: ratio_text(line["ratio"]),
        "MB/s, compress / decompress": lambda line: " / ".join(digits(line[s]) for s in BOTH),
    }
    groups = dict(zip(found["dataset"], found["group"], strict=True))
    for title, show in contents.items():
        rows = []
        for name, group in groups.items():
            rows.append([dataset_name(name, group)])
            for line in (lines.get((name, *method)) for method in COMPARED):
                rows[-1] += [DASH if line is None else show(line) + MARK * bool(line["trained"])]
        heads = [title, *(method_name(*method) for method in COMPARED)]
        yield ROOT / "docs" / "ristretto.md", list(markdown(heads, rows))


def _update(page: Path, lines: list[str]) -> None:
    """Replace the table of a page that has the same heads."""
    text = page.read_text(encoding="utf-8")
    start = text.index(lines[0])
    end = text.index("\n\n", start)
    page.write_text(text[:start] + "\n".join(lines) + text[end:], encoding="utf-8")


def main(spec: str = "phantom") -> None:
    """Draw both pictures, and update the tables."""
    folder = ROOT / "docs" / "images"
    example = Phantom().labels(EXAMPLE[0].stop)[EXAMPLE]
    with figures.drawing():
        written = [
            *figures.save(how_compresso_works(example), folder, "how-compresso-works", "svg", "png")
        ]
        (dataset,) = datasets.choose(spec, ROOT / "data")
        table = records.read(RESULTS)
        written += figures.save(overview(dataset.load(), table), folder, "overview", "svg", "png")
    for page, lines in tables(table):
        _update(page, lines)
        written.append(page)
    for path in dict.fromkeys(written):
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])

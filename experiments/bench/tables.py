"""The benchmark of one volume as Markdown tables, and as a picture."""

import math
from pathlib import Path

import numpy as np

from experiments.bench.entries import BARE, FRAMED, SAME_COPY, STAGES, Entry, Labels
from experiments.records.intervals import Interval, interval

COLOURS = {"copy": "#c8c8c8", "ours": "#d7191c", "peer": "#5f5f5f"}
#: Ours, and the peer that makes the same stream or has the same purpose, by how its name begins
#: and how it ends.
BESIDE = (
    ("compresso", "PyPI compresso", " 8x8x1"),
    ("compresso:window=4x4x1", "PyPI compresso", " 4x4x1"),
    ("cpso", "PyPI compresso", " 4x4x1, index"),
    ("cpso:index=0", "PyPI compresso", " 4x4x1"),
    ("cpso:window=8x8x1,index=0", "PyPI compresso", " 8x8x1"),
    ("compressed_segmentation", "compressed-segmentation", ""),
    ("neuroglancer", "compressed-segmentation", ""),
    ("compresso", "Crackle", ""),
    ("ristretto", "Crackle", ""),
)
#: Of a ratio: encoding, and decoding to a new array, which is all that peers can.
COMPARED = ("encode_s", "decode_new_s")


def speeds(labels: Labels, entries: list[Entry]) -> list[str]:
    """A line an entry: MVx/s by medians, with 95% intervals, and the size of its stream."""
    lines = [
        "| | encode MVx/s | decode MVx/s | decode to a new array MVx/s | bits a voxel |",
        "|---|---:|---:|---:|---:|",
    ]
    for entry in entries:
        cells = [_speed(labels, entry.values(stage)) for stage in STAGES]
        sizes = entry.values("bytes")
        cells.append(f"{8 * sizes[0] / labels.size:.3f}" if sizes else "")
        lines.append(f"| {entry.name} | {' | '.join(cells)} |")
    return lines


def beside_peers(entries: list[Entry]) -> list[str]:
    """How many times our time a peer takes, within each round; nothing without peers."""
    lines = [
        "| ours | peer | encode: peer's time / ours | decode to a new array: peer's time / ours |",
        "|---|---|---:|---:|",
    ]
    named = {entry.name: entry for entry in entries}
    for name, begin, end in BESIDE:
        for peer in entries:
            if peer.kind == "peer" and peer.name.startswith(begin) and peer.name.endswith(end):
                found = [_ratio(peer.ratios(named[name], stage)) for stage in COMPARED]
                lines.append(f"| {name} | {peer.name} | {' | '.join(found)} |")
    return [*lines, ""] if len(lines) > 2 else []


def beside_copies(entries: list[Entry]) -> list[str]:
    """Our time by that of a copy: to memory that is there, and to new memory."""
    named = {entry.name: entry for entry in entries}
    copy = named[SAME_COPY]
    lines = [
        "| | encode / copy | decode / copy | decode to a new array / copy to a new array |",
        "|---|---:|---:|---:|",
    ]
    for name in ("compresso", "neuroglancer"):
        found = [_ratio(named[name].ratios(copy, stage)) for stage in STAGES]
        lines.append(f"| {name} | {' | '.join(found)} |")
    return lines


def of_frame(entries: list[Entry]) -> str:
    """What the frame costs."""
    named = {entry.name: entry for entry in entries}
    bare, framed = named[BARE], named[FRAMED]
    sizes = framed.values("bytes")[0] / bare.values("bytes")[0]
    encode, decode = (_ratio(framed.ratios(bare, stage)) for stage in COMPARED)
    return (
        f"The frame costs {sizes - 1:.3%} of the bytes; compressing takes {encode} and "
        f"decompressing {decode} times as long as without it."
    )


def of_kernels(labels: Labels, kernels: dict[str, Interval]) -> list[str]:
    """A line a kernel."""
    lines = ["| kernel of `compresso`, alone | MVx/s |", "|---|---:|"]
    for name, seconds in kernels.items():
        lines.append(f"| {name} | {seconds.over(labels.size / 1e6).spelled(',.0f')} |")
    return lines


def _speed(labels: Labels, seconds: list[float]) -> str:
    return interval(seconds).over(labels.size / 1e6).spelled(",.0f") if seconds else ""


def _ratio(ratios: list[float]) -> str:
    return interval(ratios).spelled() if ratios else ""


def draw(labels: Labels, entries: list[Entry], title: str, directory: Path) -> Path:
    """Draw the medians as horizontal bars; returns the picture's path."""
    import matplotlib.pyplot as plt

    from experiments.figures import STYLE, save

    with plt.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = plt.subplots(
            1, 2, figsize=(11, 0.36 * len(entries) + 1.6), sharey=True, layout="constrained"
        )
        for axis, stage in zip(axes, COMPARED, strict=True):
            found = [_bounds(labels, entry.values(stage)) for entry in entries]
            medians = [each.median for each in found]
            reach = [
                [each.median - each.low for each in found],
                [each.high - each.median for each in found],
            ]
            colours = [COLOURS[entry.kind] for entry in entries]
            bars = axis.barh(
                [entry.name for entry in entries],
                np.nan_to_num(medians),
                color=colours,
                xerr=np.nan_to_num(reach),
                error_kw={"elinewidth": 0.9, "ecolor": "0.15"},
            )
            shown = ["" if math.isnan(median) else f"{median:,.0f}" for median in medians]
            axis.bar_label(bars, shown, padding=3, fontsize=8)
            axis.set_xlabel("encode, MVx/s" if stage == "encode_s" else "decode to new, MVx/s")
            axis.margins(x=0.12)
        axes[0].invert_yaxis()
        figure.suptitle(title, fontsize=11, fontweight="bold")
        return min(
            save(figure, directory, f"bench_{labels.dtype}"), key=lambda p: p.suffix != ".png"
        )


def _bounds(labels: Labels, seconds: list[float]) -> Interval:
    nothing = Interval(math.nan, math.nan, math.nan)
    return interval(seconds).over(labels.size / 1e6) if seconds else nothing

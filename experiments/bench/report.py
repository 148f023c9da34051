"""The benchmark as Markdown tables, and as a picture."""

import math
import statistics
from pathlib import Path

import numpy as np

from experiments.bench.entries import BARE, FRAMED, Entry, Labels
from experiments.bench.kernels import scaling

COLOURS = {"copy": "#c8c8c8", "ours": "#d7191c", "peer": "#5f5f5f"}


def report(labels: Labels, entries: list[Entry], kernels: dict[str, float], threads: int) -> str:
    """The benchmark as Markdown tables.

    MVx/s are medians. Ratios are medians over rounds of the entry's time by that of our
    ``compresso`` in the same round.
    """
    named = {entry.name: entry for entry in entries}
    ours = named["compresso"]
    megavoxels = labels.size / 1e6
    lines = [
        "| | encode MVx/s | decode MVx/s | encode: time / ours | decode: time / ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for entry in entries:
        tasks = ((entry.encode_s, ours.encode_s), (entry.decode_s, ours.decode_s))
        cells = [_spell(megavoxels / statistics.median(seconds), ",.0f") for seconds, _ in tasks]
        cells += [_spell(_ratio(seconds, base), ".2f") for seconds, base in tasks]
        lines.append(f"| {entry.name} | {' | '.join(cells)} |")
    bare, framed = named[BARE], named[FRAMED]
    lines += [
        "",
        f"The frame costs {framed.size / bare.size - 1:.3%} of the bytes; compressing takes "
        f"{_ratio(framed.encode_s, bare.encode_s):.2f} and decompressing "
        f"{_ratio(framed.decode_s, bare.decode_s):.2f} times as long as without it.",
        "",
        f"On this machine {threads} threads that share nothing do {scaling(threads):.2f} times "
        "the work of one.",
    ]
    lines += ["", "| kernel of `compresso`, alone | MVx/s |", "|---|---:|"]
    lines += [f"| {name} | {megavoxels / seconds:,.0f} |" for name, seconds in kernels.items()]
    return "\n".join(lines)


def _ratio(seconds: list[float], base: list[float]) -> float:
    return statistics.median(s / b for s, b in zip(seconds, base, strict=True))


def _spell(number: float, form: str) -> str:
    """A number as text, nothing for what was not measured."""
    return "" if math.isnan(number) else format(number, form)


def draw(labels: Labels, entries: list[Entry], title: str, directory: Path) -> Path:
    """Draw the medians as horizontal bars; returns the picture's path."""
    import matplotlib.pyplot as plt

    from experiments.figures import STYLE, save

    megavoxels = labels.size / 1e6
    with plt.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = plt.subplots(
            1, 2, figsize=(11, 0.36 * len(entries) + 1.6), sharey=True, layout="constrained"
        )
        for axis, task in zip(axes, ("encode", "decode"), strict=True):
            speeds = [megavoxels / statistics.median(getattr(e, f"{task}_s")) for e in entries]
            colours = [COLOURS[entry.kind] for entry in entries]
            bars = axis.barh([e.name for e in entries], np.nan_to_num(speeds), color=colours)
            axis.bar_label(bars, [_spell(s, ",.0f") for s in speeds], padding=3, fontsize=8)
            axis.set_xlabel(f"{task}, MVx/s")
            axis.margins(x=0.12)
        axes[0].invert_yaxis()
        figure.suptitle(title, fontsize=11, fontweight="bold")
        return min(
            save(figure, directory, f"bench_{labels.dtype}"), key=lambda p: p.suffix != ".png"
        )

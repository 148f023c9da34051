"""The paper's Figure 3: the most frequent windows of a volume, and some that never occur."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.datasets import LoadedVolume
from experiments.figures._figure import VolumeFigure
from experiments.paper.coverage import FREQUENT, window_counts
from experiments.text import display_name

ABSENT = 5  # random windows that never occur


class FrequentWindows(VolumeFigure):
    """The paper's Figure 3: the most frequent windows of a volume, and some that never occur."""

    name = "frequent_windows"

    def draw(self, volume: LoadedVolume) -> Figure | None:
        """Draw the figure of one volume; the windows are 8x8x1."""
        values, counts = window_counts(volume)
        if counts.sum() == 0:
            return None
        order = np.argsort(-counts, kind="stable")[:FREQUENT]
        share = counts[order].sum() / counts.sum()
        figure = plt.figure(figsize=(9.2, 6.2), layout="constrained")
        axes = figure.subplots(FREQUENT // 16 + 2, 16, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, index in zip(axes.flat, order, strict=False):
            percent = 100 * counts[index] / counts.sum()
            _show(axis, values[index], f"{percent:.1f}%" if percent >= 0.05 else f"{percent:.2f}%")
        random, known = np.random.RandomState(0), set(values)
        absent = [w for w in _random_windows(random) if w not in known]
        for axis, window in zip(axes[-1], absent[:ABSENT], strict=False):
            _show(axis, window, "never")
        figure.suptitle(
            f"{display_name(volume.name, volume.group)}: {len(order)} windows cover {share:.1%} of "
            f"{counts.sum():,}, {len(values):,} distinct; last row: random ones that never occur",
            fontsize=10,
        )
        return figure


def _random_windows(random: np.random.RandomState) -> list[np.uint64]:
    return list(np.frombuffer(random.bytes(8 * 4 * ABSENT), "<u8"))


def _show(axis: Axes, window: np.uint64, title: str) -> None:
    bits = np.unpackbits(np.array([window], "<u8").view(np.uint8), bitorder="little")
    axis.imshow(bits.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
    axis.spines[:].set_visible(True)
    axis.set_title(title, fontsize=6, pad=2)

"""The figures that show a volume itself: some of its slices, and its most frequent windows."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compresso.arrays import as_volume
from compresso.text import counted, extent
from compresso.volumes import Volume, geometry_of
from experiments.datasets import LoadedVolume
from experiments.figures import style
from experiments.figures.style import INK, SMALL, WIDTH, dataset_name
from experiments.paper.claims import FREQUENT_WINDOWS, window_counts

#: Where the slices are, among those that hold labels.
SHOWN_SHARES = (0.25, 0.5, 0.75)
#: How many slices are read to find them, or three of a volume of more voxels than this; and the
#: most voxels of a slice that is shown.
SAMPLED_SLICES, LARGE_VOLUME, LARGEST_SLICE = 33, 1 << 30, 1 << 24
ABSENT_WINDOWS = 5  # random windows that never occur
WINDOWS_PER_ROW = 20


def slices(volume: Volume, name: str, depth: int) -> Figure | None:
    """The slices at 25, 50 and 75% of those that hold labels.

    Each label has its own colour; 0 is black.
    """
    if math.prod(volume.shape[1:]) > LARGEST_SLICE:
        return None
    count = SAMPLED_SLICES if volume.voxels <= LARGE_VOLUME else len(SHOWN_SHARES)
    sample = dict.fromkeys(round(z) for z in np.linspace(0, depth - 1, count + 2)[1:-1] if depth)
    planes = {z: as_volume(volume.read(z, z + 1))[0] for z in sample}
    filled = [z for z, plane in planes.items() if plane.any()]
    if not filled:
        return None
    shown = dict.fromkeys(filled[int(share * (len(filled) - 1))] for share in SHOWN_SHARES)
    height = min(6.0, max(0.75, WIDTH / 3 * volume.shape[1] / volume.shape[2])) + 0.75
    figure = plt.figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, z in zip(axes.flat, shown, strict=True):
        axis.imshow(colours(planes[z]), interpolation="nearest")
        count = int(np.count_nonzero(np.unique(planes[z])))
        axis.set_title(f"slice {z}, {counted(count, 'label')}", fontsize=SMALL)
        axis.set_axis_off()
    title = f"{name}, {extent(volume.shape)} {volume.dtype}"
    scale = (1.0, "voxels")
    if geometry := geometry_of(volume.metadata):
        step, unit = geometry.spacing[2], geometry.length
        scale = (step, unit) if step and unit else scale
        size = " x ".join(f"{length:g}" if length else "?" for length in geometry.spacing[::-1])
        title += f", voxels of {size} {unit or ''}".rstrip()
    scale_bar(axes.flat[0], volume.shape[2], *scale)
    style.finish(figure, title)
    return figure


def scale_bar(axis: Axes, width: int, step: float = 1, unit: str = "voxels") -> None:
    """Draw a bar of a round length, about a quarter of ``width`` voxels of ``step`` units each."""
    most = max(1, width / 3) * step
    decade = 10 ** math.floor(math.log10(most))
    number = max((n * decade for n in (1, 2, 5) if n * decade <= most), default=decade)
    length = number / step
    if unit == "nm" and number >= 1000:
        number, unit = number / 1000, "\u00b5m"
    box: dict[str, Any] = {"facecolor": "black", "alpha": 0.65, "edgecolor": "none", "pad": 2}
    axis.plot([0.04 * width, 0.04 * width + length], [0.04 * width] * 2, color="white", lw=3)
    at = (0.04 * width, 0.07 * width)
    axis.text(*at, f"{number:g} {unit}", color="white", size=SMALL, va="top", bbox=box)


def colours(labels: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Colours (y, x, 3) of a slice: a hash of the label chooses hue and shade, 0 is black."""
    mixed = labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hue = (mixed >> np.uint64(40)).astype(float) / 2**24
    shade = 0.55 + 0.45 * ((mixed >> np.uint64(32)) & np.uint64(255)).astype(float) / 255
    hsv = [hue, np.full_like(hue, 0.65), np.where(labels == 0, 0, shade)]
    return np.asarray(hsv_to_rgb(np.stack(hsv, axis=-1)))


def frequent_windows(volume: LoadedVolume) -> Figure | None:
    """The most frequent windows of the boundary map, as in the paper's Figure 3.

    Percentages: share of all windows down to the end of the row.
    """
    values, counts = window_counts(volume)
    if counts.sum() == 0:
        return None
    order = np.argsort(-counts, kind="stable")[:FREQUENT_WINDOWS]
    shares = np.cumsum(counts[order]) / counts.sum()
    down = -(-len(order) // WINDOWS_PER_ROW) + 1
    figure = plt.figure(figsize=(WIDTH, 0.45 * down + 0.9), layout="constrained")
    axes = figure.subplots(down, WINDOWS_PER_ROW + 1, width_ratios=[*[1] * WINDOWS_PER_ROW, 1.3])
    for axis in axes.flat:
        axis.set_axis_off()
    for i, index in enumerate(order):
        draw_window(axes[i // WINDOWS_PER_ROW, i % WINDOWS_PER_ROW], values[index])
    for row, line in enumerate(axes[:-1]):
        last = min(len(order), (row + 1) * WINDOWS_PER_ROW) - 1
        _note(line[-1], f"{shares[last]:.1%}")
    random, known = np.random.RandomState(0), set(values)
    drawn = np.frombuffer(random.bytes(8 * 4 * ABSENT_WINDOWS), "<u8")
    absent = [window for window in drawn if window not in known][:ABSENT_WINDOWS]
    for axis, window in zip(axes[-1], absent, strict=False):
        draw_window(axis, window)
    if absent:
        _note(axes[-1, len(absent)], "random windows that never occur")
    name = dataset_name(volume.dataset.name, volume.dataset.group)
    title = f"{name}: the {len(order)} most frequent of "
    title += f"{len(values):,} different 8x8x1 windows make up {shares[-1]:.1%} of all "
    style.finish(figure, f"{title}{counts.sum():,}")
    return figure


def _note(axis: Axes, text: str) -> None:
    axis.text(0, 0.5, text, va="center", fontsize=SMALL).set_in_layout(False)


def draw_window(axis: Axes, window: np.uint64) -> None:
    """Draw the 64 bits of a window, boundaries dark."""
    bits = np.unpackbits(np.array([window], "<u8").view(np.uint8), bitorder="little")
    axis.imshow(bits.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color(INK)

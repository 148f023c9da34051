"""The paper's Figure 1: slices of a volume, each label in a colour of its own."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compresso.arrays import as_volume
from experiments.datasets import LoadedVolume
from experiments.figures._figure import VolumeFigure
from experiments.text import display_name

SHOWN = 3


class Slices(VolumeFigure):
    """The paper's Figure 1: slices of a volume, each label in a colour of its own."""

    name = "slices"

    def draw(self, volume: LoadedVolume) -> Figure | None:
        """Draw the fullest slice of each third of those that hold labels."""
        labels = as_volume(volume.labels)
        filled = np.array([np.count_nonzero(plane) for plane in labels])
        thirds = np.array_split(np.flatnonzero(filled), SHOWN)
        places = [int(third[np.argmax(filled[third])]) for third in thirds if third.size]
        if not places:
            return None
        figure, axes = plt.subplots(
            1, len(places), figsize=(3.4 * len(places), 3.8), squeeze=False, layout="constrained"
        )
        for axis, z in zip(axes.flat, places, strict=True):
            axis.imshow(colours(labels[z]), interpolation="nearest")
            axis.set_title(f"slice {z}", fontsize=9)
            axis.set_axis_off()
        figure.suptitle(display_name(volume.name, volume.group), fontsize=11, fontweight="bold")
        return figure


def colours(labels: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Colours (y, x, 3) of a slice: a hash of the label chooses hue and shade, 0 is black."""
    mixed = labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hue = (mixed >> np.uint64(40)).astype(float) / 2**24
    shade = 0.55 + 0.45 * ((mixed >> np.uint64(32)) & np.uint64(255)).astype(float) / 255
    coloured: NDArray[np.float64] = hsv_to_rgb(
        np.stack([hue, np.full_like(hue, 0.65), np.where(labels == 0, 0, shade)], axis=-1)
    )
    return coloured

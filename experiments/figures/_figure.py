"""What a figure is: one class a file, whose name is the file's that is drawn."""

from abc import abstractmethod
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from compresso.plugins import Plugin
from experiments.datasets import LoadedVolume


@dataclass(frozen=True)
class ResultsFigure(Plugin):
    """A figure of measured rows."""

    @abstractmethod
    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw derived rows; None where there is nothing to show."""


@dataclass(frozen=True)
class VolumeFigure(Plugin):
    """A figure that shows a volume itself."""

    @abstractmethod
    def draw(self, volume: LoadedVolume) -> Figure | None:
        """Draw a volume; None where there is nothing to show."""

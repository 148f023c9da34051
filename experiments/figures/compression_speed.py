"""Speed of both stages, compressing, a panel a dataset."""

import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure


class CompressionSpeed(ResultsFigure):
    """Speed of both stages, compressing, a panel a dataset."""

    name = "compression_speed"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw the figure of derived rows."""
        return bars.panels(
            rows, "compress_speed", "Speed [MB/s, 8 bytes a voxel]", "Total compression speed"
        )

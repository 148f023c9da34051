"""Compression ratio, a panel a dataset."""

import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure


class CompressionRatio(ResultsFigure):
    """Compression ratio, a panel a dataset."""

    name = "compression_ratio"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw the figure of derived rows."""
        return bars.panels(
            rows, "ratio", "Compression Ratio\n(Original / Compressed)", "Compression ratio"
        )

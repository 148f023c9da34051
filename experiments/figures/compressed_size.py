"""Size after both stages, a panel a dataset."""

import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import _bars as bars
from experiments.figures._figure import ResultsFigure


class CompressedSize(ResultsFigure):
    """Size after both stages, a panel a dataset."""

    name = "compressed_size"

    def draw(self, rows: pd.DataFrame) -> Figure | None:
        """Draw the figure of derived rows."""
        return bars.panels(rows, "size_mb", "Compressed size [MB]", "Compressed size")

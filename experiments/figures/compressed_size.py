"""Size after both stages, a panel a dataset."""

import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import bars


def draw(rows: pd.DataFrame) -> Figure | None:
    """Draw the figure of derived rows."""
    return bars.panels(rows, "size_mb", "Compressed size [MB]", "Compressed size")

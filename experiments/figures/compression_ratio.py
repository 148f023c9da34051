"""Compression ratio, a panel a dataset."""

import pandas as pd
from matplotlib.figure import Figure

from experiments.figures import bars


def draw(rows: pd.DataFrame) -> Figure | None:
    """Draw the figure of derived rows."""
    return bars.panels(
        rows, "ratio", "Compression Ratio\n(Original / Compressed)", "Compression ratio"
    )

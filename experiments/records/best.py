"""Which result is the best: one rule for tables, figures, the report and answers."""

from typing import Any

import pandas as pd

#: Columns whose smallest value is the best; in all others it is the largest.
SMALLEST = ("size_mb", "encoded_bytes", "compressed_bytes")


def is_raw(encoding: Any, compression: Any) -> Any:
    """Whether neither stage does anything: raw labels take no time, and so have no speed.

    Parameters
    ----------
    encoding, compression : str, or Series of them

    Returns
    -------
    bool, or a Series of them
    """
    return (encoding == "none") & (compression == "none")


def best(values: "pd.Series[float]") -> Any:
    """The index of the best value, by the name of its column; None if every value is NaN."""
    known = values.dropna()
    if known.empty:
        return None
    return known.idxmin() if values.name in SMALLEST else known.idxmax()

"""Numbers for people."""

import numpy as np


def plainly(value: float) -> str:
    """A number without exponent: whole from 10 on, and of two digits below."""
    if value >= 9.95:
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")

"""The results: rows, the CSV that keeps them, statistics of them, and their table.

A row is one run of one method. Ratios and speeds are not stored: ``results.derive`` computes them,
``intervals.intervals`` their medians and 95% intervals, ``intervals.ranks`` who is faster.
"""

from experiments.records.rows import (
    COLUMNS,
    OK,
    Outcome,
    Row,
    append,
    check,
    cpu,
    environment,
    key,
    measured,
    now,
    read,
    status_of,
    tabulate,
)

__all__ = ["COLUMNS", "OK", "Outcome", "Row", "append", "check", "cpu", "environment"]
__all__ += ["key", "measured", "now", "read", "status_of", "tabulate"]

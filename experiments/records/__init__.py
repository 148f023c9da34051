"""The results: rows, the CSV that keeps them, what is derived from them, and their table.

A row is one run of one cell. Ratios and speeds are not stored; :func:`derived.derive` computes
them, :func:`intervals.intervals` their medians and 95% intervals, :func:`intervals.places` who is
faster than whom.
"""

from experiments.records.columns import COLUMNS, FIRST_COLUMNS, Row, key, tabulate
from experiments.records.environment import cpu, environment, now
from experiments.records.file import append, check, measured, read
from experiments.records.status import OK, Outcome, Status

__all__ = ["COLUMNS", "FIRST_COLUMNS", "OK", "Outcome", "Row", "Status", "append", "check"]
__all__ += ["cpu", "environment", "key", "measured", "now", "read", "tabulate"]

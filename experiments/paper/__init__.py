"""The paper: what it measured and claims, and a report that compares our measurements with it."""

from experiments.paper.claims import Coverage, compared, coverage
from experiments.paper.published import all_methods, current_methods, methods
from experiments.paper.report import report

__all__ = [
    "Coverage",
    "all_methods",
    "compared",
    "coverage",
    "current_methods",
    "methods",
    "report",
]

"""The paper: what it measured, what it claims, and a report that sets ours beside it."""

from experiments.paper.coverage import Coverage, coverage
from experiments.paper.report import report
from experiments.paper.schemes import cells
from experiments.paper.today import cells as cells_of_today

__all__ = ["Coverage", "cells", "cells_of_today", "coverage", "report"]

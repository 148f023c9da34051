"""Measuring: a cell, which cells, and where they run."""

from experiments.measure.cell import Cell, measure
from experiments.measure.grid import Conditions, Grid, Skip, pairs

__all__ = ["Cell", "Conditions", "Grid", "Skip", "measure", "pairs"]

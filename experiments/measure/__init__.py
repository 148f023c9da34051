"""Measuring: a cell, which cells, in which order, and where they run."""

from experiments.measure.cell import Cell, measure, prepared, warm_up
from experiments.measure.clock import Clock
from experiments.measure.grid import Conditions, Grid, Skip, pairs
from experiments.measure.rounds import SEED, rounds
from experiments.measure.scheduler import Spread

__all__ = ["SEED", "Cell", "Clock", "Conditions", "Grid", "Skip", "measure", "pairs", "rounds"]
__all__ += ["Spread", "prepared", "warm_up"]

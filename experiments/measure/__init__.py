"""Measure methods, which are an encoding and a compressor each, on volumes of labels."""

from experiments.measure.clock import Clock, rounds
from experiments.measure.grid import Grid
from experiments.measure.method import Method, combine, measure, prepared, warm_up

__all__ = ["Clock", "Grid", "Method", "combine", "measure", "prepared", "rounds", "warm_up"]

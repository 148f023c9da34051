"""The clock of every measurement, and memory that is there before it starts."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels

T = TypeVar("T")
#: The stage of a clock that is the cost of new memory.
NEW_MEMORY = "new_memory"


class Clock:
    """Adds up the nanoseconds of each stage."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    def time(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        """Do the work, the clock running."""
        start = perf_counter_ns()
        result = work(*arguments)
        self.ns[stage] = self.ns.get(stage, 0) + perf_counter_ns() - start
        return result

    @property
    def seconds(self) -> dict[str, float]:
        """The seconds of each stage, by the names of the CSV's columns."""
        return {f"{stage}_s": ns / 1e9 for stage, ns in self.ns.items()}

    def touched(self, shape: tuple[int, ...], dtype: DTypeLike) -> Labels:
        """A new array whose every page the system has given; what that took is a stage of its own.

        The first write to a page of new memory waits until the system has found and cleared it.
        """
        made = np.empty(shape, dtype)
        self.time(NEW_MEMORY, made.fill, 0)
        return made

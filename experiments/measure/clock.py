"""The clock of every measurement, and memory that is there before it starts."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels
from compresso.parallel import in_order

T = TypeVar("T")
R = TypeVar("R")
#: The stage of a clock that is the cost of new memory.
NEW_MEMORY = "new_memory"


class Clock:
    """Adds up the nanoseconds of each stage."""

    #: What tells the time; another one may count only what this process was given.
    now: Callable[[], int] = staticmethod(perf_counter_ns)

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    def time(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        """Do the work, the clock running."""
        start = self.now()
        result = work(*arguments)
        self._add(stage, self.now() - start)
        return result

    def share(
        self, work: Callable[["Clock", T], R], items: Sequence[T], at_once: int = 1
    ) -> list[R]:
        """Do the work for each item, so many at once; the time is divided among its stages.

        Parameters
        ----------
        work : callable
            Given a clock of its own, which it tells its stages, and an item.
        items : sequence
        at_once : int
            One at a time, a stage takes what the clocks say. Those of several items overlap: all
            together take the time from the first to the last, and each its part of it, as it has of
            the time of all threads.
        """
        clocks = [Clock() for _ in items]
        start = self.now()
        results = list(in_order(lambda pair: work(*pair), zip(clocks, items, strict=True), at_once))
        whole = self.now() - start
        spent = max(1, sum(sum(clock.ns.values()) for clock in clocks))
        for clock in clocks:
            for stage, ns in clock.ns.items():
                self._add(stage, ns if at_once == 1 else whole * ns // spent)
        return results

    def _add(self, stage: str, ns: int) -> None:
        self.ns[stage] = self.ns.get(stage, 0) + ns

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

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
    """Adds up the nanoseconds of each stage.

    Parameters
    ----------
    now : callable
        Tells the time, in nanoseconds; another one may count only what this process was given.
    """

    def __init__(self, now: Callable[[], int] = perf_counter_ns) -> None:
        self.now = now
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

        One at a time, a stage takes what its clock says. Of several the stages overlap: the time
        from the first start to the last end is divided in proportion to what all threads spent in
        each. What they did outside the stages has its part of it, which is left out.

        Parameters
        ----------
        work : callable
            Given a clock of its own, which it tells its stages, and an item.
        items : sequence
        at_once : int
        """
        clocks = [Clock(self.now) for _ in items]

        def timed(pair: tuple[Clock, T]) -> tuple[R, int]:
            start = self.now()
            result = work(*pair)
            return result, self.now() - start

        start = self.now()
        done = list(in_order(timed, zip(clocks, items, strict=True), at_once))
        whole = self.now() - start
        spent = max(1, sum(ns for _, ns in done))
        for clock in clocks:
            for stage, ns in clock.ns.items():
                self._add(stage, ns if at_once == 1 else whole * ns // spent)
        return [result for result, _ in done]

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

"""The clock of every measurement, and the order in which things are measured."""

import random
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels
from compresso.parallel import in_order

T = TypeVar("T")
R = TypeVar("R")
SEED = 2017


def rounds(items: Sequence[T], runs: int, seed: int = SEED) -> Iterator[tuple[int, T]]:
    """Yield every item once per round, so that a slower machine slows all of them alike.

    Parameters
    ----------
    items : sequence
    runs : int
        Number of rounds. A single round keeps the order of the items; several rounds are each in
        a random order.
    seed : int
        Random seed of the orders.

    Yields
    ------
    run : int
        The round, from 1 on.
    item
    """
    for run in range(1, runs + 1):
        order = list(items)
        if runs > 1:
            random.Random(f"{seed} {run}").shuffle(order)
        for item in order:
            yield run, item


class Clock:
    """Adds up the nanoseconds of each stage.

    Parameters
    ----------
    now : callable
        Returns the time in nanoseconds. Another one may count only the time of this process.
    """

    def __init__(self, now: Callable[[], int] = perf_counter_ns) -> None:
        self.now = now
        self.ns: dict[str, int] = {}

    def time(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        """Call a function, and add its time to a stage."""
        start = self.now()
        result = work(*arguments)
        self._add(stage, self.now() - start)
        return result

    def share(
        self, work: Callable[["Clock", T], R], items: Sequence[T], at_once: int = 1
    ) -> list[R]:
        """Call a function for each item, ``at_once`` at a time, and add to the stages it times.

        The stages of several items overlap. Then the time from the first start to the last end is
        divided in proportion to what all threads spent in each stage; what they spent outside the
        stages is not counted.

        Parameters
        ----------
        work : callable
            Takes a clock of its own, with which it times its stages, and an item.
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
        """Return a new array that has been written to, which is the stage ``new_memory``.

        The first write to a freshly allocated page waits until the system has cleared it.
        """
        made = np.empty(shape, dtype)
        self.time("new_memory", made.fill, 0)
        return made

"""The clock of every measurement, the order of measurements, and what else the machine did."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import DTypeLike

from compresso.arrays import Labels
from compresso.parallel import in_order
from experiments.records import Row

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


#: Shorter measurements have no share of other processes: the system counts hundredths of a second.
SHORTEST_S = 0.2
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Surroundings:
    """The state of the machine at one moment.

    Parameters
    ----------
    at : float
        Seconds of a clock that only goes forward.
    load : float
        Load average over a minute.
    busy : float
        Seconds that all processors together were busy since the system started. Time that a
        virtual machine had to wait counts as busy.
    own : float
        Processor seconds of this process, all its threads.
    faults : (int, int), optional
        Minor and major page faults of this process; None if the system does not report them.
    """

    at: float
    load: float
    busy: float
    own: float
    faults: tuple[int, int] | None

    @classmethod
    def now(cls) -> "Surroundings":
        """Return the state at this moment."""
        times, spent = psutil.cpu_times()._asdict(), os.times()
        # Time of a guest system is part of user and nice.
        busy = sum(s for name, s in times.items() if not name.startswith(("idle", "io", "guest")))
        load = round(psutil.getloadavg()[0], 2)
        return cls(perf_counter(), load, busy, spent.user + spent.system, _faults())

    def until(self, end: "Surroundings") -> Row:
        """Return the columns of a row for a measurement from here to ``end``."""
        row: Row = {"governor": governor(), "load": self.load}
        if self.faults and end.faults:
            row["minor_faults"] = end.faults[0] - self.faults[0]
            row["major_faults"] = end.faults[1] - self.faults[1]
        elapsed = end.at - self.at
        if elapsed >= SHORTEST_S:
            others = (end.busy - self.busy) - (end.own - self.own)
            share = others / elapsed / (os.cpu_count() or 1)
            row["other_cpu"] = round(min(1.0, max(0.0, share)), 3)
        return row


def governor() -> str:
    """Return how the processor chooses its frequency; empty if the system does not report it."""
    try:
        return GOVERNOR.read_text().strip()
    except OSError:
        return ""


def _faults() -> tuple[int, int] | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt

"""The clock of every measurement, the order of measurements, and what else the machine did."""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple, TypeVar

import numpy as np
import psutil
from numpy.typing import DTypeLike

from compresso.arrays import Labels
from compresso.parallel import in_order
from experiments import SEED
from experiments.records import Row

T = TypeVar("T")
R = TypeVar("R")


def rounds(items: Sequence[T], runs: int, seed: int = SEED) -> Iterator[tuple[int, T]]:
    """Yield (1, item), ..., (runs, item): all items in each round, so that none is favoured.

    A single round keeps the order of the items; several rounds are each in a random order.
    """
    for run in range(1, runs + 1):
        order = list(items)
        if runs > 1:
            random.Random(f"{seed} {run}").shuffle(order)
        yield from ((run, item) for item in order)


class Clock:
    """Adds up the nanoseconds of each stage, by the clock ``now``."""

    def __init__(self, now: Callable[[], int] = perf_counter_ns) -> None:
        self.now = now
        self.ns: Counter[str] = Counter()

    def time(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        """Call a function, and add its time to a stage."""
        start = self.now()
        result = work(*arguments)
        self.ns[stage] += self.now() - start
        return result

    def share(
        self, work: Callable[["Clock", T], R], items: Sequence[T], at_once: int = 1
    ) -> list[R]:
        """Call ``work(clock, item)`` for each item, ``at_once`` at a time, and add up the stages.

        Several at once overlap. Then the time from the first start to the last end is divided in
        proportion to the time that all threads spent in each stage.
        """
        clocks = [Clock(self.now) for _ in items]
        calls = zip(clocks, items, strict=True)
        start = self.now()
        done = list(in_order(lambda call: call[0].time("all", work, *call), calls, at_once))
        whole = self.now() - start
        spent = max(1, sum(clock.ns.pop("all") for clock in clocks))
        for clock in clocks:
            for stage, ns in clock.ns.items():
                self.ns[stage] += ns if at_once == 1 else whole * ns // spent
        return done

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


class State(NamedTuple):
    """The state of the machine and of this process at a moment."""

    clock: float  # seconds, which only go forward
    load: float  # the load average over a minute
    busy: float  # seconds of all processors, including those that a virtual machine had to wait
    own: float  # processor seconds of this process, all its threads
    minor_faults: int
    major_faults: int


def state() -> State:
    """Return the state of the machine at this moment."""
    times, usage = psutil.cpu_times()._asdict(), getrusage(RUSAGE_SELF)
    # Time of a guest system is part of user and nice.
    busy = sum(s for name, s in times.items() if not name.startswith(("idle", "io", "guest")))
    load, own = round(os.getloadavg()[0], 2), usage.ru_utime + usage.ru_stime
    return State(perf_counter(), load, busy, own, usage.ru_minflt, usage.ru_majflt)


def surroundings(before: State, after: State) -> Row:
    """Return the columns of a row for a measurement between two states."""
    change = State(*np.subtract(after, before).tolist())
    row: Row = {"load": before.load, "governor": ""}
    row |= {"minor_faults": int(change.minor_faults), "major_faults": int(change.major_faults)}
    with suppress(OSError):  # not every system reports how it chooses the frequency
        row["governor"] = GOVERNOR.read_text().strip()
    if change.clock >= SHORTEST_S:
        share = (change.busy - change.own) / change.clock / (os.cpu_count() or 1)
        row["other_cpu"] = round(min(1.0, max(0.0, share)), 3)
    return row

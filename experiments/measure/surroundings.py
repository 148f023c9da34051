"""What else the machine did during a measurement, as far as the system reports it."""

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

from experiments.records import Row

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

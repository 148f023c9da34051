"""What else the machine did during a measurement, as far as the system reports it."""

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from experiments.records import Row

#: Shorter measurements have no share of other processes: the system counts hundredths of a second.
SHORTEST_S = 0.2
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Surroundings:
    """The state of the machine at one moment; None is not reported by this system.

    Parameters
    ----------
    at : float
        Seconds of a clock that only goes forward.
    load : float, optional
        Load average over a minute.
    busy : float, optional
        Seconds that all processors together were busy since the system started. Time that a
        virtual machine was not given counts as busy.
    own : float
        Processor seconds of this process, all its threads.
    faults : (int, int), optional
        Minor and major page faults of this process.
    """

    at: float
    load: float | None
    busy: float | None
    own: float
    faults: tuple[int, int] | None

    @classmethod
    def now(cls) -> "Surroundings":
        """The state at this moment."""
        spent = os.times()
        return cls(perf_counter(), _load(), _busy(), spent.user + spent.system, _faults())

    def until(self, end: "Surroundings") -> Row:
        """The columns of a row for a measurement from here to ``end``."""
        row: Row = {"governor": governor()}
        if self.load is not None:
            row["load"] = self.load
        if self.faults and end.faults:
            row["minor_faults"] = end.faults[0] - self.faults[0]
            row["major_faults"] = end.faults[1] - self.faults[1]
        elapsed = end.at - self.at
        if self.busy is not None and end.busy is not None and elapsed >= SHORTEST_S:
            others = (end.busy - self.busy) - (end.own - self.own)
            share = others / elapsed / (os.cpu_count() or 1)
            row["other_cpu"] = round(min(1.0, max(0.0, share)), 3)
        return row


def governor() -> str:
    """How the processor chooses its frequency; empty if the system does not report it."""
    try:
        return GOVERNOR.read_text().strip()
    except OSError:
        return ""


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # on Windows
        return None


def _busy() -> float | None:
    try:
        with STAT.open() as file:
            user, nice, system, _idle, _wait, *interrupts = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):  # only Linux has it
        return None
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _faults() -> tuple[int, int] | None:
    try:
        import resource
    except ImportError:  # on Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt

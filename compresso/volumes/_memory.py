"""How much memory there is."""

import os
from contextlib import suppress
from pathlib import Path

#: Where Linux tells the limit of a group of processes, such as a container's.
GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Bytes that can be allocated without swapping, about; all of the machine's if not known."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        found.append(int(values["MemAvailable"].split()[0]) << 10)
    for path in GROUPS:
        with suppress(OSError, ValueError):  # "max" is no number, and no limit
            found.append(int(Path(path).read_text()))
    return min(found)


def format_size(size: int) -> str:
    """Return a number of bytes for people, ``1.5 GiB``."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(len(units) - 1, max(0, size.bit_length() - 1) // 10)
    return f"{size / (1 << 10 * power):.4g} {units[power]}"

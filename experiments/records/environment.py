"""When and where a row was measured."""

import platform
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path


def now() -> str:
    """The time in UTC, to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def environment() -> dict[str, str]:
    """Versions and CPU, the same for all rows of a session."""
    import compresso

    packages = {name: _version(name) for name in ("numpy", "numba", "zstandard")}
    return {
        "session": now(),
        "version": compresso.__version__,
        "python": platform.python_version(),
        **packages,
        "cpu": cpu(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cpu() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux: the standard library knows less
    return platform.processor() or platform.machine()

"""How much memory there is."""

import psutil


def available() -> int:
    """Bytes that can be allocated without swapping, about."""
    return int(psutil.virtual_memory().available)


def format_size(size: int) -> str:
    """Return a number of bytes for people, ``1.5 GiB``."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(len(units) - 1, max(0, size.bit_length() - 1) // 10)
    return f"{size / (1 << 10 * power):.4g} {units[power]}"

"""Whether files can be written, found out before hours of work."""

import os
import tempfile
from pathlib import Path


def check_writable(folder: Path) -> None:
    """Make a folder, and find out whether files can be written to it; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 12))
        file.flush()
        os.fsync(file.fileno())

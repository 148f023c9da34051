"""Where the project and the real data are."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


def shared(name: str) -> Path:
    """A file of real data next to the checkout; skips the test if it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the real data file {name}")
    return path

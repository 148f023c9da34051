#!/usr/bin/env python3
"""Compare encodings and compressors on label volumes.

    python run.py ENCODING COMPRESSION DATASET [--runs N] [--slices N] [--directory PATH]

See `python run.py --help`, and the README for the library and the paper.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # before an installed copy
#: The modules that commands need; those of compressors, and of archives, are reported when needed.
NEEDED = (
    *("click", "h5py", "jinja2", "matplotlib", "nibabel", "nrrd", "numba", "numpy", "pandas"),
    *("platformdirs", "psutil", "scipy", "tifffile", "tqdm", "xxhash", "zstandard"),
)


def check_packages() -> None:
    """End with one line about all missing packages."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        advice = "Run: pip install -r requirements.txt"
        if (ROOT / ".venv").exists() and Path(sys.prefix) != ROOT / ".venv":
            advice = "Use the environment of this folder: . .venv/bin/activate"
        sys.exit(f"Error: this Python lacks {', '.join(missing)}. {advice}")


if __name__ == "__main__":
    check_packages()
    from experiments.commands import main

    main()

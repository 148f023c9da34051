#!/usr/bin/env python3
"""Compare encodings and compressors on label volumes.

    python run.py ENCODING COMPRESSION DATASET [--runs N] [--slices N] [--directory PATH]

See `python run.py --help`, and the README for the library and the paper.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # before an installed copy

if __name__ == "__main__":
    try:
        from experiments.commands import main

        main()
    except ModuleNotFoundError as error:  # codecs report their own packages
        if (error.name or "").partition(".")[0] in ("compresso", "experiments", ""):
            raise
        sys.exit(f"Error: {error.name} is not installed; run: pip install -r requirements.txt")

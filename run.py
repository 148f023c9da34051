#!/usr/bin/env python3
"""Compress label volumes with every encoding x compressor, and see which to use.

    python run.py ENCODING COMPRESSION DATASET [--runs N] [--slices N] [--directory PATH]

See `python run.py --help`, and the README for the library and the paper.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # before what is installed, from anywhere

if __name__ == "__main__":
    try:
        from experiments.commands import main

        main()
    except ModuleNotFoundError as error:  # what the program itself needs; codecs tell of their own
        if (error.name or "").partition(".")[0] in ("compresso", "experiments", ""):
            raise
        sys.exit(f"Error: {error.name} is not installed; run: pip install -r requirements.txt")

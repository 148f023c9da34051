"""Writes pypi-compresso-3.3.3.npz; run once, by a Python that has this version from PyPI.

Each stream is as PyPI's package made it from the array beside it, ``[z, y, x]``.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np

import compresso

WINDOWS = ((4, 4, 1), (8, 8, 1), (2, 2, 2), (4, 4, 2), (3, 5, 1), (64, 1, 1), (1, 1, 8), (4, 4, 4))


def volumes():
    """Stripes with spots, random labels near the largest, a blank volume longer than a run."""
    z, y, x = np.indices((5, 18, 37))
    stripes = (x + 2 * y + 3 * z) // 11 * 1_000_003
    random = np.random.default_rng(7)
    stripes[random.random(stripes.shape) < 0.03] = 5
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        yield stripes.astype(dtype)
        top = np.iinfo(dtype).max
        yield np.array([0, 6, top - 7, top - 6, top], dtype)[random.integers(5, size=(3, 6, 7))]
    blank = np.zeros((3, 70, 700), np.uint8)
    blank[1, 30, 300] = 1
    yield blank
    yield np.zeros((2, 0, 3), np.uint16)


def main():
    version = importlib.metadata.version("compresso")
    kept, streams = {}, []
    for number, labels in enumerate(volumes()):
        kept[f"labels{number}"] = labels
        for window in WINDOWS:
            for connectivity, index in ((4, True), (4, False), (6, False)):
                data = compresso.compress(labels.T, window, connectivity, index)
                name = f"stream{len(streams)}"
                streams.append([name, number, window, connectivity, index])
                kept[name] = np.frombuffer(data, np.uint8)
    kept["streams"] = np.array(json.dumps(streams))
    np.savez_compressed(Path(__file__).with_name(f"pypi-compresso-{version}.npz"), **kept)


if __name__ == "__main__":
    main()

"""The golden streams of ``ristretto``, which make.py writes."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
SPECS = [
    f"ristretto:effort={effort},slab=4,start={start}" for effort in (1, 2, 3) for start in (0, 1)
]


def labels(kind):
    """Tilted cells that drift from slice to slice, or lie anywhere; 6 x 40 x 90 of uint64."""
    z, y, x = np.indices((6, 40, 90))
    if kind == "pictures":
        y, x = y + 17 * z * z, x + 29 * z
    u, v = 3 * x + 2 * y + 2 * z, 2 * x - 3 * y + 400 + z
    u = u + (v * v // 97) % 13
    cell = (u // 40) * 31 + v // 50
    return np.where((u % 40 < 3) | (v % 50 < 2), 0, cell * 1_000_003 % (1 << 61)).astype(np.uint64)


def place(spec, kind):
    """The file of a spec and a kind of labels."""
    spec = spec.replace(":", "-").replace("=", "").replace(",", "-")
    return FOLDER / f"{spec.replace('ristretto', 'ristretto-v1')}-{kind}.bin"

"""Label files of every format for the tests, and what reading them gives."""

import numpy as np

from compresso import volumes
from compresso.errors import FileError
from experiments.checks.corruption import SOURCES, write
from tests.helpers.program import invoke

run = invoke
LABELS = np.repeat(np.arange(6 * 12 * 5, dtype=np.uint16).reshape(6, 12, 5) // 7, 4, axis=2)


def written(folder, name, labels=LABELS):
    """Write a file of one kind of ``SOURCES``."""
    ending, _, options = SOURCES[name]
    path = folder / f"labels{ending}"
    write(path, labels, options)
    return path


def load(path, inner="", step=2):
    """Read all slices, a few at a time, as compressing does."""
    with volumes.open(f"{path}:{inner}" if inner else path) as reader:
        parts = [reader.read(z, z + step) for z in range(0, reader.shape[0], step)]
        return np.concatenate(parts)


def outcome(path):
    """Whether a file is read as ``LABELS``, wrongly, or refused in one line."""
    try:
        found = load(path)
    except FileError as error:
        return "traceback" if "\n" in str(error) else "refused"
    return "same" if np.array_equal(found, LABELS) else "wrong"

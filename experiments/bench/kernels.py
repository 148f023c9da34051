"""What is timed in parts: each kernel of ``compresso`` alone, and what threads can do at all."""

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.kernels import boundary, components, windows
from compresso.kernels import labels as label_kernels
from experiments.bench.entries import Labels
from experiments.measure import Clock
from experiments.measure import rounds as in_rounds
from experiments.records.intervals import Interval, interval


def stages(labels: Labels, rounds: int) -> dict[str, Interval]:
    """The seconds of each kernel of ``compresso``, one thread, over the whole volume."""
    nz, ny, nx = labels.shape
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    boundary.mark(labels, bits)
    component, first, counts = components.label_runs(bits, nx)
    marked = boundary.first_marked(bits)
    locations = np.empty(boundary.count_indeterminate(bits).sum(), np.uint64)
    label_kernels.locate(labels, bits, 0, nz, locations)
    packed = np.empty((nz, -(-ny // 8), -(-nx // 8)), np.uint64)
    windows.pack(bits, nx, (1, 8, 8), packed)
    keys, places = np.empty(packed.size, np.uint64), np.empty(packed.size, np.uint32)
    count = windows.collect(packed.reshape(-1), 0, keys, places, 0)
    indices = np.zeros(packed.size, np.uint32)

    def number_windows() -> NDArray[np.uint64]:
        ordered, places_in_order = windows.sort(keys[:count].copy(), places[:count].copy())
        numbered: NDArray[np.uint64] = windows.rank(ordered, places_in_order, indices)
        return numbered

    values = number_windows()
    entries = indices.copy()
    entries = entries[: windows.squeeze(entries, 1 << 31)]
    ids = labels.reshape(-1)[first]
    starts = np.cumsum(counts) - counts
    out = np.empty_like(labels)
    work: dict[str, Callable[[], Any]] = {
        "boundary map": lambda: boundary.mark(labels, bits),
        "components": lambda: components.label_runs(bits, nx),
        "ids": lambda: label_kernels.identify(labels, first, counts, marked),
        "locations": lambda: label_kernels.locate(labels, bits, 0, nz, locations),
        "windows": lambda: windows.pack(bits, nx, (1, 8, 8), packed),
        "window values": number_windows,
        "run lengths": lambda: windows.squeeze(indices.copy(), 1 << 31),
        "decode: windows": lambda: windows.expand(entries, values.size, indices),
        "decode: labels": lambda: label_kernels.fill(bits, component, ids, starts, out),
        "decode: locations": lambda: label_kernels.resolve(bits, 0, nz, locations, out),
    }
    for task in work.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in work}
    for _, name in in_rounds(list(work), rounds):
        clock = Clock()
        clock.time("kernel", work[name])
        found[name].append(clock.seconds["kernel_s"])
    return {name: interval(seconds) for name, seconds in found.items()}


def scaling(threads: int) -> Interval:
    """How much more ``threads`` threads do than one where they share nothing, not even memory.

    What this gives for a kernel that works in its core's own cache, no encoding can beat.
    """
    planes = np.random.default_rng(0).integers(2**64, size=(threads, 1, 256, 4), dtype=np.uint64)

    def work(plane: NDArray[np.uint64]) -> None:
        for _ in range(100):
            components.label_runs(plane, 256)

    def seconds(count: int) -> float:
        workers = [threading.Thread(target=work, args=(planes[i],)) for i in range(count)]
        start = perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return perf_counter() - start

    return interval([threads * seconds(1) / seconds(threads) for _ in range(9)])

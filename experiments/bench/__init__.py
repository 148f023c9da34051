"""The benchmark: our encodings and kernels, a memory copy, and other codecs, side by side.

Everything is measured in turn, round after round, in one run, so that a machine that slows down
slows all of them; what counts are the ratios.
"""

import io
import json
import math
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compresso
from compresso import frame
from compresso.codec import Buffer
from compresso.kernels import boundary, components, windows
from compresso.kernels import labels as label_kernels
from experiments.errors import HarnessError

Labels = NDArray[Any]
COLOURS = {"copy": "#c8c8c8", "ours": "#d7191c", "peer": "#5f5f5f"}
BARE, FRAMED = "compresso + zstd, no frame", "compresso + zstd, frame"
Task = Callable[[], float]  # does the work and returns the seconds it took


class PeerError(HarnessError):
    """Another codec failed on the volume."""


@dataclass
class Entry:
    """One line of the benchmark: the seconds of each round."""

    name: str
    kind: str  # copy, ours or peer
    encode: Task | None
    decode: Task
    size: int = 0  # bytes of the stream, of those whose size is compared
    encode_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)

    def measure(self) -> tuple[float, float]:
        """Seconds to encode, or NaN, and to decode."""
        return self.encode() if self.encode else math.nan, self.decode()


def run(
    labels: Labels,
    rounds: int,
    threads: int,
    peers: str | None,
    announce: Callable[[str], None],
) -> list[Entry]:
    """Measure everything ``rounds`` times, in turn.

    Parameters
    ----------
    labels : (nz, ny, nx) unsigned
    rounds : int
        After an untimed one.
    threads : int
        Also measure our encodings with so many.
    peers : str, optional
        A Python interpreter that has other codecs installed.
    announce : callable
        Told which round it is.
    """
    entries = [*_copies(labels), *_ours(labels, threads), *_framed(labels)]
    with _peers(labels, peers) as others:
        for entry in others:
            try:
                entry.measure()
                entries.append(entry)
            except PeerError as error:
                announce(str(error))
        for number in range(rounds + 1):
            announce(f"round {number} of {rounds}" if number else "warm-up")
            for entry in entries:
                encode_s, decode_s = entry.measure()
                if number:
                    entry.encode_s.append(encode_s)
                    entry.decode_s.append(decode_s)
    return entries


def _timed(work: Callable[[], Any]) -> Task:
    def task() -> float:
        start = perf_counter()
        result = work()
        seconds = perf_counter() - start
        del result
        return seconds

    return task


def _copies(labels: Labels) -> list[Entry]:
    """A copy to memory that is there already, and one to new memory, as decoding needs it."""
    target = np.empty_like(labels)
    same, new = _timed(partial(np.copyto, target, labels)), _timed(labels.copy)
    return [
        Entry("memory copy, same buffer", "copy", same, same),
        Entry("memory copy, new buffer", "copy", new, new),
    ]


def _ours(labels: Labels, threads: int) -> list[Entry]:
    entries = []
    for spec in ("compresso", "compresso:window=4x4x1", "neuroglancer"):
        encoding = compresso.encodings.parse(spec)
        stream = encoding.encode(labels)
        if not np.array_equal(encoding.decode(stream, dtype=labels.dtype), labels):
            raise HarnessError(f"{spec} does not restore the volume")
        for count in sorted({1, threads}):
            many = f", {count} threads" if count > 1 else ""
            entries.append(
                Entry(
                    spec + many,
                    "ours",
                    _timed(partial(encoding.encode, labels, count)),
                    _timed(partial(encoding.decode, stream, None, labels.dtype, count)),
                )
            )
        entries.append(
            Entry(
                f"{spec}, same buffer",
                "ours",
                None,
                _timed(partial(encoding.decode_into, stream, np.empty_like(labels))),
            )
        )
    return entries


def _framed(labels: Labels) -> list[Entry]:
    """The frame, and beside it what it holds: the same groups, encoded and compressed."""
    first, second = compresso.encodings.parse("compresso"), compresso.compressors.parse("zstd")
    whole = compresso.compress(labels, compression="zstd")
    groups = frame.Reader(io.BytesIO(whole)).description.groups

    def pack() -> list[Buffer]:
        return [second.compress(first.encode(labels[z0:z1])) for z0, z1 in groups]

    def unpack() -> list[Labels]:
        return [first.decode(second.decompress(data), dtype=labels.dtype) for data in packed]

    packed = pack()
    return [
        Entry(BARE, "ours", _timed(pack), _timed(unpack), sum(len(data) for data in packed)),
        Entry(
            FRAMED,
            "ours",
            _timed(partial(compresso.compress, labels, compression="zstd")),
            _timed(partial(compresso.decompress, whole)),
            len(whole),
        ),
    ]


@contextmanager
def _peers(labels: Labels, python: str | None) -> Iterator[list[Entry]]:
    """Entries whose work is done by a process of another Python."""
    if python is None:
        yield []
        return
    script = Path(__file__).with_name("peers.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.npy"
        np.save(path, labels)
        try:
            process: Any = subprocess.Popen(
                [python, "-I", str(script), str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise HarnessError(f"--peers {python}: cannot be run ({error.strerror})") from None
        with process:

            def ask(name: str, task: str) -> float:
                process.stdin.write(json.dumps([name, task]) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline() or '{"error": "its process ended"}')
                if "error" in answer:
                    raise PeerError(f"{name} cannot {task} this volume: {answer['error']}")
                return float(answer["seconds"])

            try:
                names = json.loads(process.stdout.readline() or "null")
                if names is None:
                    raise HarnessError(f"--peers {python}: it ended at once; has it numpy?")
                if not names:
                    raise HarnessError(
                        f"--peers {python}: has no other codec; install some there: pip install "
                        "compresso crackle-codec compressed-segmentation"
                    )
                yield [
                    Entry(name, "peer", partial(ask, name, "encode"), partial(ask, name, "decode"))
                    for name in names
                ]
            finally:
                process.stdin.close()


def stages(labels: Labels, rounds: int) -> dict[str, float]:
    """Median seconds of each kernel of ``compresso``, one thread, over the whole volume."""
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
    return {
        name: statistics.median(_timed(task)() for _ in range(rounds + 1))
        for name, task in work.items()
    }


def scaling(threads: int) -> float:
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

    return statistics.median(threads * seconds(1) / seconds(threads) for _ in range(9))


def report(labels: Labels, entries: list[Entry], kernels: dict[str, float], threads: int) -> str:
    """The benchmark as Markdown tables.

    MVx/s are medians. Ratios are medians over rounds of the entry's time by that of our
    ``compresso`` in the same round.
    """
    named = {entry.name: entry for entry in entries}
    ours = named["compresso"]
    megavoxels = labels.size / 1e6
    lines = [
        "| | encode MVx/s | decode MVx/s | encode: time / ours | decode: time / ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for entry in entries:
        tasks = ((entry.encode_s, ours.encode_s), (entry.decode_s, ours.decode_s))
        cells = [_spell(megavoxels / statistics.median(seconds), ",.0f") for seconds, _ in tasks]
        cells += [_spell(_ratio(seconds, base), ".2f") for seconds, base in tasks]
        lines.append(f"| {entry.name} | {' | '.join(cells)} |")
    bare, framed = named[BARE], named[FRAMED]
    lines += [
        "",
        f"The frame costs {framed.size / bare.size - 1:.3%} of the bytes; compressing takes "
        f"{_ratio(framed.encode_s, bare.encode_s):.2f} and decompressing "
        f"{_ratio(framed.decode_s, bare.decode_s):.2f} times as long as without it.",
        "",
        f"On this machine {threads} threads that share nothing do {scaling(threads):.2f} times "
        "the work of one.",
    ]
    lines += ["", "| kernel of `compresso`, alone | MVx/s |", "|---|---:|"]
    lines += [f"| {name} | {megavoxels / seconds:,.0f} |" for name, seconds in kernels.items()]
    return "\n".join(lines)


def _ratio(seconds: list[float], base: list[float]) -> float:
    return statistics.median(s / b for s, b in zip(seconds, base, strict=True))


def _spell(number: float, form: str) -> str:
    """A number as text, nothing for what was not measured."""
    return "" if math.isnan(number) else format(number, form)


def draw(labels: Labels, entries: list[Entry], title: str, directory: Path) -> Path:
    """Draw the medians as horizontal bars; returns the picture's path."""
    import matplotlib.pyplot as plt

    from experiments.figures import STYLE, save

    megavoxels = labels.size / 1e6
    with plt.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = plt.subplots(
            1, 2, figsize=(11, 0.36 * len(entries) + 1.6), sharey=True, layout="constrained"
        )
        for axis, task in zip(axes, ("encode", "decode"), strict=True):
            speeds = [megavoxels / statistics.median(getattr(e, f"{task}_s")) for e in entries]
            colours = [COLOURS[entry.kind] for entry in entries]
            bars = axis.barh([e.name for e in entries], np.nan_to_num(speeds), color=colours)
            axis.bar_label(bars, [_spell(s, ",.0f") for s in speeds], padding=3, fontsize=8)
            axis.set_xlabel(f"{task}, MVx/s")
            axis.margins(x=0.12)
        axes[0].invert_yaxis()
        figure.suptitle(title, fontsize=11, fontweight="bold")
        return min(
            save(figure, directory, f"bench_{labels.dtype}"), key=lambda p: p.suffix != ".png"
        )

"""What is timed as a whole: cells of the grid, a copy beside them, and the frame.

Each entry has up to three times: to *encode*, to *decode* to an array that is there, and to decode
to a *new* one, whose pages the system must first find and clear. Other people's codecs know only
the last.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compresso
from compresso import compressors, container, encodings
from compresso.codec import Buffer
from experiments.datasets import Volume
from experiments.errors import HarnessError
from experiments.measure import Cell, Clock, measure
from experiments.records import OK

Labels = NDArray[Any]
Numbers = dict[str, float]  # seconds by stage, and the bytes of the stream
BARE, FRAMED = "compresso + zstd, no frame", "compresso + zstd, frame"
SAME_COPY = "memory copy"
STAGES = ("encode_s", "decode_s", "decode_new_s")
#: Our encodings, each in the stream of a peer or beside one.
SPECS = (
    *("compresso", "compresso:window=4x4x1", "cpso", "cpso:index=0", "cpso:window=8x8x1,index=0"),
    *("neuroglancer", "compressed_segmentation", "ristretto"),
)


@dataclass
class Entry:
    """One line of the benchmark.

    Parameters
    ----------
    name : str
    kind : str
        copy, ours or peer.
    measure : callable
        Does all its work once, in the round it is told; raises HarnessError.
    rounds : dict
        The numbers of each round.
    """

    name: str
    kind: str
    measure: Callable[[int], Numbers]
    rounds: dict[int, Numbers] = field(default_factory=dict)

    def values(self, stage: str) -> list[float]:
        """A number of each round, in their order; empty where it is not measured."""
        return [self.rounds[n][stage] for n in sorted(self.rounds) if stage in self.rounds[n]]

    def ratios(self, other: "Entry", stage: str) -> list[float]:
        """Its seconds by another's of the same round."""
        pairs = ((self.rounds[n], other.rounds[n]) for n in sorted(self.rounds))
        return [a[stage] / b[stage] for a, b in pairs if stage in a and stage in b]


def copies(labels: Labels) -> list[Entry]:
    """A copy to memory that is there already, and one to new memory, as decoding needs it."""

    def copy(_: int) -> Numbers:
        clock = Clock()
        target = clock.touched(labels.shape, labels.dtype)
        labels.max(initial=0)
        clock.time("encode", np.copyto, target, labels)
        clock.time("decode", np.copyto, target, labels)
        del target
        clock.time("decode_new", labels.copy)
        return clock.seconds

    return [Entry(SAME_COPY, "copy", copy)]


def ours(volume: Volume, threads: int) -> list[Entry]:
    """Our encodings, as the grid measures them, one stream each, for one thread and ``threads``."""
    alone = compressors.parse("none")
    return [
        Entry(
            spec + (f", {count} threads" if count > 1 else ""),
            "ours",
            _cell(volume, Cell(encodings.parse(spec), alone, count, whole=True)),
        )
        for spec in SPECS
        for count in sorted({1, threads})
    ]


def _cell(volume: Volume, cell: Cell) -> Callable[[int], Numbers]:
    """Measures a cell as the grid does, and once more to a new array."""
    streams: list[Buffer] = []

    def work(run: int) -> Numbers:
        row = measure(volume, cell, run)
        if row["status"] != str(OK):
            raise HarnessError(f"{cell.encoding}: {row['status']}")
        labels = volume.labels
        if not streams:
            streams.append(cell.encoding.encode(labels, cell.threads))
        clock = Clock()
        shape, dtype = labels.shape, labels.dtype
        clock.time("decode_new", cell.encoding.decode, streams[0], shape, dtype, cell.threads)
        found = {stage: float(row[stage]) for stage in ("encode_s", "decode_s", "new_memory_s")}
        return found | clock.seconds | {"bytes": float(row["encoded_bytes"])}

    return work


def framed(labels: Labels) -> list[Entry]:
    """The frame, and beside it what it holds: the same groups, encoded and compressed."""
    first, second = encodings.parse("compresso"), compressors.parse("zstd")
    groups = container.Reader(io.BytesIO(compresso.dumps(labels, "compresso", "zstd"))).description
    spans = groups.groups

    def pack() -> list[Buffer]:
        return [second.compress(first.encode(labels[z0:z1])) for z0, z1 in spans]

    def unpack(packed: list[Buffer]) -> list[Labels]:
        return [first.decode(second.decompress(data), dtype=labels.dtype) for data in packed]

    def bare(_: int) -> Numbers:
        clock = Clock()
        labels.max(initial=0)
        packed = clock.time("encode", pack)
        clock.time("decode_new", unpack, packed)
        return clock.seconds | {"bytes": float(sum(map(len, packed)))}

    def whole(_: int) -> Numbers:
        clock = Clock()
        labels.max(initial=0)
        data = clock.time("encode", compresso.dumps, labels, "compresso", "zstd")
        clock.time("decode_new", compresso.loads, data)
        return clock.seconds | {"bytes": float(len(data))}

    return [Entry(BARE, "ours", bare), Entry(FRAMED, "ours", whole)]

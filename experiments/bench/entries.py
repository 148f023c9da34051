"""What is timed as a whole: encoding and decoding by our codecs, and a copy beside them."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compresso
from compresso import frame
from compresso.codec import Buffer
from experiments.errors import HarnessError

Labels = NDArray[Any]
BARE, FRAMED = "compresso + zstd, no frame", "compresso + zstd, frame"
Task = Callable[[], float]  # does the work and returns the seconds it took


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


def timed(work: Callable[[], Any]) -> Task:
    """A task that does the work; what it makes is freed outside the clock."""

    def task() -> float:
        start = perf_counter()
        result = work()
        seconds = perf_counter() - start
        del result
        return seconds

    return task


def copies(labels: Labels) -> list[Entry]:
    """A copy to memory that is there already, and one to new memory, as decoding needs it."""
    target = np.empty_like(labels)
    same, new = timed(partial(np.copyto, target, labels)), timed(labels.copy)
    return [
        Entry("memory copy, same buffer", "copy", same, same),
        Entry("memory copy, new buffer", "copy", new, new),
    ]


def ours(labels: Labels, threads: int) -> list[Entry]:
    """Our encodings, with one thread, with ``threads``, and to memory that is there already."""
    entries = []
    for spec in ("compresso", "compresso:window=4x4x1", "neuroglancer", "compressed_segmentation"):
        encoding = compresso.encodings.parse(spec)
        stream = encoding.encode(labels)
        if not np.array_equal(encoding.decode(stream, labels.shape, labels.dtype), labels):
            raise HarnessError(f"{spec} does not restore the volume")
        for count in sorted({1, threads}):
            many = f", {count} threads" if count > 1 else ""
            entries.append(
                Entry(
                    spec + many,
                    "ours",
                    timed(partial(encoding.encode, labels, count)),
                    timed(partial(encoding.decode, stream, labels.shape, labels.dtype, count)),
                )
            )
        entries.append(
            Entry(
                f"{spec}, same buffer",
                "ours",
                None,
                timed(partial(encoding.decode_into, stream, np.empty_like(labels))),
            )
        )
    return entries


def framed(labels: Labels) -> list[Entry]:
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
        Entry(BARE, "ours", timed(pack), timed(unpack), sum(len(data) for data in packed)),
        Entry(
            FRAMED,
            "ours",
            timed(partial(compresso.compress, labels, compression="zstd")),
            timed(partial(compresso.decompress, whole)),
            len(whole),
        ),
    ]

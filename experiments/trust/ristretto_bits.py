"""Where the bits of a ``ristretto`` stream go at effort 1: questions and bytes by kind.

    python -m experiments.trust.ristretto_bits pinky40-z000-255.h5:main 0:128

The coder is replaced by one that keeps, behind the counters, what each of them cost. The volume is
one slab without a trained start, and the table of labels is not in it.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator

import click
import numba
import numpy as np
from numpy.typing import NDArray

from compresso import formats
from compresso.__main__ import Slices
from experiments.program import Program

UNIT = 65536  # of a bit
KINDS = {
    "RUN": "does W's label fill a flat stretch?",
    "STEPS_BACK": "where it ends, in steps back",
    "BREAK": "where it ends, as a number",
    "SAME": "W, if N is the same?",
    "LEFT": "W, if N differs?",
    "ABOVE": "N?",
    "BACKGROUND": "0?",
    "CORNER": "NE?",
    "BELOW": "a candidate of the slice before?",
    "BESIDE": "a candidate of the slice?",
    "KNOWN": "known?",
    "NUMBER": "its number",
    "IS_3D": "is a slice 3-D?",
    "BY_COLUMNS": "by columns?",
}


def replace_coder() -> None:
    """Replace the coder, before anything is compiled, by one that records costs per counter."""
    from compresso.kernels.ristretto import coder, start

    plain_code, plain_decide, plain_fine = coder.code, coder.decide, coder.decide_fine
    costs, last = start.COUNTERS, 4 * start.COUNTERS

    @coder.inline
    def code(encoding, bit, probability, state):  # type: ignore[no-untyped-def]
        chance = (probability if bit else coder.ONE - probability) / coder.ONE
        cost = np.uint32(-math.log2(chance) * UNIT + 0.5)
        at = np.uint64(costs + 3 * np.int64(state.counters[np.uint64(last)]))
        total = np.uint64(state.counters[at]) + np.uint64(cost)
        state.counters[at] = np.uint32(total & np.uint64(0xFFFFFFFF))
        state.counters[at + np.uint64(1)] += np.uint32(total >> np.uint64(32))
        state.counters[at + np.uint64(2)] += np.uint32(1)
        return plain_code(encoding, bit, probability, state)

    @coder.inline
    def decide(encoding, bit, place, state):  # type: ignore[no-untyped-def]
        state.counters[np.uint64(last)] = np.uint32(place)
        return plain_decide(encoding, bit, place, state)

    @coder.inline
    def decide_fine(encoding, bit, place, coarse, state):  # type: ignore[no-untyped-def]
        state.counters[np.uint64(last)] = np.uint32(place)
        return plain_fine(encoding, bit, place, coarse, state)

    coder.code, coder.decide, coder.decide_fine = code, decide, decide_fine


def measure(volume: NDArray[np.unsignedinteger]) -> Iterator[tuple[str, int, float]]:
    """Kinds of questions, their number, and their bytes; the last is the whole stream."""
    from compresso.encodings._ristretto_layout import Box
    from compresso.encodings._ristretto_pieces import Encoder
    from compresso.kernels.ristretto import coder, start

    size = start.COUNTERS
    counters = np.zeros(4 * size + 1, np.uint32)
    counters[:size] = coder.FRESH
    nz, ny, nx = volume.shape
    stream, _ = Encoder(volume, Box(0, nz, 0, ny, 0, nx), 1, counters, volume.nbytes).run()
    low, high, asked = counters[size:-1].reshape(size, 3).astype(np.int64).T
    costs = (low + (high << 32)) / UNIT / 8
    for kind, title in KINDS.items():
        question = getattr(start, kind)
        for first, count, slices in zip(
            start.FIRST[question], start.COUNTS[question], ("2-D", "3-D"), strict=True
        ):
            part = slice(first, first + count)
            if count:
                yield f"{slices}: {title}", int(asked[part].sum()), float(costs[part].sum())
    yield "all, and the bytes of the stream", int(asked.sum()), len(stream)


@click.command(cls=Program)
@click.argument("file")
@click.argument("slices", type=Slices(), default="0:")
def main(file: str, slices: tuple[int, int | None]) -> None:
    """Print a line of Markdown a kind of question, of the slices Z0:Z1 of a file."""
    with formats.open_volume(*formats.split(file)) as reader:
        labels = reader.read(*slice(*slices).indices(reader.shape[0])[:2])
    folder = tempfile.mkdtemp()  # what is compiled here is of no use to anybody else
    numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]
    try:
        replace_coder()
        plain = np.ascontiguousarray(labels).view(f"u{labels.dtype.itemsize}")
        for title, asked, cost in measure(plain):
            click.echo(f"| {title} | {asked:,} | {cost:,.0f} |")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""The benchmark: our encodings and kernels, a memory copy, and other codecs, side by side.

It measures as the grid does: in rounds, so that a machine that slows down slows everything, by the
same clock, to memory that is there. What counts are the ratios, each taken within a round.
"""

from collections.abc import Callable

from experiments.bench import page
from experiments.bench.entries import Entry, copies, framed, ours
from experiments.bench.kernels import scaling, stages
from experiments.bench.others import PeerError, peers
from experiments.bench.tables import (
    beside_copies,
    beside_peers,
    draw,
    of_frame,
    of_kernels,
    speeds,
)
from experiments.bench.waiting import commands
from experiments.datasets import Volume
from experiments.measure import rounds as in_rounds

__all__ = ["Entry", "commands", "draw", "page", "report", "run"]

Announce = Callable[[str], None]


def run(
    volume: Volume, rounds: int, threads: int, python: str | None, announce: Announce
) -> list[Entry]:
    """Measure everything ``rounds`` times, in turn.

    Parameters
    ----------
    volume : Volume
        Of unsigned labels in C order.
    rounds : int
        After an untimed one.
    threads : int
        Also measure our encodings with so many.
    python : str, optional
        A Python interpreter that has other codecs installed.
    announce : callable
        Told which round it is.
    """
    labels = volume.labels
    entries = [*copies(labels), *ours(volume, threads), *framed(labels)]
    with peers(labels, python) as others:
        announce("warm-up")
        for entry in entries:
            entry.measure(0)
        for entry in others:
            try:
                entry.measure(0)
                entries.append(entry)
            except PeerError as error:
                announce(str(error))
        told = 0
        for number, entry in in_rounds(entries, rounds):
            if number > told:
                told = number
                announce(f"round {number} of {rounds}")
            entry.rounds[number] = entry.measure(number)
    return entries


def report(volume: Volume, entries: list[Entry], rounds: int, threads: int) -> str:
    """The benchmark of a volume as Markdown: what a machine can do, codecs, kernels."""
    labels = volume.labels
    lines = [
        *page.of_machine(labels, entries, threads, scaling(threads)),
        "",
        *speeds(labels, entries),
        "",
        *beside_peers(entries),
        *beside_copies(entries),
        "",
        of_frame(entries),
        "",
        *of_kernels(labels, stages(labels, rounds)),
    ]
    return "\n".join(lines)

"""The benchmark: our encodings and kernels, a memory copy, and other codecs, side by side.

Everything is measured in turn, round after round, in one run, so that a machine that slows down
slows all of them; what counts are the ratios.
"""

from collections.abc import Callable

from experiments.bench.entries import Entry, Labels, copies, framed, ours
from experiments.bench.kernels import stages
from experiments.bench.others import PeerError, peers
from experiments.bench.report import draw, report

__all__ = ["Entry", "draw", "report", "run", "stages"]


def run(
    labels: Labels,
    rounds: int,
    threads: int,
    python: str | None,
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
    python : str, optional
        A Python interpreter that has other codecs installed.
    announce : callable
        Told which round it is.
    """
    entries = [*copies(labels), *ours(labels, threads), *framed(labels)]
    with peers(labels, python) as others:
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

"""The order of measuring: in rounds, so that a machine that slows down slows everything alike."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
SEED = 2017


def rounds(items: Sequence[T], runs: int, seed: int = SEED) -> Iterator[tuple[int, T]]:
    """Every item once a round, A B C, C A B and so on.

    Parameters
    ----------
    items : sequence
    runs : int
        Number of rounds. The items of a single round come in their own order, those of several
        in an order that is drawn for each round.
    seed : int
        Of the orders.

    Yields
    ------
    run : int
        The round, from 1 on.
    item
    """
    for run in range(1, runs + 1):
        order = list(items)
        if runs > 1:
            random.Random(f"{seed} {run}").shuffle(order)
        for item in order:
            yield run, item

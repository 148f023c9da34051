"""The Pareto front: cells that no other one beats in both respects."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def front(cells: Sequence[T], ratio: Callable[[T], float], speed: Callable[[T], float]) -> list[T]:
    """The cells that are smaller than every faster one, the smallest first.

    If two cells have the same ratio and speed, the first one is kept. Cells without a speed (NaN)
    are left out.
    """
    found: list[T] = []
    ranked = (cell for cell in cells if not math.isnan(speed(cell)))
    for cell in sorted(ranked, key=lambda one: (-ratio(one), -speed(one))):
        if not found or speed(cell) > speed(found[-1]):
            found.append(cell)
    return found

"""The Pareto front: cells that no other one beats in both respects."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def front(cells: Sequence[T], ratio: Callable[[T], float], speed: Callable[[T], float]) -> list[T]:
    """The cells that are smaller than every faster one, the smallest first.

    Of two that are alike in both respects the first one is kept.
    """
    found: list[T] = []
    for cell in sorted(cells, key=lambda one: (-ratio(one), -speed(one))):
        if not found or speed(cell) > speed(found[-1]):
            found.append(cell)
    return found

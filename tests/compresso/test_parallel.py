"""Work on several threads: its order, its errors, and how much of it is at hand."""

import threading
import time
from contextlib import closing

import pytest

from compresso.parallel import in_order, shares


def test_parts_come_before_the_threads_of_each():
    assert [shares(threads, 3) for threads in (1, 2, 3, 4, 6)] == [
        (1, 1),
        (2, 1),
        (3, 1),
        (3, 2),
        (3, 2),
    ]
    assert shares(4, 0) == (1, 4)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_have_the_order_of_the_items(threads):
    def late(number):
        time.sleep((number % 3) / 500)
        return number * number

    assert list(in_order(late, range(30), threads)) == [n * n for n in range(30)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_items_are_taken_here_and_few_at_a_time(threads):
    here, taken, given = threading.current_thread(), [], 0

    def items():
        for number in range(20):
            assert threading.current_thread() is here
            assert number - given <= threads
            taken.append(number)
            yield number

    for number in in_order(lambda item: item, items(), threads):
        assert number == given
        given += 1
    assert len(taken) == 20


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("taking", [False, True])
def test_the_first_error_is_told_behind_the_results_before_it(threads, taking):
    """Item 3 fails late; those behind it at once, or there is no item 4."""

    def work(number):
        if number == 3:
            time.sleep(0.05)
        if number >= 3:
            raise ValueError(f"item {number}")
        return number

    def items():
        yield from range(4)
        if taking:
            raise OSError("no item 4")
        yield from range(4, 9)

    results = in_order(work, items(), threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(results)


def test_nothing_runs_once_it_is_closed():
    before, begun = threading.active_count(), []

    def work(number):
        begun.append(number)
        time.sleep(0.02)

    with closing(in_order(work, range(100), 3)) as results:
        next(results)
    seen = len(begun)
    assert threading.active_count() == before
    time.sleep(0.05)
    assert len(begun) == seen < 10

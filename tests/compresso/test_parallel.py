"""Threads: how many, and the order, errors and number of the tasks at work."""

import os
import threading
import time
from contextlib import closing

import pytest

from compresso.__main__ import main
from compresso.parallel import cores, in_order, shares


def test_zero_threads_are_all_cores():
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert [cores(n) for n in (0, 1, 99)] == [allowed, 1, 99]
    names = ("compress", "decompress", "verify", "info", "convert")
    for command in map(main.commands.__getitem__, names):
        (option,) = [option for option in command.params if option.name == "threads"]
        assert option.callback(None, option, 0) == allowed


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_cores_that_a_process_may_not_use_are_not_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores(0) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_parts_come_before_the_threads_of_each():
    found = [shares(threads, 3) for threads in (1, 2, 3, 4, 6)]
    assert found == [(1, 1), (2, 1), (3, 1), (3, 2), (3, 2)]
    assert shares(4, 0) == (1, 4)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_items_are_taken_here_and_few_at_a_time_and_results_keep_their_order(threads):
    here, given = threading.current_thread(), 0

    def items():
        for number in range(20):
            assert threading.current_thread() is here
            assert number - given <= threads
            yield number

    def late(number):
        time.sleep((number % 3) / 500)
        return number

    for number in in_order(late, items(), threads):
        assert number == given
        given += 1
    assert given == 20


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("taking", [False, True])
def test_the_first_error_follows_the_results_before_it(threads, taking):
    """Item 3 fails late; later items fail at once, or cannot be taken."""

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

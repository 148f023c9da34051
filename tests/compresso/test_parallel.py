"""Threads and Dask: how many, and the order, errors and number of the tasks at work."""

import os
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from unittest.mock import Mock

import pytest

from compresso import parallel
from compresso.__main__ import main
from compresso.errors import SpecError
from compresso.parallel import SchedulerError, cores, in_order, open_scheduler, shares
from tests.helpers.clusters import cluster

needs_dask = pytest.mark.skipif(not find_spec("distributed"), reason="needs dask[distributed]")


def test_zero_threads_are_all_cores():
    """That the process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert [cores(n) for n in (0, 1, 99)] == [allowed, 1, 99]
    for command in ("compress", "decompress", "verify", "info", "convert"):
        (option,) = [o for o in main.commands[command].params if o.name == "threads"]
        assert option.callback(None, option, 0) == allowed
    if hasattr(os, "sched_setaffinity"):
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
    with closing(in_order(lambda n: begun.append(n) or time.sleep(0.02), range(100), 3)) as results:
        next(results)
    seen = len(begun)
    assert threading.active_count() == before
    time.sleep(0.05)
    assert len(begun) == seen < 10


def answers(scheduler, function, items):
    return {answer.item: answer.value for answer in scheduler.map(function, items)}


@pytest.mark.parametrize("name", ["", "threads:3"])
def test_every_item_has_an_answer_or_its_error_is_raised(name):
    with open_scheduler(name) as scheduler:
        assert answers(scheduler, abs, range(100)) == {n: n for n in range(100)}
        assert answers(scheduler, abs, []) == {}
        with pytest.raises(ZeroDivisionError):
            answers(scheduler, (1).__truediv__, [1, 0, 1])


def test_one_thread_takes_items_as_they_are_needed():
    """A grid decides by the last answer which the next item is."""
    taken = []
    with open_scheduler() as scheduler:
        for answer in scheduler.map(abs, iter(lambda: taken.append(0) or len(taken), 4)):
            assert len(taken) == answer.item


def test_the_calling_thread_does_not_wait_for_one_slow_item():
    slow = threading.Event()
    with open_scheduler("threads:2") as scheduler:
        found = []
        for answer in scheduler.map(lambda n: n or slow.wait(60), range(5)):
            found.append(answer.item)
            if len(found) == 4:
                slow.set()
    assert found[-1] == 0


def test_workers_without_a_number_are_the_cores_of_the_process(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda number: number or 3)
    for name, slots in (("threads", 3), ("threads:2", 2)):
        with open_scheduler(name) as scheduler:
            assert (scheduler.slots, scheduler.slots_per_process) == (slots, slots)


@pytest.mark.parametrize("name", ["processes:0", "dusk", "threads:x", "tcp://host"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(SpecError, match=f"not a scheduler: '{name}'"), open_scheduler(name):
        pass


@needs_dask
def test_schedulers_that_cannot_be_used_are_one_line(tmp_path, capfd, monkeypatch):
    """No scheduler at the address, one without workers, and workers that do not start."""

    def refused(name, seconds, text):
        monkeypatch.setattr(parallel, "TIMEOUT", seconds)
        with pytest.raises(SchedulerError, match=text) as caught, open_scheduler(name):
            pass
        assert "\n" not in str(caught.value)

    refused("tcp://127.0.0.1:9", 0.5, "^tcp://127.0.0.1:9: ")
    with cluster(tmp_path, workers=0) as (address, _):
        refused(address, 1.0, f"^{address}: .*workers")
    assert capfd.readouterr().err == ""
    failure = RuntimeError("Cluster failed to start:\n[Errno 24] Too many open files")
    monkeypatch.setattr("distributed.LocalCluster", Mock(side_effect=failure))
    refused("processes:2", 1.0, "Too many open files")


@needs_dask
def test_a_scheduler_that_dies_is_an_error(tmp_path, capfd):
    """In one line, and soon; Dask itself logs several tracebacks."""
    with (
        cluster(tmp_path, workers=1) as (address, (dask, _)),
        open_scheduler(address) as scheduler,
        pytest.raises(SchedulerError, match=f"^{address}: lost the connection"),
    ):
        _ = [dask.kill() for _ in scheduler.map(lambda _: time.sleep(0.05), range(100))]
    assert capfd.readouterr().err == ""


@needs_dask
@pytest.mark.slow
def test_workers_keep_their_memory(monkeypatch):
    """Dask makes them return it at once by default, which would distort timings."""
    name = "MALLOC_TRIM_THRESHOLD_"
    monkeypatch.delenv(name, raising=False)
    with open_scheduler("processes:1") as scheduler:
        assert answers(scheduler, os.getenv, [name]) == {name: None}

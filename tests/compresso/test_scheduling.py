"""Tasks on threads and on Dask: answers as they come, and errors in one line."""

import os
import threading
import time

import pytest

from compresso import scheduling
from compresso.errors import SpecError
from compresso.scheduling import SchedulerError, open_scheduler
from tests.helpers.clusters import cluster

distributed = pytest.importorskip("distributed", reason="needs the package dask[distributed]")
SCHEDULERS = [("", 1), ("", 3), ("threads:2", 1)]


def answers(scheduler, function, items):
    return {answer.item: answer.value for answer in scheduler.map(function, items)}


@pytest.mark.parametrize(("name", "threads"), SCHEDULERS)
def test_every_item_has_an_answer_or_its_error_is_raised(name, threads):
    with open_scheduler(name, threads) as scheduler:
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
    with open_scheduler("", 2) as scheduler:
        found = []
        for answer in scheduler.map(lambda n: n or slow.wait(60), range(5)):
            found.append(answer.item)
            if len(found) == 4:
                slow.set()
    assert found[-1] == 0


def test_workers_without_a_number_are_the_cores_of_the_process(monkeypatch):
    monkeypatch.setattr(scheduling, "cores", lambda number: number or 3)
    for name, slots in (("threads", 3), ("threads:2", 2)):
        with open_scheduler(name) as scheduler:
            assert (scheduler.slots, scheduler.slots_per_process) == (slots, slots)


@pytest.mark.parametrize("name", ["processes:0", "dusk", "threads:x", "tcp://host"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(SpecError, match=f"not a scheduler: '{name}'"), open_scheduler(name):
        pass


def test_a_number_of_threads_next_to_a_name_is_refused():
    with pytest.raises(SpecError, match="2 threads"), open_scheduler("processes:2", 2):
        pass


def test_schedulers_that_cannot_be_used_are_one_line(tmp_path, capfd, monkeypatch):
    """No scheduler at the address, one without workers, and workers that do not start."""
    monkeypatch.setattr(scheduling, "TIMEOUT", 0.5)
    with (
        pytest.raises(SchedulerError, match=r"^tcp://127.0.0.1:9: "),
        open_scheduler("tcp://127.0.0.1:9"),
    ):
        pass
    monkeypatch.setattr(scheduling, "TIMEOUT", 1.0)
    with (
        cluster(tmp_path, workers=0) as (address, _),
        pytest.raises(SchedulerError, match=f"^{address}: .*workers"),
        open_scheduler(address),
    ):
        pass
    assert capfd.readouterr().err == ""

    def fail(**_):
        raise RuntimeError("Cluster failed to start:\n[Errno 24] Too many open files")

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    with pytest.raises(SchedulerError) as caught, open_scheduler("processes:2"):
        pass
    assert "\n" not in str(caught.value)
    assert "Too many open files" in str(caught.value)


def slow(number):
    time.sleep(0.05)
    return number


def killed_at_the_first_answer(scheduler, dask):
    for _ in scheduler.map(slow, range(100)):
        dask.kill()


def test_a_scheduler_that_dies_is_an_error(tmp_path, capfd):
    """In one line, and soon; Dask itself logs several tracebacks."""
    with (
        cluster(tmp_path, workers=1) as (address, (dask, _)),
        open_scheduler(address) as scheduler,
        pytest.raises(SchedulerError, match=f"^{address}: lost the connection"),
    ):
        killed_at_the_first_answer(scheduler, dask)
    assert capfd.readouterr().err == ""


def kept_memory(_):
    return os.environ.get("MALLOC_TRIM_THRESHOLD_")


@pytest.mark.slow
def test_workers_keep_their_memory(monkeypatch):
    """Dask makes them return it at once by default, which would distort timings."""
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with open_scheduler("processes:1") as scheduler:
        assert answers(scheduler, kept_memory, [0]) == {0: None}

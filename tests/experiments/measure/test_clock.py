"""The clock, the order of rounds, and what else the machine did."""

import os
import threading
import time

from experiments.measure import Clock, clock, rounds
from experiments.measure.clock import State, state, surroundings


def test_every_round_has_every_item():
    order = list(rounds("ABCDEFGH", 6))
    drawn = [order[at : at + 8] for at in range(0, 48, 8)]
    for run, part in enumerate(drawn, 1):
        assert sorted(part) == [(run, item) for item in "ABCDEFGH"]
    assert len({"".join(item for _, item in part) for part in drawn}) == 6
    assert order == list(rounds("ABCDEFGH", 6))
    assert order != list(rounds("ABCDEFGH", 6, seed=1))
    assert [item for _, item in rounds("DCBA", 1, seed=5)] == list("DCBA")


def test_a_clock_adds_up():
    watch = Clock()
    assert watch.time("a", lambda x: x + 1, 2) == 3
    watch.time("a", time.sleep, 0.02)
    assert watch.seconds["a_s"] > 0.02


def test_a_shared_clock_divides_the_elapsed_time():
    """Two items, each 300 and 100 ns of its 1,000 in stages: one after the other, twice that.

    At once, all take 1,000 ns, of which 600 of 2,000 and 200 of 2,000 are the stages'.
    """
    own = threading.local()

    def now():  # each thread's clock is 1,000 ns later whenever it is asked
        own.ns = getattr(own, "ns", 0) + 1000
        return own.ns

    for at_once, expected in ((1, {"a": 600, "b": 200}), (2, {"a": 300, "b": 100})):
        clock = Clock(now)
        found = clock.share(lambda own, item: own.ns.update(a=300, b=100) or -item, [5, 7], at_once)
        assert found == [-5, -7]
        assert clock.ns == expected


def test_the_surroundings(monkeypatch, tmp_path):
    """In 2 s on all processors, these were busy for half of it and 1 s, which is ours."""
    monkeypatch.setattr(clock, "GOVERNOR", tmp_path / "governor")
    before = State(0.0, 1.5, 100.0, 10.0, 5, 1)
    row = surroundings(before, State(2.0, 9.0, 101.0 + os.cpu_count(), 11.0, 25, 2))
    expected = {"other_cpu": 0.5, "load": 1.5, "minor_faults": 20, "major_faults": 1}
    assert row == expected | {"governor": ""}
    (tmp_path / "governor").write_text("performance\n")
    row = surroundings(state(), state())
    assert row["governor"] == "performance"
    assert "other_cpu" not in row  # too short

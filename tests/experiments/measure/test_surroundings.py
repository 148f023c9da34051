"""What else the machine did during a measurement."""

from experiments.measure import surroundings
from experiments.measure.surroundings import Surroundings


def test_what_others_do_is_their_share():
    """Of 2 s on all processors others had a half: 3 s busy of 2 x 2, 1 s of them ours."""
    cores = surroundings.os.cpu_count()
    start = Surroundings(0.0, 1.5, 100.0, 10.0, (5, 1))
    end = Surroundings(2.0, 9.0, 100.0 + 1 + cores, 11.0, (25, 2))
    row = start.until(end)
    assert row["other_cpu"] == 0.5
    assert (row["load"], row["minor_faults"], row["major_faults"]) == (1.5, 20, 1)


def test_a_short_run_tells_nothing_of_others():
    start = Surroundings(0.0, 1.5, 100.0, 10.0, None)
    row = start.until(Surroundings(0.1, 1.5, 101.0, 10.0, None))
    assert "other_cpu" not in row
    assert "minor_faults" not in row


def test_a_system_that_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(surroundings, "STAT", tmp_path / "stat")
    monkeypatch.setattr(surroundings, "GOVERNOR", tmp_path / "governor")
    monkeypatch.delattr(surroundings.os, "getloadavg")
    row = Surroundings.now().until(Surroundings.now())
    assert row["governor"] == ""
    assert {"load", "other_cpu"}.isdisjoint(row)
    (tmp_path / "governor").write_text("performance\n")
    assert surroundings.governor() == "performance"

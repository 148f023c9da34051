"""The simulator's counts: how its files are read, and what is said where it is not installed."""

from click.testing import CliRunner

from experiments.trust import counts


def test_the_sums_that_a_file_ends_with(tmp_path):
    path = tmp_path / "counts.2"
    path.write_text("version: 1\nevents: Ir Bcm D1mr\nfn=(1) fill\n0 5 1 1\ntotals: 120 7 3\n")
    assert counts.totals(path) == {"Ir": 120, "Bcm": 7, "D1mr": 3}


def test_without_the_simulator(monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(counts.main, ["phantom"])
    assert done.exit_code == 1
    assert done.output == "Error: valgrind is missing; install it: apt-get install valgrind\n"

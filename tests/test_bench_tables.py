"""The commands that print the tables of docs/performance.md on groups and threads."""

import re

import pytest
from click.testing import CliRunner

from experiments.bench import depths, threads

PHANTOM = "phantom:size=32x32x4"


@pytest.fixture
def printed(tmp_path):
    def run(command, *options):
        done = CliRunner().invoke(command.main, [PHANTOM, "-d", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    return run


def test_what_threads_gain(printed):
    lines = printed(threads, "--rounds", "1")
    rows = [line for line in lines if re.fullmatch(r"\| \w.* \| (\d.* \| ){2}", line + " ")]
    assert len(rows) == len(depths.PAIRS)
    assert re.match(r"Threads that share nothing: \d", lines[-1])


def test_what_cutting_costs(printed):
    """A volume that is one group anyway loses no more than the digits of its depth."""
    lines = printed(depths, "--size", "4")
    assert len(lines) == 2 + len(depths.PAIRS)
    for line in lines[2:]:
        *_, whole, lost, _ = (cell.strip() for cell in line.split("|"))
        assert 0 <= float(lost.rstrip("%")) / 100 * int(whole) <= 8

"""The number of threads: what 0 means, wherever it can be said."""

import os

import click
import pytest
from click.testing import CliRunner

from compresso.__main__ import main
from compresso.cli import threads as threads_option
from compresso.container import description
from compresso.parallel import cores
from experiments import records
from experiments.commands.bench import command as bench
from experiments.commands.grid import command as grid


def allowed():
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_zero_is_all_cores():
    assert cores(0) == allowed()
    assert [cores(n) for n in (1, 2, 99)] == [1, 2, 99]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_cores_that_a_process_may_not_use_are_not_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores(0) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_option_gives_the_number():
    @click.command()
    @threads_option(1, "Threads")
    def command(threads):
        click.echo(threads)

    said = {text: CliRunner().invoke(command, ["--threads", text]).output for text in ("0", "3")}
    assert said == {"0": f"{allowed()}\n", "3": "3\n"}
    assert CliRunner().invoke(command, ["--threads", "-1"]).exit_code == 2


THREADED = [*(main.commands[name] for name in ("compress", "decompress", "verify")), bench, grid]


@pytest.mark.parametrize("command", THREADED, ids=lambda command: command.name)
def test_every_command_with_threads_takes_zero(command):
    (option,) = [option for option in command.params if option.name == "threads"]
    assert option.callback(None, option, 0) == allowed()


def test_the_grid_says_what_its_threads_did(tmp_path, monkeypatch):
    """128 slices of 32 x 32 voxels in groups of 50; the title says so, and the row."""
    monkeypatch.setattr(description, "GROUP_VOXELS", 50 * 32 * 32)
    output = tmp_path / "r.csv"
    words = ["cpso", "zlib", "phantom:size=32x32x128", "--output", str(output), "--no-plot"]
    titles = {}
    for threads in ("1", "2", "3"):
        done = CliRunner().invoke(grid, [*words, "--threads", threads])
        assert done.exit_code == 0, done.output
        titles[threads] = done.output.split(" (synthetic), ")[1].splitlines()[0]
    assert titles == {
        "1": "128x32x32 uint64",
        "2": "128x32x32 uint64, 2 threads, groups of 50 slices",
        "3": "128x32x32 uint64, 3 threads, groups of 50 slices",
    }
    table = records.read(output)
    assert list(zip(table["threads"], table["depth"], strict=True)) == [
        (1, ""),
        (2, "50"),
        (3, "50"),
    ]
    one, two, three = table["compressed_bytes"]
    assert one != two == three

"""What every check prints when a file is missing or it is interrupted."""

import importlib
import pkgutil

import click
import pytest
from click.testing import CliRunner

from experiments import checks

NAMES = [m.name for m in pkgutil.iter_modules(checks.__path__)]
PROGRAMS = {
    name: importlib.import_module(f"experiments.checks.{name}").main
    for name in NAMES
    if name != "sources"
}
READERS = [n for n, p in PROGRAMS.items() if any(isinstance(a, click.Argument) for a in p.params)]


def test_every_check_prints_its_errors_in_one_line():
    assert {type(program) for program in PROGRAMS.values()} == {checks.Program}


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(name, tmp_path):
    path = tmp_path / "nothing.h5"
    required = [p for p in PROGRAMS[name].params if isinstance(p, click.Argument) and p.required]
    done = CliRunner().invoke(PROGRAMS[name], [str(path), *["made"] * (len(required) - 1)])
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith(f"Error: {path}: ")
    assert done.stderr.count("\n") == 1


def test_an_interruption_is_one_line():
    @click.command(cls=checks.Program)
    def interrupted():
        raise KeyboardInterrupt

    done = CliRunner().invoke(interrupted)
    assert done.exit_code == 130
    assert done.stderr.startswith("Interrupted; ")

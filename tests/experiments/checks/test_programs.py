"""What every check prints when a file is missing or it is interrupted."""

import importlib

import click
import pytest
from click.testing import CliRunner

from experiments import checks

NAMES = ["corruption", "interval_holds", "named_is_best", "train_ristretto"]


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_one_line(name, tmp_path):
    program = importlib.import_module(f"experiments.checks.{name}").main
    assert type(program) is checks.Program
    required = [p for p in program.params if isinstance(p, click.Argument)]
    if required:
        path = tmp_path / "nothing.h5"
        done = CliRunner().invoke(program, [str(path), *["made"] * (len(required) - 1)])
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

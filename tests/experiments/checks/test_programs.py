"""What every check prints when a file is missing or it is interrupted."""

import click
import pytest
from click.testing import CliRunner

from experiments import checks
from experiments.checks import corruption, recommended, train_ristretto

PROGRAMS = [corruption.main, recommended.interval, recommended.choice, train_ristretto.main]


@pytest.mark.parametrize("program", PROGRAMS)
def test_errors_are_one_line(program, tmp_path):
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

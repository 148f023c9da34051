"""The programs beside ``run.py``: what they say where a file is missing."""

import importlib
import pkgutil

import click
import pytest
from click.testing import CliRunner

from compresso import formats
from compresso.errors import FileError
from experiments import bench, trust
from experiments.program import Program

MODULES = [
    importlib.import_module(f"{package.__name__}.{module.name}")
    for package in (bench, trust)
    for module in pkgutil.iter_modules(package.__path__)
    if module.name not in ("peers", "victim")  # children, whose parent tells
]
PROGRAMS = {
    module.__name__: module.main
    for module in MODULES
    if isinstance(getattr(module, "main", None), click.Command)
}


def asks_for_a_volume(program):
    names = [param.name for param in program.params if isinstance(param, click.Argument)]
    return any(name in ("name", "names", "path", "file", "volume") for name in names)


def test_every_program_tells_its_errors_in_a_line():
    assert len(PROGRAMS) >= 10
    assert {type(program) for program in PROGRAMS.values()} == {Program}


@pytest.mark.parametrize("name", [n for n, p in PROGRAMS.items() if asks_for_a_volume(p)])
def test_a_missing_file_is_named(name, tmp_path):
    path = tmp_path / "nothing.h5"
    required = [p for p in PROGRAMS[name].params if isinstance(p, click.Argument) and p.required]
    words = [str(path), *["made"] * (len(required) - 1)]
    result = CliRunner().invoke(PROGRAMS[name], words)
    assert result.exit_code == 1, result.output
    assert result.stderr == f"Error: {path}: no such file\n"


@pytest.mark.parametrize("ending", ["h5", "npy", "nii", "nrrd", "tif"])
def test_the_readers_name_a_missing_file_too(ending, tmp_path):
    path = tmp_path / f"nothing.{ending}"
    with pytest.raises(FileError) as error, formats.open_volume(path):
        pass
    assert str(error.value) == f"{path}: no such file"


def test_an_interruption_claims_no_more_than_it_knows():
    @click.command(cls=Program)
    def interrupted():
        raise KeyboardInterrupt

    result = CliRunner().invoke(interrupted)
    assert result.exit_code == 130
    assert result.stderr == "Interrupted; what was printed stands\n"


@pytest.mark.parametrize(
    ("program", "words", "line"),
    [
        ("overhead", ["--size", "1K", "--compressor", "lz5"], "--compressor lz5: no bare calls;"),
        ("counts", ["phantom", "--dtype", "int7"], "Invalid value for '--dtype': 'int7' is not"),
    ],
)
def test_what_a_program_does_not_know_is_named(program, words, line):
    result = CliRunner().invoke(PROGRAMS[f"experiments.trust.{program}"], words)
    assert result.exit_code in (1, 2)
    assert f"Error: {line}" in result.stderr
    assert "bug" not in result.stderr

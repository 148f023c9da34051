"""The README's snippets run as they stand, and its links lead somewhere."""

import importlib
import re
import shlex

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from compresso.__main__ import main
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
SHELL = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
]
#: Packages that a snippet imports and not everybody has.
OPTIONAL = ("zarr", "cloudvolume")


@pytest.mark.parametrize("code", PYTHON, ids=["library", "zarr", "cloudvolume"])
def test_a_snippet_runs(code, phantom, tmp_path, monkeypatch):
    for package in OPTIONAL:
        if re.search(rf"^(import|from) {package}\b", code, re.M):
            pytest.importorskip(package)
    if "import zarr" in code:  # the entry point of an installed package
        importlib.import_module("compresso.adapters.zarr")
    monkeypatch.chdir(tmp_path)
    with h5py.File("seg.h5", "w") as file:
        file["labels"] = phantom
    names = {"labels": phantom.copy()}
    exec(compile(code, "README.md", "exec"), names)
    assert np.array_equal(np.asarray(names["labels"]), phantom)


def test_the_commands_run(phantom, tmp_path, monkeypatch):
    pytest.importorskip("tensorstore")
    monkeypatch.chdir(tmp_path)
    with h5py.File("seg.h5", "w") as file:
        file["labels"] = phantom
    commands = [shlex.split(line)[1:] for line in SHELL if line.startswith("compresso ")]
    assert len(commands) >= 6
    for command in commands:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output)
    assert np.array_equal(np.load("part.npy"), phantom[4:8])


def test_one_command_measures_and_one_tests():
    setup = [line for line in SHELL if line.startswith("python3 -m venv .venv")]
    install = "python3 -m venv .venv && .venv/bin/pip install -r {} && .venv/bin/python "
    measure, test = setup
    assert measure.startswith(install.format("requirements.txt") + "run.py ")
    assert test == install.format("requirements-dev.txt") + "-m pytest"

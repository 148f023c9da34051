"""The examples in the docstrings of the library run."""

import doctest
import importlib

import pytest

import compresso
from compresso.adapters import pypi
from tests.helpers.paths import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "compresso").rglob("*.py"))
    if ">>> " in path.read_text()
]
#: What users of the library call.
FUNCTIONS = [
    *(compresso.dumps, compresso.loads, compresso.open),
    *(compresso.encodings.parse, compresso.compressors.parse),
    *(pypi.compress, pypi.decompress, pypi.remap, pypi.labels),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip("an optional package is missing")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_a_public_function_has_an_example(function):
    assert ">>> " in function.__doc__

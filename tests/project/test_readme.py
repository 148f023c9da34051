"""The README's Python, as it stands."""

import importlib
import re

import numpy as np
import pytest

from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text()
#: Packages that a snippet imports and not everybody has.
OPTIONAL = ("zarr", "numcodecs", "tensorstore", "cloudvolume")


#: Every block of Python, by the bold words before it.
SNIPPETS = re.findall(r"\*\*([^*]+)\.\*\*(?:(?!\*\*|```).)*```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("code", [code for _, code in SNIPPETS], ids=[t for t, _ in SNIPPETS])
def test_a_snippet_runs(code, phantom, tmp_path, monkeypatch):
    for package in OPTIONAL:
        if re.search(rf"^(import|from) {package}\b", code, re.M):
            pytest.importorskip(package)
    if "import zarr" in code:  # the entry point of an installed package
        from compresso.adapters.zarr import CompressoCodec

        importlib.import_module("zarr.registry").register_codec("compresso", CompressoCodec)
    monkeypatch.chdir(tmp_path)
    names = {"labels": phantom.copy()}
    exec(compile(code, "README.md", "exec"), names)
    assert np.array_equal(np.asarray(names["labels"]), phantom)


def test_every_block_of_python_is_a_snippet():
    assert len(SNIPPETS) == README.count("```python") >= 4

"""Stores as datasets of run.py."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso import volumes
from compresso.errors import FileError
from experiments import datasets
from experiments.errors import DatasetError
from tests.helpers import stores as depots


def run(*arguments):
    return subprocess.run(
        [sys.executable, "run.py", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


def test_names_and_sources(tmp_path, monkeypatch):
    volume = depots.labels()
    folder = depots.precomputed(tmp_path / "a" / "seg", volume, offset=(1, 2, 3), mips=2)
    monkeypatch.chdir(tmp_path)
    url = f"file://{folder}/|neuroglancer-precomputed:"
    texts = {
        "a/seg": ("seg", str(folder), volume),
        f"{url}:mip=1": ("seg:mip=1", f"{url}:mip=1", volume[:, ::2, ::2]),
        "precomputed://a/seg:mip=1,box=1-5x2-6x3-4": (
            "seg:mip=1,box=1-5x2-6x3-4",
            "precomputed://a/seg:mip=1,box=1-5x2-6x3-4",
            volume[:1, :8:2, :8:2],
        ),
    }
    found = datasets.choose(",".join(texts), tmp_path)
    assert [d.load().name for d in found] == [name for name, _, _ in texts.values()]
    for dataset, (_, source, labels) in zip(found, texts.values(), strict=True):
        assert dataset.load().source == source
        np.testing.assert_array_equal(dataset.load().labels, labels)
    part = found[0].load(7)
    assert part.part == "first 7 of 20 slices"
    np.testing.assert_array_equal(part.labels, volume[:7])


def test_the_same_name_twice(tmp_path):
    for name in "ab":
        depots.precomputed(tmp_path / name / "seg", depots.labels())
    found = datasets.choose(f"{tmp_path}/a/seg,{tmp_path}/b/seg,{tmp_path}/b/seg", tmp_path)
    assert [d.name for d in found] == ["a/seg", "b/seg"]


def test_more_than_the_memory_holds(tmp_path, monkeypatch):
    folder = depots.precomputed(tmp_path / "seg", depots.labels())
    (dataset,) = datasets.choose(str(folder), tmp_path)
    size = 20 * 33 * 41 * 8
    monkeypatch.setattr(volumes, "available", lambda: 2 * size - 1)
    monkeypatch.setattr(volumes, "open_store", None)  # nothing is read
    for refused in (lambda: datasets.checked([dataset], None), dataset.load):
        with pytest.raises(DatasetError, match=r"41 x 33 x 20 uint64, 211\.4 KiB; .* choose a box"):
            refused()
    assert datasets.checked([dataset], 19) == ["seg: 41 x 33 x 20 uint64, 211.4 KiB"]


def test_what_is_not_there_ends_it_at_once(tmp_path):
    with pytest.raises(FileError, match="absent, or not a store"):
        datasets.choose(f"file://{tmp_path}/nothing", tmp_path)


@pytest.mark.parametrize("how", [(), ("--isolate",), ("--timeout", "60")])
def test_the_grid(tmp_path, how):
    folder = depots.precomputed(tmp_path / "seg", depots.labels(dtype="u4"), offset=(4, 5, 6))
    output = tmp_path / "results.csv"
    text = f"precomputed://{folder}:box=10-40x5-38x6-26"
    done = run("compresso,none", "zlib", text, "-o", output, "--no-plot", *how)
    assert done.returncode == 0, done.stderr
    assert "seg:box=10-40x5-38x6-26: 30 x 33 x 20 uint32, 77.34 KiB" in done.stderr
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert {(row["dataset"], row["source"]) for row in rows} == {("seg:box=10-40x5-38x6-26", text)}


def test_a_claim_that_no_memory_holds(tmp_path):
    folder = depots.info(tmp_path / "seg", size=[1 << 20] * 3)
    done = run("none", "none", folder, "-o", tmp_path / "results.csv", "--no-plot")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {folder}: 1048576 x 1048576 x 1048576 uint32, 4096 PiB;")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results.csv").exists()

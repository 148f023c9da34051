"""The benchmark: what it measures, its table and its figure."""

import sys
from pathlib import Path

import numpy as np
import pytest

from compresso import encodings
from compresso.__main__ import main as compresso_main
from experiments import HarnessError, bench
from experiments.bench import report
from experiments.datasets import Dataset, LoadedVolume
from experiments.datasets.synthetic import Phantom
from tests.helpers.commands import run_here

sys.path.append(str(Path(report.__file__).parent))

import other_codecs

LABELS = Phantom().labels(2)[:, :64, :64].copy()
VOLUME = LoadedVolume(Dataset("v"), LABELS)


def interpreter(folder, *lines):
    """A program that is taken for another interpreter."""
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def test_the_command_prints_a_table_and_draws_a_figure_per_dtype(tmp_path):
    words = ["phantom:size=64x64x8,bits=32", "--encodings", "compresso,neuroglancer", "--runs", 1]
    words += ["--no-commands", "--dtype", "uint32", "--dtype", "uint64", "--figures", tmp_path]
    done = run_here("bench", *words)
    for dtype in ("uint32", "uint64"):
        assert (tmp_path / f"bench_{dtype}.svg").exists()
    for title in ("memory copy", "compresso", "compresso, 2 threads", "neuroglancer"):
        assert done.output.count(f"\n| {title} | ") == 2


def test_quick_changes_only_defaults(monkeypatch, tmp_path):
    asked = []

    def run(volume, chosen, runs, threads, python, announce):
        asked.append((volume.labels.dtype, runs, threads))
        return {"cpso": rows([1], [1])}

    monkeypatch.setattr(bench, "run", run)
    run_here("bench", "phantom:size=8x8x8,bits=32", "--quick", "--runs", 2, "--figures", tmp_path)
    assert asked == [(np.uint32, 2, 1)]


def test_every_round_measures_all_but_what_fails(tmp_path):
    labels = np.full((1, 4, 4), 2**64 - 1, np.uint64)
    chosen = [encodings.parse(name) for name in ("compresso", "cpso")]
    said = []
    answer = """read title; echo '{"status": "error: cannot"}'"""  # then the process ends
    python = interpreter(tmp_path, """echo '["Crackle 1", "Dead 1"]'""", answer)
    results = bench.run(LoadedVolume(Dataset("v"), labels), chosen, 2, 1, python, said.append)
    assert list(results) == ["memory copy", "cpso"]
    assert [row["run"] for row in results["cpso"]] == [1, 2]
    assert all(row[stage] > 0 for row in results["cpso"] for stage in report.STAGES)
    assert [line.partition(" ")[0] for line in said[1:4]] == ["compresso", "Crackle", "Dead"]
    assert "label 18446744073709551615" in said[1]
    assert "crash" in said[3]


def rows(encode, decode, **more):
    return [
        {"encode_s": e, "decode_new_s": d, "encoded_bytes": 100} | more
        for e, d in zip(encode, decode, strict=True)
    ]


def lines_of(results):
    """The columns of the table of 8 million voxels, by the first one."""
    lines = [line.strip("| ").split(" | ") for line in report.table(8_000_000, results)]
    return {name: columns for name, *columns in lines}


def test_another_package_follows_its_counterpart_with_ratios_of_the_same_round():
    """A machine that slows down tenfold in a round slows both, and the ratio stays."""
    slow = [1.0, 10.0, 1.0, 1.0, 1.0]
    results = {title: rows(slow, np.multiply(slow, 2)) for title in ("ristretto", "compresso", "x")}
    other = rows(np.multiply(slow, 5), np.multiply(slow, 6), kind="other")
    found = list(report.order(results | {"Crackle 1.0": other, "New 1": other}))
    assert found == [
        *(("ristretto", ""), ("Crackle 1.0", "ristretto")),
        *(("compresso", ""), ("Crackle 1.0", "compresso"), ("x", ""), ("New 1", "")),
    ]
    lines = lines_of(results | {"Crackle 1.0": other})
    assert lines["> Crackle 1.0"][-2:] == ["5.00 (5.00 to 5.00)", "3.00 (3.00 to 3.00)"]
    assert len(lines_of(results)["codec"]) == len(lines["codec"]) - 2


def test_speeds_are_medians_with_intervals_from_three_rounds_on():
    """8 million voxels in 1 to 8 s; 100 bytes are 800 bits. Training volumes are marked."""
    trained = rows([1], [1], encoding="ristretto", dataset="pinky40.h5")
    lines = lines_of({"x": rows([1, 2, 4, 5, 8], [2] * 5), "y": rows([1, 4], [2, 2]), "z": trained})
    assert "z\u2020" in lines
    assert any("trained on this volume" in line for line in lines)
    assert lines["x"] == ["2 (1 to 8)", "", "4 (4 to 4)", "0.000"]
    assert lines["y"] == ["3 (n = 2)", "", "4 (n = 2)", "0.000"]


def test_the_figure_has_a_row_per_codec(tmp_path):
    given = [1, 2, 3], [1, 2, 3]
    results = {
        "memory copy": [{"decode_new_s": 1.0, "kind": "copy"}] * 3,
        "cpso": rows(*given, encoding="cpso", threads=1),
        "cpso, 2": rows(*given, encoding="cpso", threads=2),
        "PyPI compresso 3 4x4x1, index": rows(*given, kind="other"),
    }
    path = report.draw(LABELS, results, "a title", tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")
    text = path.with_suffix(".svg").read_text()
    for label in ("cpso", list(results)[-1], "1 thread", "2 threads", "other package"):
        assert text.count(f">{label}<") == 1


def test_labels_that_cannot_be_measured_are_refused(tmp_path):
    for labels in ([[[1, 2**32]]], np.zeros((0, 1, 1), int)):
        np.save(tmp_path / "x.npy", labels)
        words = ["bench", tmp_path / "x.npy", "--dtype", "uint32", "--figures", tmp_path]
        assert run_here(*words, code=1).stderr.startswith("Error: ")


def test_whole_commands(monkeypatch):
    """Only info here: to compress and decompress compiles kernels, which takes a minute."""
    assert set(bench.COMMANDS) <= set(compresso_main.commands)
    monkeypatch.setattr(bench, "COMMANDS", {"info": ["--help"]})
    lines = list(bench.whole_commands(LABELS, 2))
    assert len([line for line in lines if line.startswith("| `info` | ")]) == 1
    monkeypatch.setattr(bench, "COMMANDS", {"info": ["nothing.cps"]})
    with pytest.raises(HarnessError, match="compresso info: "):
        list(bench.whole_commands(LABELS, 1))


# ---- other packages


@pytest.mark.parametrize("package", other_codecs.PACKAGES)
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_packages_restore_labels(package, dtype):
    """Here ``compresso`` is this project, which has the functions of the other one."""
    pytest.importorskip(package)
    labels = np.asfortranarray(LABELS.T % 1000, dtype)
    found = other_codecs.codecs(package, labels.shape, labels.dtype)
    assert found
    for encode, decode in found.values():
        row = other_codecs.measure(labels, encode, decode)
        assert (row["status"], row["lossless"]) == ("ok", True)
        assert min(row["encode_s"], row["decode_new_s"]) > 0
        assert row["encoded_bytes"] == len(encode(labels))
        row = other_codecs.measure(labels, encode, lambda _: labels + 1)
        assert row["status"] == "error: decoded labels differ"


def test_packages_of_another_interpreter_are_measured():
    """Those of this one, which has some of them."""
    pytest.importorskip("crackle")
    with bench.connect(VOLUME, sys.executable) as found:
        (title,) = (title for title in found if title.startswith("Crackle "))
        row = found[title](3)
    assert (row["encoding"], row["run"], row["status"]) == (title, 3, "ok")
    assert (row["raw_bytes"], row["dtype"]) == (8 * LABELS.size, "uint64")


@pytest.mark.parametrize("script", ["echo '[]'; cat", "exit 1", None])
def test_an_interpreter_without_packages_is_refused(tmp_path, script):
    python = interpreter(tmp_path, script) if script else "no/such/python"
    with pytest.raises(HarnessError), bench.connect(VOLUME, python):
        pass

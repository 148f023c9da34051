"""The benchmark: what it measures, and its tables."""

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from compresso import encodings
from compresso.__main__ import main as compresso_main
from experiments import bench
from experiments.bench import commands, peers, tables
from experiments.commands import main
from experiments.datasets import LoadedVolume
from experiments.datasets.synthetic import Phantom
from experiments.errors import HarnessError

sys.path.append(str(Path(peers.__file__).parent))

import other_codecs

LABELS = Phantom().labels(2)[:, :64, :64].copy()
VOLUME = LoadedVolume("v", "v", "em", LABELS)
#: A worker whose two packages fail, one with an answer and one by ending the process.
FAILING = """#!/bin/sh
echo '["Crackle 1", "Dead 1"]'
read title; echo '{"status": "error: cannot"}'
"""


def run_bench(*words):
    return CliRunner().invoke(main, ["bench", *map(str, words)])


@pytest.fixture
def interpreter(tmp_path):
    """Makes a program that is taken for another interpreter."""

    def make(text):
        path = tmp_path / "python"
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return make


def test_the_command_prints_tables_and_draws_a_figure_per_dtype(tmp_path):
    words = ["phantom:size=64x64x8,bits=32", "--encodings", "compresso,neuroglancer"]
    words += ["--no-commands", "--runs", "1", "--dtype", "uint32", "--dtype", "uint64"]
    done = run_bench(*words, "--figures", tmp_path)
    assert done.exit_code == 0, done.output
    for dtype in ("uint32", "uint64"):
        assert f"(synthetic), 64 x 64 x 8 {dtype}, " in done.output
        assert (tmp_path / f"bench_{dtype}.png").exists()
    for title in ("memory copy", "compresso", "compresso, 2 threads", "neuroglancer"):
        assert done.output.count(f"\n| {title} | ") == 2


def test_every_round_measures_everything():
    chosen = [encodings.parse(name) for name in ("compresso", "ristretto")]
    results = bench.run(VOLUME, chosen, 2, 1, None, lambda _: None)
    assert list(results) == ["memory copy", "compresso", "ristretto"]
    for title, rows in results.items():
        assert [row["run"] for row in rows] == [1, 2]
        stages = list(tables.STAGES)[title == "memory copy" :]
        assert all(row[stage] > 0 for row in rows for stage in stages)


def test_what_fails_is_left_out(interpreter):
    """Our encoding, whose label is too large, and two packages."""
    labels = np.full((1, 4, 4), 2**64 - 1, np.uint64)
    chosen = [encodings.parse(name) for name in ("compresso", "cpso")]
    said = []
    python = interpreter(FAILING)
    results = bench.run(LoadedVolume("v", "v", "em", labels), chosen, 1, 1, python, said.append)
    assert list(results) == ["memory copy", "cpso"]
    assert said[1].startswith("compresso is left out: refused: label 18446744073709551615")
    assert said[2:4] == [
        "Crackle 1 is left out: error: cannot",
        "Dead 1 is left out: crash: its process ended",
    ]


def rows(encode, decode, **more):
    return [
        {"encode_s": e, "decode_new_s": d, "encoded_bytes": 100} | more
        for e, d in zip(encode, decode, strict=True)
    ]


def test_ratios_are_of_the_same_round():
    """A machine that slows down tenfold in a round slows both, and the ratio stays."""
    slow = [1.0, 10.0, 1.0, 1.0, 1.0]
    ours = {title: rows(slow, [2 * s for s in slow]) for title in ("compresso", "ristretto")}
    peer = {"Crackle 1.0": rows([5 * s for s in slow], [6 * s for s in slow])}
    assert list(tables.ratios(ours | peer))[2:] == [
        f"| {title} | Crackle 1.0 | 5.00 (5.00 to 5.00) | 3.00 (3.00 to 3.00) |"
        for title in ("compresso", "ristretto")
    ]
    assert list(tables.ratios(ours)) == []


def test_speeds_are_medians_with_intervals():
    """8 million voxels in 1 to 8 s; 100 bytes are 800 bits."""
    *_, line = tables.speeds(8_000_000, {"x": rows([1, 2, 4, 5, 8], [2] * 5)})
    assert line == "| x | 2 (1 to 8) |  | 4 (4 to 4) | 0.000 |"


def test_two_rounds_have_no_interval():
    *_, line = tables.speeds(8_000_000, {"x": rows([1, 4], [2, 2])})
    assert line == "| x | 3 (n = 2) |  | 4 (n = 2) | 0.000 |"
    both = {"compresso": rows([1, 1], [1, 1]), "Crackle 1": rows([1, 4], [2, 2])}
    *_, line = tables.ratios(both)
    assert line.endswith("| 2.50 (n = 2) | 2.00 (n = 2) |")


def test_what_was_trained_on_the_labels_is_marked():
    found = {
        f"{name}, 2 threads": rows([1], [1], encoding=name, dataset="pinky40.h5")
        for name in ("cpso", "ristretto")
    }
    lines = list(tables.speeds(8_000_000, found))
    assert lines[2].startswith("| cpso, 2 threads | ")
    assert lines[3].startswith("| ristretto, 2 threads\u2020 | ")
    assert "trained on this volume" in lines[-1]
    assert "\u2020" not in "".join(tables.speeds(8_000_000, {"cpso": rows([1], [1])}))


@pytest.mark.parametrize(
    ("labels", "told"),
    [([[[1, 2**32]]], "label 4294967296 does not fit"), (np.zeros((0, 1, 1), int), "empty")],
)
def test_labels_that_cannot_be_measured_are_refused(tmp_path, labels, told):
    np.save(tmp_path / "x.npy", labels)
    done = run_bench(tmp_path / "x.npy", "--dtype", "uint32", "--figures", tmp_path)
    assert done.exit_code == 1
    assert told in done.stderr


# ---- whole commands


def test_whole_commands(monkeypatch):
    """Only info here: to compress and decompress compiles kernels, which takes a minute."""
    monkeypatch.setattr(commands, "COMMANDS", {"info": ["--help"]})
    lines = list(commands.table(LABELS, 2))
    assert len([line for line in lines if line.startswith("| `info` | ")]) == 1
    monkeypatch.setattr(commands, "COMMANDS", {"info": ["nothing.cps"]})
    with pytest.raises(HarnessError, match="compresso info: "):
        list(commands.table(LABELS, 1))


def test_the_timed_commands_exist():
    assert set(commands.COMMANDS) <= set(compresso_main.commands)


# ---- other packages


@pytest.mark.parametrize("package", other_codecs.PACKAGES)
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_packages_restore_labels(package, dtype):
    """Here ``compresso`` is ours, which has the functions of the other one."""
    pytest.importorskip(package)
    labels = np.asfortranarray(LABELS.T % 1000, dtype)
    found = other_codecs.codecs(package, labels.shape, labels.dtype)
    assert found
    for encode, decode in found.values():
        row = other_codecs.measure(labels, encode, decode)
        assert (row["status"], row["lossless"]) == ("ok", True)
        assert min(row["encode_s"], row["decode_new_s"]) > 0
        assert row["encoded_bytes"] == len(encode(labels))


def test_a_package_that_fails_or_loses_labels_is_a_row():
    labels = np.asfortranarray(LABELS)
    row = other_codecs.measure(labels, lambda _: b"", lambda _: labels + 1)
    assert row["status"] == "error: decoded labels differ"
    assert other_codecs.measure(labels, 1, 2)["status"].startswith("error: TypeError: ")


def test_a_package_that_cannot_hold_the_dtype_has_no_codec():
    pytest.importorskip("compressed_segmentation")
    assert other_codecs.codecs("compressed_segmentation", (1, 2, 3), np.uint16) == {}


def test_packages_of_another_interpreter_are_measured():
    """Of this one here, which has some of them."""
    pytest.importorskip("crackle")
    with peers.connect(VOLUME, sys.executable) as found:
        (title,) = (title for title in found if title.startswith("Crackle "))
        row = found[title](3)
    assert (row["encoding"], row["run"], row["status"]) == (title, 3, "ok")
    assert (row["raw_bytes"], row["dtype"]) == (8 * LABELS.size, "uint64")


@pytest.mark.parametrize(
    ("script", "told"),
    [("echo '[]'\ncat", "has no other codec. Install some"), ("exit 1", "exited at once")],
)
def test_an_interpreter_without_packages_is_refused(interpreter, script, told):
    python = interpreter(f"#!/bin/sh\n{script}\n")
    with pytest.raises(HarnessError, match=told), peers.connect(VOLUME, python):
        pass


def test_an_interpreter_that_does_not_exist_is_refused():
    with (
        pytest.raises(HarnessError, match="cannot run it"),
        peers.connect(VOLUME, "no/such/python"),
    ):
        pass

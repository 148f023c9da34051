"""The benchmark: what it measures, what it tells of it, and the page that keeps it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_run import run

from experiments import bench
from experiments.bench import entries, page, tables, waiting
from experiments.bench.entries import Entry
from experiments.commands import main
from experiments.datasets import Volume
from experiments.datasets.phantom import Phantom

sys.path.append(str(Path(tables.__file__).parent))

import adapters


def test_bench(tmp_path, monkeypatch):
    """Both dtypes and the page; which encodings there are is for the next test."""
    monkeypatch.setattr(entries, "SPECS", ("compresso", "neuroglancer"))
    command = ["bench", "phantom:size=64x64x8,bits=32", "--no-commands", "--rounds", "1"]
    command += ["--dtype", "uint32", "--dtype", "uint64", "--figures", str(tmp_path)]
    done = CliRunner().invoke(main, [*command, "--markdown", str(tmp_path / "page.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.md").read_text()
    for dtype in ("uint32", "uint64"):
        assert f"### phantom:size=64x64x8,bits=32 (synthetic), 64 x 64 x 8 {dtype}\n" in text
        assert (tmp_path / f"bench_{dtype}.png").exists()
    for line in ("memory copy", "compresso", "compresso, 2 threads", "compresso + zstd, frame"):
        assert text.count(f"\n| {line} | ") >= 2, line
    assert text.count("threads that share nothing do") == 2
    assert text.split("\n### ")[1].split("\n", 1)[1].strip() in done.output
    done = run("bench", "phantom:size=8x8x8", "--peers", "no/such/python", "--figures", tmp_path)
    assert done.returncode == 1
    assert "cannot be run" in done.stderr


def test_every_round_measures_everything():
    labels = Phantom().load(2).labels[:, :64, :64].copy()
    measured = bench.run(Volume("v", "v", "em", labels), 2, 1, None, lambda _: None)
    assert {"compresso", "cpso", "ristretto"} < {entry.name for entry in measured}
    for entry in measured:
        assert sorted(entry.rounds) == [1, 2], entry.name
        assert min(entry.values("encode_s") + entry.values("decode_new_s")) > 0
        if entry.kind == "ours" and "zstd" not in entry.name:
            assert len(entry.values("decode_s")) == 2


def entry(name, kind, encode, decode):
    made = Entry(name, kind, lambda _: {})
    for run_, (e, d) in enumerate(zip(encode, decode, strict=True), 1):
        made.rounds[run_] = {"encode_s": e, "decode_new_s": d, "bytes": 100.0}
    return made


def test_ratios_are_of_the_same_round():
    """A machine that slows down tenfold in a round slows both, and the ratio stays."""
    slow = [1.0, 10.0, 1.0, 1.0, 1.0]
    ours = [
        entry(name, "ours", slow, [2 * s for s in slow])
        for name in dict.fromkeys(name for name, _, _ in tables.BESIDE)
    ]
    peer = entry("Crackle 1.0", "peer", [5 * s for s in slow], [6 * s for s in slow])
    lines = tables.beside_peers([*ours, peer])
    assert lines[2:4] == [
        f"| {name} | Crackle 1.0 | 5.00 (5.00 to 5.00) | 3.00 (3.00 to 3.00) |"
        for name in ("compresso", "ristretto")
    ]
    assert tables.beside_peers(ours) == []


def test_speeds_are_medians_with_intervals():
    """8 million voxels in 1 to 5 s; 100 bytes are 800 bits."""
    labels = np.zeros((8, 1000, 1000), np.uint8)
    (line,) = tables.speeds(labels, [entry("x", "peer", [1, 2, 4, 5, 8], [2] * 5)])[2:]
    assert line == "| x | 2 (1 to 8) |  | 4 (4 to 4) | 0.000 |"


# ---- a section a machine


def test_a_machine_has_one_section(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    old = "# Performance\n\nWhat it is.\n\n## Another, 4 cores\n\nold\n\n## End\n\nlast\n"
    path.write_text(old)
    monkeypatch.setattr(page, "machine", lambda: "Mine (R), 2 cores")
    page.write(path, "### first\n\n1\n")
    whole = old + "\n"
    assert path.read_text() == whole + "## Mine (R), 2 cores\n\n### first\n\n1\n"
    monkeypatch.setattr(page, "machine", lambda: "Another, 4 cores")
    page.write(path, "new \\1")
    assert path.read_text() == whole.replace("old", "new \\1") + (
        "## Mine (R), 2 cores\n\n### first\n\n1\n"
    )
    page.write(tmp_path / "made.md", "x")
    assert (tmp_path / "made.md").read_text() == "# Performance\n\n## Another, 4 cores\n\nx\n"


def test_a_machine_is_called_by_its_generation(tmp_path, monkeypatch):
    """Two generations of one name, as virtual machines have it, are two machines."""
    monkeypatch.setattr(page.records, "cpu", lambda: "AMD EPYC")
    monkeypatch.setattr(page.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(page, "CPUINFO", tmp_path / "cpuinfo")
    assert page.machine() == "AMD EPYC, 2 cores"
    text = "cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    (tmp_path / "cpuinfo").write_text(text)
    assert page.machine() == "AMD EPYC, family 25 model 17, 2 cores"


# ---- whole commands


def test_whole_commands(monkeypatch):
    monkeypatch.setattr(waiting, "COMMANDS", {"--version": ["--version"]})
    lines = waiting.commands(np.zeros((1, 2, 3), np.uint8), 2)
    assert len([line for line in lines if line.startswith("| `--version` | ")]) == 1


def test_every_command_is_one():
    """By their help; to run them all compiles kernels, which takes a minute."""
    from compresso.__main__ import main

    assert {arguments[0] for arguments in waiting.COMMANDS.values()} <= {
        "--version",
        *main.commands,
    }


# ---- other people's codecs


@pytest.mark.parametrize("package", adapters.PACKAGES)
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_adapters_restore_labels(package, dtype):
    """Here ``compresso`` is ours, which has the functions of the other one."""
    pytest.importorskip(package)
    labels = np.asfortranarray(Phantom().load(3).labels[:, :40, :50].T % 1000, dtype)
    codecs = adapters.find(package, labels.shape, labels.dtype)
    assert codecs
    for encode, decode in codecs.values():
        assert np.array_equal(decode(encode(labels)), labels)


def test_adapters_know_what_a_package_cannot_hold():
    pytest.importorskip("compressed_segmentation")
    assert adapters.find("compressed_segmentation", (1, 2, 3), np.uint16) == {}


def test_the_attacker_uses_the_same_adapters(tmp_path):
    pytest.importorskip("crackle")
    from experiments.checks import corruption_worker

    labels = np.arange(60, dtype=np.uint32).reshape(3, 4, 5)
    encode, decode, _ = corruption_worker.peer("crackle", labels)
    assert np.array_equal(decode(encode()), labels)

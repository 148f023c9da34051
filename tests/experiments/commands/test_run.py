"""The commands as a user meets them: the grid, its options, and errors."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

import compresso
from compresso import compressors, encodings
from compresso.text import counted
from experiments import figures, records
from experiments.commands import MODULES
from tests.helpers import stores
from tests.helpers.commands import RUN, SMALL, run_here
from tests.helpers.rows import row

LABELS = np.arange(4 * 8 * 8, dtype=np.uint64).reshape(4, 8, 8) // 5


@pytest.fixture
def keep(tmp_path):
    """Options that keep a run's output in the test's own folder."""
    return ["--csv", tmp_path / "out" / "r.csv", "--figures", tmp_path / "figures"]


@pytest.fixture(scope="module")
def whole_grid(tmp_path_factory):
    """Every method on a small volume, and the folder of its results."""
    folder = tmp_path_factory.mktemp("whole")
    words = ["--csv", folder / "r.csv", "--figures", folder / "figures"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "RESULTS", {"encoding_only": figures.RESULTS["encoding_only"]})
        return folder, run_here("all", "all", SMALL, "--runs", 2, *words)


def test_every_method_is_measured_and_drawn(whole_grid):
    folder, done = whole_grid
    alone = [encodings.parse(name).alone for name in encodings.installed()]
    methods = alone.count(False) * len(compressors.installed()) + alone.count(True)
    table = records.read(folder / "r.csv")
    assert len(table) == 2 * methods
    assert table["lossless"].all()
    assert f"{SMALL} (synthetic), 48 x 40 x 6 uint64" in done.stdout
    lines = [line for line in done.stdout.splitlines() if re.search(r"\d (bytes|kB)  ", line)]
    assert len(lines) == methods
    made = {path.name for path in (folder / "figures").iterdir()}
    assert {"report.html", "encoding_only.png", "encoding_only.pdf"} <= made
    assert "report.html" in done.stderr


def test_formats_of_the_results(whole_grid):
    folder, _ = whole_grid
    words = ["none,cpso", "zlib,none", SMALL, "--csv", folder / "r.csv", "--no-plot", "-q"]
    done = {form: run_here(*words, "--format", form) for form in ("csv", "json", "md")}
    assert {one.stderr for one in done.values()} == {""}
    found = json.loads(done["json"].stdout)
    ratios = [one["ratio"] for one in found]
    assert ratios == sorted(ratios, reverse=True)
    (raw,) = (one for one in found if one["encoding"] == one["compression"])
    assert raw["compress_speed"] is None
    again = list(csv.DictReader(io.StringIO(done["csv"].stdout)))
    assert [one["encoding"] for one in again] == [one["encoding"] for one in found]
    assert sum(line.startswith("|") for line in done["md"].stdout.splitlines()) == 2 + 4
    assert run_here(*words, "--json").stdout == done["json"].stdout


def test_the_line_of_the_original_readme(tmp_path, keep):
    (tmp_path / "ac3" / "rhoana").mkdir(parents=True)
    with h5py.File(tmp_path / "ac3" / "rhoana" / "ac3_rhoana.h5", "w") as file:
        file["main"] = LABELS[:3]
    for slices in (1, -1, 99):
        words = ("-r", 1, "-s", slices, "-d", tmp_path, "-b", "-v", "--restart", *keep)
        done = run_here("COMPRESSO", "LZMA", "ac3", *words, "--no-plot")
        assert "B O C K W U R S T" in done.stdout
    table = records.read(keep[1])
    assert table["shape"].tolist() == ["1x8x8", "3x8x8", "3x8x8"]
    assert table["part"].tolist() == ["first 1 of 3 slices", "", ""]
    assert set(zip(table["encoding"], table["compression"], strict=True)) == {("compresso", "lzma")}


def test_lists_and_parameters(keep):
    codecs = ("compresso:window=4x4x1,COMPRESSO,compresso,ristretto", "zstd:level=1,zstd")
    done = run_here(*codecs, SMALL, "-v", "--no-plot", *keep)
    assert len(re.findall(r"run 1: ratio [\d.]+; encode", done.stderr)) == 5
    assert "without a compressor: ristretto\n" in done.stderr
    table = records.read(keep[1])
    names = ["compresso", "compresso:window=4x4x1", "ristretto"]
    assert sorted(set(table["encoding"])) == names
    assert sorted(set(table["compression"])) == ["none", "zstd", "zstd:level=1"]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["recomend", "x.h5"], '"recommend"', 2),
        (["compreso", "lzma", SMALL], '"compresso"', 2),
        (["compresso", "lzm", SMALL], "lzma", 2),
        (["compresso", "spl-knee"], "run.py compresso lzma spl-knee", 2),
        (["compresso", "lzma", "fib26"], '"fib25"', 2),
        (["compresso", "lzma", "missing.h5"], "missing.h5: no such file", 1),
        (["compresso", "lzma:preset=99", SMALL], "preset", 2),
        (["compresso", "lzma", SMALL, "--runs", "0"], "--runs", 2),
        (["compresso", "lzma", SMALL, "--nonsense"], "--nonsense", 2),
        (["compresso"], "COMPRESSION", 2),
        (["none", "zlib", ","], "DATASET", 2),
        (["none", "zlib", SMALL, "--slices=-2"], "--slices", 2),
        (["paper", SMALL, "--timeout=nan"], "--timeout", 2),
        (["compresso", "zlib", f"{SMALL},ac3", "-d", "nowhere"], "run.py fetch ac3", 1),
        (["recommend", "ac3,ac4", "-d", "nowhere"], "names 2", 1),
        (["none", "zlib", SMALL, "--scheduler", "threads:2", "--isolate"], "combined", 2),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, monkeypatch, keep, arguments, words, code):
    monkeypatch.chdir(tmp_path)
    done = run_here(*arguments, *keep, code=code)
    assert words in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert not keep[1].exists()


def test_help_and_lists():
    for name in MODULES:
        shown = run_here("help", name).stdout
        assert shown == run_here(name, "--help").stdout
        assert "Examples:" in shown
        assert f"\n  {name} " in run_here("--help").stdout
    assert compresso.__version__ in run_here("--version").stdout


def test_missing_packages_are_named_in_one_line():
    code = "import runpy, sys; sys.modules |= dict.fromkeys(('click', 'pandas', 'scipy'))\n"
    code += f"runpy.run_path({str(RUN)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "click, pandas, scipy" in line


def test_tiny_volumes(tmp_path, keep):
    for shape in ((1, 1, 1), (0, 4, 4), (3, 1, 1)):
        np.save(tmp_path / "tiny.npy", np.ones(shape, np.uint16))
        run_here("all", "zlib,none", tmp_path / "tiny.npy", "--no-plot", *keep)


def test_runs_are_not_repeated(keep):
    keep = ["--no-plot", *keep]
    for words, added in (
        (["zlib"], 1),
        (["zlib,none", "--runs", 2], 3),
        (["zlib,none", "--runs", 2], 0),
        (["zlib", "--slices", 2], 1),
        (["zlib", "--restart"], 1),
    ):
        done = run_here("compresso", words[0], SMALL, *words[1:], *keep)
        assert f"{counted(added, 'row')} added" in done.stderr
        assert ("--restart" in done.stderr) == (added in (0, 3))
    assert len(records.read(keep[2])) == 6


def test_failed_runs_are_retried_and_end_with_1(tmp_path, keep):
    """One encoding cannot store the label: it fails again."""
    np.save(tmp_path / "top.npy", np.full((1, 4, 4), 2**64 - 1, np.uint64))
    arguments = ["none,compresso", "zlib", tmp_path / "top.npy", "--no-plot", *keep]
    for more, added in (([], 2), (["--keep-failed"], 0), ([], 1)):
        done = run_here(*arguments, *more, code=1)
        assert f"{counted(added, 'row')} added" in done.stderr
        assert "* raw" in done.stdout
        assert "! compresso + zlib: refused: label 18446744073709551615" in done.stdout


def test_odd_file_names(tmp_path, keep, monkeypatch):
    monkeypatch.setattr(figures, "RESULTS", {"pareto": figures.RESULTS["pareto"]})
    names = ["a,b$c$d_$e.npy", os.fsdecode(b"two\ngr\xfcn.npy")]
    paths = [tmp_path / name for name in names]
    for number, path in enumerate(paths):
        np.save(path, LABELS + number)
    words = ["none", "zlib", ",".join(f'"{path}"' for path in paths), *keep]
    done = run_here(*words)
    shown = ["a,b$c$d_$e.npy", "two\\ngr\\udcfcn.npy"]
    assert records.read(keep[1])["dataset"].tolist() == shown
    assert all(name in done.stdout for name in shown)
    assert len(list((tmp_path / "figures").glob("pareto*.png"))) == len(names)
    assert "\n0 rows added" in run_here(*words, "--no-plot").stderr


@pytest.mark.parametrize("option", ["--figures", "--csv"])
def test_unwritable_targets_are_reported_before_measuring(tmp_path, keep, option):
    (tmp_path / "file").write_text("in the way")
    keep[keep.index(option) + 1] = tmp_path / "file" / "below"
    for command in (["none", "zlib", SMALL], ["paper", SMALL]):
        done = run_here(*command, *keep, code=1)
        assert "file/below: cannot write" in done.stderr
        assert not (tmp_path / "out" / "r.csv").exists()


def test_plot_skips_impossible_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "RESULTS", {"pareto": figures.RESULTS["pareto"]})
    path = tmp_path / "r.csv"
    options = ["plot", "-o", path, "--figures", tmp_path]
    for number, seconds in enumerate((0.1, 0.0, "nan"), 1):
        records.append(path, row(encoding="compresso", run=number, encode_s=seconds))
    done = run_here(*options)
    assert re.search("line 3.*line 4", done.stderr.splitlines()[0])
    assert (tmp_path / "pareto_d.pdf").read_bytes().startswith(b"%PDF")
    header, _, *bad = path.read_text().splitlines(keepends=True)
    for lines in ([], [header], [header, *bad], ["a"]):
        path.write_text("".join(lines))
        assert run_here(*options, code=1).stderr.splitlines()[-1].startswith("Error: ")


def test_stores(tmp_path, keep):
    folder = stores.precomputed(tmp_path / "seg", stores.labels(dtype="u4"), offset=(4, 5, 6))
    text = f"precomputed://{folder}:box=10-40x5-38x6-26"
    for how in ([], ["--timeout", "60", "--restart"]):
        done = run_here("none", "zlib", text, *keep, "--no-plot", *how)
        assert "seg:box=10-40x5-38x6-26: 30 x 33 x 20 uint32" in done.stderr
    table = records.read(keep[1])
    assert (table["status"].tolist(), set(table["source"])) == (["ok", "ok"], {text})

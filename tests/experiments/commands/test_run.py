"""The command line, as a user meets it."""

import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from compresso import compressors, encodings
from experiments import records
from experiments.commands import main
from tests.helpers.paths import ROOT

RUN = ROOT / "run.py"
SMALL = "phantom:size=48x40x6"


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, str(RUN), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def run_here(*arguments):
    """The same in this process, which has imported already what takes a second."""
    words = list(map(str, arguments))
    done = CliRunner().invoke(main, words, prog_name="run.py", catch_exceptions=False)
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture
def keep(tmp_path):
    """Options that keep a run's output in the test's own folder."""
    return ["--output", tmp_path / "out" / "r.csv", "--figures", tmp_path / "figures"]


def test_whole_grid(tmp_path, keep):
    done = run("all", "all", SMALL, "--runs", 2, *keep, cwd=tmp_path)
    alone = [encodings.parse(name).alone for name in encodings.installed()]  # PNG is, for one
    cells = alone.count(False) * len(compressors.installed()) + alone.count(True)
    assert done.returncode == 0, done.stderr
    table = records.read(keep[1])
    assert len(table) == 2 * cells
    assert set(table["status"]) == {"ok"}
    assert table["lossless"].all()
    assert set(table["source"]) == {"synthetic (seed 0)"}
    lines = [line for line in done.stdout.splitlines() if line.endswith("yes")]
    ratios = [float(line.split()[-6].replace(",", "")) for line in lines]
    assert len(ratios) == cells
    assert ratios == sorted(ratios, reverse=True)
    assert lines[0].startswith("* ")
    assert "phantom:size=48x40x6 (synthetic)" in done.stdout
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    names = "compression_ratio compressed_size compression_speed decompression_speed encoding_only"
    for name in [*names.split(), "mean_ratio"]:
        assert {f"{name}.png", f"{name}.pdf"} <= made


def test_line_of_the_original_readme(tmp_path, keep):
    (tmp_path / "ac3" / "rhoana").mkdir(parents=True)
    labels = np.arange(3 * 16 * 16, dtype=np.uint32).reshape(3, 16, 16) // 40
    with h5py.File(tmp_path / "ac3" / "rhoana" / "ac3_rhoana.h5", "w") as file:
        file["main"] = labels
    done = run("COMPRESSO", "LZMA", "ac3", "-r", 1, "-s", 1, "-d", tmp_path, "-b", *keep)
    assert done.returncode == 0, done.stderr
    assert "B O C K W U R S T" in done.stdout
    (row,) = records.read(keep[1]).to_dict("records")
    assert (row["shape"], row["dtype"], row["dataset"]) == ("1x16x16", "uint32", "ac3")
    assert (row["encoding"], row["compression"]) == ("compresso", "lzma")


def test_verbose_tells_every_run(keep):
    done = run_here("compresso", "zlib", SMALL, "-r", 3, "-v", "--no-plot", *keep)
    assert len(re.findall(r"run \d: \d+\.\d\d x; encode", done.stdout + done.stderr)) == 3


def test_plot_from_the_csv_alone(tmp_path, keep):
    assert run("compresso,none", "zlib", SMALL, "--no-plot", *keep).returncode == 0
    assert not (tmp_path / "figures").exists()
    done = run("plot", *keep)
    assert done.returncode == 0
    assert (tmp_path / "figures" / "mean_ratio.pdf").read_bytes().startswith(b"%PDF")


def test_lists_and_parameters(keep):
    codecs = ("compresso:window=4x4x1,COMPRESSO,compresso", "zstd:level=1,zstd")
    done = run_here(*codecs, SMALL, "--no-plot", *keep)
    assert done.returncode == 0, done.stderr
    table = records.read(keep[1])
    assert sorted(set(table["encoding"])) == ["compresso", "compresso:window=4x4x1"]
    assert sorted(set(table["compression"])) == ["zstd", "zstd:level=1"]
    assert len(table) == 4


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["foo", "lzma", SMALL], "unknown encoding 'foo'; choose from: none, ", 2),
        (["compresso", "foo", SMALL], "choose from: none, brotli, bz2", 2),
        (["compresso", "lzma", "foo"], "choose from ac3", 1),
        (["compresso", "lzma", "missing.h5"], "missing.h5: no such file", 1),
        (["compresso", "lzma:preset=99", SMALL], "0..9", 2),
        (["compresso", "lzma", SMALL, "--runs", "0"], "--runs", 2),
        (["compresso", "lzma", SMALL, "--slices", "x"], "--slices", 2),
        (["compresso", "lzma", SMALL, "--nonsense"], "--nonsense", 2),
        (["compresso"], "COMPRESSION", 2),
        (["plot", "-o", "no.csv"], "run a grid first", 1),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, keep, arguments, told, code):
    monkeypatch.chdir(tmp_path)
    extra = [] if arguments[0] == "plot" else keep
    done = run_here(*arguments, *extra)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not keep[1].exists()


@pytest.mark.parametrize("missing", ["ac3", "no/such.h5"])
@pytest.mark.parametrize("command", [["compresso", "zlib"], ["paper"]])
def test_a_missing_dataset_is_told_before_anything_is_measured(tmp_path, keep, command, missing):
    """Whether it is missing by its name or as a file."""
    done = run_here(*command, f"{SMALL},{missing}", "-d", tmp_path, *keep)
    assert done.returncode == 1
    told = {"ac3": "ac3/rhoana/ac3_rhoana.h5", "no/such.h5": "no/such.h5: no such file"}
    assert told[missing] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not keep[1].exists()


@pytest.mark.parametrize("package", ["click", "numpy", "numba", "pandas", "tqdm"])
def test_a_missing_core_package_is_one_line(keep, package):
    """Wherever it is imported, here where nothing of that name can be."""
    probe = (
        "import runpy, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"sys.argv = [{str(RUN)!r}, *{['none', 'zlib', SMALL, *map(str, keep)]}]\n"
        f"runpy.run_path({str(RUN)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    told = f"{package} is not installed; run: pip install"
    if package == "numba":  # a codec needs it, so it costs rows
        assert f"unavailable: {told}" in done.stdout
    else:
        assert f"Error: {told}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_refused_labels_end_with_an_error(tmp_path, keep):
    np.save(tmp_path / "top.npy", np.full((1, 4, 4), 2**64 - 1, np.uint64))
    done = run_here("none,compresso,neuroglancer", "zlib", tmp_path / "top.npy", "--no-plot", *keep)
    assert done.returncode == 1
    assert "! compresso zlib: refused: label 18446744073709551615" in done.stdout
    assert sorted(records.read(keep[1])["lossless"]) == [False, True, True]


@pytest.mark.parametrize(
    ("shape", "drawn"), [((1, 1, 1), "--plot"), ((0, 4, 4), "--plot"), ((3, 1, 1), "--no-plot")]
)
def test_tiny_volumes(tmp_path, keep, shape, drawn):
    np.save(tmp_path / "tiny.npy", np.ones(shape, np.uint16))
    done = run("all", "all", tmp_path / "tiny.npy", drawn, *keep)
    assert done.returncode == 0, done.stdout + done.stderr


def test_resume_does_nothing_twice(keep):
    keep = ["--no-plot", *keep]
    assert run_here("compresso", "zlib", SMALL, *keep).returncode == 0
    done = run_here("compresso", "zlib,none", SMALL, "--runs", 2, "--resume", *keep)
    assert done.returncode == 0, done.stderr
    assert "3 rows added" in done.stdout
    done = run_here("compresso", "zlib,none", SMALL, "--runs", 2, "--resume", *keep)
    assert "0 rows added" in done.stdout
    assert len(records.read(keep[2])) == 4
    # Fewer slices are another volume.
    done = run_here("compresso", "zlib", SMALL, "--slices", 2, "--resume", *keep)
    assert "1 rows added" in done.stdout


def test_timeout_is_a_row(keep):
    slow = "phantom:size=512x512x24"
    done = run("none,compresso", "zopfli,zlib", slow, "--timeout", 4, "--no-plot", *keep)
    assert done.returncode == 1
    status = records.read(keep[1]).set_index(["encoding", "compression"])["status"]
    assert status["none", "zopfli"] == "timeout: more than 4 s"
    assert status["compresso", "zlib"] == "ok"
    assert "! none zopfli: timeout" in done.stdout


def stop_after_a_few_rows(keep, number):
    """Start a long grid and end it with a signal; returns its exit code and what it told."""
    command = [sys.executable, str(RUN), "compresso", "zlib", SMALL, "-r", "100000"]
    process = subprocess.Popen(
        [*command, *map(str, keep)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if keep[1].exists() and keep[1].read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_interrupt_keeps_what_is_done(keep):
    code, told = stop_after_a_few_rows(keep, signal.SIGINT)
    assert code == 130
    assert "are safe in" in told
    assert "Traceback" not in told
    assert len(records.read(keep[1])) >= 5


def test_kill_keeps_what_is_done(keep):
    code, _ = stop_after_a_few_rows(keep, signal.SIGKILL)
    assert code == -signal.SIGKILL
    runs = records.read(keep[1])["run"].tolist()
    assert runs == list(range(1, len(runs) + 1))
    assert len(runs) >= 5
    again = ["compresso", "zlib", SMALL, "-r", len(runs) + 1, "--resume", "--no-plot"]
    done = run(*again, *keep)
    assert "1 rows added" in done.stdout


def test_datasets_lists_what_is_here(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 1), np.uint8))
    (tmp_path / "MRI").mkdir()
    np.save(tmp_path / "MRI" / "head.npy", np.zeros((1, 2, 3), np.uint8))
    done = run_here("datasets", "-d", tmp_path)
    assert done.returncode == 0
    assert re.search(r"cremi-a .*missing; run.py fetch cremi-a, or https://cremi.org", done.stdout)
    assert re.search(r"mri/head .*3 x 2 x 1 uint8", done.stdout)
    assert re.search(r"phantom .*synthetic", done.stdout)


def test_help_does_not_load_what_it_does_not_need():
    probe = (
        "import runpy, sys\n"
        f"sys.argv = [{str(RUN)!r}, '--help']\n"
        f"try:\n    runpy.run_path({str(RUN)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numba', 'matplotlib', 'pandas', 'h5py', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Encode, compress, time and plot" in done.stdout

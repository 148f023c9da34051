"""What a demanding user meets in the harness: odd files, damage, full disks, kills, part of a job.

Every test tells of something that once went wrong.
"""

import fcntl
import gzip
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tarfile
import termios
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from compresso import (
    Encoding,
    FileError,
    SpecError,
    compressors,
    encodings,
)
from compresso.container import description
from experiments import datasets, figures, paper, records
from experiments.commands import main
from experiments.datasets import LoadedVolume
from experiments.datasets import _fetch as fetch
from experiments.errors import DatasetError
from experiments.measure import Grid, Method, measure
from experiments.records.results import derive, newest
from tests.experiments.commands.test_run import RUN, SMALL, run, run_here
from tests.experiments.paper.test_paper import write_bsds
from tests.helpers import stores

LABELS = np.arange(4 * 8 * 8, dtype=np.uint64).reshape(4, 8, 8) // 5


@pytest.fixture
def keep(tmp_path):
    """Options that keep a run's output in the test's own folder."""
    return ["--output", tmp_path / "out" / "r.csv", "--figures", tmp_path / "figures"]


def save(path, labels=LABELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, labels)
    return path


def grid(tmp_path, given, resume=False):
    """Rows of a grid of one cell, in this process, and whether each was measured now."""
    cells = [Method(encodings.parse("none"), compressors.parse("zlib"))]
    chosen = datasets.choose(given, tmp_path)
    plan = Grid(cells, chosen, tmp_path / "r.csv", resume=resume)
    return list(plan.run(lambda _: None))


# ---- rows belong to labels, whatever they are called


def test_one_name_in_two_folders_is_two_datasets(tmp_path):
    a, b = save(tmp_path / "a" / "seg.npy"), save(tmp_path / "b" / "seg.npy", LABELS + 1)
    rows = grid(tmp_path, f"{a},{b}")
    assert [row["dataset"] for row, _ in rows] == ["a/seg.npy", "b/seg.npy"]
    assert [new for _, new in grid(tmp_path, f"{a},{b}", resume=True)] == [False, False]
    # One after the other, each is seg.npy; the CSV's sources tell them apart.
    (tmp_path / "r.csv").unlink()
    for path in (a, b):
        assert [row["dataset"] for row, _ in grid(tmp_path, str(path))] == ["seg.npy"]
    table = newest(records.read(tmp_path / "r.csv"))
    assert sorted(table["dataset"]) == ["a/seg.npy", "b/seg.npy"]


def test_one_stem_under_mri_is_two_datasets(tmp_path):
    save(tmp_path / "MRI" / "head.npy")
    (tmp_path / "MRI" / "head.nrrd").write_bytes(b"")
    names = [dataset.name for dataset in datasets.parse("mri", tmp_path)]
    assert names == ["mri/head.npy", "mri/head.nrrd"]


def test_a_dataset_given_twice_is_one(tmp_path):
    path = save(tmp_path / "x.npy")
    assert len(datasets.choose(f"{path},{path},phantom,phantom:seed=0", tmp_path)) == 2


@pytest.mark.parametrize(
    "changed", [LABELS[::-1], LABELS.astype(np.uint32), LABELS.astype(np.int64), LABELS[:2]]
)
def test_resume_measures_what_changed(tmp_path, changed):
    path = save(tmp_path / "x.npy")
    assert [new for _, new in grid(tmp_path, str(path))] == [True]
    assert [new for _, new in grid(tmp_path, str(path), resume=True)] == [False]
    save(path, changed)
    assert [new for _, new in grid(tmp_path, str(path), resume=True)] == [True]
    # The first labels again: the CSV has them.
    save(path)
    assert [new for _, new in grid(tmp_path, str(path), resume=True)] == [False]


def test_resume_knows_groups_from_one_stream(tmp_path, monkeypatch):
    """Rows of several threads that say no depth, as those of earlier versions, were one stream."""
    monkeypatch.setattr(description, "GROUP_VOXELS", 2 * 8 * 8)
    given = datasets.choose(str(save(tmp_path / "x.npy")), tmp_path)

    def again(threads, name="r.csv"):
        cells = [Method(encodings.parse("none"), compressors.parse("zlib"), threads)]
        plan = Grid(cells, given, tmp_path / name, resume=True)
        ((row, new),) = plan.run(lambda _: None)
        return row["depth"], new

    assert [again(threads) for threads in (1, 2, 3)] == [("", True), ("2", True), ("2", True)]
    assert [again(threads) for threads in (1, 2, 3)] == [("", False), ("2", False), ("2", False)]


def test_fingerprint_is_of_the_labels():
    def of(labels):
        return LoadedVolume("", "", "em", labels).fingerprint

    assert of(LABELS) == of(np.asfortranarray(LABELS)) == of(LABELS.astype(">u8"))
    others = [
        LABELS.reshape(8, 4, 8),
        LABELS.astype(np.uint32),
        LABELS.astype(np.int64),
        LABELS + 1,
    ]
    others += [LABELS[::-1], np.zeros((0, 8, 8), np.uint64), np.zeros((8, 0, 8), np.uint64)]
    assert len({of(labels) for labels in [LABELS, *others]}) == 1 + len(others)


def test_a_dataset_that_is_gone_hides_no_results(tmp_path):
    path = save(tmp_path / "x.npy")
    grid(tmp_path, str(path))
    (dataset,) = datasets.choose(str(path), tmp_path)
    path.unlink()
    cells = [Method(encodings.parse("none"), compressors.parse("zlib"))]
    list(Grid(cells, [dataset], tmp_path / "r.csv").run(lambda _: None))
    assert len(derive(newest(records.read(tmp_path / "r.csv")))) == 1


# ---- reasons are told, work is not lost


@pytest.mark.parametrize("encoding", ["compresso", "all"])
def test_grid_without_success_tells_the_reason(tmp_path, keep, encoding):
    (tmp_path / "x.npy").write_bytes(b"no array")
    done = run(encoding, "LZMA", tmp_path / "x.npy", "-r", 1, "-s", 1, "-b", *keep)
    assert done.returncode == 1
    assert re.search(r"error: .*x\.npy", done.stdout)
    assert "nan" not in done.stdout
    assert "Internal" not in done.stderr
    assert "runs failed" in done.stderr


class Buggy(Encoding):
    """A user's own encoding, not finished."""

    name = "buggy"

    def encode_volume(self, volume, threads=1, watch=None):
        return [1, 2][volume.ndim]

    def shape_of(self, stream):
        raise NotImplementedError

    def decode_volume(self, stream, out, threads=1, watch=None):
        raise NotImplementedError


def test_bug_of_an_encoding_costs_its_cell(tmp_path):
    row = measure(LoadedVolume("x", "", "em", LABELS), Method(Buggy(), compressors.parse("none")))
    assert re.fullmatch(
        r"error: IndexError: list index out of range \(test_harness.py:\d+\)", row["status"]
    )
    cells = [
        Method(Buggy(), compressors.parse("none")),
        Method(encodings.parse("none"), compressors.parse("zlib")),
    ]
    for isolated in (False, True):
        plan = Grid(
            cells,
            datasets.choose(str(save(tmp_path / "x.npy")), tmp_path),
            tmp_path / "r.csv",
            isolated=isolated,
        )
        statuses = [row["status"][:17] for row, _ in plan.run(lambda _: None)]
        assert statuses == ["error: IndexError", "ok"]


class Broken(datasets.Dataset):
    """A dataset whose reader raises what nobody expects."""

    name, title, group = "broken", "broken", "em"

    def load(self, slices=None):
        raise ZeroDivisionError("division by zero")

    status = load


def test_damaged_dataset_costs_its_rows(tmp_path):
    cells = [Method(encodings.parse("none"), compressors.parse("zlib"))]
    good = datasets.choose(str(save(tmp_path / "x.npy")), tmp_path)
    plan = Grid(cells, [Broken(), *good], tmp_path / "r.csv")
    statuses = [row["status"] for row, _ in plan.run(lambda _: None)]
    assert statuses[0].startswith("error: ZeroDivisionError: division by zero (test_harness.py:")
    assert statuses[1] == "ok"


# ---- archives


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def make_archives(folder):
    """One small archive of each kind, by the text that names its labels."""
    import nrrd
    import tifffile

    write_bsds(folder / "BSR_bsds500.tgz")
    random = np.random.default_rng(0).integers(99, size=(3, 32, 32)).astype(np.uint16)
    pages = io.BytesIO()
    tifffile.imwrite(pages, random, photometric="minisblack")
    zipped(folder / "snemi.zip", **{"seg/train-labels.tif": pages.getvalue()})
    nrrd.write(str(folder / "x.nrrd"), random, index_order="C")
    zipped(folder / "knee-2016-09.zip", **{"Data/seg.nrrd": (folder / "x.nrrd").read_bytes()})
    return ["BSR_bsds500.tgz", "snemi.zip", "knee-2016-09.zip"]


def test_damaged_archives_are_refused_or_right(tmp_path):
    """Bits flipped and ends cut off: the labels, or one line that names the file."""
    random = np.random.default_rng(1)
    for name in make_archives(tmp_path):
        path = tmp_path / name
        whole = path.read_bytes()
        (dataset,) = datasets.parse(str(path), tmp_path)
        expected = dataset.load().labels
        refused = 0
        for number in range(40):
            data = bytearray(whole)
            if number % 4:
                data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
            else:
                del data[int(random.integers(len(data))) :]
            path.write_bytes(data)
            try:
                told = ""
                assert np.array_equal(dataset.load().labels, expected), (name, number)
            except FileError as error:
                told = str(error)
            assert not told or (name in told and "\n" not in told)
            refused += bool(told)
        assert refused > 10


def test_archive_that_changes_is_read_again(tmp_path):
    (name, *_) = make_archives(tmp_path)
    (dataset,) = datasets.parse(str(tmp_path / name), tmp_path)
    first = dataset.load().labels
    time.sleep(0.02)
    with gzip.open(tmp_path / name) as file, tarfile.open(fileobj=file) as archive:
        members = [(m, archive.extractfile(m).read()) for m in archive if "200" in m.name]
    with tarfile.open(tmp_path / name, "w:gz") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    assert len(dataset.load().labels) < len(first)


# ---- fetch


@pytest.fixture
def server(tmp_path):
    """A folder, and the address that serves it; what it lacks is a page of HTML, with 200."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Portal(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if (folder / self.path.lstrip("/")).exists():
                return super().do_GET()
            page = b"<html>Please log in to the network</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return None

    with stores.server(partial(Portal, directory=folder)) as address:
        yield folder, address


def test_page_instead_of_an_archive_is_not_kept(tmp_path, server):
    folder, address = server
    data = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"bsd500: cannot get http.*not the archive.*--mirror"):
        fetch.fetch("bsd500", data, address)
    assert list(data.iterdir()) == []
    # Kept by an earlier version, it is replaced once the archive can be had.
    (data / "BSR_bsds500.tgz").write_bytes(b"<html>")
    expected = write_bsds(folder / "BSR_bsds500.tgz")
    fetch.fetch("bsd500", data, address)
    assert sorted(p.name for p in data.iterdir()) == ["BSR_bsds500.tgz", "bsd500.h5"]
    assert np.array_equal(datasets.parse("bsd500", data)[0].load().labels, expected)


def test_archive_put_there_by_hand_is_taken(tmp_path, server):
    _, address = server
    data = tmp_path / "data"
    data.mkdir()
    expected = write_bsds(data / "BSR_bsds500.tgz")
    fetch.fetch("bsd500", data, address)
    assert np.array_equal(datasets.parse("bsd500", data)[0].load().labels, expected)


# ---- resume, timeout, kill


def test_resume_shows_all_and_tells_the_truth(tmp_path, keep):
    """One encoding cannot hold the label: it failed then, and it fails again."""
    path = save(tmp_path / "top.npy", np.full((1, 4, 4), 2**64 - 1, np.uint64))
    arguments = ["none,compresso", "zlib", path, "--no-plot", *keep]
    assert run_here(*arguments).returncode == 1
    for more, added in ((["--keep-failed"], 0), ([], 1)):
        done = run_here(*arguments, "--resume", *more)
        assert done.returncode == 1
        assert f"\n{added} rows added" in done.stdout
        assert "* none      zlib" in done.stdout
        assert "! compresso zlib: refused: label 18446744073709551615" in done.stdout
        assert "1 of 2 runs failed" in done.stderr


@pytest.mark.parametrize("seconds", ["inf", "1e12", "1e300"])
def test_long_timeouts(keep, seconds):
    done = run("none", "zlib", SMALL, "--timeout", seconds, "--no-plot", *keep)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "soon", "-inf"])
@pytest.mark.parametrize("command", [["none", "zlib", SMALL], ["paper", SMALL]])
def test_bad_timeouts(keep, command, seconds):
    done = run_here(*command, f"--timeout={seconds}", *keep)
    assert done.returncode == 2
    assert "is no number of seconds above 0" in done.stderr


def children(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_kill_leaves_no_orphan(keep, number):
    command = [RUN, "none", "zopfli", "phantom:size=512x512x64", "--isolate", "--no-plot", *keep]
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    (child,) = until(lambda: children(process.pid))
    time.sleep(0.5)  # it has begun to compress
    process.send_signal(number)
    process.wait(timeout=60)
    assert process.returncode in (-number, 128 + number)
    until(lambda: not alive(child))


# ---- where nothing can be written


@pytest.mark.parametrize("what", ["--figures", "--output"])
def test_unwritable_targets_are_told_before_measuring(tmp_path, keep, what):
    (tmp_path / "file").write_text("in the way")
    keep[keep.index(what) + 1] = tmp_path / "file" / "below"
    for command in (["none", "zlib", SMALL], ["paper", SMALL]):
        done = run_here(*command, *keep)
        assert done.returncode == 1
        assert re.search(
            rf"Error: .*file/below: cannot write (figures|results) .*{what}", done.stderr
        )
        assert "Internal" not in done.stderr
        assert not (tmp_path / "out" / "r.csv").exists()


def test_foreign_output_is_told_before_measuring(tmp_path, keep):
    keep[1].parent.mkdir()
    keep[1].write_text("name,phone\n")
    done = run_here("none", "zlib", f"{SMALL},missing", *keep)
    assert done.returncode == 1
    done = run_here("none", "zlib", SMALL, *keep)
    assert "--output" in done.stderr
    assert keep[1].read_text() == "name,phone\n"


def test_full_disk_while_drawing_is_told(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    from tests.experiments.paper.test_paper import rows_of

    table = records.tabulate(rows_of("ac3", "em", {("none", "zlib"): 2}))
    list(figures.draw_all(table, tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(FileError, match="No space left"):
        list(figures.draw_all(table, tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# ---- the report


def test_report_is_of_what_was_asked_for(tmp_path, monkeypatch):
    """Three grids, of one slice, of two, and of one again: the report is of the third."""
    import h5py
    from click.testing import CliRunner

    few = [Method(encodings.parse(e), compressors.parse("lzma")) for e in ("none", "compresso")]
    monkeypatch.setattr(paper, "cells", lambda: few)
    monkeypatch.setattr(paper, "cells_of_today", list)
    monkeypatch.setattr(figures.of_results, "names", lambda: ["mean_ratio"])
    monkeypatch.setattr(figures.of_volumes, "names", lambda: ["slices"])
    with h5py.File(tmp_path / "spl-knee.h5", "w") as file:
        file["main"] = np.repeat(LABELS, 3, axis=1)
    shown = tmp_path / "figures"
    shown.mkdir()
    (shown / "of_something_else.png").write_bytes(b"")
    keep = ["-d", tmp_path, "--output", tmp_path / "p.csv", "--figures", shown]
    keep += ["--timeout", "inf", "--runs", "1"]
    for slices, added in ((1, 2), (2, 2), (1, 0)):
        arguments = ["paper", "spl-knee", "-s", slices, *keep]
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output
        assert f"\n{added} rows added" in done.output
        assert f"spl-knee, {slices}x24x8 uint64, first {slices} of 4 slices" in done.output
    text = (shown / "report.md").read_text()
    assert "| spl-knee | 8 x 24 x 1 | 1553 |" in text
    assert "8 x 24 x 2" not in text
    assert "Only a part was measured of spl-knee: first 1 of 4 slices" in text
    assert re.search(r"reaches 1553 on spl-knee \| [\d.]+ \| not judged: first 1 of 4 slices", text)
    assert not re.search(r"1553 \| [\d.,]+ \| [+-]\d", text)
    assert "of_something_else" not in text
    assert "![slices_spl-knee](slices_spl-knee.png)" in text


def test_parts_of_em_are_not_judged(tmp_path):
    from tests.experiments.paper.test_paper import rows_of

    rows = rows_of("ac3", "em", {("compresso", "lzma"): 814, ("none", "bz2"): 400})
    rows = [row | {"part": "first 1 of 100 slices"} for row in rows]
    covered = [paper.Coverage("ac3", "em", 0.82, "first 1 of 100 slices")]
    text = paper.report(records.tabulate(rows), covered, [], tmp_path).read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ") and "ac3" in line]
    claims = [line for line in lines if "Compresso " in line or "windows" in line]
    assert len(claims) == 4
    assert all(line.endswith("| not judged: first 1 of 100 slices |") for line in claims)


# ---- the command line


@pytest.mark.parametrize("slices", ["-1", "99", "2"])
def test_slices_of_the_original_program(keep, slices):
    done = run_here("none", "zlib", SMALL, "--slices", slices, "--no-plot", *keep)
    assert done.returncode == 0, done.stderr
    (row,) = records.read(keep[1]).to_dict("records")
    assert row["shape"] == ("2x40x48" if slices == "2" else "6x40x48")
    assert row["part"] == ("first 2 of 6 slices" if slices == "2" else "")


@pytest.mark.parametrize("slices", ["0", "-2", "x", "1.5"])
def test_bad_slices(keep, slices):
    done = run_here("none", "zlib", SMALL, f"--slices={slices}", *keep)
    assert done.returncode == 2
    assert "-1 for all" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([",", "zlib", SMALL], "ENCODING names nothing"),
        (["none", " , ", SMALL], "COMPRESSION names nothing"),
        (["none", "zlib", ","], "DATASET names nothing"),
        ([",", ",", ","], "names nothing"),
        (["paper", ","], "DATASET names nothing"),
    ],
)
def test_nothing_is_not_success(keep, arguments, told):
    done = run_here(*arguments, *keep)
    assert done.returncode == 2
    assert told in done.stderr


def test_version_and_defaults():
    import compresso

    assert compresso.__version__ in run_here("--version").stdout
    told = run_here("grid", "--help").stdout
    for option, default in {
        "--runs": "1",
        "--slices": "-1",
        "--threads": "1",
        "--group": "em",
        "--directory": "data/",
        "--output": "experiments/results/results.csv",
        "--figures": "figures/",
        "--plot": "plot",
    }.items():
        part = told[told.index(option) :]
        assert re.match(rf"[^\[]*(\[\w+\|\w+\][^\[]*)?\[default:\s+\(?{default}", part), option


def test_odd_file_names(tmp_path, keep):
    names = [b"a,b.npy", b"gr\xfcn.npy", b"two\nlines.npy", b"a$b$c_$x.npy", b"plain.npy"]
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    for number, path in enumerate(paths):
        save(tmp_path / "x.npy", LABELS + number).rename(os.fsdecode(path))
    command = [sys.executable, RUN, "none", "zlib", b",".join(paths), *keep]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = ["a,b.npy", "gr\\udcfcn.npy", "two\\nlines.npy", "a$b$c_$x.npy", "plain.npy"]
    assert records.read(keep[1])["dataset"].tolist() == shown
    assert all(name in done.stdout.decode() for name in shown)
    assert (tmp_path / "figures" / "mean_ratio.png").exists()
    done = subprocess.run([*command, "--resume", "--no-plot"], capture_output=True, check=False)
    assert b"\n0 rows added" in done.stdout


def test_comma_lists_of_files(tmp_path):
    a, b = save(tmp_path / "a.npy"), save(tmp_path / "b.npy")
    both = save(tmp_path / "c,d.npy")
    chosen = datasets.choose(f"phantom:size=8x8x8,seed=1,{a}, {both} ,{b}", tmp_path)
    assert [d.name for d in chosen] == ["phantom:size=8x8x8,seed=1", "a.npy", "c,d.npy", "b.npy"]
    long = ",".join(f"phantom:size=8x8x{depth}" for depth in range(1, 40))
    assert len(datasets.choose(long, tmp_path)) == 39
    with pytest.raises(SpecError):
        datasets.choose(" , ", tmp_path)


def test_clock_of_the_bar_goes_on_in_a_long_cell(tmp_path, keep):
    """A terminal sees the bar change while one cell is measured."""
    ours, theirs = pty.openpty()
    command = [RUN, "none", "zopfli", "phantom:size=512x512x8", "--timeout", 4, "--no-plot", *keep]
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 1 << 16):
            seen += piece
    except OSError:
        pass  # the terminal is closed when the process ends
    process.wait(timeout=60)
    os.close(ours)
    clocks = set(re.findall(rb"none zopfli.*?0/1 \[(\d\d:\d\d)<", seen))
    assert len(clocks) >= 3, seen

"""The CSV: its columns, appending and reading it."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiments import figures, records
from experiments.commands import main
from experiments.errors import ResultsError
from experiments.records.columns import SECONDS, told_threads
from experiments.records.derived import derive, left_out, newest, unusable

FIRST_COLUMNS = [
    *["time", "dataset", "source", "shape", "dtype", "encoding", "compression", "run", "threads"],
    *["raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes"],
    *["encode_s", "compress_s", "decompress_s", "decode_s", "lossless", "status"],
]


def test_columns():
    assert list(records.COLUMNS[: len(FIRST_COLUMNS)]) == FIRST_COLUMNS


def row(**changes):
    base = dict.fromkeys(records.COLUMNS, "")
    base |= {"dataset": "d", "encoding": "none", "compression": "zlib", "run": 1, "threads": 1}
    base |= {"raw_bytes": 800, "native_bytes": 400, "encoded_bytes": 200, "compressed_bytes": 80}
    base |= {"encode_s": 0.1, "compress_s": 0.3, "decompress_s": 0.05, "decode_s": 0.15}
    base |= {"lossless": True, "status": "ok", "session": "1", "shape": "1x2x3"}
    return base | changes


def test_append_and_read(tmp_path):
    path = tmp_path / "new" / "r.csv"
    records.append(path, row(status='error: "quoted", and\nbroken', lossless=False))
    records.append(path, row())
    table = records.read(path)
    assert table["status"].tolist() == ['error: "quoted", and broken', "ok"]
    derived = derive(table).iloc[0]
    assert derived["ratio"] == 10
    assert derived["native_ratio"] == 5
    assert derived["encoding_ratio"] == 4
    assert derived["compress_speed"] == pytest.approx(800e-6 / 0.4)
    assert derived["decompress_speed"] == pytest.approx(800e-6 / 0.2)
    assert derived["encode_speed"] == pytest.approx(800e-6 / 0.1)
    assert derived["decode_speed"] == pytest.approx(800e-6 / 0.15)


def test_a_row_cut_off_by_a_kill_costs_only_itself(tmp_path):
    path = tmp_path / "r.csv"
    for run in range(3):
        records.append(path, row(run=run))
    whole = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(whole[:-cut])
        records.append(path, row(run=9))
        assert records.read(path)["run"].tolist()[-1] == 9
        assert records.read(path)["run"].tolist()[:2] == [0, 1]


def test_foreign_files_are_left_alone(tmp_path):
    path = tmp_path / "precious.csv"
    path.write_text("name,phone\n")
    with pytest.raises(ResultsError, match="--output"):
        records.append(path, row())
    assert path.read_text() == "name,phone\n"
    with pytest.raises(ResultsError, match=r"precious\.csv"):
        records.read(path)
    with pytest.raises(ResultsError, match="run a grid first"):
        records.read(tmp_path / "none.csv")


def append_many(path, writer):
    for run in range(50):
        records.append(path, row(run=run, threads=writer))


@pytest.mark.parametrize("columns", [records.COLUMNS, records.FIRST_COLUMNS])
def test_two_processes_share_a_file(tmp_path, columns):
    """Also one of version 1.0, which the first of them gives today's columns."""
    path = tmp_path / "r.csv"
    path.write_text(",".join(columns) + "\n")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(path, w)) for w in (1, 2)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    table = records.read(path)
    for writer in (1, 2):
        assert table[table["threads"] == writer]["run"].tolist() == list(range(50))
    assert path.read_text().startswith(",".join(records.COLUMNS))


def test_newest_rows(tmp_path):
    path = tmp_path / "r.csv"
    records.append(path, row(shape="9x9x9"))  # another volume of that name
    records.append(path, row(compression="bz2", session="1"))
    records.append(path, row(session="1", compressed_bytes=1))  # measured again later
    records.append(path, row(session="2", run=1))
    records.append(path, row(session="2", run=2))
    table = newest(records.read(path))
    assert table["compression"].tolist() == ["bz2", "zlib", "zlib"]
    assert table["session"].tolist() == ["1", "2", "2"]


def test_rows_that_are_not_shown_are_told_in_one_line():
    older = [
        row(shape="9x9x9"),
        row(run=1, fingerprint="a"),
        row(run=1, fingerprint="a", compression="bz2"),
        row(source="/b/file"),
        row(threads=8, depth="16"),
        row(shape="1x2x2", dtype="uint8", part="first 1 of 9 slices"),
        row(threads=2, status="error: no", lossless=False),  # is not shown where it is the newest
        row(threads=2, chunk="0-1x0-1x0-1"),
        row(),  # measured again
        row(dataset="other"),
    ]
    table = records.tabulate([*older, row()])
    told = left_out(table)
    assert told.startswith("Not shown, as newer rows are of other labels or threads: ")
    assert told.partition(": ")[2].split("; ") == [
        "d, 9x9x9 (1 row)",
        "d, other labels (2 rows)",
        "d, from /b/file (1 row)",
        "d, 8 threads, groups of 16 slices (1 row)",
        "d, 1x2x2, uint8, first 1 of 9 slices (1 row)",
    ]
    kept = newest(table)
    assert left_out(kept) == left_out(table[:0]) == ""
    assert len(kept) == 2


@pytest.mark.parametrize("verb", [("none", "zlib", "phantom:size=16x16x2", "-o"), ("plot", "-o")])
def test_an_output_that_is_no_file_is_refused(verb):
    """A device whose first line has no end was read for ever."""
    done = subprocess.run(
        [sys.executable, "run.py", *verb, "/dev/zero"],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    assert "/dev/zero: is no file" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_is_no_bug():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "run.py", "datasets"],
            cwd=Path(__file__).resolve().parents[1],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "bug" not in done.stderr


def test_an_empty_file_is_a_table_without_rows(tmp_path):
    (tmp_path / "new.csv").touch()
    records.check(tmp_path / "new.csv")
    assert records.measured(tmp_path / "new.csv", failed=False) == {}
    assert records.read(tmp_path / "new.csv").empty
    records.append(tmp_path / "new.csv", dict.fromkeys(records.COLUMNS, "1"))
    assert len(records.read(tmp_path / "new.csv")) == 1


@pytest.mark.parametrize(
    ("threads", "depth", "text"),
    [
        (1, "", ""),
        (2, "", "2 threads"),
        (2, "1", "2 threads, groups of 1 slice"),
        (1_000_000, "50", "1000000 threads, groups of 50 slices"),
    ],
)
def test_threads_in_words(threads, depth, text):
    assert told_threads({"threads": threads, "depth": depth}) == text


@pytest.mark.parametrize("name", ["encode_s", "compress_s", "decompress_s", "decode_s"])
@pytest.mark.parametrize("value", ["nan", "0", "-1", "inf", "", "abc", "1e-320", "1e300"])
def test_a_result_whose_seconds_cannot_be_right_is_left_out(tmp_path, name, value):
    path = tmp_path / "r.csv"
    for run in (1, 2):
        records.append(path, row(encoding="compresso", run=run))
    records.append(path, row(encoding="compresso", run=3) | {name: value})
    table = records.read(path)
    assert newest(table)["run"].tolist() == derive(table)["run"].tolist() == [1, 2]
    told = unusable(table)
    assert "\n" not in told
    assert f"line 4 (d: compresso + zlib: {name} is {value or 'empty'})" in told
    assert len(records.measured(path, failed=False)) == 0  # of no fingerprint
    assert unusable(table[:2]) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("raw_bytes", "run", "threads") for value in ("", "nan", "-1")),
        *((name, "0") for name in ("native_bytes", "encoded_bytes", "compressed_bytes")),
        *((name, "") for name in ("dataset", "shape", "encoding", "compression")),
    ],
)
def test_so_is_one_whose_other_columns_cannot(name, value):
    table = records.tabulate([row(), row(run=2) | {name: value}])
    assert derive(newest(table))["run"].tolist() == [1]
    assert f"{name} is {value or 'empty'}" in unusable(table)


def test_what_takes_no_time_is_usable():
    """Raw labels, and what has no voxels."""
    raw = row(encoding="none", compression="none", **dict.fromkeys(SECONDS, 0))
    empty = row(raw_bytes=0, native_bytes=0, encoded_bytes=0, compressed_bytes=0)
    assert unusable(records.tabulate([raw, empty])) == ""
    speeds = derive(records.tabulate([raw]))[["compress_speed", "decompress_speed"]]
    assert speeds.isna().all(axis=None)


def test_many_unusable_rows_are_one_line():
    told = unusable(records.tabulate(row(run=n, compressed_bytes=0) for n in range(99)))
    assert told.endswith("; 96 more")
    assert told.count("line") == 3


def test_plot_leaves_out_what_it_cannot_draw(tmp_path, monkeypatch):
    """It was an internal error."""
    monkeypatch.setattr(figures.of_results, "names", lambda: ["compression_speed", "pareto"])
    path = tmp_path / "r.csv"
    options = ["plot", "-o", str(path), "--figures", str(tmp_path)]
    for run, seconds in enumerate((0.1, 0.0, "nan"), 1):
        records.append(path, row(encoding="compresso", run=run, encode_s=seconds))
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    (line,) = done.stderr.splitlines()
    assert "line 3" in line
    assert "line 4" in line
    assert "unusable: encode_s is 0.0" in (tmp_path / "report.html").read_text()
    header, _, *bad = path.read_text().splitlines()
    for lines in ([], [header], [header, *bad], [header.replace("encode_s,", "")], ["a", "b"]):
        path.write_text("".join(f"{line}\n" for line in lines))
        done = CliRunner().invoke(main, options)
        assert done.exit_code == 1
        assert done.stderr.splitlines()[-1].startswith("Error: ")
        assert "bug" not in done.stderr
        assert len(done.stderr.splitlines()) == 1 + (lines == [header, *bad])

"""The CSV: its columns, appending and reading it, and the measurement of one cell."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compresso import Compressor, Encoding, MissingPackageError, compressors, encodings
from experiments import records
from experiments.datasets import EM, Volume
from experiments.errors import ResultsError
from experiments.measure import Cell, measure
from experiments.measure.isolate import measure_apart
from experiments.records.columns import told_threads
from experiments.records.derived import derive, left_out, newest

FIRST_COLUMNS = [
    *["time", "dataset", "source", "shape", "dtype", "encoding", "compression", "run", "threads"],
    *["raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes"],
    *["encode_s", "compress_s", "decompress_s", "decode_s", "lossless", "status"],
]


def volume(labels):
    return Volume("here", "/a/file", EM, labels)


def cell(encoding, compressor, threads=1):
    return Cell(encodings.parse(encoding), compressors.parse(compressor), threads)


def test_columns():
    assert list(records.COLUMNS[: len(FIRST_COLUMNS)]) == FIRST_COLUMNS


@pytest.mark.parametrize("dtype", [np.uint64, np.int16, bool, ">u4"])
def test_measured_row(phantom, dtype):
    labels = (phantom % 50).astype(dtype)
    row = measure(volume(labels), cell("compresso", "zlib", 2), 3)
    assert row["status"] == "ok"
    assert row["lossless"] is True
    assert row["raw_bytes"] == 8 * labels.size
    assert row["native_bytes"] == labels.nbytes
    stream = encodings.parse("compresso").encode(labels)
    assert row["encoded_bytes"] == len(stream)
    assert row["compressed_bytes"] == len(compressors.parse("zlib").compress(stream))
    assert min(row[f"{step}_s"] for step in ("encode", "compress", "decompress", "decode")) > 0
    assert (row["run"], row["threads"], row["shape"]) == (3, 2, "16x96x150")


def test_refused_volume_is_a_row():
    top = volume(np.full((1, 2, 2), 2**64 - 1, np.uint64))
    row = measure(top, cell("compresso", "none"))
    assert "18446744073709551615" in row["status"]
    assert "compressed_bytes" not in row


class Forgetful(Encoding):
    """An encoding that loses one label."""

    name = "forgetful"

    def encode_volume(self, volume, threads=1, watch=None):
        return volume.tobytes()

    def shape_of(self, stream):
        return None

    def decode_volume(self, stream, out, threads=1, watch=None):
        out[...] = np.frombuffer(stream, out.dtype).reshape(out.shape)
        out.flat[-1] ^= out.dtype.type(1)


def test_loss_is_noticed(phantom):
    row = measure(volume(phantom), Cell(Forgetful(), compressors.parse("none")))
    assert row["lossless"] is False
    assert "differ" in row["status"]


class Absent(Compressor):
    """A compressor whose package nobody has."""

    name = "absent"

    def compress(self, data):
        raise MissingPackageError("absent needs the package x; run: pip install x")

    def decompress_pieces(self, data, piece_bytes):
        yield data


def test_codec_that_is_not_installed_is_a_row(phantom):
    row = measure(volume(phantom), Cell(encodings.parse("none"), Absent()))
    assert row["status"].startswith("unavailable: absent needs")


class Crashing(Compressor):
    """A compressor that takes its process down."""

    name = "crashing"

    def compress(self, data):
        os.kill(os.getpid(), signal.SIGKILL)

    def decompress_pieces(self, data, piece_bytes):
        yield data


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is forked here")
def test_ctrl_c_that_comes_during_fork_is_not_swallowed(phantom):
    """What a handler raises in a hook of ``fork`` is only printed; hooks stay for ever."""
    armed = [True]
    os.register_at_fork(before=lambda: armed and armed.pop() and signal.raise_signal(signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        measure_apart(volume(phantom), cell("none", "none"), 1, 30)
    assert not armed
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_isolated_cell_that_crashes_is_a_row(phantom):
    row = measure_apart(volume(phantom), Cell(encodings.parse("none"), Crashing()), 2, 30)
    assert row["run"] == 2
    assert row["status"].startswith("crash: its process ended (SIGKILL")


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

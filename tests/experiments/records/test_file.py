"""The CSV: appending to it and reading it."""

import errno
import multiprocessing
import os
from functools import partial
from pathlib import Path

import pytest

from experiments import ResultsError, records
from experiments.records.results import derive, newest
from tests.helpers.rows import row


def test_rows_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "new" / "r.csv"
    records.append(path, row(status='error: "quoted", and\nbroken', lossless=False))
    records.append(path, row())
    table = records.read(path)
    assert table["status"].tolist() == ['error: "quoted", and broken', "ok"]
    derived = derive(table).iloc[0]
    assert (derived["ratio"], derived["native_ratio"], derived["encoding_ratio"]) == (10, 5, 4)
    expected = {"compress_speed": 0.4, "decompress_speed": 0.2}
    expected |= {"encode_speed": 0.1, "decode_speed": 0.15}
    for speed, seconds in expected.items():
        assert derived[speed] == pytest.approx(800e-6 / seconds)


def test_a_killed_process_loses_at_most_one_row(tmp_path):
    path = tmp_path / "r.csv"
    for run in range(3):
        records.append(path, row(run=run))
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        records.append(path, row(run=9))
        runs = records.read(path)["run"].tolist()
        assert (runs[:2], runs[-1]) == ([0, 1], 9)


@pytest.mark.parametrize("content", ["name,phone\n", "x" * 10_000, ",".join(records.COLUMNS[:-1])])
def test_other_files_are_not_changed(tmp_path, content):
    path = tmp_path / "precious.csv"
    path.write_text(content)
    for refuse in (records.check_csv, records.read, partial(records.append, row=row())):
        with pytest.raises(ResultsError, match=r"precious\.csv.*--csv"):
            refuse(path)
    assert path.read_text() == content


def test_targets_that_cannot_be_results(tmp_path, monkeypatch):
    with pytest.raises(ResultsError, match="Run a grid first"):
        records.read(tmp_path / "none.csv")
    for path in (Path("/dev/zero"), tmp_path):
        for refuse in (records.check_csv, records.read):
            with pytest.raises(ResultsError, match="not a file"):
                refuse(path)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (records.check_csv, partial(records.append, row={"run": 1})):
        with pytest.raises(ResultsError, match=r"No space left.*--csv"):
            write(tmp_path / "r.csv")


def append_many(path, writer):
    for run in range(50):
        records.append(path, row(run=run, threads=writer))


def test_two_processes_share_a_file(tmp_path):
    path = tmp_path / "r.csv"
    path.touch()  # an empty file gets its header
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(path, w)) for w in (1, 2)]
    for act in ("start", "join"):
        for process in writers:
            getattr(process, act)()
    table = records.read(path)
    for _, runs in table.groupby("threads")["run"]:
        assert runs.tolist() == list(range(50))
    assert len(table) == 100


def test_measured_runs_are_found_by_their_labels(tmp_path):
    path = tmp_path / "r.csv"
    assert records.measured(path, failed=True) == {}
    rows = [row(fingerprint="a"), row(fingerprint="b", status="error: no", lossless=False)]
    for one in [*rows, row(encode_s="nan", fingerprint="c"), row()]:
        records.append(path, one)
    for failed, prints in ((False, ["a"]), (True, ["b", "c", "a"])):
        found = records.measured(path, failed)
        assert [one["fingerprint"] for one in found.values()] == prints
    assert records.key(row(fingerprint="a") | {"dataset": "other name"}) in found
    assert newest(records.read(path)).index.tolist() == [5]  # of no fingerprint, and the last

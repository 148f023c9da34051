"""Rows that count, rows that are skipped and why, the best and what Ristretto was trained on."""

import math

import pandas as pd
import pytest

from compresso import FileError
from experiments import DatasetError, records
from experiments.records import SECONDS, status_of
from experiments.records.results import (
    best,
    derive,
    describe_skipped,
    describe_unusable,
    is_trained,
    newest,
)
from tests.helpers.rows import row


def newest_runs(*sessions, failed=()):
    """The run and session of each row that counts, of sessions of runs."""
    rows = [
        row(run=run, session=str(number), status="error: no" if run in failed else "ok")
        for number, runs in enumerate(sessions, start=1)
        for run in runs
    ]
    table = newest(records.tabulate(rows))
    return sorted(zip(table["run"], table["session"].astype(int), strict=True))


def test_the_newest_runs_count():
    assert newest_runs([1, 2, 3], [4, 5], [1, 2], [3]) == [(1, 3), (2, 3), (3, 4)]
    unordered = [3, 1, 4, 6, 5, 2]  # as workers end
    assert newest_runs(unordered) == [(run, 1) for run in range(1, 7)]
    assert newest_runs(unordered, [2, 3, 1]) == [(1, 2), (2, 2), (3, 2)]
    assert newest_runs([1, 2, 3], [2], failed=[2]) == [(1, 1), (2, 2), (3, 1)]


def test_rows_of_other_volumes_are_skipped():
    older = [
        row(fingerprint="a"),
        row(fingerprint="a", compression="bz2"),
        row(source="/b/file"),
        row(threads=8, depth="16"),
        row(shape="1x2x2", dtype="uint8", part="first 1 of 9 slices"),
        row(threads=2, status="error: no", lossless=False),
        row(threads=2, chunk="0-1x0-1x0-1"),
        row(),  # measured again
        row(dataset="other"),
    ]
    table = records.tabulate([*older, row()])
    assert describe_skipped(table).partition(": ")[2].split("; ") == [
        "d, other labels (2 rows)",
        "d, from /b/file (1 row)",
        "d, 8 threads, groups of 16 slices (1 row)",
        "d, 1x2x2, uint8, first 1 of 9 slices (1 row)",
    ]
    kept = newest(table)
    assert describe_skipped(kept) == describe_skipped(table[:0]) == ""
    assert len(kept) == 2


def test_files_of_one_name_get_their_folders():
    rows = [row(dataset="x.npy", source=f"/{folder}/x.npy", run=1) for folder in "ab"]
    assert sorted(newest(records.tabulate(rows))["dataset"]) == ["a/x.npy", "b/x.npy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("encode_s", value) for value in ("nan", "-1", "inf", "", "abc", "1e-320", "1e300")),
        *((name, "0") for name in (*SECONDS, "native_bytes", "compressed_bytes")),
        *((name, "") for name in ("run", "raw_bytes", "shape", "compression")),
    ],
)
def test_impossible_numbers_are_skipped(name, value):
    bad = row(encoding="cpso", run=2) | {name: value}
    table = records.tabulate([row(encoding="cpso"), bad])
    assert newest(table)["run"].tolist() == derive(table)["run"].tolist() == [1]
    text = describe_unusable(table)
    assert f"{name} is {value or 'empty'}" in text
    assert describe_unusable(table[:1]) == ""
    assert describe_unusable(records.tabulate([bad] * 5)).endswith("; 2 more")


def test_empty_volumes_are_usable():
    empty = row(raw_bytes=0, native_bytes=0, encoded_bytes=0, compressed_bytes=0)
    assert describe_unusable(records.tabulate([empty])) == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModuleNotFoundError(name="av.codec"), "unavailable: av is not installed"),
        (FileError("a.npy: damaged"), "error: a.npy: damaged"),
        (DatasetError("not here"), "error: not here"),
        (MemoryError(), "error: out of memory"),
    ],
)
def test_statuses_of_errors(error, text):
    assert status_of(error).startswith(text)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        *((name, True) for name in ("pinky40-z000-255.h5:main", "a/pinky40_z0-255.npy", "pinky40")),
        *((name, True) for name in ("phantom", "phantom:seed=0,bits=32", "phantom:size=512x512x8")),
        *((name, False) for name in ("ac3", "pinky400.h5", "pinky40-z256-511.h5", "phantom.npy")),
        *((name, False) for name in ("phantom:seed=1", "phantom:size=64x64x8")),
    ],
)
def test_volumes_that_ristretto_was_trained_on(name, trained):
    ristretto = {"dataset": name, "encoding": "ristretto:effort=2", "compression": "none"}
    assert is_trained(ristretto) is trained
    assert is_trained(ristretto | {"encoding": "none", "compression": "ristretto"}) is trained
    assert is_trained(ristretto | {"fingerprint": "a7224fd85413dfe2"})
    assert not is_trained(ristretto | {"encoding": "compresso"})


def test_the_best():
    assert best(pd.Series([2, 5, math.nan])) == 1
    assert best(pd.Series([math.nan])) is None

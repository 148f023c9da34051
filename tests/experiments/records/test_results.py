"""Rows that count, rows that are skipped and why, the best and what Ristretto was trained on."""

import math

import pandas as pd
import pytest

from compresso import FileError, LabelError, MissingPackageError
from experiments import DatasetError, records
from experiments.records import SECONDS, status_of
from experiments.records.results import (
    best,
    derive,
    describe_skipped,
    describe_threads,
    describe_unusable,
    is_trained,
    newest,
    pareto_front,
)
from experiments.text import natural
from tests.helpers.rows import row


def newest_runs(*sessions):
    """The run and session of each row that counts, of sessions of (run, status)."""
    rows = [
        row(run=number, status=status, session=str(session))
        for session, runs in enumerate(sessions, start=1)
        for number, status in runs
    ]
    table = newest(records.tabulate(rows))
    return sorted(zip(table["run"], table["session"].astype(int), strict=True))


def ok(*runs):
    return [(run, "ok") for run in runs]


def test_the_newest_runs_count():
    sessions = ok(1, 2, 3), ok(4, 5), ok(1, 2), ok(3)
    assert newest_runs(*sessions) == [(1, 3), (2, 3), (3, 4)]
    unordered = ok(3, 1, 4, 6, 5, 2)  # as workers end
    assert newest_runs(unordered) == [(run, 1) for run in range(1, 7)]
    assert newest_runs(unordered, ok(2, 3, 1)) == [(1, 2), (2, 2), (3, 2)]
    failed = [*ok(1), (2, "error: out of memory"), *ok(3)]
    assert newest_runs(failed, ok(2)) == [(1, 1), (2, 2), (3, 1)]


def test_rows_of_other_volumes_are_skipped():
    older = [
        row(shape="9x9x9"),
        row(run=1, fingerprint="a"),
        row(run=1, fingerprint="a", compression="bz2"),
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
        "d, 9x9x9 (1 row)",
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
        *((n, v) for n in SECONDS for v in ("nan", "0", "-1", "inf", "", "abc", "1e-320", "1e300")),
        *((name, value) for name in ("raw_bytes", "run", "threads") for value in ("", "nan", "-1")),
        *((name, "0") for name in ("native_bytes", "encoded_bytes", "compressed_bytes")),
        *((name, "") for name in ("dataset", "shape", "encoding", "compression")),
    ],
)
def test_impossible_numbers_are_skipped(name, value):
    table = records.tabulate([row(encoding="cpso"), row(encoding="cpso", run=2) | {name: value}])
    assert newest(table)["run"].tolist() == derive(table)["run"].tolist() == [1]
    text = describe_unusable(table)
    assert f"{name} is {value or 'empty'}" in text
    assert "\n" not in text
    assert describe_unusable(table[:1]) == ""


def test_many_unusable_rows_are_one_line():
    text = describe_unusable(records.tabulate(row(run=n, compressed_bytes=0) for n in range(99)))
    assert text.endswith("; 96 more")
    assert text.count("line") == 3


def test_raw_labels_have_no_speed_and_empty_ones_are_usable():
    raw = row(encoding="none", compression="none", **dict.fromkeys(SECONDS, 0))
    empty = row(raw_bytes=0, native_bytes=0, encoded_bytes=0, compressed_bytes=0)
    assert describe_unusable(records.tabulate([raw, empty])) == ""
    speeds = derive(records.tabulate([raw]))[["compress_speed", "decompress_speed"]]
    assert speeds.isna().all(axis=None)


def test_threads_in_words():
    for threads, depth, text in (
        (1, "", ""),
        (2, "", "2 threads"),
        (2, "1", "2 threads, groups of 1 slice"),
        (1_000_000, "50", "1000000 threads, groups of 50 slices"),
    ):
        assert describe_threads({"threads": threads, "depth": depth}) == text


def raised(error):
    """An error that has a traceback."""
    try:
        raise error
    except type(error) as found:
        return found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MissingPackageError("run: pip install x"), "unavailable: run: pip"),
        (ModuleNotFoundError(name="av.codec"), "unavailable: av is not installed"),
        (LabelError(9, (0, 1, 2), "here"), "refused: label 9 at voxel"),
        (FileError("a.npy: damaged"), "error: a.npy: damaged"),
        (DatasetError("not here"), "error: not here"),
        (MemoryError(), "error: out of memory"),
        (KeyError("x"), "error: KeyError: 'x' (test_results.py:"),
    ],
)
def test_statuses_of_errors(error, text):
    assert status_of(raised(error)).startswith(text)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        *((name, True) for name in ("pinky40-z000-255.h5:main", "a/pinky40_z0-255.npy", "pinky40")),
        *((name, True) for name in ("pinky40-z128-383.h5", "phantom", "phantom:seed=0,bits=32")),
        ("phantom:bits=32,size=512x512x8", True),
        *((name, False) for name in ("ac3", "pinky100.h5", "pinky400.h5", "pinky40-z256-511.h5")),
        *((name, False) for name in ("phantom:seed=1", "phantom:size=64x64x8", "phantom.npy")),
    ],
)
def test_volumes_that_ristretto_was_trained_on(name, trained):
    ristretto = {"dataset": name, "encoding": "ristretto:effort=2", "compression": "none"}
    assert is_trained(ristretto) is trained
    assert is_trained(ristretto | {"encoding": "none", "compression": "ristretto"}) is trained
    assert is_trained(ristretto | {"fingerprint": "a7224fd85413dfe2"})
    assert not is_trained(ristretto | {"encoding": "compresso"})


def test_the_best_is_the_smallest_size_and_the_largest_of_all_else():
    for name, values, index in (
        ("ratio", [2, 5, math.nan], 1),
        ("size_mb", [2, 5, math.nan], 0),
        ("ratio", [math.nan], None),
    ):
        assert best(pd.Series(values, name=name, dtype=float)) == index


def test_pareto_front():
    items = [(1, 9), (2, 8), (2, 8), (3, 1), (2, 3), (5, math.nan), (4, 1)]
    found = pareto_front(items, lambda item: item[0], lambda item: item[1])
    assert found == [(4, 1), (2, 8), (1, 9)]


def test_natural_order():
    texts = ["zstd:level=10", "zstd:level=2", "zstd:level=-5", "zstd", "a:x=1.5", "a:x=1.25", "A9"]
    assert sorted(texts, key=natural) == [
        *("A9", "a:x=1.25", "a:x=1.5", "zstd", "zstd:level=-5", "zstd:level=2", "zstd:level=10")
    ]

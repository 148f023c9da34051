"""Medians, their intervals, ranks, and the printed table."""

import math
import warnings

import numpy as np
import pytest

from experiments import records
from experiments.records.intervals import Interval, interval, intervals, ranks
from experiments.records.results import MARK, derive
from experiments.records.table import render
from experiments.text import DASH
from tests.helpers.rows import row, shaken, table_of


def lines_of(methods):
    return intervals(derive(table_of(methods)))


def test_few_runs_have_students_interval():
    """The logarithms are -1, 0, 1: mean 0, deviation 1, t of 2 degrees 4.3027, by the root of 3."""
    found = interval(np.exp([-1.0, 0.0, 1.0]))
    reach = math.exp(4.302653 / math.sqrt(3))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1 / reach, reach), rel=1e-6)


def test_five_runs_are_bootstrapped():
    """The median of 5 draws from 5 is the least one in 5.8% of the samples: more than 2.5%."""
    found = interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found == Interval(3, 1, 5) == interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert interval([2.0] * 5) == Interval(2, 2, 2)
    assert interval([0.0] * 5).value == 0


def test_one_line_per_method():
    a, b = lines_of({"a": [1, 2, 3, 4, 5], "b": [2]}).to_dict("records")
    assert [(one["compression"], one["runs"]) for one in (a, b)] == [("a", 5), ("b", 1)]
    names = ("compress_speed", "compress_speed_low", "compress_speed_high", "decompress_speed")
    assert [a[name] * 3 for name in names] == pytest.approx([8e-4, 3 * 1.6e-4, 2.4e-3, 8e-4])
    assert (a["ratio"], a["native_ratio"], a["encoding_ratio"]) == (10, 5, 4)
    assert math.isnan(b["compress_speed_low"])
    assert lines_of({}).empty
    assert Interval(2.0, 1.0, 4.0).over(8).text("{:.0f}".format) == "4 (2 to 8)"
    with warnings.catch_warnings(action="error"):
        assert math.isnan(Interval(0.0, 0.0, 0.0).over(0).value)


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (
            {"a": shaken(1.0), "b": shaken(2.0), "c": shaken(2.05), "d": shaken(4.0), "e": [1.0]},
            ["1", "=2", "=2", "4", ""],
        ),
        # 4% apart, each to a tenth of a thousandth: on another day it may be reversed.
        ({"a": shaken(1.0, 1e-4), "b": shaken(1.04, 1e-4)}, ["=1", "=1"]),
        # If most vary by 20%, one that does not was lucky.
        ({**{n: shaken(1.0, 0.1) for n in "abc"}, "d": shaken(1.3, 1e-4)}, ["=1"] * 4),
        ({"a": shaken(1.0), "d": shaken(1.3)}, ["1", "2"]),
        ({"a": [1.0, 1.1], "b": [9.0, 9.1], "c": [5, 6, 7]}, ["", "", "1"]),
    ],
)
def test_ranks_claim_only_what_the_runs_show(methods, expected):
    assert list(ranks(lines_of(methods), "compress_speed")) == expected


def test_the_table():
    methods = {"none": [1e-3] * 5, "a": shaken(1.0), "b": shaken(1.02), "c": shaken(3.0)}
    table = table_of(methods, dtype="int16", shape="7x5x3", time="2026-01-02T03:04:05")
    table["other_cpu"] = 0.42
    table.loc[table["compression"] == "none", "compressed_bytes"] = 1
    text = render(table)
    lines = text.splitlines()
    assert lines[0] == "d, 3 x 5 x 7 int16"
    (raw,) = (line for line in lines[3:7] if line.split()[1] == DASH)
    assert raw.split() == ["raw", DASH, "800", "400", "1", "bytes", DASH, DASH]
    assert [line.split()[-1] for line in lines[3:7] if line is not raw] == ["=1", "=1", "3"]
    assert [line[0] for line in lines[3:7]].count("*") == 1
    assert not raw.startswith("*")
    assert "42% of the processors (2026-01-02 03:04 UTC)" in text
    assert "rank" not in render(table_of({"a": [1.0, 1.1], "b": [9.0, 9.9]}))


def test_failures_and_encodings_that_were_trained_on_the_volume():
    rows = [
        row(dataset=name, encoding=encoding, compression="none", run=run)
        for name in ("pinky40-z000-255.h5", "ac3")
        for encoding in ("ristretto:effort=2", "compresso")
        for run in (1, 2, 3)
    ]
    failed = row(dataset="ac3", encoding="cpso", lossless=False, status="error: no")
    ours, other = render(records.tabulate([*rows, failed])).split("\n\nac3")
    assert ours.count(f" ristretto:effort=2{MARK} ") == 1
    assert MARK not in other
    assert "! cpso + zlib: error: no" in other
    assert "lossless" not in other

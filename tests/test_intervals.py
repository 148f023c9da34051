"""Medians, their intervals, and which cells a table ranks."""

import math
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from test_results import row

from experiments import records
from experiments.records.best import best
from experiments.records.derived import derive
from experiments.records.intervals import Interval, cautious, fastest, interval, intervals, places
from experiments.records.table import render
from experiments.records.trained import MARK, is_trained
from experiments.text import natural


def test_one_run_has_no_interval():
    found = interval([0.5])
    assert found.median == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.spelled() == "0.50"


def test_two_runs_have_none_either():
    """That of these reached from 0.03 to 30 s."""
    found = interval([1.0, 1.2])
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.spelled() == "1.10 (n = 2)"
    assert found.over(11).spelled(".0f") == "10 (n = 2)"
    assert interval([1.0, 1.0]).spelled(".0f") == "1 (n = 2)"


def test_few_runs_have_students_interval():
    """Of logarithms -1, 0, 1: mean 0, deviation 1, t of 2 degrees 4.3027, by the root of 3."""
    found = interval(np.exp([-1.0, 0.0, 1.0]))
    reach = math.exp(4.302653 / math.sqrt(3))
    assert found.median == 1
    assert found.high == pytest.approx(reach, rel=1e-6)
    assert found.low == pytest.approx(1 / reach, rel=1e-6)


def test_five_runs_are_bootstrapped():
    """The median of 5 draws from 5 is the least one in 5.8% of the samples: more than 2.5%."""
    found = interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (found.median, found.low, found.high) == (3, 1, 5)
    assert interval([3.0, 1.0, 2.0, 5.0, 4.0]) == found


def test_the_interval_holds_the_median_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        found = interval(random.lognormal(0, 0.2, 15))
        held += found.low <= 1 <= found.high
    assert held >= 180  # 95% of 200 are 190, with a deviation of 3


def test_runs_that_agree():
    assert interval([2.0] * 5) == Interval(2, 2, 2)
    assert interval([0.0, 0.0]).median == 0


def test_a_speed_is_the_size_by_the_seconds():
    assert Interval(2.0, 1.0, 4.0).over(8) == Interval(4, 2, 8)
    assert Interval(2.0, 1.0, 4.0).over(8).spelled(",.0f") == "4 (2 to 8)"


def test_no_voxels_in_no_time_are_no_speed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(Interval(0.0, 0.0, 0.0).over(0).median)


def table_of(cells):
    """Rows whose compressing takes these seconds, by compression; 800 bytes of labels."""
    return records.tabulate(
        row(compression=name, run=run, encode_s=0.0, compress_s=s, decompress_s=s, decode_s=0.0)
        for name, seconds in cells.items()
        for run, s in enumerate(seconds, 1)
    )


def test_a_line_a_cell():
    cells = intervals(derive(table_of({"a": [1, 2, 3, 4, 5], "b": [2]})))
    assert cells["compression"].tolist() == ["a", "b"]
    assert cells["runs"].tolist() == [5, 1]
    a, b = cells.to_dict("records")
    megabytes = 800e-6
    assert a["compress_speed"] == pytest.approx(megabytes / 3)
    assert a["compress_speed_low"] == pytest.approx(megabytes / 5)
    assert a["compress_speed_high"] == pytest.approx(megabytes / 1)
    assert a["decompress_speed"] == a["compress_speed"]
    assert (a["ratio"], a["native_ratio"], a["encoding_ratio"]) == (10, 5, 4)
    assert math.isnan(b["compress_speed_low"])
    assert intervals(derive(table_of({}))).empty


def shaken(seconds, by=0.01):
    return [seconds * (1 + by * n) for n in (-2, -1, 0, 1, 2)]


def test_places_say_only_what_runs_show():
    cells = {"a": shaken(1.0), "b": shaken(2.0), "c": shaken(2.05), "d": shaken(4.0), "e": [1.0]}
    found = intervals(derive(table_of(cells))).set_index("compression", drop=False)
    assert places(found, "compress_speed").to_dict() == {
        **{"a": "1", "b": "2-3", "c": "2-3", "d": "4", "e": ""}
    }
    assert list(fastest(found, "compress_speed")) == ["a"]
    without = found.drop("a")
    assert list(fastest(without, "compress_speed")) == ["b", "c"]


def test_runs_that_happen_to_agree_rank_nobody():
    """4% apart, each to a tenth of a thousandth: the next day it may be the other way round."""
    cells = intervals(derive(table_of({"a": shaken(1.0, 1e-4), "b": shaken(1.04, 1e-4)})))
    assert set(places(cells, "compress_speed")) == {"1-2"}


def test_nobody_is_surer_than_the_typical_cell():
    """Where cells vary by 20%, one that does not was lucky."""
    noisy = {name: shaken(1.0, 0.1) for name in "abc"}
    cells = intervals(derive(table_of(noisy | {"d": shaken(1.3, 1e-4)})))
    assert set(places(cells, "compress_speed")) == {"1-4"}
    calm = intervals(derive(table_of({"a": shaken(1.0), "d": shaken(1.3)})))
    assert list(places(calm, "compress_speed")) == ["1", "2"]


def test_places_that_do_not_overlap_are_of_intervals_that_do_not():
    random = np.random.default_rng(0)
    ranked = 0
    for _ in range(50):
        seconds = {
            f"c{n}": random.lognormal(0, 0.5) * random.lognormal(0, 0.1, 5) for n in range(9)
        }
        cells = intervals(derive(table_of(seconds)))
        bounds, found = cautious(cells, "compress_speed"), places(cells, "compress_speed")
        for a, b in combinations(cells.index, 2):
            last, first = int(found[a].split("-")[-1]), int(found[b].split("-")[0])
            if last < first:
                ranked += 1
                assert bounds["low"][a] > bounds["high"][b]
    assert ranked > 50


def test_three_measurements_never_disagree():
    """Cells of 5 noisy runs, measured three times: no two are ranked in opposite orders."""
    random = np.random.default_rng(1)
    opposite, ranked = 0, 0
    for _ in range(20):
        true = random.lognormal(0, 0.15, 8)
        orders = []
        for _ in range(3):
            runs = {f"c{n}": t * random.lognormal(0, 0.08, 5) for n, t in enumerate(true)}
            found = places(intervals(derive(table_of(runs))), "compress_speed")
            ends = [tuple(map(int, (p.split("-")[0], p.split("-")[-1]))) for p in found]
            orders.append({(a, b) for a in range(8) for b in range(8) if ends[a][1] < ends[b][0]})
        ranked += sum(map(len, orders))
        opposite += sum((b, a) in other for one in orders for other in orders for a, b in one)
    assert opposite == 0
    assert ranked > 20


def test_the_table_ranks_nobody_without_intervals():
    text = render(table_of({"a": [1.0], "b": [2.0]}))
    assert "place" not in text
    assert "interval" not in text


def test_the_table_says_no_difference():
    cells = {"a": shaken(1.0), "b": shaken(1.02), "c": shaken(3.0)}
    text = render(table_of(cells).assign(other_cpu=0.42))
    assert "  fastest to compress: none a; no difference: none b\n" in text
    assert "other processes took 42% of the processors" in text
    places_of = {line.split()[1]: line.split()[-1] for line in text.splitlines() if " to " in line}
    assert {places_of[name] for name in "ab"} == {"1-2"}
    assert places_of["c"] == "3"


def test_rows_of_an_earlier_csv_have_intervals():
    later = ["new_memory_s", "load", "other_cpu", "minor_faults", "major_faults", "governor"]
    rows = table_of({"a": shaken(1.0)}).drop(columns=[*later, "chunk", "worker"], errors="ignore")
    table = records.tabulate(rows.to_dict("records"))
    assert intervals(derive(table))["runs"].tolist() == [5]
    assert "other processes" not in render(table)


def test_two_runs_rank_nobody():
    cells = intervals(derive(table_of({"a": [1.0, 1.1], "b": [9.0, 9.1], "c": [5, 6, 7]})))
    assert list(places(cells, "compress_speed")) == ["", "", "1"]
    text = render(table_of({"a": [1.0, 1.1], "b": [9.0, 9.1]}))
    assert text.count("n = 2") == 4
    assert " to " not in text
    assert "fastest" not in text


def raw_among(runs):
    """Rows of three cells, of which one are raw labels, in a thousandth of the time."""
    table = table_of({"none": [1e-3] * runs, "a": shaken(1.0)[:runs], "b": shaken(2.0)[:runs]})
    table.loc[table["compression"] == "none", "compressed_bytes"] = 800
    return table


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_raw_labels_have_no_speed(runs):
    table = raw_among(runs)
    cells = intervals(derive(table))
    raw = cells["compression"] == "none"
    for speed in ("compress_speed", "decompress_speed", "encode_speed", "decode_speed"):
        assert cells.loc[raw, speed].isna().all()
    assert list(places(cells, "compress_speed")) == (["", "1", "2"] if runs == 5 else [""] * 3)
    text = render(table)
    lines = [line.split() for line in text.splitlines() if line.split()[:2] == ["none", "none"]]
    assert [line[-3:] for line in lines] == [["-", "-", "yes"]]  # and not in the second block
    assert "fastest to compress: none a\n" in text or runs < 5
    assert "fastest to compress: none none" not in text


def trained_on(dataset, **more):
    codecs = {"encoding": "ristretto", "compression": "none"}
    return is_trained(codecs | {"dataset": dataset} | more)


@pytest.mark.parametrize(
    "name",
    [
        *("pinky40-z000-255.h5", "pinky40-z000-255.h5:main", "a/pinky40_z0-255.npy", "Pinky40.h5"),
        *("pinky40", "pinky40-z128-383.h5", "pinky40.zarr", "phantom", "phantom:seed=0,bits=32"),
        *("phantom:size=512x512x128", "phantom:bits=32,size=512x512x8"),
    ],
)
def test_volumes_that_ristretto_was_trained_on(name):
    assert trained_on(name)
    assert trained_on(name, encoding="ristretto:effort=2")
    assert trained_on(name, encoding="none", compression="ristretto:effort=2")  # in figures
    assert not trained_on(name, encoding="compresso", compression="lzma")


@pytest.mark.parametrize(
    "name",
    [
        *("ac3", "pinky100.h5", "pinky400.h5", "pinky40-z256-511.h5", "pinky40_z300.npy"),
        *("phantom:seed=1", "phantom:size=64x64x8", "phantom.npy", "pattern"),
    ],
)
def test_other_volumes(name):
    assert not trained_on(name)
    assert trained_on(name, fingerprint="a7224fd85413dfe2")  # pinky40 under another name


def test_the_table_marks_what_was_trained_on_the_volume():
    rows = [
        row(dataset=name, encoding=encoding, compression="none", run=run)
        for name in ("pinky40-z000-255.h5", "ac3")
        for encoding in ("ristretto:effort=2", "compresso")
        for run in (1, 2, 3)
    ]
    ours, other = render(records.tabulate(rows)).split("\n\nac3")
    assert ours.count(f" ristretto:effort=2{MARK} ") == 2  # in both blocks
    assert ours.count(MARK) == 3
    assert "trained on this volume" in ours.splitlines()[-1]
    assert MARK not in other


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [("ratio", [2, 5, math.nan], 1), ("size_mb", [2, 5, math.nan], 0), ("ratio", [math.nan], None)],
)
def test_the_best_is_the_smallest_size_and_the_largest_of_all_else(name, values, index):
    assert best(pd.Series(values, name=name, dtype=float)) == index


def test_natural_order():
    texts = ["zstd:level=10", "zstd:level=2", "zstd:level=-5", "zstd", "a:x=1.5", "a:x=1.25", "A9"]
    assert sorted(texts, key=natural) == [
        *("A9", "a:x=1.25", "a:x=1.5", "zstd", "zstd:level=-5", "zstd:level=2", "zstd:level=10")
    ]

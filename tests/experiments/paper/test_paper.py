"""The report of the paper: its tables, verdicts and summary, and the paper in one command."""

import numpy as np
import pytest

import compresso as C
from experiments import datasets, figures, paper, records
from experiments.measure import Grid
from experiments.paper import published
from experiments.paper.claims import Measured, claims, summary, window_counts
from experiments.records.results import newest
from tests.helpers.commands import run_here
from tests.helpers.paths import ROOT, shared
from tests.helpers.rows import results_of

LZMA = ("compresso", "lzma")
STAGES = ("encode_s", "compress_s", "decompress_s", "decode_s")


def report(tmp_path, rows, covered=()):
    return paper.report(records.tabulate(rows), covered, [], tmp_path).read_text()


def verdicts(rows, covered=()):
    """The verdict on each claim, by its text and what was measured."""
    found = claims(Measured(records.tabulate(rows)), covered)
    return {(claim.text, claim.measured): claim.verdict for claim in found}


def test_window_counts(phantom):
    volume = datasets.LoadedVolume(datasets.Dataset("phantom", group=datasets.SYNTHETIC), phantom)
    values, counts = window_counts(volume)
    stream = C.COMPRESSO.compress(phantom)
    n_ids, n_values = np.frombuffer(stream, "<u8", 9)[3:5].astype(int)
    assert np.array_equal(values, np.frombuffer(stream, "<u8", n_values, 8 * (9 + n_ids)))
    assert counts.sum() == 16 * 12 * 19


def test_every_method_of_the_paper_is_measured_and_no_current_one_twice():
    specs = [m.specs for m in paper.methods()]
    for (_, first), heights in published.FIGURE_4.items():
        for second in heights:
            assert ((second, "none") if second in published.ALONE else (first, second)) in specs
    current = [m.specs for m in paper.current_methods()]
    assert len({*specs, *current}) == len(specs) + len(current)
    assert {("ristretto:effort=3", "none"), ("cpso", "none"), ("cpso", "lzma")} <= set(current)
    assert ("ristretto", "lzma") not in current


def test_paper_in_one_command(tmp_path, monkeypatch):
    few = paper.methods()[::7] + paper.current_methods()[:1]
    monkeypatch.setattr(paper, "all_methods", lambda: few)
    monkeypatch.setattr(figures, "RESULTS", {"pareto": figures.RESULTS["pareto"]})
    folder = tmp_path / "figures"
    arguments = ["paper", "phantom:size=40x40x4", "--runs", 1, "--timeout", "inf"]
    arguments += ["--csv", tmp_path / "p.csv", "--figures", folder]
    done = run_here(*arguments)
    table = records.read(tmp_path / "p.csv")
    assert len(table) == len(few)
    text = (folder / "report.md").read_text()
    assert "Ctrl-C" in done.stderr
    assert text.startswith("# ")
    assert "not measured" in text
    assert "(synthetic)" in text
    for kind in ("frequent_windows", "slices", "pareto"):
        (path,) = folder.glob(f"{kind}*.svg")
        assert f"({path.name})" in text
    run_here(*arguments, "--no-plot")
    assert len(records.read(tmp_path / "p.csv")) == len(table)


def test_table_1_comes_first_and_raw_labels_last(tmp_path):
    raw = [method.specs[0] == "none" for method in paper.all_methods()]
    assert raw == sorted(raw)
    chosen = datasets.choose("phantom:size=8x8x4,phantom:size=8x8x5", tmp_path)
    grid = Grid(paper.all_methods()[:3], chosen, tmp_path / "r.csv", runs=2, first=1)
    rows = [row for row, _ in grid.run(lambda _: None)]
    found = [tuple(row[k] for k in ("encoding", "compression", "run", "dataset")) for row in rows]
    assert [row[:3] for row in found[:2]] == 2 * [(*LZMA, 1)]
    assert len(set(found)) == len(rows) == len(grid) == 12


def test_a_slow_method_is_measured_once(tmp_path):
    (dataset,) = datasets.parse("phantom:size=8x8x4", tmp_path)
    methods = paper.methods()[:2]
    grid = Grid(methods, [dataset], tmp_path / "r.csv", runs=3, patience=0)
    assert len(list(grid.run(lambda _: None))) == len(methods)
    grid = Grid(methods, [dataset], tmp_path / "r.csv", runs=3, resume=True)
    assert [new for _, new in grid.run(lambda _: None)].count(True) == 2 * len(methods)


def test_verdicts_and_their_summary(tmp_path):
    rows = results_of("spl-knee", "other", {LZMA: 1555, ("neuroglancer", "lzma"): 1172})
    rows += results_of("voc2012", "other", {LZMA: 2250})
    rows += results_of("bsd500", "other", {LZMA: 900})
    rows += results_of("ac3", "em", {LZMA: 500, ("none", "bz2"): 400})
    covered = [paper.Coverage("ac3", "em", 0.81)]
    found = verdicts(rows, covered)
    ratios = {text.split()[-1]: v for (text, _), v in found.items() if "reaches" in text}
    assert ratios["spl-knee"] == "reproduced"
    assert ratios["voc2012"] == "close"
    assert ratios["bsd500"] == "not reproduced"
    assert ratios["spl-brain"] == "not measured"
    assert ratios["ac3"].startswith("not testable")
    assert ratios["cremi-a"].startswith("not testable")
    on_em = {measured: v for (text, measured), v in found.items() if "reaches" not in text}
    assert on_em == {
        "ac3: compresso + lzma": "holds on this volume",
        "ac3: 25% larger ratio than raw + bz2": "not on this volume",
        "ac3: 81.0%": "holds on this volume",
    }
    added = {("ristretto", "none"): 9000, ("compresso", "new"): 9001}
    added |= {("compresso:window=2x2x1", "lzma"): 9002}  # no newer method changes a verdict
    assert verdicts(rows + results_of("ac3", "em", added), covered) == found
    table = records.tabulate(rows)
    assert "spl-knee: 1553; here 1,555.0" in "\n".join(paper.compared(table))
    text = summary(claims(Measured(table), covered), Measured(table))
    assert "1 reproduced, all within 0.1%" in text
    assert "2 of 3 hold" in text
    assert text in report(tmp_path, rows, covered).partition("## ")[0]  # on top


def test_a_part_is_not_judged(tmp_path):
    rows = results_of("spl-knee", "other", {LZMA: 1553}, part="first 1 of 9 slices")
    rows += results_of("ac3", "em", {LZMA: 814, ("none", "bz2"): 400}, part="first 1 of 9 slices")
    found = verdicts(rows, [paper.Coverage("ac3", "em", 0.82, "first 1 of 9 slices")])
    assert list(found.values()).count("not judged: first 1 of 9 slices") == 5
    text = report(tmp_path, rows)
    assert "Only a part was measured of spl-knee: first 1 of 9 slices" in text
    assert "+0.0%" not in text


def test_synthetic_data_says_so_everywhere(tmp_path):
    given = {LZMA: 100, ("ristretto", "none"): 200}
    rows = results_of("phantom", "synthetic", given, part="first 2 slices")
    lines = report(tmp_path, [*rows, rows[0] | {"run": 2}]).splitlines()
    named = [line for line in lines if "phantom" in line and line[0] != "\u2020"]
    assert len(named) > 5
    assert all("phantom (synthetic)" in line for line in named)


def test_speeds_and_why_a_method_has_none(tmp_path):
    (best,) = results_of("spl-knee", "other", {LZMA: 1553.2})
    rows = [
        best | dict.fromkeys(STAGES, seconds) | {"run": run, "other_cpu": run / 10}
        for run, seconds in enumerate((0.004, 0.005, 0.005, 0.005, 0.01), 1)
    ]
    text = report(tmp_path, rows)
    assert "| 100 (50.0 to 125) / 100 (50.0 to 125) |" in text  # 1 MB by twice 5, 10 and 4 ms
    assert "5 runs" in text
    assert "30% of the processors" in text
    lost = best | {"status": "timeout: more than 9 s", "lossless": False}
    slow = results_of("spl-knee", "other", {("none", "brotli"): 4})
    assert "| 1553 | not tested: timeout: more than 9 s |" in report(tmp_path, [*slow, lost])
    text = report(tmp_path, [best])
    assert "single run" in text
    assert "Current methods" not in text


def test_a_name_or_a_reason_with_a_bar_ends_no_column(tmp_path):
    ratios = {LZMA: 100, ("cpso", "lzma"): 120, ("none", "lzma"): 125}
    rows = results_of("gs://seg|zarr3:", "em", ratios)
    failed = {"status": "error: a | b", "lossless": False}
    rows += results_of("spl-knee", "other", {LZMA: 1}, **failed)
    text = report(tmp_path, rows, [paper.Coverage("gs://seg|zarr3:", "em", 0.5)])
    assert text.count("gs://seg") >= 6
    for block in text.split("\n\n"):  # each table has as many columns as its head
        lines = [line.replace("\\|", "") for line in block.splitlines() if line[:1] == "|"]
        assert len({line.count("|") for line in lines}) <= 1


def test_only_report_measures_nothing(tmp_path, monkeypatch):
    """It is of the given datasets, and shows windows only of the labels that were measured."""
    monkeypatch.setattr(figures, "RESULTS", {})
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path in paths:
        np.save(path, np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    keep = ("--csv", tmp_path / "paper.csv", "--figures", tmp_path / "figures")
    run_here("compresso", "lzma", paths[0], "--no-plot", *keep)
    before = (tmp_path / "paper.csv").read_bytes()
    target = tmp_path / "figures" / "report.md"
    for given, code in ((paths[1], 1), (f"{paths[0]},{paths[1]}", 0)):
        done = run_here("paper", given, "--only-report", *keep, code=code)
        assert "b.npy" in done.stderr
        assert target.exists() == (code == 0)  # an empty report would replace the last one
    assert (tmp_path / "paper.csv").read_bytes() == before
    total = 2 * len(paper.all_methods())
    assert target.read_text().startswith(f"**Incomplete: 1 of {total} measurements.")
    assert "| a.npy | 4 x 4 x 4 |" in target.read_text()
    assert "| a.npy: 100.0% |" in target.read_text()
    for options in (["-s", 2], []):
        done = run_here("paper", paths[0], "--only-report", *keep, *options)
        assert "a.npy" in done.stderr
        assert "a.npy: 100.0%" not in target.read_text()
        np.save(paths[0], np.zeros((4, 4, 4), np.uint8))


def test_only_report_needs_no_data(tmp_path):
    given = ("--directory", tmp_path, "--csv", ROOT / "docs/paper/paper.csv", "--only-report")
    folder = tmp_path / "new"
    done = run_here("paper", *given, "--no-plot", "--figures", folder)
    assert "spl-knee: not downloaded" in done.stderr
    assert "| spl-knee |" in (folder / "report.md").read_text()


# ---- the paper's own numbers


@pytest.mark.slow
def test_bsd500_of_the_paper():
    """The paper's own data and ratio, 1188, to 0.2 %."""
    (dataset,) = datasets.parse("bsd500", shared("data/BSR_bsds500_groundtruth.tgz").parent)
    labels = dataset.load().labels
    assert labels.shape == (2696, 481, 321)
    packed = C.LZMA.compress(C.COMPRESSO.compress(labels))
    assert 8 * labels.size / len(packed) == pytest.approx(1188, rel=0.002)
    assert np.array_equal(C.COMPRESSO.decompress(C.LZMA.decompress(packed)), labels)


def test_committed_report_follows_from_its_csv(tmp_path):
    """Every line from the title on, but those that need the volumes."""
    committed = ROOT / "docs" / "paper"
    table = newest(records.read(committed / "paper.csv"))
    drawn = list(committed.glob("*.svg"))

    def lines(text):
        needed = ("most frequent 8x8x1", "claims about EM")
        below = text[text.index("# The paper, measured") :].splitlines()
        return [line for line in below if not any(part in line for part in needed)]

    found = lines(paper.report(table, [], drawn, tmp_path, figures.caption).read_text())
    assert len(found) > 150
    assert found == lines((committed / "report.md").read_text())

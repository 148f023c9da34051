"""The paper's sources and the paper in one command, on small stand-ins served on loopback."""

import numpy as np
import pytest
from PIL import Image

import compresso as C
from experiments import datasets, figures, paper, records
from experiments.paper import published
from experiments.paper.coverage import window_counts
from experiments.records.results import newest
from tests.helpers.commands import run, run_here
from tests.helpers.paths import ROOT, shared


def test_window_counts(phantom):
    volume = datasets.LoadedVolume("phantom", "", datasets.SYNTHETIC, phantom)
    values, counts = window_counts(volume)
    stream = C.COMPRESSO.compress(phantom)
    n_ids, n_values = np.frombuffer(stream, "<u8", 9)[3:5].astype(int)
    assert np.array_equal(values, np.frombuffer(stream, "<u8", n_values, 8 * (9 + n_ids)))
    assert counts.sum() == 16 * 12 * 19


def test_every_scheme_of_the_paper_is_measured():
    specs = {(c.encoding.spec, c.compressor.spec) for c in paper.cells()}
    for (_, first), heights in published.FIGURE_4.items():
        for second in heights:
            alone = second in ("png", "jpeg2000", "x264")
            assert ((second, "none") if alone else (first, second)) in specs


def drawn_share(path):
    """Which share of a picture has a colour: bars, lines and points."""
    pixels = np.asarray(Image.open(path).convert("RGB"), int)
    return (np.ptp(pixels, axis=-1) > 25).mean()


def test_paper_in_one_command(tmp_path, monkeypatch):
    keep = ["--output", tmp_path / "p.csv", "--figures", tmp_path / "figures"]
    done = run("paper", "phantom:size=40x40x4", "--runs", 1, *keep)
    assert done.returncode == 0, done.stderr
    table = records.read(tmp_path / "p.csv")
    assert len(table) == len(paper.cells()) + len(paper.cells_of_today())
    text = (tmp_path / "figures" / "report.md").read_text()
    assert "not measured" in text
    assert "(synthetic)" in text
    for figure in ("mean_ratio", "window_sizes", "compression_ratio"):
        assert drawn_share(tmp_path / "figures" / f"{figure}.png") > 0.005
    assert list((tmp_path / "figures").glob("frequent_windows_*.pdf"))
    assert list((tmp_path / "figures").glob("slices_*.pdf"))
    for registry in (figures.of_results, figures.of_volumes):  # they are drawn
        monkeypatch.setattr(registry, "names", list)
    done = run_here("paper", "phantom:size=40x40x4", "--runs", 1, *keep)
    assert done.returncode == 0, done.stderr
    assert "\n0 rows added" in done.stderr
    assert len(records.read(tmp_path / "p.csv")) == len(table)


def rows_of(name, group, ratios):
    base = dict.fromkeys(records.COLUMNS, "")
    base |= {"dataset": name, "group": group, "shape": "1x1x1", "threads": 1, "run": 1}
    base |= {"raw_bytes": 1_000_000, "native_bytes": 1, "encoded_bytes": 1, "lossless": True}
    base |= dict.fromkeys(("encode_s", "compress_s", "decompress_s", "decode_s"), 0.1)
    base |= {"status": "ok", "session": "1", "cpu": "a cpu"}
    return [
        base | {"encoding": e, "compression": c, "compressed_bytes": 1_000_000 / ratio}
        for (e, c), ratio in ratios.items()
    ]


def test_verdicts(tmp_path):
    ratios = {("compresso", "lzma"): 1553.2, ("neuroglancer", "lzma"): 1172.7}
    table = rows_of("spl-knee", "other", ratios)
    table += rows_of("ac3", "em", {("compresso", "lzma"): 500, ("none", "bz2"): 400})
    table += rows_of("bsd500", "other", {("compresso", "lzma"): 900})
    covered = [paper.Coverage("ac3", "em", 0.81)]
    text = paper.report(records.tabulate(table), covered, [], tmp_path).read_text()
    assert "| Compresso + LZMA reaches 1553 on spl-knee | 1,553.2 | reproduced |" in text
    assert "reaches 1188 on bsd500 | 900.0 | not reproduced |" in text
    assert "reaches 814 on ac3 | 500.0 | not comparable: ground truth" in text
    assert "best on every EM set | ac3: compresso + lzma | yes |" in text
    assert "leads by 80% on EM | ac3: 25% ahead of none + bz2 | no |" in text
    assert "| ac3: 81.0% | yes |" in text
    assert "ac3 (gt)" in text


def test_synthetic_data_says_so_everywhere(tmp_path):
    """In the lists of what is missing and of parts, too."""
    given = {("compresso", "lzma"): 100, ("ristretto", "none"): 200}
    rows = [row | {"part": "first 2 slices"} for row in rows_of("phantom", "synthetic", given)]
    text = paper.report(records.tabulate([*rows, rows[0] | {"run": 2}]), [], [], tmp_path)
    lines = [line for line in text.read_text().splitlines() if "phantom" in line]
    assert len(lines) > 5
    assert [line for line in lines if "phantom (synthetic)" not in line] == [
        line for line in lines if line.startswith("\u2020")
    ]


def test_report_tells_its_runs_and_what_is_missing(tmp_path):
    """Speeds with their intervals, who has fewer runs, and why a cell has none."""
    (best,) = rows_of("spl-knee", "other", {("compresso", "lzma"): 1553.2})
    stages = ("encode_s", "compress_s", "decompress_s", "decode_s")
    table = [
        best | dict.fromkeys(stages, seconds) | {"run": run, "other_cpu": other}
        for run, (seconds, other) in enumerate(
            [(0.004, 0.0), (0.005, 0.1), (0.005, 0.2), (0.005, 0.3), (0.01, 0.9)], start=1
        )
    ]
    (slow,) = rows_of("spl-knee", "other", {("none", "brotli"): 400})
    (late,) = rows_of("spl-knee", "other", {("none", "zopfli"): 400})
    table += [slow, late | {"status": "timeout: more than 1800 s", "lossless": False}]
    text = paper.report(records.tabulate(table), [], [], tmp_path).read_text()
    line = next(line for line in text.splitlines() if line.startswith("| spl-knee"))
    assert "| 100 (50 to 125) / 100 (50 to 125) |" in line  # 1 MB by twice 5, 10 and 4 ms
    assert "medians of 5 runs of each cell" in text
    assert "Other processes took 20% of the processors in the median run" in text
    assert "- spl-knee, 1 of 5: none + brotli" in text
    assert "- spl-knee, timeout: more than 1800 s: none + zopfli" in text
    missing = next(line for line in text.splitlines() if "not measured:" in line)
    assert "compresso + zstd" in missing
    assert "none + zopfli" not in missing


def test_only_report_measures_nothing(tmp_path):
    """A report of what the CSV has: the same table, no row more."""
    np.save(tmp_path / "a.npy", np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    options = ("-o", tmp_path / "paper.csv", "--figures", tmp_path / "figures")
    done = run("compresso", "lzma,none", tmp_path / "a.npy", *options)
    assert done.returncode == 0, done.stderr
    before = (tmp_path / "paper.csv").read_bytes()
    done = run("paper", tmp_path / "a.npy", "--only-report", *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "paper.csv").read_bytes() == before
    assert "| a.npy | 4 x 4 x 4 |" in (tmp_path / "figures" / "report.md").read_text()


def only_report(tmp_path, given, *options):
    figures = tmp_path / "figures"
    keep = ("-o", tmp_path / "paper.csv", "--figures", figures)
    return run_here("paper", given, "--only-report", *keep, *options), figures / "report.md"


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(figures.of_results, "names", list)


def test_only_report_tells_what_it_has_no_row_of(tmp_path, no_figures):
    """An empty report would have taken the place of the last one."""
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for seed, path in enumerate(paths):
        np.save(path, np.full((4, 4, 4), seed, np.uint8))
    run_here("compresso", "lzma", paths[0], "--no-plot", "-o", tmp_path / "paper.csv")
    done, report = only_report(tmp_path, paths[1])
    assert done.returncode == 1
    assert "paper.csv: has no row of b.npy; measure first" in done.stderr
    assert not report.exists()
    done, report = only_report(tmp_path, f"{paths[0]},{paths[1]}")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "has no row of b.npy" in done.stderr
    assert "| a.npy |" in report.read_text()


def test_only_report_shows_no_windows_of_other_labels(tmp_path, no_figures):
    """Those of a part, or of a file that changed since, stood beside the rows of the whole."""
    path = tmp_path / "a.npy"
    np.save(path, np.arange(64, dtype=np.uint8).reshape(4, 4, 4))
    run_here("compresso", "lzma", path, "--no-plot", "-o", tmp_path / "paper.csv")
    done, report = only_report(tmp_path, path)
    assert done.stderr == ""
    assert "| a.npy: 100.0% |" in report.read_text()
    for options in (["-s", 2], []):
        done, report = only_report(tmp_path, path, *options)
        assert "a.npy: are other labels than those measured" in done.stderr
        assert "a.npy: 100.0%" not in report.read_text()
        np.save(path, np.zeros((4, 4, 4), np.uint8))


def test_a_name_or_a_reason_with_a_bar_ends_no_column(tmp_path):
    ratios = {("compresso", "lzma"): 100, ("cpso", "lzma"): 120, ("none", "lzma"): 125}
    rows = rows_of("gs://seg|zarr3:", "em", ratios)
    failed = {"status": "error: a | b", "lossless": False}
    rows += [row | failed for row in rows_of("spl-knee", "other", {("compresso", "lzma"): 1})]
    covered = [paper.Coverage("gs://seg|zarr3:", "em", 0.5)]
    text = paper.report(records.tabulate(rows), covered, [], tmp_path).read_text()
    assert text.count("gs://seg") >= 6
    assert text.count("gs://seg|") == 0
    assert "error: a |" not in text
    assert "| gs://seg\\|zarr3:: 20% behind none + lzma | no |" in text
    for block in text.split("\n\n"):  # each table has as many columns as its head
        lines = [line.replace("\\|", "") for line in block.splitlines() if line[:1] == "|"]
        assert len({line.count("|") for line in lines}) <= 1


def test_slow_speeds_are_numbers(tmp_path):
    """1 MB by twice 4 s was 0 MB/s."""
    (row,) = rows_of("spl-knee", "other", {("compresso", "lzma"): 1553.2})
    slow = row | dict.fromkeys(("encode_s", "compress_s", "decompress_s", "decode_s"), 4)
    text = paper.report(records.tabulate([slow]), [], [], tmp_path).read_text()
    assert "| 0.12 / 0.12 |" in text


def test_bsd500_of_the_paper(facts):
    """The paper's own data and ratio, 1188, to 0.2 %."""
    (dataset,) = datasets.parse("bsd500", shared("data/BSR_bsds500_groundtruth.tgz").parent)
    labels = dataset.load().labels
    assert labels.shape == (2696, 481, 321)
    packed = C.LZMA.compress(C.COMPRESSO.compress(labels))
    assert 8 * labels.size / len(packed) == pytest.approx(1188, rel=0.002)
    assert np.array_equal(C.COMPRESSO.decompress(C.LZMA.decompress(packed)), labels)


def test_added_codecs_change_no_verdict(tmp_path):
    """Schemes that the paper did not measure are better than all of its own."""
    ratios = {("compresso", "lzma"): 814, ("neuroglancer", "lzma"): 452, ("png", "none"): 9}
    rows = rows_of("ac3", "em", ratios)
    added = {
        ("new", "lzma"): 9000,
        ("compresso", "new"): 9001,
        ("compresso:window=2x2x1", "lzma"): 9002,
    }

    def verdicts(table):
        text = paper.report(records.tabulate(table), [], [], tmp_path).read_text()
        return text[text.index("## The paper's claims") :]

    found = verdicts(rows)
    assert found == verdicts(rows + rows_of("ac3", "em", added))
    assert "ac3: compresso + lzma | yes |" in found
    assert "ac3: 80% ahead of neuroglancer + lzma | yes |" in found


def test_cells_that_failed_are_told_in_the_report(tmp_path):
    rows = rows_of("spl-knee", "other", {("compresso", "lzma"): 1, ("none", "lzma"): 700})
    rows[0] |= {"status": "timeout: more than 9 s", "lossless": False}
    text = paper.report(records.tabulate(rows), [], [], tmp_path).read_text()
    assert "reaches 1553 on spl-knee | | not tested: timeout: more than 9 s |" in text
    assert "| spl-knee | 512 x 512 x 119 | 1553 | not tested: timeout: more than 9 s |" in text
    assert "reaches 480 on spl-abdominal | | not measured |" in text


def test_means_tell_what_they_are_over(tmp_path):
    """A mean over fewer datasets than those beside it has a star."""
    ratios = {("compresso", "lzma"): 900, ("compresso", "zstd"): 500}
    rows = rows_of("bsd500", "other", {("compresso", "lzma"): 1100})
    rows += rows_of("spl-knee", "other", ratios) + rows_of("my.h5", "em", ratios)
    text = paper.report(records.tabulate(rows), [], [], tmp_path).read_text()
    assert "over 1 EM (my.h5) and 2 other (bsd500, spl-knee); a star marks" in text
    assert "| other | lzma | - (576) | - (672) | 1,000 (1209) |" in text
    assert "| other | zstd | - | - (358) | 500\\* (842) |" in text
    assert "| em | zstd | - | - (252) | 500 (615) |" in text


def test_a_report_of_single_runs_tells_of_no_intervals(tmp_path):
    table = rows_of("spl-knee", "other", {("compresso", "lzma"): 1553.2})
    table += [row | {"cpu": "another"} for row in rows_of("bsd500", "other", {("png", "none"): 9})]
    text = paper.report(records.tabulate(table), [], [], tmp_path).read_text()
    how = text.partition("## How it was measured")[2]
    assert "Speeds are of a single run of each cell, on a cpu and another." in how
    assert "interval" not in how
    assert "rounds" not in how


def test_table_1_is_the_papers():
    """Lines, sizes and ratios as printed."""
    table = datasets.published()
    assert list(table) == [
        *("ac3", "ac4", "cyl", "cremi-a", "cremi-b", "cremi-c"),
        *("spl-brain", "spl-knee", "spl-abdominal", "bsd500", "voc2012"),
    ]
    ratios = [814, 701, 952, 857, 1239, 960, 636, 1553, 480, 1188, 2217]
    assert [line.ratio for line in table.values()] == ratios
    assert [line.line for line in table.values()] == list(range(1, 12))
    assert [line.ground_truth for line in table.values()] == [True] * 6 + [False] * 5


def test_committed_report_follows_from_its_csv(tmp_path):
    """Every line but those on windows, which need the volumes, and the list of figures."""
    committed = ROOT / "docs" / "paper"
    table = newest(records.read(committed / "paper.csv"))
    made = paper.report(table, [], [], tmp_path).read_text().split("## Figures")[0]
    published = (committed / "report.md").read_text().split("## Figures")[0]

    def lines(text):
        return [line for line in text.splitlines() if "most frequent 8x8x1" not in line]

    assert len(lines(published)) > 80
    assert lines(made) == lines(published)

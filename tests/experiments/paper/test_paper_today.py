"""The second table of the report: the methods of today, ranked as far as their runs tell."""

from experiments import paper, records
from experiments.paper import today
from tests.experiments.paper.test_paper import rows_of

HEADING = "## Methods of today"


def runs_of(name, methods):
    """Five rows a method: its ratio, and the seconds of compressing as of decompressing."""
    rows = []
    for key, (ratio, seconds) in methods.items():
        for run in range(1, 6):
            (row,) = rows_of(name, "em", {key: ratio})
            stages = ("encode_s", "compress_s", "decompress_s", "decode_s")
            rows.append(row | dict.fromkeys(stages, seconds * (1 + run / 100)) | {"run": run})
    return rows


METHODS = {
    ("compresso", "lzma"): (800, 4.0),
    ("ristretto", "none"): (1600, 1.0),
    ("cpso", "zstd"): (600, 0.10),
    ("cpso", "lzma"): (610, 0.102),
}


def report(rows, tmp_path):
    return paper.report(records.tabulate(rows), [], [], tmp_path).read_text()


def test_methods_of_today_stand_in_a_table_of_their_own(tmp_path):
    text = report(runs_of("ac3", METHODS), tmp_path)
    section = text[text.index(HEADING) : text.index("## Figures")]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ac3")]
    assert [line[1] for line in lines] == [
        "ristretto",
        "compresso + lzma",
        *(f"cpso (the stream of PyPI's compresso) + {second}" for second in ("lzma", "zstd")),
    ]
    assert [line[2] for line in lines] == ["1,600.0", "800.0", "610.0", "600.0"]
    assert [line[4] for line in lines] == ["3", "4", "=1", "=1"]
    # 1 MB by twice 0.103 s, and by twice 0.105 and 0.101 s, the slowest and the fastest run
    assert lines[3][3] == "4.85 (4.76 to 4.95)"
    assert "no difference: cpso (the stream of PyPI's compresso) + lzma" in section
    assert "- crackle: not measured" in section


def test_without_them_the_report_is_the_papers(tmp_path):
    text = report(runs_of("ac3", {("compresso", "lzma"): (800, 4.0)}), tmp_path)
    assert HEADING not in text


def test_they_change_no_verdict(tmp_path):
    before = report(runs_of("ac3", {("compresso", "lzma"): (800, 4.0)}), tmp_path)
    after = report(runs_of("ac3", METHODS), tmp_path)
    assert after[: after.index(HEADING)] == before[: before.index("## How it was measured")]


def test_all_of_them_are_measured():
    """Each with its second stages, Ristretto alone; crackle where its package is."""
    specs = [(cell.encoding.spec, cell.compressor.spec) for cell in paper.cells_of_today()]
    assert len(specs) == len(set(specs))
    assert ("ristretto", "none") in specs
    assert ("ristretto", "zstd") not in specs
    for name in ("cpso", "compressed_segmentation"):
        assert {(name, second) for second in today.SECOND_STAGES} <= set(specs)
    assert not set(specs) & {(c.encoding.spec, c.compressor.spec) for c in paper.cells()}


def test_what_was_trained_on_a_volume_is_marked(tmp_path):
    text = report(runs_of("pinky40-z000-255.h5", METHODS) + runs_of("ac3", METHODS), tmp_path)
    assert "| pinky40-z000-255.h5 | ristretto\u2020 | 1,600.0 |" in text
    assert "| ac3 | ristretto | 1,600.0 |" in text
    assert text.count("\u2020") == 2
    assert "trained on this volume" in text
    assert "\u2020" not in report(runs_of("ac3", METHODS), tmp_path)


def test_two_runs_have_no_intervals(tmp_path):
    rows = [row for row in runs_of("ac3", METHODS) if row["run"] < 3]
    section = report(rows, tmp_path)
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ac3 | cpso")]
    assert [line[3:5] for line in lines] == [["4.83 (n = 2)", ""], ["4.93 (n = 2)", ""]]
    assert "in brackets how many" in section
    assert "their 95% intervals," not in section
    assert "fastest" not in section

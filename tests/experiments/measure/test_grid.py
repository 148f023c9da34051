"""The grid: rounds, rows, and datasets that cannot be read."""

import numpy as np

from compresso import compressors, encodings
from experiments import records
from experiments.datasets import LoadedVolume
from experiments.measure import Grid, combine

RAW = encodings.parse("none")


class Loaded:
    """A dataset that counts how often it is loaded, and may fail to."""

    name, title, group = "v", "v", "em"

    def __init__(self, error=None):
        self.count, self.error = 0, error

    def load(self, slices=None):
        self.count += 1
        if self.error:
            raise self.error
        return LoadedVolume("v", "v", "em", np.arange(512, dtype=np.uint32).reshape(2, 16, 16))


def rows_of(path, names, dataset, **settings):
    methods = combine([RAW], [compressors.parse(name) for name in names])
    return list(Grid(methods, [dataset], path, **settings).run(lambda _: None))


def test_every_encoding_meets_every_compressor_or_stands_alone():
    first = [encodings.parse(name) for name in ("png", "none", "cpso")]
    second = [compressors.parse(name) for name in ("zlib", "lzma")]
    expected = ["none + zlib", "none + lzma", "cpso + zlib", "cpso + lzma", "png"]
    assert [method.title for method in combine(first, second)] == expected


def test_the_grid_measures_in_rounds(tmp_path):
    dataset = Loaded()
    rows = rows_of(tmp_path / "r.csv", ("none", "zlib", "zstd", "lz4"), dataset, runs=3)
    assert [row["run"] for row, _ in rows] == [1] * 4 + [2] * 4 + [3] * 4
    assert dataset.count == 1
    table = records.read(tmp_path / "r.csv")
    assert table["compression"].tolist() == [row["compression"] for row, _ in rows]
    assert set(table["worker"]) == {""}


def test_rows_say_what_else_the_machine_did(tmp_path):
    rows_of(tmp_path / "r.csv", ["zlib"], Loaded())
    (row,) = records.read(tmp_path / "r.csv").to_dict("records")
    assert row["load"] >= 0
    assert row["minor_faults"] >= 0
    assert row["new_memory_s"] > 0


def test_a_dataset_that_cannot_be_read_is_tried_once(tmp_path):
    dataset = Loaded(OSError("damaged"))
    rows = rows_of(tmp_path / "r.csv", ("none", "zlib"), dataset, runs=3)
    assert [new for _, new in rows] == [True] * 6
    assert all(row["status"].startswith("error: OSError: damaged") for row, _ in rows)
    assert dataset.count == 1


def test_the_next_grid_reads_the_labels_again(tmp_path):
    dataset = Loaded()
    for resume in (False, True):
        rows = rows_of(tmp_path / "r.csv", ["zlib"], dataset, resume=resume)
        assert [new for _, new in rows] == [not resume]
    assert dataset.count == 2

"""Whether recommend names the best: how the grid judges it, and the table."""

import numpy as np
import pytest
from click.testing import CliRunner

from compresso import compressors, encodings
from compresso.volumes.volume import of_array
from experiments import records
from experiments.checks import named_is_best
from experiments.datasets import LoadedVolume
from experiments.measure import Method
from experiments.recommend.cells import sensible
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import Purposes
from experiments.recommend.sample import Plan, draw
from experiments.recommend.standing import Standing


def standing(compressor, ratio, compress, decompress):
    """A method of five equal runs, by its ratio and MB/s."""
    row = {"raw_bytes": 8e6, "native_bytes": 8e6, "compressed_bytes": 8e6 / ratio, "status": "ok"}
    row |= {"encode_s": 0.0, "decode_s": 0.0}
    row |= {"compress_s": 8 / compress, "decompress_s": 8 / decompress}
    return Standing(Method(encodings.parse("cpso"), compressors.parse(compressor)), [row] * 5)


@pytest.mark.parametrize(
    ("purpose", "best", "named", "verdict"),
    [
        ("archive", (200, 10, 10), (100, 900, 900), "50.0% of the best one's ratio"),
        ("everyday", (200, 900, 900), (100, 900, 900), "50.0% of the best one's ratio"),
        ("everyday", (200, 900, 510), (100, 900, 900), "no difference"),  # 510 may be 490
        ("everyday", (200, 900, 900), (300, 900, 490), "no difference"),  # 490 may be 510
        ("everyday", (200, 900, 900), (300, 900, 400), "too slow"),
        ("everyday", (100, 400, 400), (200, 300, 300), "too slow"),  # none keeps up with a disk
        ("everyday", (100, 400, 400), (200, 390, 390), "no difference"),
        ("interactive", (200, 900, 9000), (190, 900, 9000), "95.0% of the best one's ratio"),
        ("interactive", (200, 900, 9000), (300, 900, 1000), "too slow"),
    ],
)
def test_runs_that_may_be_equal_are_no_difference(purpose, best, named, verdict):
    one, other = standing("zstd", *best), standing("lz4", *named)
    labels = np.ones((4, 8, 8), np.uint8)
    sample = draw(of_array(labels), Plan((4, 8, 8), 0, 0), lambda _: None)
    both = Purposes(sample, LoadedVolume("made", "", "em", labels), [one, other], Measurer())
    absent = Method(encodings.parse("cpso"), compressors.parse("bz2"))
    for method, expected in ((one.cell, "the best"), (other.cell, verdict), (absent, "failed")):
        assert named_is_best.verdict(both, purpose, one, method) == expected


def test_the_table_has_a_line_per_purpose_and_rows_are_kept(tmp_path):
    words = ["phantom:size=24x20x3", "--runs", "1", "--patience", "0", "-d", str(tmp_path)]
    words += ["-o", str(tmp_path / "grid.csv")]
    found = []
    for _ in range(2):
        done = CliRunner().invoke(named_is_best.main, words)
        assert done.exit_code == 0, done.output
        found.append([line.split(" | ") for line in done.stdout.splitlines()[2:]])
        assert len(records.read(tmp_path / "grid.csv")) == len(sensible())
    lines, again = found
    assert [line[1] for line in lines] == ["archive", "everyday", "interactive", "random access"]
    assert lines[0][2:5] == [lines[0][2], lines[0][2], "the best"]  # bytes are exact
    assert [line[3] for line in again] == [line[3] for line in lines]

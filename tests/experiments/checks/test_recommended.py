"""The checks of recommend: how often its interval holds, and whether it names the best."""

import pytest

from experiments import records
from experiments.checks import recommended
from experiments.recommend.candidates import ARCHIVE, GENERAL, INTERACTIVE, Candidate, methods
from tests.helpers.program import invoke
from tests.helpers.rows import method, row


def table(check, *words):
    lines = invoke(*words, command=check).stdout.splitlines()
    return [line.split(" | ") for line in lines[2:]]


def test_samples_are_compared_with_the_volume(monkeypatch):
    words = ("phantom:size=32x32x8", "--seeds", 1, "--methods", "cpso+zstd")
    ((_, said, *_),) = table(recommended.interval, *words)
    assert said == "measured whole: exact"
    monkeypatch.setattr(recommended, "plan", lambda _: ((8, 32, 32), 4))
    words = ("pattern:kind=noise,size=128x128x32", "--seeds", 2, "--methods", "none")
    ((_, name, contained, *_),) = table(recommended.interval, *words)
    assert (name, contained) == ("raw", "2 of 2")


def candidate(compressor, ratio, compress, decompress):
    sizes = {"raw_bytes": 8e6, "native_bytes": 8e6, "compressed_bytes": 8e6 / ratio}
    seconds = {"compress_s": 8 / compress, "decompress_s": 8 / decompress}
    one = row(**sizes, **seconds, encode_s=0.0, decode_s=0.0)
    return Candidate(method("cpso", compressor), (one,) * 5)


@pytest.mark.parametrize(
    ("purpose", "best", "named", "verdict"),
    [
        (ARCHIVE, (200, 10, 10), (100, 900, 900), "50.0% of the best one's ratio"),
        (GENERAL, (200, 900, 510), (100, 900, 900), "no difference"),  # 510 may be 490
        (GENERAL, (200, 900, 900), (300, 900, 490), "no difference"),  # 490 may be 510
        (GENERAL, (200, 900, 900), (300, 900, 400), "too slow"),
        (GENERAL, (100, 400, 400), (200, 300, 300), "too slow"),  # none is as fast as a disk
        (INTERACTIVE, (200, 900, 9000), (300, 900, 1000), "too slow"),
    ],
)
def test_speeds_that_may_be_equal_are_no_difference(purpose, best, named, verdict):
    one, other = candidate("zstd", *best), candidate("lz4", *named)
    expected = {one.method: "the best", other.method: verdict, method("cpso", "bz2"): "failed"}
    for named, text in expected.items():
        assert recommended.verdict(purpose, [one, other], one, named) == text


def test_the_table_has_a_line_per_purpose_and_rows_are_kept(tmp_path):
    words = ["phantom:size=24x20x3", "--runs", 1, "-d", tmp_path, "-o", tmp_path / "grid.csv"]
    found = []
    for _ in range(2):
        found.append(table(recommended.choice, *words))
        assert len(records.read(tmp_path / "grid.csv")) == len(methods())
    lines, again = found
    assert len(lines) == 4
    for archive in (lines[0], again[0]):  # bytes are exact, and two methods may have the same
        assert archive[4] in ("the best", "no difference")

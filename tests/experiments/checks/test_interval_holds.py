"""How often the interval of recommend contains the truth: the table."""

from click.testing import CliRunner

from experiments.checks import interval_holds
from experiments.recommend.sample import Plan


def table(*words):
    done = CliRunner().invoke(interval_holds.main, list(words))
    assert done.exit_code == 0, done.output
    return [line.split(" | ") for line in done.stdout.splitlines()[2:]]


def test_a_small_volume_is_measured_whole():
    ((_, said, *_),) = table("phantom:size=32x32x8", "--seeds", "1", "--methods", "cpso+zstd")
    assert said == "measured whole: exact"


def test_samples_are_compared_with_the_volume(monkeypatch):
    monkeypatch.setattr(interval_holds, "plan", lambda *words: Plan((8, 32, 32), 4, words[-1]))
    words = ["pattern:kind=noise,size=128x128x32", "--seeds", "2", "--methods", "none"]
    ((_, method, contained, *_),) = table(*words)
    assert (method, contained) == ("none none", "2 of 2")

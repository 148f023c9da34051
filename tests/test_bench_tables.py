"""The commands that print the tables of docs/performance.md on groups and threads."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from compresso import frame
from experiments.bench import depths, threads
from experiments.trust import scale

PHANTOM = "phantom:size=32x32x4"


@pytest.fixture
def printed(tmp_path):
    def run(command, *options):
        done = CliRunner().invoke(command.main, [PHANTOM, "-d", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    return run


def test_what_threads_gain(printed):
    lines = printed(threads, "--rounds", "1")
    rows = [line for line in lines if re.fullmatch(r"\| \w.* \| (\d.* \| ){2}", line + " ")]
    assert len(rows) == len(depths.PAIRS)
    assert re.match(r"Threads that share nothing: \d", lines[-1])


def test_threads_that_make_another_frame_are_told(tmp_path, monkeypatch):
    """An error of its own, which no option of Python takes away."""

    def loads(data, threads=1):
        return frame.loads(data) + (threads > 1)

    monkeypatch.setattr(threads, "PAIRS", [("none", "zlib")])
    monkeypatch.setattr(threads, "frame", SimpleNamespace(dumps=frame.dumps, loads=loads))
    done = CliRunner().invoke(threads.main, [PHANTOM, "-d", str(tmp_path), "--rounds", "1"])
    assert done.exit_code == 1
    assert done.stderr == "Error: none + zlib: 2 threads make other bytes or labels\n"


def test_what_workers_gain(tmp_path, monkeypatch):
    """The table of docs/scale.md, a line a way; here both ways are this process."""
    monkeypatch.setattr(scale, "WAYS", {"no scheduler": "", "the same": ""})
    np.save(tmp_path / "x.npy", np.arange(16 * 32 * 32, dtype=np.uint32).reshape(16, 32, 32) // 7)
    done = CliRunner().invoke(scale.main, [str(tmp_path / "x.npy"), "--rounds", "2"])
    assert done.exit_code == 0, done.output
    head, *_, first, second = done.output.splitlines()
    assert head.startswith("32 x 64 x 16 voxels, 1 tasks of at most ")
    number = r"[\d,.]+ \([\d,.]+ to [\d,.]+\)"
    for line, name in ((first, "no scheduler"), (second, "the same")):
        assert re.fullmatch(rf"\| {name} \|( {number} \|){{3}}", line), line


def test_what_cutting_costs(printed):
    """A volume that is one group anyway loses no more than the digits of its depth."""
    lines = printed(depths, "--size", "4")
    assert len(lines) == 2 + len(depths.PAIRS)
    for line in lines[2:]:
        *_, whole, lost, _ = (cell.strip() for cell in line.split("|"))
        assert 0 <= float(lost.rstrip("%")) / 100 * int(whole) <= 8

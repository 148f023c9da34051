"""What `python -m compresso compress` writes where nothing is named."""

import subprocess
import sys

import numpy as np
import pytest

import compresso as C
from tests.compresso.encodings.test_ristretto import cells
from tests.helpers.paths import ROOT


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ([], ("ristretto", "none")),
        (["--encoding", "ristretto:effort=2"], ("ristretto:effort=2", "none")),
        (["--encoding", "compresso"], ("compresso", "zstd")),
        (["--compression", "zlib"], ("ristretto", "zlib")),
    ],
)
def test_default_stages(tmp_path, options, stages):
    labels = cells((9, 30, 40), 20, dtype=np.uint32)
    np.save(tmp_path / "in.npy", labels)
    places = [str(tmp_path / "in.npy"), str(tmp_path / "out.cps")]
    program = [sys.executable, "-m", "compresso", "compress", *places, *options]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert " + ".join(stages) in done.stdout
    with C.open(tmp_path / "out.cps") as frame:
        assert np.array_equal(frame[:], labels)


def test_an_unknown_encoding_is_one_line(tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((2, 3, 4), np.uint8))
    places = [str(tmp_path / "in.npy"), str(tmp_path / "out.cps")]
    program = [sys.executable, "-m", "compresso", "compress", *places, "--encoding", "nothing"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr

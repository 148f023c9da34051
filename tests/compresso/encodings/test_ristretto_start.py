"""The trained start of ``ristretto``: its file, its gain, and that it is made the same again."""

import subprocess
import sys

import numpy as np
import pytest

from compresso.encodings.ristretto import Ristretto
from compresso.kernels.ristretto import start
from tests.compresso.encodings.test_ristretto import cells
from tests.helpers.paths import ROOT, shared

FILE = ROOT / "compresso/encodings/ristretto-start-1.xz"


def test_pack_keeps_what_was_seen_often():
    chances = np.array([0, 1 << 11, 1 << 21, 3 << 20, (1 << 22) - 1], np.uint32)
    trained = np.concatenate([chances << np.uint32(10) | np.uint32(n) for n in (11, 12, 255)])
    found = start.unpack(start.pack(trained, 12))
    assert (found[:5] == 1 << 31).all()
    assert (found[5:10] == found[10:]).all()
    assert (found[5:] & np.uint32(1023) == 6).all()
    known = (found[5:10] >> np.uint32(10)).astype(float)
    odds = known / ((1 << 22) - known)
    wanted = np.clip(chances / ((1 << 22) - chances), 2.0**-12, 2.0**12)
    assert (np.abs(np.log2(odds / wanted)) <= 0.2).all()


def test_it_is_small_and_fits_the_counters():
    assert FILE.stat().st_size < 50_000
    assert start.unpack(FILE.read_bytes()).size == start.COUNTERS
    assert not start.trained(1).flags.writeable


def test_small_pieces_gain():
    """On shapes that no training has seen."""
    chunk = cells((32, 40, 48), 40, seed=5)
    assert len(Ristretto().encode(chunk)) < 0.92 * len(Ristretto(start=0).encode(chunk))


@pytest.mark.slow
def test_training_again_gives_the_same_file(tmp_path):
    volume = shared("data/pinky40-z000-255.h5")
    tool = [sys.executable, "-m", "experiments.checks.train_ristretto", f"{volume}:main"]
    subprocess.run([*tool, str(tmp_path / "again.xz")], cwd=ROOT, check=True)
    assert (tmp_path / "again.xz").read_bytes() == FILE.read_bytes()

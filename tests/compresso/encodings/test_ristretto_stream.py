"""The stream of ``ristretto``: golden files, an independent decoder, and the trained start."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from compresso.encodings.ristretto import Ristretto
from compresso.kernels.ristretto import start
from tests.golden import make_ristretto as golden
from tests.helpers import ristretto_oracle as oracle
from tests.helpers.paths import ROOT, shared
from tests.helpers.ristretto import cells, check, columns_first
from tests.helpers.strategies import volumes as any_volumes

CASES = [(spec, kind) for spec in golden.SPECS for kind in ("deep", "pictures")]
FILE = ROOT / "compresso/encodings/ristretto-start-1.xz"


@pytest.mark.parametrize(("spec", "kind"), CASES)
def test_golden_stream(spec, kind):
    stream, labels = golden.place(spec, kind).read_bytes(), golden.labels(kind)
    for threads in (1, 2):
        restored = encodings.parse("ristretto").decode(stream, labels.shape, threads=threads)
        assert np.array_equal(restored, labels)
        assert encodings.parse(spec).encode(labels, threads) == stream


def test_later_versions_are_refused():
    stream = bytearray(golden.place(*CASES[0]).read_bytes())
    for at, value in ((4, 2), (5, 0), (5, 4), (6, 2)):
        other = stream.copy()
        other[at] = value
        with pytest.raises(C.DecodeError, match=r"this program (reads|knows)"):
            encodings.parse("ristretto").decode(bytes(other))


def examples():
    """3-D slices, 2-D slices, also numbered by columns, noise and thin shapes."""
    random = np.random.default_rng(0)
    yield cells((6, 24, 70), 20)
    yield cells((5, 40, 37), 30, seed=2) % np.uint64(7)
    images = [cells((1, 28, 34), 12, seed=seed)[0] for seed in range(4)]
    yield np.stack(images)
    yield np.stack([columns_first(image) for image in images]).astype(np.uint64)
    yield random.integers(0, 4, (3, 9, 20), np.uint64)
    yield random.integers(0, 2**64, (2, 12, 13), np.uint64)
    yield np.repeat(random.integers(0, 3, (2, 3, 9), np.uint64), 40, axis=2)
    yield random.integers(0, 3, (4, 1, 1), np.uint64)
    yield np.zeros((0, 3, 4), np.uint64)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("effort", [1, 2, 3])
def test_the_decoder_of_the_specification_agrees(effort, start):
    for number, labels in enumerate(examples()):
        slab = 2 * ((number + effort + start) % 2)
        stream = Ristretto(effort=effort, slab=slab, start=start).encode(labels)
        assert np.array_equal(oracle.decode(stream), labels)


@settings(max_examples=20)
@pytest.mark.parametrize("effort", [1, 2, 3])
@given(
    labels=any_volumes(largest=2**64 - 1, max_side=12),
    slab=st.integers(0, 3),
    start=st.integers(0, 1),
    threads=st.integers(1, 3),
)
def test_it_agrees_on_any_labels(effort, start, labels, slab, threads):
    stream = check(labels, Ristretto(effort=effort, slab=slab, start=start), threads)
    assert np.array_equal(oracle.decode(stream), labels)


def test_the_start_is_small_and_fits_the_counters():
    assert FILE.stat().st_size < 50_000
    assert start.unpack(FILE.read_bytes()).size == start.COUNTERS
    assert not start.trained(1).flags.writeable
    chunk = cells((32, 40, 48), 40, seed=5)  # not in the training
    assert len(Ristretto().encode(chunk)) < 0.92 * len(Ristretto(start=0).encode(chunk))


@pytest.mark.slow
def test_training_again_gives_the_same_file(tmp_path):
    volume = shared("data/pinky40-z000-255.h5")
    tool = [sys.executable, "-m", "experiments.checks.train_ristretto", f"{volume}:main"]
    subprocess.run([*tool, str(tmp_path / "again.xz")], cwd=ROOT, check=True)
    assert (tmp_path / "again.xz").read_bytes() == FILE.read_bytes()

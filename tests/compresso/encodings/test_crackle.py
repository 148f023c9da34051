"""Crackle by its own package."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from tests.helpers.commands import run_here
from tests.helpers.strategies import UNSIGNED, volumes

SPECS = ("crackle", "crackle:markov=3", "crackle:pins=1", "crackle:markov=2,pins=2")


@given(volumes(UNSIGNED, largest=2**64 - 1, max_side=12), st.sampled_from(SPECS))
def test_it_is_the_packages_own_stream(labels, spec):
    crackle = pytest.importorskip("crackle")
    codec = encodings.parse(spec)
    plain = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    stream = codec.encode(labels)
    assert stream == crackle.compress(
        plain.T, allow_pins=codec.pins, markov_model_order=codec.markov, parallel=1
    )
    assert codec.shape_of(stream) == labels.shape
    assert np.array_equal(codec.decode(stream, labels.shape, plain.dtype), labels)
    assert np.array_equal(crackle.decompress(stream, parallel=1), plain.T)


def test_damage_is_refused_before_the_package_sees_it(phantom, monkeypatch):
    pytest.importorskip("crackle")
    with pytest.raises(C.DecodeError, match="crackle stream"):
        encodings.parse("crackle").decode(b"not a crackle stream, but as long as its header")
    data = C.dumps(phantom[:3, :40, :40], "crackle", "none")
    at = data.index(b"crkl")

    def never(*_):
        raise AssertionError("the package was handed damaged bytes")

    monkeypatch.setattr("crackle.codec.decompress_range", never)
    for offset in range(0, 200, 7):
        damaged = bytearray(data)
        damaged[at + offset] ^= 16
        with pytest.raises(C.DecodeError, match="hash"):
            C.loads(bytes(damaged))


def test_a_missing_package_is_skipped_by_all_and_named_if_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "crackle", None)
    words = ["none", "phantom:size=24x16x2", "--no-plot", "--csv", tmp_path / "r.csv"]
    done = run_here("all", *words)
    assert "crackle is skipped. To include it: pip install crackle-codec" in done.stderr
    assert "neuroglancer" in done.stdout
    assert "crackle" not in done.stdout
    assert "pip install crackle-codec" in run_here("crackle", *words, code=1).stdout

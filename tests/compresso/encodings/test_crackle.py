"""Crackle by its own package: present where it is installed, named where it is not."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import encodings
from tests.helpers.paths import ROOT
from tests.helpers.strategies import UNSIGNED, volumes

RUN = ROOT / "run.py"
SPECS = ("crackle", "crackle:markov=3", "crackle:pins=1", "crackle:markov=2,pins=2")


@pytest.fixture
def crackle():
    return pytest.importorskip("crackle")


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


@pytest.mark.usefixtures("crackle")
def test_a_damaged_frame_is_refused_before_the_package_sees_it(phantom, monkeypatch):
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


@pytest.mark.usefixtures("crackle")
@pytest.mark.parametrize("data", [b"", b"crkl", b"no crackle stream, but as long as its header"])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises(C.DecodeError, match="crackle stream"):
        encodings.parse("crackle").decode(data)


def without(tmp_path, *arguments):
    """Run the harness in a Python where crackle-codec cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['crackle'] = None\n")
    return subprocess.run(
        [sys.executable, RUN, *arguments, "--no-plot", "--csv", tmp_path / "r.csv"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_leaves_out_what_is_not_installed_and_says_so(tmp_path):
    done = without(tmp_path, "all", "none", "phantom:size=24x16x2")
    assert done.returncode == 0, done.stderr
    assert "crackle is skipped. To include it: pip install crackle-codec" in done.stderr
    assert "neuroglancer" in done.stdout
    assert "crackle" not in done.stdout


def test_asked_for_by_name_it_says_how_to_get_it(tmp_path):
    done = without(tmp_path, "crackle", "none", "phantom:size=24x16x2")
    assert done.returncode == 1
    assert "pip install crackle-codec" in done.stdout
    assert "Traceback" not in done.stderr

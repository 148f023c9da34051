"""Streams of PyPI's compresso package, and inputs for the ``cpso`` encoding."""

import json

import numpy as np
from hypothesis import strategies as st

from tests.helpers.paths import ROOT

GOLDEN = np.load(ROOT / "tests" / "golden" / "pypi-compresso-3.3.3.npz")
STREAMS = json.loads(str(GOLDEN["streams"]))


@st.composite
def windows(draw):
    """Any window of at most 64 voxels, x, y, z."""
    x = draw(st.integers(1, 64))
    y = draw(st.integers(1, 64 // x))
    z = draw(st.integers(1, 64 // x // y))
    sides = draw(st.permutations([x, y, z]))
    return draw(st.sampled_from([(4, 4, 1), (8, 8, 1), tuple(sides)]))


def noise():
    """More different windows of 4x4 voxels than the 32768 that two bytes can number."""
    share = np.linspace(0.12, 0.5, 32)[:, None, None]
    return (np.random.default_rng(5).random((32, 600, 600)) < share).astype(np.uint32)

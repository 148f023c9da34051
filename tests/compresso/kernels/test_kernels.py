"""Limits and damage that kernels refuse; the streams of the encodings test the rest."""

import numpy as np
import pytest

from compresso.kernels import windows


def test_indices_that_do_not_fit_are_refused_and_long_runs_are_cut():
    for index, found in ((127, 3), (128, -1)):
        indices = np.array([0, index, 0], np.uint32)
        assert windows.squeeze(indices, 127, np.empty(3, np.uint8)) == found
    entries = np.empty(4, np.uint32)
    assert windows.squeeze(np.array([0, 0, 0, 1], np.uint32), 2, entries) == 3
    assert entries[:3].tolist() == [5, 3, 2]


@pytest.mark.parametrize(
    ("entries", "bad"),
    [
        ([0, 11], 0),  # no run and no index
        ([1, 11], 0),
        ([2, 13], 1),  # a run past the end
        ([2, 2**64 - 1], 1),
        ([8, 9], 0),  # no such value
        ([2**64 - 2, 9], 0),
        ([11, 2], 1),  # a window too many
        ([11, 3], 1),
        ([2, 7], 2),  # one too few
        ([], 0),
    ],
)
def test_entries_that_contradict_the_header(entries, bad):
    """Entries, of which those after the last mark are not read."""
    cursors = np.empty((2, 2), np.int64)
    entries = np.array(entries, np.uint64)
    assert windows.survey(entries, 4, 5, np.array([0, 5]), cursors) == bad
    assert windows.survey(np.array([5, 2, 0, 0], np.uint16), 4, 9, np.array([1, 2]), cursors) == -1
    assert cursors.tolist() == [[0, 1], [1, 0]]

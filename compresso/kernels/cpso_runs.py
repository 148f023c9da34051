"""The windows of the ``cpso`` stream: indices and runs of zeros, of any width.

A run is cut where its entry would not fit, and the last run is written too.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ONE


@kernel
def squeeze(indices, limit, entries):
    """Run-length code the window indices.

    Index i > 0 becomes ``2 * i``, n zeros ``2 * n + 1``; longer runs than ``limit`` are cut.

    Parameters
    ----------
    indices : (n,) uint32
    limit : int
        The largest index and run that an entry can hold.
    entries : (n,) unsigned, overwritten

    Returns
    -------
    int
        Number of entries, or -1 where an index exceeds ``limit``.
    """
    written = 0
    zeros = 0
    for n in range(indices.size):
        index = indices[n]
        if index == 0:
            zeros += 1
            if zeros == limit:
                entries[written] = 2 * zeros + 1
                written += 1
                zeros = 0
            continue
        if index > limit:
            return -1
        if zeros > 0:
            entries[written] = 2 * zeros + 1
            written += 1
            zeros = 0
        entries[written] = 2 * index
        written += 1
    if zeros > 0:
        entries[written] = 2 * zeros + 1
        written += 1
    return written


@kernel
def survey(entries, n_values, n_windows, marks, cursors):
    """Check the entries that spell the windows, and find where some windows are.

    Parameters
    ----------
    entries : (n,) unsigned
    n_values : int
        Indices must stay below it.
    n_windows : int
        That all entries together spell.
    marks : (m,) int64, ascending
        Numbers of windows; what follows the last of them is not looked at, unless it is n_windows.
    cursors : (m, 2) int64, overwritten
        The entry that spells each of these windows, and how many it has spelled before.

    Returns
    -------
    int
        -1, or the number of the first entry that contradicts the header, which is that behind the
        last one where windows are missing.
    """
    at = np.int64(0)
    m = 0
    for n in range(entries.size):
        half = np.uint64(entries[n]) >> ONE
        count = np.int64(1)
        if half == np.uint64(0):
            return n
        if np.uint64(entries[n]) & ONE:
            if half > np.uint64(n_windows - at):
                return n
            count = np.int64(half)
        elif half >= np.uint64(n_values) or at == n_windows:
            return n
        while m < marks.size and marks[m] < at + count:
            cursors[m] = n, marks[m] - at
            m += 1
            if m == marks.size and marks[m - 1] < n_windows:
                return -1
        at += count
    while m < marks.size and marks[m] == at:
        cursors[m] = entries.size, 0
        m += 1
    return -1 if m == marks.size and at == n_windows else entries.size


@kernel
def expand(entries, values, cursor, windows):
    """Spell windows from a cursor on, which moves behind them.

    Parameters
    ----------
    entries : (n,) unsigned
        Those that :func:`survey` has checked.
    values : (n_values,) unsigned
    cursor : (2,) int64, changed
    windows : (n,) uint64, overwritten
    """
    at = np.int64(0)
    n, used = cursor
    while at < windows.size:
        half = np.int64(np.uint64(entries[n]) >> ONE)
        if np.uint64(entries[n]) & ONE:
            stop = min(at + half - used, windows.size)
            used += stop - at
            while at < stop:
                windows[at] = values[0]
                at += 1
            if used == half:
                n += 1
                used = 0
        else:
            windows[at] = values[half]
            at += 1
            n += 1
    cursor[0] = n
    cursor[1] = used

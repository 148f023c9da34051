"""The windows of the ``cpso`` stream: indices and runs of zeros, of any width.

A run is cut if its entry would not fit, and the last run is written too.
"""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ONE, splat32


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
        Number of entries, or -1 if an index exceeds ``limit``.
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
    """Check the entries of the windows, and find the entries of some windows.

    Parameters
    ----------
    entries : (n,) unsigned
    n_values : int
        Indices must stay below it.
    n_windows : int
        The number of windows of all entries.
    marks : (m,) int64, ascending
        Numbers of windows; later windows are ignored, unless the last mark is n_windows.
    cursors : (m, 2) int64, overwritten
        The entry of each of these windows, and the number of its windows before.

    Returns
    -------
    int
        -1, or the number of the first entry that contradicts the header, which is the
        number of entries if windows are missing.
    """
    at = np.int64(0)
    m = 0
    for n in range(entries.size):
        half, run = np.uint64(entries[n]) >> ONE, np.uint64(entries[n]) & ONE != np.uint64(0)
        # Without branches: whether an entry is a run cannot be guessed.
        most = np.uint64(n_values) - ONE if at < n_windows else np.uint64(0)
        most = np.uint64(n_windows - at) if run else most
        if half == np.uint64(0) or half > most:
            return n
        after = at + (np.int64(half) if run else np.int64(1))
        while m < marks.size and marks[m] < after:
            cursors[m] = n, marks[m] - at
            m += 1
            if m == marks.size and marks[m - 1] < n_windows:
                return -1
        at = after
    while m < marks.size and marks[m] == at:
        cursors[m] = entries.size, 0
        m += 1
    return -1 if m == marks.size and at == n_windows else entries.size


@kernel
def expand(entries, values, cursor, windows):
    """Write windows from a cursor on, and move the cursor past them.

    Parameters
    ----------
    entries : (n,) unsigned
        Those that :func:`survey` has checked.
    values : (n_values,) unsigned
    cursor : (2,) int64, changed
    windows : (n,) uint64, overwritten
    """
    at, size = np.uint64(0), np.uint64(windows.size)
    n, used = np.uint64(cursor[0]), np.uint64(cursor[1])
    while at < size:
        half, run = np.uint64(entries[n]) >> ONE, np.uint64(entries[n]) & ONE != np.uint64(0)
        # Most runs are shorter than a vector, so an entry is one store, whatever it is.
        start = at
        count = (half if run else ONE) - used
        value = values[np.uint64(0) if run else half]
        end = min(at + count, size)
        if end + np.uint64(32) <= size:
            while True:
                splat32(windows, at, value)
                at += np.uint64(32)
                if at >= end:
                    break
        else:
            for k in range(at, end):
                windows[k] = value
        over = start + count > size
        used = used + (end - start) if over else np.uint64(0)
        n += np.uint64(not over)
        at = end
    cursor[0] = n
    cursor[1] = used

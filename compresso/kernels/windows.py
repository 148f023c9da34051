"""Windows: blocks of the boundary map as integers, their dictionary, and its run-length code."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, splat32, word_at

DIGIT_BITS, DIGITS = 11, 6  # of the radix sort of 64-bit windows


@kernel
def pack(bits, nx, step, windows):
    """Cut a boundary map into windows of ``step`` (z, y, x) voxels, at most 64.

    windows are (ceil(nz / zstep), ceil(ny / ystep), ceil(nx / xstep)), overwritten; their unsigned
    dtype holds a window. A voxel is bit ``(zo * ystep + yo) * xstep + xo``; those outside the
    volume are 0.
    """
    zstep, ystep, xstep = step
    nz, ny, words = bits.shape
    # Flat arrays and unsigned indices: numba makes slices slowly, and looks at the sign of others.
    lines, row = bits.reshape(-1), windows.reshape(-1)
    octets = lines.view(np.uint8)
    across, width = np.uint64(windows.shape[2]), np.uint64(xstep)
    mask = ALL >> (np.uint64(64) - width)
    row[:] = np.uint64(0)
    for z in range(nz):
        for y in range(ny):
            line = np.uint64((z * ny + y) * words)
            start = np.uint64(z // zstep * windows.shape[1] + y // ystep) * across
            place = np.uint64((z % zstep * ystep + y % ystep) * xstep)
            if xstep == 8:  # one byte of the row: no shifting, and LLVM vectorises it
                for bx in range(across):
                    row[start + bx] |= np.uint64(octets[np.uint64(8) * line + bx]) << place
                continue
            if xstep == 4:  # the same, 16 windows a word
                for n in range(np.uint64(words)):
                    word = lines[line + n]
                    first = start + np.uint64(16) * n
                    count = min(np.uint64(16), across - np.uint64(16) * n)
                    if word == np.uint64(0):
                        continue
                    if count == np.uint64(16):
                        for k in range(np.uint64(16)):
                            nibble = (word >> (np.uint64(4) * k)) & np.uint64(15)
                            row[first + k] |= nibble << place
                    else:
                        for k in range(count):
                            nibble = (word >> (np.uint64(4) * k)) & np.uint64(15)
                            row[first + k] |= nibble << place
                continue
            for bx in range(across):
                w = line + ((bx * width) >> np.uint64(6))
                at = (bx * width) & np.uint64(63)
                piece = lines[w] >> at
                if at + width > np.uint64(64) and w + ONE < line + np.uint64(words):
                    piece |= lines[w + ONE] << (np.uint64(64) - at)
                row[start + bx] |= (piece & mask) << place


@kernel
def unpack(windows, nx, step, bits):
    """Put windows back together, the inverse of :func:`pack`; ``bits`` is overwritten."""
    zstep, ystep, xstep = step
    nz, ny, words = bits.shape
    lines, row = bits.reshape(-1), windows.reshape(-1)
    octets = lines.view(np.uint8)
    across, width = np.uint64(windows.shape[2]), np.uint64(xstep)
    mask = ALL >> (np.uint64(64) - width)
    last = ALL >> np.uint64(64 * words - nx)
    for z in range(nz):
        for y in range(ny):
            line = np.uint64((z * ny + y) * words)
            end = line + np.uint64(words)
            start = np.uint64(z // zstep * windows.shape[1] + y // ystep) * across
            place = np.uint64((z % zstep * ystep + y % ystep) * xstep)
            if xstep == 8:
                lines[end - ONE] = 0
                for bx in range(across):
                    octet = (row[start + bx] >> place) & np.uint64(255)
                    octets[np.uint64(8) * line + bx] = octet
            elif xstep == 4:
                for n in range(np.uint64(words)):
                    at = start + np.uint64(16) * n
                    count = min(np.uint64(16), across - np.uint64(16) * n)
                    word = np.uint64(0)
                    if count == np.uint64(16) and windows.itemsize == 2:
                        for k in range(np.uint64(0), np.uint64(16), np.uint64(4)):
                            word |= nibbles(row, at + k, place) << (np.uint64(4) * k)
                    else:
                        for k in range(count):
                            nibble = (np.uint64(row[at + k]) >> place) & np.uint64(15)
                            word |= nibble << (np.uint64(4) * k)
                    lines[line + n] = word
            else:
                word = at = np.uint64(0)
                for bx in range(across):
                    piece = (row[start + bx] >> place) & mask
                    word |= piece << at
                    at += width
                    if at >= np.uint64(64):
                        lines[line] = word
                        line += ONE
                        at -= np.uint64(64)
                        # The rest of the piece belongs to the next word.
                        word = piece >> (width - at) if at > np.uint64(0) else np.uint64(0)
                if line < end:
                    lines[line] = word
            lines[end - ONE] &= last


@kernel
def nibbles(windows, at, place):
    """The four bits from bit ``place`` on of four windows of 16 bits, side by side."""
    four = (word_at(windows, at) >> place) & np.uint64(0x000F000F000F000F)
    # They meet in the top 16 bits of the product; what else it adds up is below or past them.
    return (four * np.uint64(0x0001001001001000)) >> np.uint64(48)


@kernel
def collect(windows, start, keys, places, count):
    """Append the windows that are not 0 to keys, and their numbers to places.

    windows are (n,) uint64, keys uint64, places uint32. Numbers count from ``start``. keys and
    places hold ``count`` entries and have room for n more. Returns the new count.
    """
    for n in range(windows.size):
        keys[count] = windows[n]
        places[count] = start + n
        count += windows[n] != np.uint64(0)
    return count


@kernel
def sort(keys, places):
    """Sort pairs by key, a radix sort: the time does not depend on the data.

    Returns the sorted keys and places, in the given arrays or in new ones.
    """
    tallies = np.zeros((DIGITS, 1 << DIGIT_BITS), np.int64)
    for key in keys:
        for digit in range(DIGITS):
            tallies[digit, _digit(key, digit)] += 1
    other_keys, other_places = np.empty_like(keys), np.empty_like(places)
    for digit in range(DIGITS):
        tally = tallies[digit]
        if keys.size == 0 or tally[_digit(keys[0], digit)] == keys.size:
            continue
        at = 0
        for value in range(tally.size):
            count = tally[value]
            tally[value] = at
            at += count
        for n in range(keys.size):
            value = _digit(keys[n], digit)
            other_keys[tally[value]] = keys[n]
            other_places[tally[value]] = places[n]
            tally[value] += 1
        keys, other_keys = other_keys, keys
        places, other_places = other_places, places
    return keys, places


@kernel
def _digit(key, digit):
    return (key >> np.uint64(digit * DIGIT_BITS)) & np.uint64((1 << DIGIT_BITS) - 1)


@kernel
def rank(keys, places, indices):
    """Number the distinct windows in ascending order; return them, with 0 if any is 0, as uint64.

    keys and places, from :func:`sort`, are the windows that are not 0; indices, (n_windows,)
    uint32, is all 0 and gets the number of each.
    """
    values = np.empty(keys.size + 1, np.uint64)
    count = 0
    if keys.size < indices.size:
        values[0] = 0
        count = 1
    for n in range(keys.size):
        if n == 0 or keys[n] != keys[n - 1]:
            values[count] = keys[n]
            count += 1
        indices[places[n]] = count - 1
    return values[:count].copy()


@kernel
def rank_small(windows, indices):
    """Number the distinct windows (n,) uint16 in ascending order; return them as uint64.

    indices, (n,) uint32, gets the number of each.
    """
    table = np.zeros(1 << 16, np.uint32)
    for n in range(windows.size):
        table[windows[n]] = 1
    values = np.empty(table.size, np.uint64)
    count = 0
    for value in range(table.size):
        if table[value]:
            table[value] = count
            values[count] = value
            count += 1
    for n in range(windows.size):
        indices[n] = table[windows[n]]
    return values[:count].copy()


@kernel
def renumber(indices, values, union):
    """Turn indices into ``values`` into indices into ``union``, in place.

    Both are ascending, and ``union`` holds all of ``values``.
    """
    ranks = np.empty(values.size, np.uint32)
    place = 0
    for v in range(values.size):
        while union[place] != values[v]:
            place += 1
        ranks[v] = place
    for n in range(indices.size):
        indices[n] = ranks[indices[n]]


@kernel
def squeeze(indices, limit, entries):
    """Run-length code window indices (n,) uint32 to entries (n,) unsigned; return their number.

    Index i > 0 becomes ``2 * i``, n zeros ``2 * n + 1``; longer runs than ``limit`` are cut, and an
    index that exceeds it gives -1.
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
    """Check the entries of all windows, and find those of some windows.

    entries encode ``n_windows`` windows with indices below ``n_values``. marks, (m,) int64,
    ascending, are numbers of windows. cursors, (m, 2) int64, gets the entry of each of them, and
    how many of that entry's windows precede it. Windows after the last mark are ignored, unless it
    is n_windows. Returns -1, or the number of the first bad entry; entries.size if windows are
    missing.
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
    """Write windows (n,) uint64 from a cursor (2,) int64 on, and move it past them.

    entries are those that :func:`survey` has checked.
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

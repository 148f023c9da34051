"""Windows: blocks of the boundary map as integers, their dictionary, and its run-length code."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.words import ALL, ONE, word_at

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
def squeeze(indices, limit):
    """Run-length code the window indices, in place; return the number of entries.

    Index i > 0 becomes ``2 * i``, a run of n zeros ``2 * n + 1``; the trailing run is left out.
    Returns -1 if an index or a run is ``limit`` (2**31 for 32-bit entries) or more.
    """
    written = 0
    zeros = 0
    for n in range(indices.size):
        index = indices[n]
        if index == 0:
            zeros += 1
            continue
        if index >= limit or zeros >= limit:
            return -1
        if zeros > 0:
            indices[written] = 2 * zeros + 1
            written += 1
            zeros = 0
        indices[written] = 2 * index
        written += 1
    return written


@kernel
def expand(entries, n_values, indices):
    """Undo :func:`squeeze`; the windows after the last entry have index 0.

    Returns -1, or the number of the first entry that contradicts the stream: an index of n_values
    or more, a run past the last window, or an entry that no encoder writes (0 and 1).
    """
    at = np.int64(0)
    for n in range(entries.size):
        entry = np.int64(entries[n])
        half = entry >> 1
        if half == 0:
            return n
        if entry & 1:
            if half > indices.size - at:
                return n
            indices[at : at + half] = 0
            at += half
        else:
            if half >= n_values or at == indices.size:
                return n
            indices[at] = half
            at += 1
    indices[at:] = 0
    return -1


@kernel
def look_up(indices, values, windows):
    """Write ``values[indices]`` to ``windows``; every index is below ``values.size``."""
    for n in range(indices.size):
        windows[n] = values[indices[n]]

"""Labels of ``ristretto``: their numbers in a slab, and back; how deep slices are told."""

import numpy as np

from compresso.kernels import kernel
from compresso.kernels.ristretto_contexts import SIDE, TOP
from compresso.kernels.words import ALL, differ64, splat32, trailing_zeros

U64 = np.uint64
FREE = np.uint32(0)
MULTIPLIER = U64(0x9E3779B97F4A7C15)
#: Pictures whose labels are all below are looked at for the order of their first voxels.
MAX_ORDERED = 1 << 12
LINES = 3  # one row in so many tells whether a slice is deep


@kernel
def count_agreement(volume, tally):
    """How well slices are told by the ones before them.

    Parameters
    ----------
    volume : (nz, ny, nx) unsigned
    tally : (nz, 2) int64, overwritten
        Voxels that differ from the one to their left, and those of them that have the label of
        the slice before; of one row in LINES.
    """
    nz, ny, nx = volume.shape
    labels = volume.reshape(-1)  # numba makes slices slowly
    tally[:] = 0
    for z in range(1, nz):
        turns, agreed = np.uint32(0), np.uint32(0)
        for y in range(0, ny, LINES):
            start = (z * ny + y) * nx
            for x in range(start + 1, start + nx):
                turn = np.uint32(labels[U64(x)] != labels[U64(x - 1)])
                turns += turn
                agreed += turn & np.uint32(labels[U64(x)] == labels[U64(x - ny * nx)])
        tally[z, 0], tally[z, 1] = turns, agreed


@kernel
def number_labels(volume, planes, slots, first, deep, columns, order, hashed, table, loaded):
    """Copy slices to their planes, labels replaced by their numbers in the slab.

    Parameters
    ----------
    volume : (count, ny, nx) unsigned
        Slices ``first``.. of the slab.
    planes, slots
        As :func:`compresso.kernels.ristretto_slices.encode_slices` has them.
    deep, columns : (count,) uint8
        Pictures (not deep) whose labels are 1, 2, 3.. in the order of their columns are renumbered
        by rows, and told in ``columns``.
    order : (2, MAX_ORDERED) uint64
        Overwritten.
    hashed : (power of 2,) uint32
        A hash table of the numbers of the labels met; FREE at first.
    table : (capacity,) uint64
        The labels by their numbers.
    loaded : (1,) int64
        Labels met, and 1 for the label 0.

    Returns
    -------
    int
        0, or -1 where a table is full; make them larger, :func:`rehash`, and call again.
    """
    count, ny, nx = volume.shape
    labels = volume.reshape(-1)
    row = nx + 2 * SIDE
    size = planes.size // slots
    for n in range(count):
        ordered = U64(0)
        if deep[n] == 0:
            ordered = U64(_order_by_columns(volume[n], order))
        columns[n] = ordered > U64(0)
        for y in range(ny):
            at = (first + n) % slots * size + (TOP + y) * row + SIDE
            start = (n * ny + y) * nx
            begun, number = np.int64(0), np.uint32(0)
            for word_x in range(0, nx, 64):
                word = _turns(labels, start, word_x, nx)
                while word != U64(0):
                    x = word_x + np.int64(trailing_zeros(word))
                    word &= word - U64(1)
                    # What is past the run is written next, or a margin.
                    for place in range(at + begun, at + x, 32):
                        splat32(planes, place, number)
                    begun, label = x, U64(labels[U64(start + x)])
                    key = order[0, label] if ordered > U64(0) else label
                    number = _number(key, hashed, table)
                    if number == FREE and key != U64(0):
                        if 2 * loaded[0] >= hashed.size or loaded[0] >= table.size:
                            return -1
                        number = _enter(key, hashed, table, loaded)
            for place in range(at + begun, at + nx, 32):
                splat32(planes, place, number)
    return 0


@kernel
def _turns(labels, start, x, nx):
    """Bit k is 1 where voxel x + k of a row begins a run: it differs from the one before it."""
    at = start + x
    if at > 0 and at + 64 <= labels.size:
        word = differ64(labels, at, at - 1)
    else:
        word = U64(0)
        for k in range(1 if x == 0 else 0, min(64, nx - x)):
            word |= U64(labels[U64(at + k)] != labels[U64(at + k - 1)]) << U64(k)
    if x == 0:
        word |= U64(1)
    if nx - x < 64:
        word &= ALL >> U64(64 - (nx - x))
    return word


@kernel
def _slot(label, hashed):
    """Where a label's entry is looked for first."""
    product = label * MULTIPLIER
    return (product ^ (product >> U64(32))) & U64(hashed.size - 1)


@kernel
def _number(label, hashed, table):
    """The number of a label; FREE where it is not known, or 0."""
    if label == U64(0):
        return FREE
    at = _slot(label, hashed)
    while hashed[at] != FREE and table[hashed[at]] != label:
        at = (at + U64(1)) & U64(hashed.size - 1)
    return hashed[at]


@kernel
def _enter(label, hashed, table, loaded):
    """Give a new label the next number."""
    at = _slot(label, hashed)
    while hashed[at] != FREE:
        at = (at + U64(1)) & U64(hashed.size - 1)
    number = np.uint32(loaded[0])
    hashed[at] = number
    table[number] = label
    loaded[0] += 1
    return number


@kernel
def rehash(table, known, hashed):
    """Enter labels 1..known-1 of a table in a new hash table."""
    hashed[:] = FREE
    for number in range(1, known):
        at = _slot(table[number], hashed)
        while hashed[at] != FREE:
            at = (at + U64(1)) & U64(hashed.size - 1)
        hashed[at] = number


@kernel
def _order_by_columns(picture, order):
    """Whether labels are 1, 2, 3.. in the order of their first voxels, column after column.

    Returns
    -------
    int
        The number of labels, and ``order[0, label]`` is the rank by rows; or 0 where they are not.
    """
    ny, nx = picture.shape
    if picture[0, 0] != 1:
        return 0
    labels = picture.reshape(-1)
    order[:] = U64(0)
    count, most = U64(0), U64(0)
    for y in range(ny):
        for word_x in range(0, nx, 64):
            word = _turns(labels, y * nx, word_x, nx)
            while word != U64(0):
                x = U64(word_x) + trailing_zeros(word)
                word &= word - U64(1)
                label = U64(labels[U64(y * nx) + x])
                if label == U64(0) or label >= U64(MAX_ORDERED):
                    return 0
                place = (x << U64(32)) | U64(y)
                if order[0, label] == U64(0):
                    count += U64(1)
                    order[0, label], order[1, label] = count, place
                    most = max(most, label)
                order[1, label] = min(order[1, label], place)
    if most != count:
        return 0
    for n in range(2, count + U64(1)):
        if order[1, n] < order[1, n - 1]:
            return 0
    return np.int64(count)


@kernel
def restore_labels(planes, slots, first, columns, order, table, out):
    """Undo :func:`number_labels`.

    Parameters
    ----------
    planes, slots, first, columns, order
        As :func:`number_labels` has them.
    table : (known,) unsigned, of the dtype of ``out``
    out : (count, ny, nx) unsigned, overwritten

    Returns
    -------
    int
        0, or -1 where a picture by columns holds labels that no encoder gives it.
    """
    count, ny, nx = out.shape
    labels = out.reshape(-1)
    row = nx + 2 * SIDE
    size = planes.size // slots
    for n in range(count):
        slot = (first + n) % slots * size
        for y in range(ny):
            at = U64(slot + (TOP + y) * row + SIDE)
            start = U64((n * ny + y) * nx)
            for x in range(U64(nx)):
                labels[start + x] = table[U64(planes[at + x])]
        if columns[n] and not _number_by_columns(out[n], order):
            return -1
    return 0


@kernel
def _number_by_columns(picture, order):
    """Renumber a picture's labels by the order of their first voxels, column after column."""
    ny, nx = picture.shape
    labels = picture.reshape(-1)
    order[1] = ~U64(0)
    most = U64(0)
    for y in range(ny):
        for word_x in range(0, nx, 64):
            word = _turns(labels, y * nx, word_x, nx)
            while word != U64(0):
                x = U64(word_x) + trailing_zeros(word)
                word &= word - U64(1)
                label = U64(labels[U64(y * nx) + x])
                if label == U64(0) or label >= U64(MAX_ORDERED):
                    return False
                order[1, label] = min(order[1, label], (x << U64(32)) | U64(y))
                most = max(most, label)
    # Sort the labels by their places, by insertion: they are few.
    for n in range(1, most + U64(1)):
        label, at = U64(n), U64(n)
        while at > U64(1) and order[1, order[0, at - U64(1)]] > order[1, label]:
            order[0, at] = order[0, at - U64(1)]
            at -= U64(1)
        order[0, at] = label
    for rank in range(1, most + U64(1)):
        order[1, order[0, rank]] = U64(rank)
    for place in range(labels.size):
        labels[U64(place)] = order[1, U64(labels[U64(place)])]
    return True

"""Pieces of a ``ristretto`` stream, each coded on its own, and the label table they share.

Importing this imports numba, so :mod:`compresso.encodings.ristretto` does so only to encode or
decode.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, frozen, native_slices
from compresso.codec import Watch, ignore
from compresso.encodings._ristretto_layout import Head, Piece, Tile, check
from compresso.errors import DecodeError
from compresso.kernels.ristretto import coder, contexts, labels, slices, start

BATCH = 1 << 16  # voxels that a kernel is given at once, or a slice
GROUP = 16  # slices for which one threshold decides whether they are coded in 3-D
LINES = 3  # one row in LINES is compared for that

Array = NDArray[Any]


def make_work(box: Tile, effort: int, counters: Array, data: Array, n_labels: int) -> slices.Work:
    """The memory of a piece that has ``n_labels`` labels, apart from its planes."""
    nx = box.x1 - box.x0
    turns, above, stops, ends = np.empty((4, nx // 64 + 2), np.uint64)
    models, logits = np.zeros((2, start.MODELS), np.int64)
    return slices.Work(
        counters=counters,
        data=data,
        state=np.zeros(3, np.uint64),
        numbers=np.array([1, n_labels, 0], np.int64),
        used=np.empty(labels.USED, np.uint64),
        turns=turns,
        above=above,
        stops=stops,
        ends=ends,
        same=np.empty(nx + contexts.LANES, np.uint32),
        edge=np.empty(slices.edge_size(nx), np.uint32),
        group=np.empty(nx, np.uint32),
        asked=np.empty(labels.MAX_CANDIDATES, np.uint32),
        width=start.width(effort, box.voxels),
        models=models,
        logits=logits,
        weights=start.make_weights(effort),
    )


class _Planes:
    """Slices as numbers of labels with margins around: a batch, and the two slices before it."""

    def __init__(self, box: Tile) -> None:
        self.ny, self.nx = box.y1 - box.y0, box.x1 - box.x0
        self.batch = max(1, BATCH // (self.ny * self.nx))
        self.slots = self.batch + 2
        size = (self.ny + contexts.TOP + contexts.BOTTOM) * (self.nx + 2 * contexts.SIDE)
        self.data = np.zeros(self.slots * size, np.uint32)
        self.order = np.empty((2, labels.MAX_ORDERED), np.uint64)  # of labels by columns


def choose_3d(group: Labels) -> Array:
    """Which slices are coded in 3-D: (n,) uint8, never the first.

    If most labels that differ from the one to their left agree with the slice before, a slice is
    coded in 2-D only if it clearly differs from the one before, and else the other way around.
    """
    turns, agreed = np.zeros((2, len(group)), np.int64)
    rows = group[:, ::LINES]
    for z in range(1, len(group)):
        differ = rows[z, :, 1:] != rows[z, :, :-1]
        turns[z] = np.count_nonzero(differ)
        agreed[z] = np.count_nonzero(differ & (rows[z, :, 1:] == rows[z - 1, :, 1:]))
    if 50 * agreed.sum() >= 21 * max(turns.sum(), 1):
        is_3d = 4 * agreed >= turns
    else:
        is_3d = 5 * agreed >= 3 * turns
    is_3d[0] = False
    return is_3d.astype(np.uint8)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of labels for kernels, which are compiled for two dtypes only."""
    return np.dtype(np.uint64 if dtype.itemsize == 8 else np.uint32)


def encode_piece(
    volume: Labels, effort: int, start_number: int, watch: Watch, box: Tile
) -> tuple[bytes, Array]:
    """Encode a box of a volume; see :func:`encode_box`."""
    room = box.voxels // 64 + (1 << 16)
    while True:
        counters = start.make_counters(start_number, effort, start.width(effort, box.voxels))
        try:
            return encode_box(volume, box, effort, counters, room, watch=watch)
        except coder.FullError:
            room *= 4
            watch = ignore


def encode_box(
    volume: Labels,
    box: Tile,
    effort: int,
    counters: Array,
    room: int,
    choose: Callable[[Labels], Array] = choose_3d,
    watch: Watch = ignore,
) -> tuple[bytes, Array]:
    """The stream of a box, and its labels but 0 in the order in which they occur.

    It changes the counters (uint32). ``watch`` is called before slices are read. ``room`` bytes are
    allocated for the stream at first; raises FullError if a batch did not fit into half of them.
    """
    voxels = volume[box.z0 : box.z1, box.y0 : box.y1, box.x0 : box.x1]
    planes = _Planes(box)
    shape = planes.ny, planes.nx
    work = make_work(box, effort, counters, np.empty(room, np.uint8), 0)
    table = np.zeros(257, np.uint64)  # labels by their numbers
    hashed = np.zeros(1024, np.uint32)
    loaded = np.ones(1, np.int64)  # labels in the table, and 0
    for z0 in range(0, len(voxels), GROUP):
        before, z1 = min(z0, 1), min(z0 + GROUP, len(voxels))
        group = native_slices(voxels, z0 - before, z1)
        chosen, group = choose(group)[before:], group[before:]
        for z in range(z0, z1, planes.batch):
            end = min(z + planes.batch, z1)
            watch(box.z0 + z, box.z0 + end)
            is_3d = chosen[z - z0 : end - z0]
            part, by_columns = _order_by_rows(group[z - z0 : end - z0], is_3d, planes)
            wide = frozen(part.astype(_wide(part.dtype), copy=False).reshape(-1))
            while labels.number_labels(
                wide, *shape, planes.data, planes.slots, z, hashed, table, loaded
            ):
                table = np.resize(table, 4 * table.size)
                hashed = np.empty(4 * hashed.size, np.uint32)
                labels.rehash(table, loaded[0], hashed)
            if 2 * int(work.state[2]) > work.data.size:
                work = work._replace(data=np.resize(work.data, 2 * work.data.size))
            work.numbers[1] = loaded[0] - 1
            encode = slices.ENCODE[effort]
            encode(planes.data, planes.slots, *shape, z, is_3d, by_columns, work)
            if int(work.state[2]) > work.data.size:
                raise coder.FullError
    return coder.finish(work.state, work.data), table[1 : loaded[0]].copy()


def _order_by_rows(part: Labels, is_3d: Array, planes: _Planes) -> tuple[Labels, Array]:
    """Renumber 2-D slices whose labels are 1, 2, 3.. by columns; which slices those are."""
    by_columns = np.zeros_like(is_3d)
    for n in np.flatnonzero((is_3d == 0) & (part[:, 0, 0] == 1)):
        if part[n].max() < labels.MAX_ORDERED:  # else no kernel need be compiled
            ordered = part[n].reshape(-1).astype(np.uint32)
            if labels.order_by_rows(ordered, planes.ny, planes.nx, planes.order):
                if not by_columns.any():
                    part = part.copy()
                part[n], by_columns[n] = ordered.reshape(part[n].shape), 1
    return part, by_columns


def decode_piece(
    piece: Piece, head: Head, own: Array, out: Labels, first: int, watch: Watch
) -> None:
    """Decode slices of a piece, from ``first`` on, to out (n, ny, nx).

    own has the dtype of out: 0, then the piece's labels by their numbers. ``watch`` is called with
    the slices of out that are complete. Raises DecodeError if the piece is damaged.
    """
    damaged = DecodeError(f"ristretto stream: the slab from slice {piece.box.z0} is damaged")
    if check(piece.data) != piece.digest:
        raise damaged
    data = np.array(np.frombuffer(piece.data, np.uint8))  # writable, as an encoder's is
    width = start.width(head.effort, piece.box.voxels)
    counters = start.make_counters(head.start, head.effort, width)
    work = make_work(piece.box, head.effort, counters, data, piece.n_labels)
    planes, own, end = _Planes(piece.box), own.astype(_wide(own.dtype)), first + len(out)
    shape = planes.ny, planes.nx
    decode = slices.DECODE[head.effort]
    for z in range(0, end, planes.batch):
        count = min(planes.batch, end - z)
        is_3d, by_columns = np.zeros((2, count), np.uint8)
        if decode(planes.data, planes.slots, *shape, z, is_3d, by_columns, work):
            raise damaged
        skip = min(max(first - z, 0), count)
        if skip == count:
            continue
        part = out[z + skip - first : z + count - first]
        in_place = part.flags.c_contiguous and part.dtype == own.dtype
        whole = part if in_place else np.empty(part.shape, own.dtype)
        labels.restore_labels(planes.data, planes.slots, *shape, z + skip, own, whole.reshape(-1))
        for n in np.flatnonzero(by_columns[skip:]):
            if not labels.order_by_columns(whole[n].reshape(-1), *shape, planes.order):
                raise damaged
        if not in_place:
            part[...] = whole
        watch(z + skip - first, z + count - first)


def encode_table(owns: Sequence[Array]) -> tuple[int, bytes]:
    """Encode the labels of pieces, each in the piece's own order; (distinct labels, bytes)."""
    known = np.unique(np.concatenate([np.empty(0, np.uint64), *owns]))
    members, order = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for own in owns:
        ranks, positions = np.unique(np.searchsorted(known, own), return_inverse=True)
        members.append(ranks)
        order.append(positions)
    sizes = np.array([own.size for own in owns], np.int64)
    data = np.empty(64 + 16 * known.size + 24 * int(sizes.sum()), np.uint8)
    state = np.zeros(3, np.uint64)
    _code_table(True, known, sizes, np.concatenate(members), np.concatenate(order), data, state)
    return known.size, coder.finish(state, data)


def decode_table(head: Head, pieces: Sequence[Piece]) -> list[Array]:
    """For each piece, 0 and its labels by their numbers, (1 + n_labels,) uint64.

    Raises DecodeError if the table contradicts itself.
    """
    data, state = np.array(np.frombuffer(head.table, np.uint8)), np.zeros(3, np.uint64)
    known = np.zeros(head.n_labels, np.uint64)
    sizes = np.array([piece.n_labels for piece in pieces], np.int64)
    members, order = np.zeros((2, int(sizes.sum())), np.int64)
    if _code_table(False, known, sizes, members, order, data, state):
        raise DecodeError("ristretto stream: its table of labels is damaged")
    owns, ends = [], np.cumsum(sizes)
    for begin, end in zip(ends - sizes, ends, strict=True):
        own = known[members[begin:end][order[begin:end]]]
        owns.append(np.concatenate([np.zeros(1, np.uint64), own]))
    return owns


def _code_table(encoding: bool, *arrays: Array) -> int:
    counters = np.full(labels.TABLE_COUNTERS, coder.FRESH, np.uint32)
    left = np.empty(1 + arrays[1].max(initial=0), np.int64)
    damaged: int = labels.code_table(encoding, *arrays[:4], left, counters, *arrays[4:])
    return damaged

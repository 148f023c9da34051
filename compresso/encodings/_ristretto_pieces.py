"""Pieces of a ``ristretto`` stream, each coded on its own, and the label table they share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, block, frozen
from compresso.codec import Watch, unwatched
from compresso.encodings import _ristretto_start as trained
from compresso.encodings._ristretto_layout import Box, Head, Piece, check
from compresso.errors import DecodeError

BATCH = 1 << 16  # voxels that a kernel is given at once, or a slice
GROUP = 16  # slices that are deep or not by one threshold
LINES = 3  # only one row in LINES is counted

Array = NDArray[Any]


class _Piece:
    """The planes, counters and coder of a piece, and its batches of slices."""

    def __init__(self, box: Box, effort: int, counters: Array, data: Array, n_labels: int) -> None:
        from compresso.kernels.ristretto import contexts, labels, slices, start

        self.ny, self.nx = box.y1 - box.y0, box.x1 - box.x0
        self.batch = max(1, BATCH // (self.ny * self.nx))
        self.slots = self.batch + 2
        size = (self.ny + contexts.TOP + contexts.BOTTOM) * (self.nx + 2 * contexts.SIDE)
        self.planes = np.zeros(self.slots * size, np.uint32)
        self.order = np.empty((2, labels.MAX_ORDERED), np.uint64)
        bits = np.empty((4, self.nx // 64 + 2), np.uint64)
        self.work = slices.Work(
            counters=counters,
            data=data,
            state=np.zeros(3, np.uint64),
            numbers=np.array([1, n_labels, 0], np.int64),
            used=np.empty(labels.USED, np.uint64),
            turns=bits[0],
            above=bits[1],
            stops=bits[2],
            ends=bits[3],
            same=np.empty(self.nx + contexts.LANES, np.uint32),
            edge=np.empty(slices.edge_size(self.nx), np.uint32),
            group=np.empty(self.nx, np.uint32),
            asked=np.empty(labels.MAX_CANDIDATES, np.uint32),
            effort=effort,
            width=start.width(effort, box.voxels),
            models=np.zeros(start.MODELS, np.int64),
            logits=np.zeros(start.MODELS, np.int64),
            weights=start.make_weights(effort),
        )


def tell_deep(group: Labels) -> Array:
    """Which slices are coded by those before them: (n,) uint8, never the first.

    Where most labels that differ from their left neighbour's agree with the slice before, a
    slice must differ from it clearly to be coded as a picture, and else the other way around.
    """
    turns, agreed = np.zeros((2, len(group)), np.int64)
    rows = group[:, ::LINES]
    for z in range(1, len(group)):
        differ = rows[z, :, 1:] != rows[z, :, :-1]
        turns[z] = np.count_nonzero(differ)
        agreed[z] = np.count_nonzero(differ & (rows[z, :, 1:] == rows[z - 1, :, 1:]))
    if 50 * agreed.sum() >= 21 * max(turns.sum(), 1):
        deep = 4 * agreed >= turns
    else:
        deep = 5 * agreed >= 3 * turns
    return deep.astype(np.uint8)


def _make_counters(box: Box, effort: int, start: int) -> Array:
    from compresso.kernels.ristretto.start import make_counters, width

    counters: Array = make_counters(trained.counters(start), effort, width(effort, box.voxels))
    return counters


def encode_piece(
    volume: Labels, effort: int, start: int, watch: Watch, box: Box
) -> tuple[bytes, Array]:
    """Encode a box of a volume.

    Returns
    -------
    bytes
    (n,) uint64
        Its labels but 0, in the order in which it meets them.
    """
    from compresso.kernels.ristretto.coder import FullError

    room = box.voxels // 64 + (1 << 16)
    while True:
        try:
            counters = _make_counters(box, effort, start)
            return Encoder(volume, box, effort, counters, room, watch=watch).run()
        except FullError:
            room *= 4
            watch = unwatched


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of labels for kernels, which are compiled for two dtypes only."""
    return np.dtype(np.uint64 if dtype.itemsize == 8 else np.uint32)


Tell = Callable[[Labels], Array]


class Encoder:
    """Encodes a box of a volume in ``room`` bytes, with counters that it changes.

    ``tell`` says which slices of a group are deep, see :func:`tell_deep`.
    """

    def __init__(
        self,
        volume: Labels,
        box: Box,
        effort: int,
        counters: Array,
        room: int,
        tell: Tell = tell_deep,
        watch: Watch = unwatched,
    ) -> None:
        self.labels = volume[box.z0 : box.z1, box.y0 : box.y1, box.x0 : box.x1]
        self.z0, self.tell, self.watch = box.z0, tell, watch
        self.piece = _Piece(box, effort, counters, np.empty(room, np.uint8), 256)
        self.table = np.zeros(257, np.uint64)
        self.hashed = np.zeros(1024, np.uint32)
        self.loaded = np.ones(1, np.int64)

    def run(self) -> tuple[bytes, Array]:
        """The bytes, and the labels but 0 in the order in which they were met."""
        from compresso.kernels.ristretto.coder import finish

        for z in range(0, len(self.labels), GROUP):
            self._encode_group(z, min(z + GROUP, len(self.labels)))
        work = self.piece.work
        return finish(work.state, work.data), self.table[1 : self.loaded[0]].copy()

    def _encode_group(self, z0: int, z1: int) -> None:
        before = min(z0, 1)
        group = block(self.labels, z0 - before, z1)
        deep = self.tell(group)[before:]
        deep[0] &= before
        for z in range(z0, z1, self.piece.batch):
            z_end = min(z + self.piece.batch, z1)
            self.watch(self.z0 + z, self.z0 + z_end)
            part = group[before + z - z0 : before + z_end - z0]
            self._encode_batch(z, part, deep[z - z0 : z_end - z0])

    def _encode_batch(self, z: int, part: Labels, is_3d: Array) -> None:
        from compresso.kernels.ristretto import labels, slices
        from compresso.kernels.ristretto.coder import FullError

        piece = self.piece
        part, by_columns = self._order_by_rows(part, is_3d)
        wide = frozen(part.astype(_wide(part.dtype), copy=False).reshape(-1))
        while labels.number_labels(
            wide,
            piece.ny,
            piece.nx,
            piece.planes,
            piece.slots,
            z,
            self.hashed,
            self.table,
            self.loaded,
        ):
            self._enlarge_table()
        work = piece.work
        if 2 * int(work.state[2]) > work.data.size:
            piece.work = work = work._replace(data=np.resize(work.data, 2 * work.data.size))
        work.numbers[1] = self.loaded[0] - 1
        encode = slices.encode_slices if work.effort == 1 else slices.encode_mixed
        encode(piece.planes, piece.slots, piece.ny, piece.nx, z, is_3d, by_columns, work)
        if int(work.state[2]) > work.data.size:
            raise FullError

    def _order_by_rows(self, part: Labels, is_3d: Array) -> tuple[Labels, Array]:
        """Renumber 2-D slices whose labels are 1, 2, 3.. by columns; which slices those are."""
        from compresso.kernels.ristretto import labels

        piece, by_columns = self.piece, np.zeros_like(is_3d)
        for n in np.flatnonzero((is_3d == 0) & (part[:, 0, 0] == 1)):
            if part[n].max() < labels.MAX_ORDERED:  # else no kernel need be compiled
                ordered = part[n].reshape(-1).astype(np.uint32)
                if labels.order_by_rows(ordered, piece.ny, piece.nx, piece.order):
                    if not by_columns.any():
                        part = part.copy()
                    part[n], by_columns[n] = ordered.reshape(part[n].shape), 1
        return part, by_columns

    def _enlarge_table(self) -> None:
        from compresso.kernels.ristretto.labels import rehash

        self.table = np.resize(self.table, 4 * self.table.size)
        self.hashed = np.empty(4 * self.hashed.size, np.uint32)
        rehash(self.table, self.loaded[0], self.hashed)


def decode_piece(
    piece: Piece, head: Head, labels: Array, out: Labels, first: int, watch: Watch
) -> None:
    """Decode slices of a piece; raises DecodeError where its bytes are damaged.

    Parameters
    ----------
    piece : Piece
    head : Head
    labels : (1 + piece.n_labels,) unsigned, of the dtype of ``out``
        0, and the piece's labels by their numbers.
    out : (n, ny, nx) unsigned, overwritten
    first : int
        The slice of the piece that goes to ``out[0]``; those before it are decoded in passing.
    watch : callable
        Told of slices of ``out`` that are complete.
    """
    from compresso.kernels.ristretto import labels as kernels
    from compresso.kernels.ristretto import slices

    damaged = DecodeError(f"ristretto stream: the slab from slice {piece.box.z0} is damaged")
    if check(piece.data) != piece.digest:
        raise damaged
    data = np.array(np.frombuffer(piece.data, np.uint8))  # writable, as an encoder's is
    counters = _make_counters(piece.box, head.effort, head.start)
    state = _Piece(piece.box, head.effort, counters, data, piece.n_labels)
    end = first + len(out)
    wide = labels.astype(_wide(labels.dtype))
    decode = slices.decode_slices if head.effort == 1 else slices.decode_mixed
    for z in range(0, end, state.batch):
        count = min(state.batch, end - z)
        is_3d, by_columns = np.zeros((2, count), np.uint8)
        shape = state.ny, state.nx
        if decode(state.planes, state.slots, *shape, z, is_3d, by_columns, state.work):
            raise damaged
        skip = min(max(first - z, 0), count)
        if skip == count:
            continue
        part = out[z + skip - first : z + count - first]
        simple = part.flags.c_contiguous and part.dtype == wide.dtype
        whole = part if simple else np.empty(part.shape, wide.dtype)
        kernels.restore_labels(state.planes, state.slots, *shape, z + skip, wide, whole.reshape(-1))
        for n in np.flatnonzero(by_columns[skip:]):
            if not kernels.order_by_columns(whole[n].reshape(-1), *shape, state.order):
                raise damaged
        if whole is not part:
            part[...] = whole
        watch(z + skip - first, z + count - first)


def encode_table(owns: Sequence[Array]) -> tuple[int, bytes]:
    """The label table of pieces that have these labels, in their own order.

    Returns
    -------
    int
        Distinct labels.
    bytes
    """
    from compresso.kernels.ristretto import coder

    labels = np.unique(np.concatenate([np.empty(0, np.uint64), *owns]))
    members, order = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for own in owns:
        ranks, positions = np.unique(np.searchsorted(labels, own), return_inverse=True)
        members.append(ranks)
        order.append(positions)
    sizes = np.array([own.size for own in owns], np.int64)
    data = np.empty(64 + 16 * labels.size + 24 * int(sizes.sum()), np.uint8)
    state = np.zeros(3, np.uint64)
    _code_table(True, labels, sizes, np.concatenate(members), np.concatenate(order), data, state)
    return labels.size, coder.finish(state, data)


def decode_table(head: Head, pieces: Sequence[Piece]) -> list[Array]:
    """For each piece 0 and its labels by their numbers, (1 + n_labels,) uint64.

    Raises DecodeError where the table makes no sense.
    """
    data, state = np.array(np.frombuffer(head.table, np.uint8)), np.zeros(3, np.uint64)
    labels = np.zeros(head.n_labels, np.uint64)
    sizes = np.array([piece.n_labels for piece in pieces], np.int64)
    members, order = np.zeros((2, int(sizes.sum())), np.int64)
    if _code_table(False, labels, sizes, members, order, data, state):
        raise DecodeError("ristretto stream: its table of labels is damaged")
    owns, ends = [], np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        own = labels[members[start:end][order[start:end]]]
        owns.append(np.concatenate([np.zeros(1, np.uint64), own]))
    return owns


def _code_table(encoding: bool, *arrays: Array) -> int:
    from compresso.kernels.ristretto import coder, labels

    counters = np.full(labels.TABLE_COUNTERS, coder.FRESH, np.uint32)
    left = np.empty(1 + arrays[1].max(initial=0), np.int64)
    damaged: int = labels.code_table(encoding, *arrays[:4], left, counters, *arrays[4:])
    return damaged

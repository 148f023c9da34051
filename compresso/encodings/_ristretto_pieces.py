"""Pieces of a ``ristretto`` stream, each coded on its own, and the label table they share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, block
from compresso.codec import Watch, unwatched
from compresso.encodings import _ristretto_start as trained
from compresso.encodings._ristretto_layout import Box, Head, Piece, check
from compresso.errors import DecodeError

BATCH = 1 << 16  # voxels that a kernel is given at once, or a slice
GROUP = 16  # slices that are deep or not by one threshold

Array = NDArray[Any]


class _Piece:
    """The planes, counters and coder of a piece, and its batches of slices."""

    def __init__(self, box: Box, effort: int, counters: Array, data: Array, n_labels: int) -> None:
        from compresso.kernels import (
            ristretto_contexts,
            ristretto_labels,
            ristretto_new,
            ristretto_places,
            ristretto_seen,
            ristretto_slices,
        )

        self.ny, self.nx = box.y1 - box.y0, box.x1 - box.x0
        self.batch = max(1, BATCH // (self.ny * self.nx))
        self.slots = self.batch + 2
        size = ristretto_slices.plane_size(self.ny, self.nx)
        self.planes = np.zeros(self.slots * size, np.uint32)
        self.order = np.empty((2, ristretto_labels.MAX_ORDERED), np.uint64)
        words = self.nx // 64 + 1
        self.work = ristretto_slices.Work(
            counters=counters,
            data=data,
            state=np.zeros(3, np.uint64),
            met=np.array([1, n_labels, 0], np.int64),
            seen=np.empty(ristretto_seen.SEEN, np.uint64),
            stops=np.empty(words, np.uint64),
            turns=np.empty(words, np.uint64),
            known=np.empty(self.nx + ristretto_contexts.LANES, np.uint32),
            asked=np.empty(ristretto_new.ASKED, np.uint32),
            effort=effort,
            width=ristretto_places.width(effort, box.voxels),
            models=np.zeros(ristretto_places.MODELS, np.int64),
            odds=np.zeros(ristretto_places.MODELS, np.int64),
            weights=ristretto_places.make_weights(effort),
        )


def tell_deep(group: Labels) -> Array:
    """Which slices are coded by those before them: (n,) uint8, never the first.

    Where most labels that differ from their left neighbour's agree with the slice before, a
    slice must differ from it clearly to be coded as a picture, and else the other way around.
    """
    from compresso.kernels import ristretto_labels

    tally = np.zeros((len(group), 2), np.int64)
    ristretto_labels.count_agreement(group, tally)
    turns, agreed = tally.T
    if 50 * agreed.sum() >= 21 * max(turns.sum(), 1):
        deep = 4 * agreed >= turns
    else:
        deep = 5 * agreed >= 3 * turns
    return deep.astype(np.uint8)


def _make_counters(box: Box, effort: int, start: int) -> Array:
    from compresso.kernels import ristretto_places

    bits = ristretto_places.width(effort, box.voxels)
    counters: Array = ristretto_places.make_counters(trained.counters(start), effort, bits)
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
    room = box.voxels // 64 + (1 << 16)
    while True:
        try:
            counters = _make_counters(box, effort, start)
            return Encoder(volume, box, effort, counters, room, watch=watch).run()
        except _FullError:
            room *= 4
            watch = unwatched


class _FullError(Exception):
    """There was no room for the bytes of a batch."""


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
        from compresso.kernels import ristretto_coder

        for z in range(0, len(self.labels), GROUP):
            self._encode_group(z, min(z + GROUP, len(self.labels)))
        work = self.piece.work
        size = ristretto_coder.finish(work.state, work.data)
        if size < 0:
            raise _FullError
        return work.data[:size].tobytes(), self.table[1 : self.loaded[0]].copy()

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

    def _encode_batch(self, z: int, part: Labels, deep: Array) -> None:
        from compresso.kernels import ristretto_labels, ristretto_slices

        piece = self.piece
        columns = np.zeros_like(deep)
        while ristretto_labels.number_labels(
            part,
            piece.planes,
            piece.slots,
            z,
            deep,
            columns,
            piece.order,
            self.hashed,
            self.table,
            self.loaded,
        ):
            self._enlarge_table()
        work = piece.work
        if 2 * int(work.state[2]) > work.data.size:
            piece.work = work = work._replace(data=np.resize(work.data, 2 * work.data.size))
        work.met[1] = self.loaded[0] - 1
        ristretto_slices.encode_slices(
            piece.planes, piece.slots, piece.ny, piece.nx, z, deep, columns, work
        )
        if int(work.state[2]) > work.data.size:
            raise _FullError

    def _enlarge_table(self) -> None:
        from compresso.kernels import ristretto_labels

        self.table = np.resize(self.table, 4 * self.table.size)
        self.hashed = np.empty(4 * self.hashed.size, np.uint32)
        ristretto_labels.rehash(self.table, self.loaded[0], self.hashed)


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
    from compresso.kernels import ristretto_labels, ristretto_slices

    damaged = DecodeError(f"ristretto stream: the slab from slice {piece.box.z0} is damaged")
    if check(piece.data) != piece.digest:
        raise damaged
    data = np.array(np.frombuffer(piece.data, np.uint8))  # writable, as an encoder's is
    counters = _make_counters(piece.box, head.effort, head.start)
    state = _Piece(piece.box, head.effort, counters, data, piece.n_labels)
    end = first + len(out)
    for z in range(0, end, state.batch):
        count = min(state.batch, end - z)
        deep, columns = np.zeros((2, count), np.uint8)
        if ristretto_slices.decode_slices(
            state.planes, state.slots, state.ny, state.nx, z, deep, columns, state.work
        ):
            raise damaged
        skip = min(max(first - z, 0), count)
        if skip == count:
            continue
        part = out[z + skip - first : z + count - first]
        whole = part if part.flags.c_contiguous else np.empty(part.shape, part.dtype)
        if ristretto_labels.restore_labels(
            state.planes, state.slots, z + skip, columns[skip:], state.order, labels, whole
        ):
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
    from compresso.kernels import ristretto_coder, ristretto_table

    labels = np.unique(np.concatenate([np.empty(0, np.uint64), *owns]))
    room = 64 + 16 * labels.size + 24 * sum(own.size for own in owns)
    data, state = np.empty(room, np.uint8), np.zeros(3, np.uint64)
    counters = np.full(ristretto_table.COUNTERS, ristretto_coder.FRESH, np.uint32)
    ristretto_table.code_labels(True, labels, counters, data, state)
    for own in owns:
        members, order = np.unique(np.searchsorted(labels, own), return_inverse=True)
        ristretto_table.code_members(True, members, labels.size, counters, data, state)
        ristretto_table.code_order(True, order, counters, data, state)
    size = ristretto_coder.finish(state, data)
    return labels.size, data[:size].tobytes()


def decode_table(head: Head, pieces: Sequence[Piece]) -> list[Array]:
    """For each piece 0 and its labels by their numbers, (1 + n_labels,) uint64.

    Raises DecodeError where the table makes no sense.
    """
    from compresso.kernels import ristretto_coder, ristretto_table

    data, state = np.array(np.frombuffer(head.table, np.uint8)), np.zeros(3, np.uint64)
    counters = np.full(ristretto_table.COUNTERS, ristretto_coder.FRESH, np.uint32)
    labels = np.zeros(head.n_labels, np.uint64)
    bad = ristretto_table.code_labels(False, labels, counters, data, state)
    owns = []
    for piece in pieces:
        members, order = np.zeros((2, piece.n_labels), np.int64)
        bad |= ristretto_table.code_members(False, members, labels.size, counters, data, state)
        bad |= ristretto_table.code_order(False, order, counters, data, state)
        if bad:
            raise DecodeError("ristretto stream: its table of labels is damaged")
        owns.append(np.concatenate([np.zeros(1, np.uint64), labels[members[order]]]))
    return owns

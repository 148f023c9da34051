"""Context coding of labels: this project's own encoding, which needs no compressor after it.

docs/ristretto.md explains it, and docs/formats.md, section 9, describes the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from compresso.arrays import Labels, Shape, as_shape, check_fits
from compresso.codec import Buffer, Encoding, Watch, ignore
from compresso.encodings import _ristretto_layout as layout
from compresso.parallel import on_threads

#: Approximate voxels of a slab by default, by effort.
SLAB_VOXELS = {1: 1 << 25, 2: 1 << 25, 3: 1 << 29}
MANY = 8
LARGE_SLAB_VOXELS = 1 << 27


@dataclass(frozen=True)
class Ristretto(Encoding):
    """Codes every voxel by yes-no questions with adaptive probabilities.

    Attributes
    ----------
    effort : int
        1 (fast) to 3 (small).
    slab : int
        Slices that one thread codes on their own. 0: 2**25 voxels, at effort 3 2**29. If these
        are more than 8 slabs, 8 slabs or more, of up to 2**27 voxels.
    start : int
        The number of the trained counters to begin with; 0: untrained ones.
    """

    name = "ristretto"
    working_bytes = 12  # at effort 3, in groups of 16 million voxels; 2 at effort 1
    alone = True
    limits = {
        "effort": (1, layout.EFFORTS),
        "slab": (0, (1 << 31) - 1),
        "start": (0, layout.STARTS),
    }

    effort: int = 1
    slab: int = 0
    start: int = 1

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode any labels; the same bytes whatever the number of threads."""
        from compresso.encodings import _ristretto_pieces as pieces

        shape = as_shape(volume.shape)
        depth = self.slab or _default_depth(shape, SLAB_VOXELS[self.effort])
        boxes = list(layout.cut(shape, depth))
        if not _whole_slices(boxes, shape):
            watch(0, shape[0])
            watch = ignore
        code = partial(pieces.encode_piece, volume, self.effort, self.start, watch)
        coded = on_threads(code, boxes, threads)
        n_labels, table = pieces.encode_table([own for _, own in coded])
        head = layout.Head(self.effort, self.start, shape, depth, n_labels, table)
        written = [
            layout.Piece(box, own.size, data, layout.check(data))
            for box, (data, own) in zip(boxes, coded, strict=True)
        ]
        return layout.write(head, written)

    def shape_of(self, stream: Buffer) -> Shape:
        """Return the shape in the head."""
        return layout.read_shape(stream)

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream, whatever its effort."""
        _decode_slices(*layout.read(stream), 0, out, threads, watch)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        """Decode slices z0 and following; only their slabs are decoded."""
        _decode_slices(*layout.read(stream), z0, out, threads, ignore)


def _decode_slices(
    head: layout.Head, pieces: list[layout.Piece], z0: int, out: Labels, threads: int, watch: Watch
) -> None:
    """Decode slices from z0 on to an array in C order and native byte order."""
    from compresso.encodings._ristretto_pieces import decode_piece, decode_table

    z1 = z0 + len(out)
    tables = decode_table(head, pieces)
    for table in tables:
        check_fits(table, out.dtype)
    whole = _whole_slices([piece.box for piece in pieces], head.shape)

    def decode(number: int) -> None:
        piece = pieces[number]
        box, table = piece.box, tables[number].astype(out.dtype)
        low, high = max(z0, box.z0), min(z1, box.z1)
        part = out[low - z0 : high - z0, box.y0 : box.y1, box.x0 : box.x1]

        def complete(a: int, b: int) -> None:
            if whole:
                watch(low - z0 + a, low - z0 + b)

        decode_piece(piece, head, table, part, low - box.z0, complete)

    needed = [n for n, p in enumerate(pieces) if p.box.z0 < z1 and z0 < p.box.z1]
    on_threads(decode, needed, threads)
    if not whole:
        watch(0, len(out))


def _default_depth(shape: Shape, voxels: int) -> int:
    """Slices of a slab of about that many voxels, or of more if MANY slabs are not enough."""
    nz, ny, nx = shape
    slabs = max(1, round(nz * ny * nx / voxels))
    if slabs > MANY:
        slabs = max(MANY, round(nz * ny * nx / max(voxels, LARGE_SLAB_VOXELS)))
    return max(1, -(-nz // slabs))


def _whole_slices(boxes: Sequence[layout.Tile], shape: Sequence[int]) -> bool:
    """Whether there are boxes, and each is of whole slices."""
    return bool(boxes) and (boxes[0].y1, boxes[0].x1) == tuple(shape[1:])

"""The compressed file: its bytes, damage, forged contents, metadata."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso.container import Reader, layout
from compresso.container.group import GroupRecord
from tests.helpers.memory import peak


def head_of(data):
    return layout.read_head(lambda at, size: bytes(data[at : at + size]))


def groups_of(data):
    """Head and body of every group of an undamaged file."""
    head, file = head_of(data), io.BytesIO(data)
    file.seek(len(head.data))
    groups = []
    for _ in head.description.groups:
        group = layout.unpack_group(file.read(layout.GROUP_BYTES), head.key)
        groups.append((group, file.read(group.group.body_bytes)))
    return groups


def spans_of(data):
    """First and last byte (exclusive) of each group, and of the end."""
    found, at = [], len(head_of(data).data)
    for _, body in groups_of(data):
        found.append((at, at + layout.GROUP_BYTES + len(body)))
        at = found[-1][1]
    return [*found, (at, len(data))]


def pack_head(text, compressed=0):
    """The head of a file with any description."""
    raw = layout.HEAD.pack(layout.MAGIC, layout.VERSION, compressed, len(text)) + text
    return raw + layout.CHECK.pack(xxh3_64_intdigest(raw))


def pack_file(data, groups, **changes):
    """A file with a changed description and any groups, and correct hashes."""
    description = json.loads(head_of(data).description.to_json()) | changes
    data = raw = pack_head(json.dumps(description).encode())
    (key,) = layout.CHECK.unpack(raw[-8:])
    places = []
    for head, body in groups:
        packed, check = layout.pack_group(head.number, head.group, key)
        places.append((len(data), check))
        data += packed + body
    return data + layout.pack_end(len(data), raw, np.array(places, layout.INDEX_ENTRY))


def labels_of(seed=0):
    """Seven slices; the files of all seeds have equal descriptions."""
    return np.random.default_rng(seed).integers(9, size=(7, 5, 6), dtype=np.uint16)


def packed(seed=0, compression="none"):
    """A file of four groups; without compression all files are equally long."""
    return C.dumps(labels_of(seed), "none", compression, depth=2)


def damage(data):
    return list(Reader(io.BytesIO(data)).damage())


def recovered(data):
    """The slices that can still be read, by number; all of them are right."""
    reader = Reader(io.BytesIO(data), salvage=True)
    found = {}
    for z0, z1 in reader.description.groups:
        try:
            found.update(zip(range(z0, z1), reader.read(z0, z1), strict=True))
        except C.DecodeError:
            continue
    assert all(np.array_equal(part, labels_of()[z]) for z, part in found.items())
    return sorted(found)


def refused(data, match="."):
    """Every way to read a whole file refuses it."""
    with pytest.raises(C.DecodeError, match=match):
        C.loads(data)
    with pytest.raises(C.DecodeError):
        np.asarray(C.open(io.BytesIO(data)))
    assert damage(data)


def flipped(data, at):
    """The same bytes with one bit changed."""
    bad = bytearray(data)
    bad[at] ^= 1 << at % 8
    return bytes(bad)


class Counted(io.BytesIO):
    """Counts what is read."""

    def __init__(self, data):
        super().__init__(data)
        self.reads = []

    def read(self, size=-1):
        found = super().read(size)
        self.reads.append(len(found))
        return found


def test_byte_by_byte():
    """docs/formats.md, section 6, on the smallest file: one voxel, nothing compressed."""
    labels = np.array([[[7]]], np.uint8)
    data = C.dumps(labels, "none", "none", metadata={"unit": "nm"})
    assert data[:8] == b"CPSOFRM\0"
    version, zero, length = struct.unpack_from("<HHI", data, 8)
    assert (version, zero) == (1, 0)
    description = json.loads(data[16 : 16 + length])
    assert description == {
        **{"encoding": "none", "compression": "none", "dtype": "|u1", "shape": [1, 1, 1]},
        **{"shift": 0, "depth": 1 << 24, "metadata": {"unit": "nm"}},
    }
    at = 16 + length
    key = xxh3_64_intdigest(data[:at])
    assert struct.unpack_from("<Q", data, at)[0] == key
    at += 8
    body = np.array([7], "<u8").tobytes()
    slices = struct.pack("<Q", xxh3_64_intdigest(b"\x07"))
    group = struct.pack(
        "<4sIQQQQ", b"GRP\0", 0, 8, 8, xxh3_64_intdigest(body), xxh3_64_intdigest(slices)
    )
    check = struct.pack("<Q", xxh3_64_intdigest(group, seed=key))
    assert data[at : at + 56] == group + check + body
    end = b"END\0" + bytes(4) + data[:at] + struct.pack("<Q", at) + check
    end += struct.pack("<QQ", at + 56, len(end) + 32)
    end += struct.pack("<Q", xxh3_64_intdigest(end)) + b"CPSOEND\0"
    assert data[at + 56 :] == end


@pytest.mark.parametrize("span", [(0, 7), (0, 1), (1, 5), (6, 7), (3, 3), (3, 99), (-2, None)])
def test_slices_are_read_without_the_others(span):
    data = packed()
    reader = Reader(io.BytesIO(data))
    assert [*reader.description.groups] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert np.array_equal(reader.read(*span), labels_of()[slice(*span)])
    bad = Reader(io.BytesIO(flipped(data, spans_of(data)[3][1] - 1)))
    assert np.array_equal(bad.read(0, 6), labels_of()[:6])
    with pytest.raises(C.DecodeError, match="slices 6 to 6 are damaged"):
        bad.read(5, 7)


@pytest.mark.parametrize("encoding", C.encodings.installed())
@pytest.mark.parametrize("shape", [(1, 1, 1), (70, 1, 1), (1, 70, 1), (1, 1, 70), (9, 9, 9)])
def test_a_file_holds_the_longest_streams(encoding, shape):
    """The shapes and labels that need the most bytes per voxel."""
    labels = np.random.default_rng(0).integers(2**63, size=shape, dtype=np.uint64)
    assert np.array_equal(C.loads(C.dumps(labels, encoding, "none")), labels)


def test_a_group_of_another_file_is_refused():
    a, b = packed(0), packed(1)
    assert head_of(a).data == head_of(b).data
    for (start, stop), lost in zip(spans_of(a)[:4], [(0, 2), (2, 4), (4, 6), (6, 7)], strict=True):
        mixed = a[:start] + b[start:stop] + a[stop:]
        refused(mixed, "different group")
        assert [(d.z0, d.z1) for d in damage(mixed)] == [lost]
        assert recovered(mixed) == [z for z in range(7) if not lost[0] <= z < lost[1]]


def test_exchanged_groups_are_refused_and_recovered():
    """Groups are bound to the head of their file and to their number."""
    a, b = packed(), packed(0, "zlib")
    (s0, e0), (s1, e1), *_, (end, _) = spans_of(a)
    mixed = a[:s0] + a[s1:e1] + a[s0:e0] + a[e1:]
    refused(mixed)
    assert [(d.z0, d.z1) for d in damage(mixed)] == [(0, 2), (2, 4)]
    assert recovered(mixed) == [*range(7)]
    without_end = a[:s1] + b[slice(*spans_of(b)[1])] + a[e1:end]
    assert [(d.z0, d.z1) for d in damage(without_end)] == [(2, 4), (0, 0)]


@pytest.mark.parametrize("more", [b"\0", b"END\0", bytes(100), packed(0), packed(1)])
def test_trailing_bytes_are_refused(more):
    """Two files in one are the first one, never a mixture."""
    refused(packed() + more, f"trailing bytes after its end: {len(more)}")
    assert recovered(packed() + more) == [*range(7)]


def test_a_flipped_bit_is_refused_and_costs_one_group():
    data = packed()
    body, end = spans_of(data)[0][0], spans_of(data)[4][0]
    for at in range(len(data)):
        bad = flipped(data, at)
        where = "head is damaged" if at < body else "end is damaged or missing"
        refused(bad, "slices" if body <= at < end else where)
        assert len(damage(bad)) == 1
        assert len(recovered(bad)) >= (5 if body <= at < end else 7)


def test_a_truncated_file_is_refused_and_its_groups_are_recovered():
    data = packed(0, "zlib")
    for size in range(4 * layout.GROUP.size, len(data)):  # a shorter file cannot have its groups
        reasons = [d.reason for d in damage(data[:size])]
        assert reasons
        assert not any("follow" in reason or "-" in reason for reason in reasons)
    for number, (_, stop) in enumerate(spans_of(data)[:4]):
        assert recovered(data[:stop]) == [*range(min(7, 2 * number + 2))]


@given(st.integers(0, 3000), st.integers(1, 200), st.booleans(), st.integers(0, 2**32))
def test_missing_or_added_bytes_are_refused_and_the_rest_is_recovered(at, count, add, seed):
    data = packed()
    at %= len(data) - 32
    if add:
        bad = data[:at] + np.random.default_rng(seed).bytes(count) + data[at:]
    else:
        bad = data[:at] + data[min(at + count, len(data) - 32) :]
    refused(bad)
    inside = [a for a, b in spans_of(data)[:4] if b > at and (add or a < at + count)]
    groups = at < spans_of(data)[4][0]
    assert len(recovered(bad)) >= (7 - 2 * max(1, len(inside)) if groups else 7)


@pytest.mark.parametrize(
    "changes",
    [
        *({"shape": shape} for shape in ([65535] * 3, [0, 1 << 60, 1 << 60], [-1, 2, 2])),
        *({"shape": shape} for shape in ([2, 2, 2.0], [1, 1, 1, 1], "222", 8)),
        *({"dtype": t} for t in ("<f8", "O", "no", ["<u2"], None, "(2,)u1", "u1,u1", "|u8x")),
        *({"encoding": "compresso:window=1e9"}, {"encoding": "rar"}, {"compression": ["none"]}),
        *({"depth": 0}, {"shift": 5}, {"more": 1}, {"metadata": [1]}, {"metadata": "x"}),
        *({"shape": [1 << 40, 1, 1], "depth": 1}, {"dtype": "|b1"}),
    ],
)
def test_forged_descriptions_are_refused(changes):
    """The labels of this file are 7, which is neither true nor false."""
    data = C.dumps(np.full((2, 2, 2), 7, np.uint8), "none", "none")
    with pytest.raises(C.DecodeError):
        C.loads(pack_file(data, groups_of(data), **changes))


def test_a_group_that_claims_too_much_is_refused():
    """Before it is unpacked: 2 KiB of zlib for 2 MiB of zeros."""
    bomb = zlib.compress(bytes(1 << 21))
    data = C.dumps(np.zeros((1, 1, 1), np.uint8), "none", "zlib")
    ((group, _),) = groups_of(data)
    claim = group._replace(group=GroupRecord(1 << 21, len(bomb), xxh3_64_intdigest(bomb), 0))
    with pytest.raises(C.DecodeError, match="lengths do not fit"):
        C.loads(pack_file(data, [(claim, bomb)]))


def test_a_group_longer_than_its_gap_is_refused():
    data = packed()
    groups = groups_of(data)
    head, body = groups[1]
    groups[1] = head._replace(group=head.group._replace(body_bytes=len(body) + 8)), body
    refused(pack_file(data, groups), "slices 2 to 3")


def forge_end(data, changes, places=None, start=None, length=None):
    """A file whose end has any contents, with correct hashes."""
    description = json.loads(head_of(data).description.to_json()) | changes
    at = spans_of(data)[-1][0]
    raw = layout.END_MARK + pack_head(json.dumps(description).encode())
    raw += (np.zeros(0, layout.INDEX_ENTRY) if places is None else places).tobytes()
    tail = at if start is None else start, length or len(raw) + layout.TAIL.size, 0, b""
    raw += layout.TAIL.pack(*tail)[:16]
    return data[:at] + raw + layout.CHECK.pack(xxh3_64_intdigest(raw)) + layout.LAST_MARK


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"shape": [1 << 40, 1, 1], "depth": 1}, {}),
        ({"shape": [1 << 60, 1, 1], "depth": 1}, {"length": 1 << 63}),
        ({"shape": [1 << 60, 1, 1], "depth": 1}, {"length": (1 << 64) - 1}),
        ({}, {"places": np.full(4, (1 << 64) - 1, np.uint64).astype(layout.INDEX_ENTRY)}),
        ({}, {"places": np.zeros(4, layout.INDEX_ENTRY)}),
        ({}, {"places": np.array([(80, 0), (1 << 63, 0), (0, 0), (5, 0)], layout.INDEX_ENTRY)}),
        ({}, {"places": np.array([(119, 0), (231, 0), (239, 0), (500, 0)], layout.INDEX_ENTRY)}),
        ({}, {"start": (1 << 64) - 1}),
        ({}, {"start": 0}),
        ({"shape": [3, 5, 6]}, {}),
        ({"shape": [1 << 20, 1 << 20, 1 << 20], "depth": 1 << 20}, {}),
    ],
)
@pytest.mark.parametrize("with_head", [True, False])
def test_a_forged_end_is_refused_without_taking_memory(changes, more, with_head):
    data = forge_end(packed(), changes, **more)
    data = data if with_head else b"x" + data[1:]

    def read():
        with pytest.raises(C.DecodeError):
            C.loads(data)
        with pytest.raises(C.DecodeError):
            Reader(io.BytesIO(data), salvage=True).check_end()

    assert peak(read) < 16 << 20


def test_opening_reads_both_ends_and_no_groups():
    file = Counted(C.dumps(np.zeros((500, 2, 3), np.uint8), "none", "none", depth=1))
    reader = Reader(file)
    reader.check_end()
    assert sum(file.reads) < 500 * 16 + 2000
    before = len(file.reads)
    assert before < 10
    reader.read(400, 401)
    assert len(file.reads) - before == 2


def test_a_file_full_of_marks_is_searched_once():
    data = packed()[:-8] + layout.MARK * 100_000
    file = Counted(data)
    assert len(list(Reader(file, salvage=True).damage())) == 1
    assert sum(file.reads) < 100 * len(data)


def test_the_limit_can_be_raised():
    data = C.dumps(np.zeros((4, 100, 100), np.uint64), compression="zstd")
    with pytest.raises(C.DecodeError, match="limit of 319999"):
        C.loads(data, limit=319_999)
    assert C.loads(data, limit=320_000).size == 40_000


@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer", "png"])
def test_raw_codec_output_that_claims_too_much_is_refused(encoding):
    claim = np.array([1 << 20, 1 << 20, 1 << 20, 0, 0, 0, 1, 8, 8], "<u8").tobytes()
    with pytest.raises(C.DecodeError, match="claims"):
        C.encodings.parse(encoding).decode(claim)


@pytest.mark.parametrize("depth", [-1, 0, True, False, 2**70, 1.5, "2", np.bool_(True)])
def test_a_wrong_depth_is_refused(depth):
    with pytest.raises(C.EncodeError, match="depth="):
        C.dumps(labels_of(), depth=depth)
    for right in (1, np.int64(3), 100, 2**40):
        assert np.array_equal(C.loads(C.dumps(labels_of(), depth=right)), labels_of())


def test_masked_arrays_are_refused():
    masked = np.ma.masked_equal(labels_of(), 3)
    for encode in (C.dumps, C.compress, *(C.encodings.parse(n).encode for n in ("none", "png"))):
        with pytest.raises(C.EncodeError, match=r"filled\(0\)"):
            encode(masked)


@pytest.mark.parametrize(
    "metadata",
    [[1], "x", {"a": object()}, {"a": np.float32(1)}, {"a": float("nan")}, {"a": "x" * (4 << 20)}],
)
def test_metadata_that_json_cannot_hold_are_refused(metadata):
    with pytest.raises(C.EncodeError, match="metadata"):
        C.dumps(labels_of(), metadata=metadata)


@pytest.mark.parametrize("many", [False, True])
def test_metadata_come_back(many):
    metadata = {"spacing": [4.0, 0.1, 1e-300], "unit": "µm", "keys": {"a": None}}
    if many:  # these are compressed
        metadata["names"] = [f"part {n} of a body" for n in range(100_000)]
    data = C.dumps(labels_of(), metadata=metadata)
    assert C.open(io.BytesIO(data)).metadata == metadata
    assert data == C.dumps(labels_of(), metadata=metadata)
    assert len(data) < 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", zlib.compress(b"{}")[:-1], zlib.compress(b"{}") + b"x"),
        zlib.compress(b" " * (64 << 20)),
    ],
)
def test_a_damaged_compressed_description_is_refused(text):
    data = pack_head(text, compressed=1)

    def read():
        with pytest.raises(C.DecodeError, match="description"):
            C.loads(data)

    assert peak(read) < 16 << 20

"""The end of a frame: what it binds together, what it saves, and what it cannot be made to do."""

import io
import json
import tracemalloc
import zlib

import numpy as np
import pytest
from forge import frame_of, groups_of, head_of
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso.container import Reader, layout

SHAPE = (7, 5, 6)


def labels_of(seed):
    """Seven slices; equal parameters and shape for every seed."""
    return np.random.default_rng(seed).integers(9, size=SHAPE, dtype=np.uint16)


def frame(seed=0, depth=2, compression="none"):
    """Four groups; with no compression all frames are equally long."""
    return C.dumps(labels_of(seed), "none", compression, depth=depth)


def spans(data):
    """First and last byte (exclusive) of each group, and of the end."""
    at = len(head_of(data).data)
    found = []
    for _, body in groups_of(data):
        found.append((at, at + layout.GROUP_BYTES + len(body)))
        at = found[-1][1]
    return [*found, (at, len(data))]


def damage(data, **more):
    return list(Reader(io.BytesIO(data), **more).damage())


def salvaged(data):
    """What is left of a frame: slices that could be read, by number."""
    reader = Reader(io.BytesIO(data), salvage=True)
    left = {}
    for number in range(reader.description.n_groups):
        try:
            group = reader.group(number)
        except C.DecodeError:
            continue
        z0, z1 = reader.description.group(number)
        left.update(zip(range(z0, z1), group, strict=True))
    return left


def refused(data, match="."):
    """Every way to take a frame for sound refuses it."""
    with pytest.raises(C.DecodeError, match=match):
        C.loads(data)
    with pytest.raises(C.DecodeError):
        np.asarray(C.open(io.BytesIO(data)))
    assert damage(data)


def test_a_group_of_another_frame_of_the_same_shape_and_codecs_is_told():
    a, b = frame(0), frame(1)
    assert len(a) == len(b)
    assert head_of(a).data == head_of(b).data
    for (start, stop), lost in zip(spans(a)[:4], [(0, 2), (2, 4), (4, 6), (6, 7)], strict=True):
        mixed = a[:start] + b[start:stop] + a[stop:]
        refused(mixed, "another group is in its place")
        assert [(d.z0, d.z1) for d in damage(mixed)] == [lost]
        left = salvaged(mixed)
        assert sorted(left) == [z for z in range(7) if not lost[0] <= z < lost[1]]
        assert all(np.array_equal(left[z], labels_of(0)[z]) for z in left)


def test_a_group_of_a_frame_of_other_codecs_is_told_without_the_end():
    """Its head is bound to the head of its own frame."""
    a, b = C.dumps(labels_of(0), "none", "zlib", depth=2), frame(1)
    (start, stop), (there, after) = spans(a)[1], spans(b)[1]
    mixed = a[:start] + b[there:after] + a[stop : spans(a)[4][0]]
    assert [(d.z0, d.z1) for d in damage(mixed)] == [(2, 4), (0, 0)]


def test_two_groups_that_changed_places_are_told_and_salvaged():
    a = frame()
    (s0, e0), (s1, e1), *_ = spans(a)
    mixed = a[:s0] + a[s1:e1] + a[s0:e0] + a[e1:]
    refused(mixed)
    assert [(d.z0, d.z1) for d in damage(mixed)] == [(0, 2), (2, 4)]
    left = salvaged(mixed)
    assert np.array_equal(np.array([left[z] for z in range(7)]), labels_of(0))


def test_the_head_of_another_volume_is_told():
    a = C.dumps(labels_of(0), "none", "none", depth=2)
    b = C.dumps(labels_of(0).astype(np.int16), "none", "none", depth=2)
    swapped = head_of(b).data + a[len(head_of(a).data) :]
    refused(swapped)


@pytest.mark.parametrize("more", [b"\0", b"END\0", bytes(100), b"twice"])
def test_trailing_bytes_and_two_frames_in_one_file_are_told(more):
    data = frame(compression="zlib")
    more = data if more == b"twice" else more
    refused(data + more, f"{len(more)} bytes follow its end")
    assert [d.reason for d in damage(data + more)] == [f"{len(more)} bytes follow its end"]
    left = salvaged(data + more)
    assert np.array_equal(np.array([left[z] for z in range(7)]), labels_of(0))


def test_two_frames_of_one_shape_in_one_file_are_the_first_never_a_mixture():
    a, b = frame(0), frame(1)
    refused(a + b, "follow its end")
    left = salvaged(a + b)
    assert np.array_equal(np.array([left[z] for z in range(7)]), labels_of(0))


def test_a_flipped_bit_is_told_and_what_is_left_is_right():
    data = frame(compression="zlib")
    for at in range(0, len(data), 3):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        with pytest.raises(C.DecodeError):
            C.loads(bad)
        left = salvaged(bytes(bad))
        assert all(np.array_equal(left[z], labels_of(0)[z]) for z in left)
        assert len(left) >= 5


def test_a_cut_frame_never_has_bytes_left_over():
    data = frame(compression="zlib")
    for size in range(4 * layout.GROUP.size, len(data)):  # a shorter file cannot have its groups
        told = [d.reason for d in damage(data[:size])]
        assert told
        assert not any("follow" in reason or "-" in reason for reason in told)
        with pytest.raises(C.DecodeError):
            C.loads(data[:size])


def test_a_cut_frame_is_salvaged_from_its_front():
    data = frame()
    for number, (_, stop) in enumerate(spans(data)[:4]):
        left = salvaged(data[:stop])
        assert sorted(left) == list(range(min(7, 2 * number + 2)))
        assert all(np.array_equal(left[z], labels_of(0)[z]) for z in left)


def test_any_flipped_bit_in_the_head_is_told_and_salvaged():
    data = frame()
    for at in range(len(head_of(data).data)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        refused(bytes(bad), "head is damaged")
        left = salvaged(bytes(bad))
        assert np.array_equal(np.array([left[z] for z in range(7)]), labels_of(0))


def test_any_flipped_bit_in_the_end_is_told_and_costs_no_slice():
    data = frame()
    for at in range(spans(data)[4][0], len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        refused(bytes(bad), "end is damaged or missing")
        assert len(salvaged(bytes(bad))) == 7


@given(st.integers(0, 3000), st.integers(1, 200), st.booleans(), st.integers(0, 2**32))
def test_what_is_lost_or_added_inside_is_told_and_the_rest_is_salvaged(at, count, add, seed):
    data = frame()
    at %= len(data) - 32
    if add:
        bad = data[:at] + np.random.default_rng(seed).bytes(count) + data[at:]
    else:
        bad = data[:at] + data[min(at + count, len(data) - 32) :]
    refused(bad)
    left = salvaged(bad)
    assert all(np.array_equal(left[z], labels_of(0)[z]) for z in left)
    inside = [a for a, b in spans(data)[:4] if b > at and (add or a < at + count)]
    reached = at < spans(data)[4][0]
    assert len(left) >= 7 - 2 * max(1, len(inside)) if reached else len(left) == 7


def test_a_reader_needs_two_seeks_not_a_walk():
    data = C.dumps(np.zeros((500, 2, 3), np.uint8), "none", "none", depth=1)
    reads = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            reads.append((self.tell(), size))
            return super().read(size)

    reader = Reader(Counted(data))
    reader.check_end()
    assert sum(size for _, size in reads) < 500 * 16 + 2000
    assert len(reads) < 10
    before = len(reads)
    reader.group(400)
    assert len(reads) - before == 2


def hostile_end(data, description, places=None, start=None, length=None):
    """The groups of a frame before an end that claims what it likes, with a hash that is right."""
    text = json.dumps(description).encode()
    head = layout.Head(frame_of(text, [])[: layout.HEAD.size + len(text) + 8], None)
    at = spans(data)[-1][0]
    raw = layout.END_MARK + head.data
    raw += (np.zeros(0, layout.PLACE) if places is None else places).tobytes()
    tail = layout.TAIL.pack(
        at if start is None else start, length or len(raw) + layout.TAIL.size, 0, b""
    )
    raw += tail[:16]
    return data[:at] + raw + layout.CHECK.pack(xxh3_64_intdigest(raw)) + layout.LAST_MARK


DESCRIPTION = {
    **{"encoding": "none", "compression": "none", "dtype": "<u2", "shape": list(SHAPE)},
    **{"shift": 0, "depth": 2},
}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"shape": [1 << 40, 1, 1], "depth": 1}, {}),
        ({"shape": [1 << 60, 1, 1], "depth": 1}, {"length": 1 << 63}),
        ({"shape": [1 << 60, 1, 1], "depth": 1}, {"length": (1 << 64) - 1}),
        ({}, {"places": np.full(4, (1 << 64) - 1, np.uint64).astype(layout.PLACE)}),
        ({}, {"places": np.zeros(4, layout.PLACE)}),
        ({}, {"places": np.array([(80, 0), (1 << 63, 0), (0, 0), (5, 0)], layout.PLACE)}),
        ({}, {"start": (1 << 64) - 1}),
        ({}, {"start": 0}),
        ({"shape": [3, 5, 6]}, {}),
        ({"shape": [1 << 20, 1 << 20, 1 << 20], "depth": 1 << 20}, {}),
    ],
)
@pytest.mark.parametrize("with_head", [True, False])
def test_a_hostile_end_costs_nothing(changes, more, with_head):
    """Whether the head is there or the end's copy is all there is."""
    data = hostile_end(frame(), DESCRIPTION | changes, **more)
    data = data if with_head else b"x" + data[1:]
    tracemalloc.start()
    try:
        with pytest.raises(C.DecodeError):
            C.loads(data)
        with pytest.raises(C.DecodeError):
            Reader(io.BytesIO(data), salvage=True).check_end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_groups_that_overlap_in_the_index_are_refused():
    data = frame()
    places = np.array([(start, 0) for start, _ in spans(data)[:4]], layout.PLACE)
    places["at"][2] = places["at"][1] + 8
    bad = hostile_end(data, json.loads(head_of(data).description.to_json()), places)
    refused(bad, "end is damaged")


def test_a_group_that_is_longer_than_its_place_is_refused():
    data = frame()
    groups = groups_of(data)
    head, body = groups[1]
    groups[1] = head._replace(group=head.group._replace(body_bytes=len(body) + 8)), body
    refused(frame_of(head_of(data).description.to_json(), groups), "slices 2 to 3")


def test_frames_of_thousands_of_groups_open_at_once():
    """Groups were listed again for each group: a minute for a frame like this one."""
    import time

    labels = np.zeros((4000, 1, 2), np.uint8)
    data = C.dumps(labels, "none", "none", depth=1)
    start = time.process_time()
    assert np.array_equal(C.loads(data), labels)
    many = time.process_time() - start
    start = time.process_time()
    assert np.array_equal(C.loads(C.dumps(labels[:400], "none", "none", depth=1)), labels[:400])
    few = time.process_time() - start
    assert many < 40 * few


def test_a_file_full_of_marks_is_searched_once():
    """Each false mark had a megabyte read for it."""
    data = bytearray(frame()[:-8])
    data += layout.MARK * 100_000
    read = 0

    class Counted(io.BytesIO):
        def read(self, size=-1):
            nonlocal read
            found = super().read(size)
            read += len(found)
            return found

    reader = Reader(Counted(data), salvage=True)
    assert len(list(reader.damage())) == 1
    assert read < 100 * len(data)


@pytest.mark.parametrize("shape", [(0,), (0, 3, 4), (2, 0, 3), (3, 4, 0), (0, 0)])
def test_an_empty_frame_has_an_end(shape):
    data = C.dumps(np.zeros(shape, np.int32))
    assert C.loads(data).shape == shape
    refused(data + b"\0", "1 bytes follow")
    for size in range(len(data)):
        with pytest.raises(C.DecodeError):
            C.loads(data[:size])


@pytest.mark.parametrize("depth", [-1, 0, True, False, 2**70, 1.5, "2", np.bool_(True)])
def test_a_depth_that_is_no_number_of_slices_is_refused(depth):
    with pytest.raises(C.EncodeError, match="depth="):
        C.dumps(labels_of(0), depth=depth)


@pytest.mark.parametrize("depth", [1, np.int64(3), 100, 2**40])
def test_a_depth_is_any_number_of_slices(depth):
    assert np.array_equal(C.loads(C.dumps(labels_of(0), depth=depth)), labels_of(0))


def test_masked_arrays_are_refused():
    masked = np.ma.masked_equal(labels_of(0), 3)
    for encode in (C.dumps, C.compress, *(C.encodings.parse(n).encode for n in ("none", "png"))):
        with pytest.raises(C.EncodeError, match=r"filled\(0\)"):
            encode(masked)


@pytest.mark.parametrize(
    "metadata",
    [[1], "x", {"a": object()}, {"a": np.float32(1)}, {"a": float("nan")}, {"a": "x" * (4 << 20)}],
)
def test_metadata_that_a_frame_cannot_hold_are_refused(metadata):
    with pytest.raises(C.EncodeError, match="metadata"):
        C.dumps(labels_of(0), metadata=metadata)


def test_metadata_come_back():
    metadata = {
        "spacing": [4.0, 0.1, 1e-300],
        "unit": "µm",
        "keys": {"a": None},
        "big": "x" * 49000,
    }
    data = C.dumps(labels_of(0), metadata=metadata)
    with C.open(io.BytesIO(data)) as array:
        assert array.metadata == metadata
    assert data == C.dumps(labels_of(0), metadata=metadata)
    assert data != C.dumps(labels_of(0))


def test_long_metadata_are_compressed():
    metadata = {"names": [f"part {n} of a body" for n in range(100_000)]}
    data = C.dumps(labels_of(0), metadata=metadata)
    assert len(data) < 1 << 20
    with C.open(io.BytesIO(data)) as array:
        assert array.metadata == metadata
    np.testing.assert_array_equal(C.loads(data), labels_of(0))


@pytest.mark.parametrize(
    "text", [b"", b"{}", zlib.compress(b"{}")[:-1], zlib.compress(b"{}") + b"x"]
)
def test_a_compressed_description_that_is_damaged_is_refused(text):
    with pytest.raises(C.DecodeError, match="description"):
        C.loads(compressed_head(text))


def test_a_compressed_description_cannot_fill_the_memory():
    text = zlib.compress(b" " * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(C.DecodeError, match="description"):
            C.loads(compressed_head(text))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def compressed_head(text):
    raw = layout.HEAD.pack(layout.MAGIC, layout.VERSION, 1, len(text)) + text
    return raw + layout.CHECK.pack(xxh3_64_intdigest(raw))


def test_the_label_of_an_error_is_the_users():
    """Signed 64-bit labels are shifted, and groups begin anywhere."""
    labels = np.zeros((6, 4, 5), np.int64)
    labels[0, 0, 0] = -(2**63)
    labels[4, 2, 3] = 2**63 - 1
    with pytest.raises(C.LabelError, match=f"label {2**63 - 1} at voxel .* = \\(4, 2, 3\\)"):
        C.dumps(labels, depth=2)

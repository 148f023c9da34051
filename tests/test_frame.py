"""The frame: its bytes, groups, random access, damage."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from forge import forged, frame_of, groups_of, head_of
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso import container
from compresso.container.group import Group


@pytest.fixture(scope="module")
def grouped(phantom):
    """A frame of the phantom's 16 slices in groups of 5."""
    return C.dumps(phantom, compression="zlib", depth=5)


def test_byte_by_byte():
    """docs/formats.md, section 6, on the smallest frame: one voxel, nothing compressed."""
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


def test_groups_restore_the_volume(phantom, grouped):
    assert np.array_equal(C.loads(grouped), phantom)
    reader = container.Reader(io.BytesIO(grouped))
    assert reader.description.groups == [(0, 5), (5, 10), (10, 15), (15, 16)]
    assert list(reader.damage()) == []


@pytest.mark.parametrize("span", [(0, 16), (0, 1), (4, 6), (15, 16), (7, 7), (3, 99), (-2, None)])
def test_random_access(phantom, grouped, span):
    reader = container.Reader(io.BytesIO(grouped))
    assert np.array_equal(reader.read(*span), phantom[slice(*span)])


def test_random_access_decodes_only_what_is_asked_for(phantom, grouped):
    broken = bytearray(grouped)
    broken[grouped.index(b"END\0") - 10] ^= 1  # in the last group
    reader = container.Reader(io.BytesIO(broken))
    assert np.array_equal(reader.read(0, 15), phantom[:15])
    with pytest.raises(C.DecodeError, match="slices 15 to 15 are damaged"):
        reader.read(15, 16)


def test_every_damaged_group_is_found_and_the_others_are_intact(phantom, grouped):
    """A flip anywhere behind the head costs one group, or where it hits a mark, that one."""
    for at in range(len(head_of(grouped).data), len(grouped), 7):
        broken = bytearray(grouped)
        broken[at] ^= 1 << at % 8
        reader = container.Reader(io.BytesIO(broken))
        damage = list(reader.damage())
        assert len(damage) == 1
        assert "damaged" in damage[0].reason
        for number, (z0, z1) in enumerate(reader.description.groups):
            if (z0, z1) != (damage[0].z0, damage[0].z1):
                assert np.array_equal(reader.group(number), phantom[z0:z1])


def test_a_missing_group_is_told(grouped):
    starts = [at for at in range(len(grouped)) if grouped[at : at + 4] == b"GRP\0"]
    without = grouped[: starts[1]] + grouped[starts[2] :]
    damage = list(container.Reader(io.BytesIO(without)).damage())
    assert [(d.z0, d.z1) for d in damage] == [(5, 10)]
    with pytest.raises(C.DecodeError, match="slices 5 to 9"):
        C.loads(without)


def test_a_bool_that_is_neither_is_refused():
    labels = np.array([7], np.uint8)
    as_bool = forged(C.dumps(labels, "none", "none"), dtype="|b1")
    with pytest.raises(C.DecodeError, match="neither true nor false"):
        C.loads(as_bool)


@pytest.mark.parametrize("encoding", C.encodings.installed())
@pytest.mark.parametrize("shape", [(1, 1, 1), (70, 1, 1), (1, 70, 1), (1, 1, 70), (9, 9, 9)])
def test_no_stream_is_too_long_for_a_frame(encoding, shape):
    """The shapes and labels that waste the most bytes a voxel."""
    labels = np.random.default_rng(0).integers(2**63, size=shape, dtype=np.uint64)
    assert np.array_equal(C.loads(C.dumps(labels, encoding, "none")), labels)


def test_a_group_that_claims_too_much_is_refused():
    """Before it is unpacked: 2 KiB of zlib for 2 MiB of zeros."""
    bomb = zlib.compress(bytes(1 << 21))
    data = C.dumps(np.zeros((1, 1, 1), np.uint8), "none", "zlib")
    ((group, _),) = groups_of(data)
    claim = group._replace(group=Group(1 << 21, len(bomb), xxh3_64_intdigest(bomb), 0))
    bad = frame_of(head_of(data).description.to_json(), [(claim, bomb)])
    with pytest.raises(C.DecodeError, match="lengths do not fit"):
        C.loads(bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [65535, 65535, 65535]},
        {"shape": [1 << 40, 1, 1], "depth": 1},
        {"shape": [0, 1 << 60, 1 << 60]},
        {"shape": [-1, 2, 2]},
        {"shape": [2, 2, 2.0]},
        {"shape": [1, 1, 1, 1]},
        {"shape": "222"},
        {"shape": 8},
        {"dtype": "<f8"},
        {"dtype": "O"},
        {"dtype": "no"},
        {"dtype": ["<u2"]},
        {"dtype": None},
        {"dtype": "(2,)u1"},
        {"dtype": "u1,u1"},
        {"dtype": "|u8x"},
        {"encoding": "compresso:window=1e9"},
        {"depth": 0},
        {"shift": 5},
        {"encoding": "rar"},
        {"compression": ["none"]},
        {"more": 1},
        {"metadata": [1]},
        {"metadata": "x"},
    ],
)
def test_forged_descriptions_are_refused(changes):
    with pytest.raises(C.DecodeError):
        C.loads(forged(C.dumps(np.zeros((2, 2, 2), np.uint8), "none", "none"), **changes))


def test_the_limit_can_be_raised():
    data = C.dumps(np.zeros((4, 100, 100), np.uint64), compression="zstd")
    with pytest.raises(C.DecodeError, match="limit of 1000"):
        C.loads(data, limit=1000)
    assert C.loads(data, limit=320_000).size == 40_000


@pytest.mark.parametrize("encoding", ["compresso", "neuroglancer", "png"])
def test_bare_streams_that_claim_too_much_are_refused(encoding):
    claim = np.array([1 << 20, 1 << 20, 1 << 20, 0, 0, 0, 1, 8, 8], "<u8").tobytes()
    with pytest.raises(C.DecodeError, match="claims"):
        C.encodings.parse(encoding).decode(claim)

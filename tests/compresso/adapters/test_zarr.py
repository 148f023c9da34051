"""Chunks of stores, the Zarr codec and the numcodecs codec."""

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
import venv
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

import compresso as C
from compresso import encodings
from compresso.container import chunk
from compresso.container.chunk import ChunkCodec, ChunkFormat
from tests.helpers import peers
from tests.helpers.paths import ROOT
from tests.helpers.stores import own
from tests.helpers.strategies import volumes

ALONE = ROOT / "tests" / "helpers" / "zarr_alone.py"
DTYPES = ["<u4", ">u4", ">i8", "|b1"]
SIGNED = (np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32, np.uint64)


def layout_of(labels, **configuration):
    return ChunkFormat(ChunkCodec(**configuration), labels.shape, labels.dtype)


def part_of(layout, data, first, last):
    """Steps first..last-1, from the head and the bytes that the layout asks for."""
    head = data[: layout.head_bytes]
    start, stop = layout.span(head, first, last)
    return layout.decode_steps(head, data[start:stop], first, last)


@settings(max_examples=25)
@given(volumes(SIGNED, max_side=12), st.none() | st.integers(1, 5), st.data())
def test_chunks_come_back_whole_and_in_parts(labels, depth, data):
    layout = layout_of(labels, compression="zlib", depth=depth)
    chunk = layout.encode(labels)
    again = layout.decode(chunk)
    assert (again.dtype, again.shape) == (labels.dtype, labels.shape)
    assert np.array_equal(again, labels)
    if labels.size:
        first = data.draw(st.integers(0, len(labels) - 1))
        last = data.draw(st.integers(first + 1, len(labels)))
        assert np.array_equal(part_of(layout, chunk, first, last), labels[first:last])


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4, 5), (2, 0, 4, 5), (2, 2, 2, 3, 4)])
@pytest.mark.parametrize("dtype", [bool, np.int64, ">u4"])
def test_chunks_of_any_number_of_axes(shape, dtype):
    labels = np.random.default_rng(0).integers(-2, 2, size=shape).astype(dtype)
    layout = layout_of(labels, depth=1)
    chunk = layout.encode(labels)
    again = layout.decode(chunk)
    assert (again.dtype, again.shape) == (labels.dtype, labels.shape)
    assert np.array_equal(again, labels)
    if labels.size and len(shape) > 3:
        assert np.array_equal(part_of(layout, chunk, 1, 2), labels[1:2])


def test_a_chunk_costs_56_bytes(phantom):
    chunk = layout_of(phantom, encoding="cpso", compression="zstd").encode(phantom)
    assert chunk[:4] == b"CPZ1"
    assert chunk[56:] == C.ZSTD.compress(encodings.parse("cpso").encode(phantom))


def test_damage_is_refused(phantom):
    labels = phantom[:4, :20, :20]
    layout = layout_of(labels, compression="none", depth=2)
    chunk = layout.encode(labels)
    cut = [chunk[:size] for size in range(len(chunk))]
    for wrong in (*cut, *flips(chunk), chunk + b"\0"):
        with pytest.raises(C.DecodeError):
            layout.decode(wrong)


def flips(data):
    """The bytes with one bit of each changed in turn."""
    return [
        data[:at] + bytes([byte ^ 1 << at % 8]) + data[at + 1 :] for at, byte in enumerate(data)
    ]


def test_a_chunk_of_other_metadata_is_refused(phantom):
    labels = phantom[:4, :20, :20]
    chunk = layout_of(labels).encode(labels)
    for other in (
        layout_of(labels, encoding="neuroglancer"),
        layout_of(labels, compression="zlib"),
        layout_of(labels, depth=2),
        layout_of(labels.view(np.int64)),
        layout_of(labels.reshape(4, 10, 40)),
    ):
        with pytest.raises(C.DecodeError):
            other.decode(chunk)


WRONG = [{"encoding": "jpeg"}, {"compression": "zstd:lvl=3"}, {"compression": 3}]
WRONG += [{"depth": 0}, {"depth": True}, {"level": 3}]


@pytest.mark.parametrize("configuration", WRONG, ids=str)
def test_a_wrong_configuration_is_refused(tmp_path, configuration):
    labels = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(C.SpecError):
        own(tmp_path / "a.zarr", labels, configuration)
    with pytest.raises(C.EncodeError, match="integers or bool"):
        own(tmp_path / "a.zarr", labels.astype("f4"))


def test_the_metadata_name_the_codec(tmp_path):
    own(tmp_path, np.zeros((2, 2, 2), np.uint8), {"encoding": "CPSO:index=1", "depth": 1})
    found = json.loads((tmp_path / "zarr.json").read_text())["codecs"]
    wanted = {"encoding": "cpso", "compression": "zstd", "depth": 1}
    assert found == [{"name": "compresso", "configuration": wanted}]


@pytest.mark.parametrize("shards", [None, (16, 64, 64)])
def test_only_the_groups_that_are_asked_for_are_decoded(
    zarr, tmp_path, phantom, shards, monkeypatch
):
    labels = np.ascontiguousarray(phantom[:, :64, :64])
    chunks = (8, 64, 64) if shards else (16, 64, 64)
    codec = {"depth": 2, "compression": "none"}
    array = zarr.open_array(own(tmp_path / "a.zarr", labels, codec, chunks=chunks, shards=shards))
    read, get = [], type(array.store).get

    async def counted(*arguments, **options):
        found = await get(*arguments, **options)
        read.append(0 if found is None else len(found))
        return found

    monkeypatch.setattr(type(array.store), "get", counted)
    decode = Mock(side_effect=chunk.decode_group)
    monkeypatch.setattr(chunk, "decode_group", decode)
    for key, groups in ((5, 1), (np.s_[3:7:2, 10:20], 2), (np.s_[:], 8)):
        decode.reset_mock()
        assert np.array_equal(array[key], labels[key])
        assert decode.call_count == groups
        assert key != 5 or shards or sum(read) < array.nbytes_stored() / 4


def test_numcodecs_by_its_configuration(numcodecs, phantom):
    codec = numcodecs.get_codec({"id": "compresso", "encoding": "cpso", "compression": "lzma"})
    assert codec.get_config() == {"id": "compresso", "encoding": "cpso", "compression": "lzma"}
    assert numcodecs.get_codec(codec.get_config()) == codec
    with pytest.raises(C.SpecError):
        numcodecs.get_codec({"id": "compresso", "encoding": "jpeg"})
    labels = phantom[:3, :20, :20]
    data = codec.encode(labels)
    for wrong in (data[:-1], data[:10], *flips(data)):
        with pytest.raises(C.DecodeError):
            codec.decode(wrong)
    assert bytes(codec.decode(codec.encode(b"some bytes"))) == b"some bytes"
    with pytest.raises(C.EncodeError, match="integers or bool"):
        codec.encode(np.zeros(3))
    with pytest.raises(C.EncodeError, match="masked"):
        codec.encode(np.ma.masked_equal(labels, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", "CF")
def test_numcodecs_into_an_array(zarr, numcodecs, order, dtype):
    """Into an array of the same shape by index, whatever its order; else in the bytes' order."""
    labels = np.arange(60).reshape(3, 4, 5, order=order).astype(dtype, order="K")
    codec = numcodecs.get_codec({"id": "compresso", "encoding": "cpso"})
    data = codec.encode(labels)
    again = codec.decode(data)
    assert (again.shape, again.dtype) == (labels.shape, labels.dtype)
    assert again.flags.f_contiguous == labels.flags.f_contiguous
    assert np.array_equal(again, labels)
    for out_order in "CF":
        out = np.zeros((3, 4, 5), dtype, order=out_order)
        assert codec.decode(data, out) is out
        assert np.array_equal(out, labels)
    plain = np.zeros(labels.nbytes, np.uint8)
    codec.decode(data, plain)
    assert np.array_equal(plain.view(dtype), labels.ravel(order="K"))
    options = {"chunks": (2, 3, 4), "order": order, "zarr_format": 2, "compressors": codec}
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, data=labels, **options)
    assert np.array_equal(zarr.open_array(store)[:], labels)


def run_alone(python, folder, *names, **environment):
    folder.mkdir()
    command = [python, "-W", "error::UserWarning", ALONE, folder, *names]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok\n"


def test_zarr_finds_the_codec_by_itself(tmp_path):
    """Threads, spawned processes, dtypes, parts, damage; then packages that read Zarr."""
    names = "xarray", "dask"
    for name in ("zarr", *names):
        pytest.importorskip(name)
    info = tmp_path / "site" / "compresso-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: compresso\nVersion: 0\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {where}" for name, where in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = os.pathsep.join([str(info.parent), str(ROOT)])
    run_alone(sys.executable, tmp_path / "work", *names, PYTHONPATH=path)


@pytest.mark.slow
def test_in_a_fresh_environment(tmp_path):
    """Zarr alone with our package, then with xarray and dask."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    peers.install(python, f"{ROOT}[zarr]")
    run_alone(python, tmp_path / "alone", PYTHONPATH="")
    peers.install(python, "xarray>=2025.1", "dask[array]>=2025.1")
    run_alone(python, tmp_path / "with", "xarray", "dask", PYTHONPATH="")


def test_the_specification_names_what_there_is(zarr, tmp_path):
    text = (ROOT / "docs" / "zarr-codec.md").read_text()
    example, schema, by_id = (
        json.loads(part.partition("```")[0]) for part in text.split("```json")[1:]
    )
    from compresso.adapters.numcodecs import CompressoCodec as ById
    from compresso.adapters.zarr import CompressoCodec

    assert CompressoCodec.from_dict(example).to_dict() == example
    fields = {field.name for field in dataclasses.fields(CompressoCodec)}
    assert set(schema["properties"]["configuration"]["properties"]) == fields
    assert schema["properties"]["name"]["const"] == example["name"]
    assert ById.from_config({k: v for k, v in by_id.items() if k != "id"}).get_config() == by_id
    described = next(line.strip() for line in text.splitlines() if line.startswith('    {"enc'))
    layout = ChunkFormat(ChunkCodec("compresso", "zstd"), (64, 64, 64), np.dtype("<u8"))
    assert layout._key == xxh3_64_intdigest(described.encode())

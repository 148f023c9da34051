"""Zarr arrays that this package's own codec has encoded, as stores."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

import compresso as C
from compresso import files, volumes
from compresso.errors import FileError
from tests.helpers import stores as depots
from tests.helpers.stores import place, refusal, same, scales, zarr_group

DTYPES = ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


SHARDING = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "compresso"}]}}


def own(zarr, path, volume, chunks=(8, 16, 16), shards=None, codec=None, **options):
    codec = {"name": "compresso", "configuration": codec or {"encoding": "cpso"}}
    zarr.create_array(
        str(path), data=volume, chunks=chunks, shards=shards, serializer=codec, compressors=None,
        **options,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shards", [None, (8, 32, 48)])
def test_arrays(zarr, tmp_path, dtype, shards):
    volume = depots.labels(dtype=dtype)
    folder = own(zarr, tmp_path / "seg", volume, shards=shards, codec={"encoding": "cpso"})
    same(folder, volume)
    same(f"{folder}:box=12-20x21-29x3-20", volume[3:20, 21:29, 12:20])


@pytest.mark.parametrize(
    "codec",
    [
        {"encoding": "neuroglancer", "compression": "lzma:preset=1"},
        {"encoding": "none", "depth": 3},
    ],
)
def test_codecs(zarr, tmp_path, codec):
    volume = depots.labels(dtype="u4")
    same(own(zarr, tmp_path / "seg", volume, codec=codec), volume)


@pytest.mark.parametrize("separator", "/.")
@pytest.mark.parametrize("encoding", ["default", "v2"])
@pytest.mark.parametrize("shards", [None, (8, 32, 48)])
def test_keys_and_holes(zarr, tmp_path, encoding, separator, shards):
    volume = depots.labels(dtype="u4")
    volume[8:] = 7
    folder = tmp_path / "seg"
    own(
        zarr, folder, volume, shards=shards, fill_value=7,
        chunk_key_encoding={"name": encoding, "separator": separator},
    )  # fmt: skip
    assert len(depots.chunks(folder)) == (9 if shards is None else 2)
    same(folder, volume)


@pytest.mark.parametrize("shards", [None, (8, 32, 48)])
def test_strict_names_an_absent_chunk(zarr, tmp_path, shards):
    folder = own(zarr, tmp_path / "seg", depots.labels(), shards=shards)
    (folder / "c" / "1" / "0" / "0").unlink()
    volume = volumes.open_store(str(folder)).__enter__()
    box = tuple((0, n) for n in volume.shape)
    volume.read_box(box)
    with pytest.raises(FileError, match="c/1/0/0 is missing"):
        volumes.open_store(str(folder), strict=True).__enter__().read_box(box)


def test_misplaced_chunks_are_refused(zarr, tmp_path):
    folder = own(zarr, tmp_path / "seg", depots.labels())
    (folder / "c" / "1" / "0" / "0").rename(folder / "c.1.0.0")
    assert "c.1.0.0" in refusal(folder)


def test_servers_and_frames(zarr, tmp_path):
    volume = depots.labels(dtype="u4")
    own(zarr, tmp_path / "a", volume, shards=(16, 32, 48))
    with depots.serving(tmp_path) as address:
        same(f"{address}/a|zarr3:", volume)
    target = tmp_path / "a.cps"
    files.compress_file(str(tmp_path / "a"), target, "cpso", "zstd", 1 << 20)
    assert np.array_equal(C.loads(target.read_bytes()), volume)


def test_names_units_and_images(zarr, tmp_path):
    volume = depots.labels(dtype="u4")
    units = {"dimension_units": ["4 nm", "5 nm", "40 nm"]}
    folder = own(
        zarr, tmp_path / "xyz", volume.T, dimension_names=["x", "y", "z"], attributes=units
    )
    same(folder, volume)
    assert place(folder).spacing == (40, 5, 4)
    image = scales("zyx", ["nanometer"] * 3, [[40, 4, 4], [40, 8, 8]], [0, 2, 2])
    zarr_group(tmp_path / "ome").attrs["ome"] = {"version": "0.5", "multiscales": image}
    own(zarr, tmp_path / "ome" / "s" / "0", volume)
    own(zarr, tmp_path / "ome" / "s" / "1", volume[:, ::2, ::2])
    same(f"{tmp_path / 'ome'}:mip=1", volume[:, ::2, ::2])
    assert place(f"{tmp_path / 'ome'}:mip=1").origin == (2, 2, 0)


@pytest.mark.parametrize("shards", [None, (8, 32, 48)])
def test_damage_is_told(zarr, tmp_path, shards):
    folder = own(zarr, tmp_path / "seg", depots.labels(), shards=shards)
    chunk = next(path for path in depots.chunks(folder) if "/c/1/" in str(path))
    data = bytearray(chunk.read_bytes())
    for at in (60, len(data) - 30 if shards else len(data) - 1):
        damaged = data.copy()
        damaged[at] ^= 1
        chunk.write_bytes(damaged)
        assert "slices 8 to 15: damaged" in refusal(folder)
    chunk.write_bytes(data[:-1])
    assert "slices 8 to 15: damaged" in refusal(folder)


@pytest.mark.parametrize("depth", [None, 4])
def test_zarr_names_a_damaged_chunk(zarr, tmp_path, depth):
    codec = {"encoding": "cpso"} | ({"depth": depth} if depth else {})
    folder = own(zarr, tmp_path / "seg", depots.labels(), codec=codec)
    chunk = folder / "c" / "1" / "0" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    array = zarr.open_array(str(folder), mode="r")
    for part in (slice(None), slice(14, 15)):
        with pytest.raises(C.DecodeError, match=r"^c/1/0/2: "):
            array[part]


@pytest.mark.parametrize("configuration", [{"encoding": "x"}, {"deep": 1}, {"depth": 0}, 5])
def test_absurd_configurations(zarr, tmp_path, configuration):
    folder = own(zarr, tmp_path / "seg", depots.labels())
    head = json.loads((folder / "zarr.json").read_text())
    head["codecs"][0]["configuration"] = configuration
    (folder / "zarr.json").write_text(json.dumps(head))
    refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [1 << 40] * 2},
        {"chunk_key_encoding": 5},
        {"chunk_grid": {}},
        {"data_type": "float32"},
        {
            "codecs": [
                {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "compresso"}]}}
            ]
        },
    ],
)
def test_absurd_claims(zarr, tmp_path, change):
    folder = own(zarr, tmp_path / "seg", depots.labels())
    head = json.loads((folder / "zarr.json").read_text())
    (folder / "zarr.json").write_text(json.dumps(head | change))
    refusal(folder)


def test_codecs_before_it_and_version_2(zarr, numcodecs, tmp_path):
    volume = depots.labels(dtype="u4")
    turned = [zarr.codecs.TransposeCodec(order=(2, 1, 0))]
    same(own(zarr, tmp_path / "turned", volume, filters=turned), volume)
    codec = numcodecs.get_codec({"id": "compresso"})
    same(depots.zarr_array(tmp_path / "two", volume, zarr_format=2, compressors=codec), volume)

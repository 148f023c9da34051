"""Chunks of precomputed volumes that TensorStore does not read: packed ones, and compresso's."""

import bz2
import gzip
import json
import lzma

import brotli
import h5py
import numpy as np
import pytest
import zstandard

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

import compresso as C
from compresso import encodings, files, volumes
from compresso.errors import FileError
from tests.helpers import stores as depots
from tests.helpers.paths import shared
from tests.helpers.stores import place, refusal, same

STEP = (8, 16, 16)
PACK = {
    ".gz": gzip.compress,
    ".br": brotli.compress,
    ".zstd": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


def packed(folder, volume, *suffixes, encoding="raw"):
    """As CloudVolume writes a volume to a local folder; the suffixes take turns."""
    depots.precomputed(folder, volume, encoding, (10, 20, 30))
    for number, chunk in enumerate(depots.chunks(folder)):
        if suffix := suffixes[number % len(suffixes)]:
            chunk.with_name(chunk.name + suffix).write_bytes(PACK[suffix](chunk.read_bytes()))
            chunk.unlink()
    return folder


def change(folder, **said):
    """Change what the info says of the first scale; None removes it."""
    head = json.loads((folder / "info").read_text())
    scale = head["scales"][0] | said
    head["scales"][0] = {name: value for name, value in scale.items() if value is not None}
    (folder / "info").write_text(json.dumps(head))
    return folder


@pytest.mark.parametrize("dtype", ["u4", "u8"])
@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("suffix", PACK)
def test_packed_chunks(tmp_path, suffix, encoding, dtype):
    volume = depots.labels(dtype=dtype)
    folder = packed(tmp_path / "seg", volume, suffix, encoding=encoding)
    same(folder, volume)
    same(f"{folder}:box=12-20x21-29x33-50", volume[3:20, 1:9, 2:10])
    assert place(folder).origin == (40, 80, 1200)


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("suffixes", [("", ".gz"), (".gz", ""), (".gz", ".br"), ("", *PACK)])
def test_each_chunk_has_a_suffix_of_its_own(tmp_path, suffixes, encoding):
    volume = depots.labels(dtype="u4")
    folder = packed(tmp_path / "seg", volume, *suffixes, encoding=encoding)
    for text in (folder, f"file://{folder}/|neuroglancer-precomputed:"):
        same(text, volume)
    change(folder, sharding=None, compressed_segmentation_block_size=None)
    same(folder, volume)


def test_of_two_files_of_a_chunk_cloudvolumes_first_is_read(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = packed(tmp_path / "seg", volume, "", ".gz", ".br")
    stale = bytes(8 * 16 * 16 * 4)
    order = ["", *PACK]
    for chunk in depots.chunks(folder):
        plain, suffix = (chunk.with_suffix(""), chunk.suffix) if chunk.suffix else (chunk, "")
        for later in order[order.index(suffix) + 1 :]:
            plain.with_name(plain.name + later).write_bytes(PACK[later](stale))
    same(folder, volume)


def test_other_files_of_a_scale_are_not_chunks(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "seg", volume)
    (folder / "4_4_40" / "notes.gz").write_bytes(gzip.compress(b"mine"))
    same(folder, volume)


def test_packed_chunks_on_a_server(tmp_path):
    volume = depots.labels(dtype="u4")
    packed(tmp_path / "seg", volume, ".gz")
    with depots.serving(tmp_path) as address:
        same(f"precomputed://{address}/seg", volume)


@pytest.mark.parametrize(
    "said",
    [
        {"voxel_offset": [0, 0, 0]},
        {"chunk_sizes": [[9, 9, 9]]},
        {"sharding": depots.SHARDS},
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_info_that_leads_to_no_chunk_is_refused(tmp_path, suffix, said):
    folder = packed(tmp_path / "seg", depots.labels(), suffix)
    refusal(change(folder, **said))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_chunks_whose_names_go_beyond_the_volume_are_refused(tmp_path, suffix):
    """Others would be read, and those at the edges as zeros."""
    volume = depots.labels(dtype="u4")
    folder = packed(tmp_path / "seg", volume, suffix)
    (edge,) = (folder / "4_4_40").glob(f"42-51_20-36_30-38{suffix}")
    beyond = edge.rename(edge.with_name(f"42-58_20-36_30-38{suffix}"))
    assert beyond.name in refusal(folder)
    edge.write_bytes(beyond.read_bytes())
    same(folder, volume)
    (edge.parent / "99-115_20-36_30-38").touch()
    same(folder, volume)


def test_other_sizes_of_chunks_next_to_the_first(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "seg", volume)
    change(folder, chunk_sizes=[[16, 16, 8], [64, 64, 1]])
    (folder / "4_4_40" / "0-41_0-33_3-4").touch()
    same(folder, volume)
    for chunk in depots.chunks(folder):
        if chunk.name != "0-41_0-33_3-4":
            chunk.unlink()
    refusal(folder)


def test_packed_shards_are_refused(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", depots.labels(), sharding=depots.SHARDS)
    for shard in depots.chunks(folder):
        shard.rename(shard.with_name(f"{shard.name}.gz"))
    assert "in .gz shards" in refusal(folder)


def test_what_lies_next_to_the_labels_is_named(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", depots.labels(dtype="u4"))
    info = json.loads((folder / "info").read_text())
    said = {"mesh": "mesh", "segment_properties": "names"}
    (folder / "info").write_text(json.dumps(info | said))
    lines = []
    files.compress_file(str(folder), tmp_path / "seg.cps", report=lines.append)
    assert len(lines) == 1
    assert all(name in lines[0] for name in said)


def test_shards_that_the_info_does_not_name_are_refused(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", depots.labels(), sharding=depots.SHARDS)
    refusal(change(folder, sharding=None))


def test_scales_of_encodings_that_are_not_read_do_not_matter(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "seg", volume, mips=2)
    change(folder, encoding="crackle")
    same(f"{folder}:mip=1", volume[:, ::2, ::2])
    assert place(f"{folder}:mip=1").spacing == (40, 8, 8)
    refusal(folder)


@pytest.mark.parametrize("packing", ["", ".gz", "shards"])
def test_blocks_are_8x8x8_if_the_info_does_not_say(tmp_path, packing):
    volume = depots.labels()
    if packing == "shards":
        folder = depots.precomputed(
            tmp_path / "seg", volume, "compressed_segmentation", sharding=depots.SHARDS
        )
    else:
        folder = packed(tmp_path / "seg", volume, packing, encoding="compressed_segmentation")
    same(change(folder, compressed_segmentation_block_size=None), volume)


@pytest.mark.parametrize("kind", ["gz", "compresso", "shards"])
def test_strict_names_an_absent_chunk(tmp_path, kind):
    make = {"gz": lambda *words: packed(*words, ".gz", ""), "compresso": depots.in_compresso}
    folder = make.get(kind, in_shards)(tmp_path / "seg", depots.labels())
    chunk = depots.chunks(folder)[0]
    chunk.unlink()
    volume = volumes.open_store(str(folder)).__enter__()
    box = tuple((0, n) for n in volume.shape)
    volume.read_box(box)
    with pytest.raises(FileError, match=r"4_4_40/[\d_-]+ is missing"):
        volumes.open_store(str(folder), strict=True).__enter__().read_box(box)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
def test_compresso(tmp_path, dtype):
    volume = depots.labels(dtype=dtype)
    folder = depots.in_compresso(tmp_path / "seg", volume)
    same(folder, volume)
    same(f"precomputed://{folder}:box=12-20x21-29x33-50", volume[3:20, 1:9, 2:10])
    with depots.serving(tmp_path) as address:
        same(f"precomputed://{address}/seg", volume)


def in_shards(folder, volume, offset=(10, 20, 30)):
    """The same in shards, each stream under the key that TensorStore has for its raw chunk."""
    depots.precomputed(folder, volume, offset=offset, sharding=depots.SHARDS)
    base = {"driver": "file", "path": f"{folder}/4_4_40/"}
    spec = {"driver": "neuroglancer_uint64_sharded", "metadata": depots.SHARDS, "base": base}
    shards = depots.ts.KvStore.open(spec).result()
    streams = {}
    for z, y, x in np.ndindex(*[-(-n // step) for n, step in zip(volume.shape, STEP, strict=True)]):
        chunk = volume[8 * z : 8 * z + 8, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16]
        streams[chunk.tobytes()] = encodings.parse("cpso").encode(np.ascontiguousarray(chunk))
    keys = shards.list().result()
    assert len(keys) == len(streams)
    found = {key: shards.read(key).result().value for key in keys}
    for key, raw in found.items():
        shards.write(key, streams[raw]).result()
    head = json.loads((folder / "info").read_text())
    head["scales"][0]["encoding"] = "compresso"
    (folder / "info").write_text(json.dumps(head))
    return folder


@pytest.mark.parametrize("shape", [(20, 33, 41), (70, 17, 33), (9, 100, 1), (8, 16, 16)])
def test_compresso_in_shards(tmp_path, shape):
    labels = np.random.default_rng(3).integers(2**64 - 99, 2**64 - 1, shape, np.uint64)
    folder = in_shards(tmp_path / "seg", labels)
    same(folder, labels)
    same(f"{folder}:box=10-11x21-36x31-38", labels[1:8, 1:16, :1])
    with depots.serving(tmp_path) as address:
        same(f"precomputed://{address}/seg", labels)


@pytest.mark.parametrize(
    "sharding",
    [{"@type": "x"}, 5, depots.SHARDS | {"hash": "md5"}, depots.SHARDS | {"shard_bits": 99}],
)
def test_absurd_shards(tmp_path, sharding):
    folder = depots.info(tmp_path / "seg", encoding="compresso", sharding=sharding)
    assert "damaged, or not of a kind" in refusal(folder)


def test_damaged_shards(tmp_path):
    folder = in_shards(tmp_path / "seg", depots.labels())
    for shard in (folder / "4_4_40").glob("*.shard"):
        data = bytearray(shard.read_bytes())
        data[64:80] = b"\xff" * 16
        shard.write_bytes(data)
    assert "slices" in refusal(folder)


def test_missing_chunks_are_zeros(tmp_path):
    volume = depots.labels()
    folder = packed(tmp_path / "seg", volume, ".gz")
    (folder / "4_4_40" / "10-26_36-52_38-46.gz").unlink()
    volume[8:16, 16:32, :16] = 0
    same(folder, volume)


@pytest.mark.parametrize("damage", ["cut", "empty", "longer"])
@pytest.mark.parametrize("kind", ["gz", "compresso"])
def test_damaged_chunks(tmp_path, kind, damage):
    volume = depots.labels()
    folder = tmp_path / "seg"
    if kind == "compresso":
        depots.in_compresso(folder, volume)
    else:
        packed(folder, volume, ".gz")
    chunk = next(path for path in depots.chunks(folder) if "_38-46" in path.name)
    data = chunk.read_bytes()
    chunk.write_bytes({"cut": data[:-1], "empty": b"", "longer": data + b"x"}[damage])
    line = refusal(folder)
    assert "slices 8 to 15: damaged" in line
    assert chunk.name in line


def test_a_packed_chunk_takes_no_more_than_its_labels(tmp_path):
    folder = packed(tmp_path / "seg", depots.labels(), ".gz")
    depots.chunks(folder)[0].write_bytes(gzip.compress(bytes(1 << 26)))
    assert "holds more than the" in refusal(folder)


@pytest.mark.parametrize(
    "scale",
    [
        {"size": [1 << 40] * 3},
        {"size": [-1, 5, 5]},
        {"size": None},
        {"chunk_sizes": []},
        {"chunk_sizes": [[0] * 3]},
        {"resolution": [1]},
    ],
)
def test_absurd_claims(tmp_path, scale):
    refusal(depots.info(tmp_path / "seg", encoding="compresso", **scale))


@pytest.mark.parametrize("encoding", ["compressed_segmentation", "compresso"])
def test_pinky40_from_a_precomputed_volume(tmp_path, encoding):
    with h5py.File(shared("data/pinky40-z000-255.h5")) as file:
        volume = file["main"][:40]
    folder = tmp_path / "seg"
    if encoding == "compresso":
        depots.in_compresso(folder, volume, chunk_size=[128, 128, 16])
    else:
        depots.precomputed(folder, volume, encoding, chunk_size=[128, 128, 16])
    target = tmp_path / "seg.cps"
    files.compress_file(f"precomputed://{folder}", target, "compresso", "zstd")
    found = C.loads(target.read_bytes())
    assert found.dtype == volume.dtype
    np.testing.assert_array_equal(found, volume)

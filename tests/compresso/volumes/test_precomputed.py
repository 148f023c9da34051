"""Precomputed volumes: chunks that TensorStore does not read, and names of chunks."""

import gzip
import json

import numpy as np
import pytest

from compresso import volumes
from tests.helpers import stores as depots
from tests.helpers.stores import place, refusal, same

OFFSET, VOLUME = (10, 20, 30), depots.labels(dtype="u4")


TURNS = [*((suffix,) for suffix in depots.PACK), ("", ".gz"), (".gz", ".br"), ("", *depots.PACK)]


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("suffixes", TURNS)
def test_packed_chunks(tmp_path, suffixes, encoding):
    """Each chunk has a suffix of its own."""
    folder = depots.packed(tmp_path / "seg", VOLUME, *suffixes, encoding=encoding, offset=OFFSET)
    for text in (folder, f"file://{folder}/|neuroglancer-precomputed:"):
        same(text, VOLUME)
    same(f"{folder}:box=12-20x21-29x33-50", VOLUME[3:20, 1:9, 2:10])
    assert place(folder).origin == (40, 80, 1200)


@pytest.mark.parametrize("shape", [(20, 33, 41), (70, 17, 33), (9, 100, 1), (8, 16, 16)])
def test_compresso_in_shards(tmp_path, shape):
    labels = np.random.default_rng(3).integers(2**64 - 99, 2**64 - 1, shape, np.uint64)
    folder = depots.in_shards(tmp_path / "seg", labels, OFFSET)
    same(folder, labels)
    same(f"{folder}:box=10-11x21-36x31-38", labels[1:8, 1:16, :1])


def test_of_two_files_of_a_chunk_cloudvolumes_first_is_read(tmp_path):
    order = ["", *depots.PACK]
    folder = depots.packed(tmp_path / "seg", VOLUME, *order[:3])
    for chunk in depots.chunks(folder):
        for later in order[order.index(chunk.suffix) + 1 :]:
            stale = depots.PACK[later](bytes(8 * 16 * 16 * 4))
            chunk.with_name(chunk.name.removesuffix(chunk.suffix) + later).write_bytes(stale)
    same(folder, VOLUME)


@pytest.mark.parametrize(
    "said", [{"voxel_offset": [0] * 3}, {"chunk_sizes": [[9] * 3]}, {"sharding": depots.SHARDS}]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_info_that_leads_to_no_chunk_is_refused(tmp_path, suffix, said):
    folder = depots.packed(tmp_path / "seg", depots.labels(), suffix, offset=OFFSET)
    refusal(depots.change(folder, **said))


def test_shards_that_cannot_be_read_are_refused(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", depots.labels(), sharding=depots.SHARDS)
    head = (folder / "info").read_text()
    refusal(depots.change(folder, sharding=None))
    (folder / "info").write_text(head)
    for shard in depots.chunks(folder):
        shard.rename(shard.with_name(f"{shard.name}.gz"))
    assert "in .gz shards" in refusal(folder)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_chunks_whose_names_go_beyond_the_volume_are_refused(tmp_path, suffix):
    """Others would be read, and those at the edges as zeros."""
    folder = depots.packed(tmp_path / "seg", VOLUME, suffix, offset=OFFSET)
    (edge,) = (folder / "4_4_40").glob(f"42-51_20-36_30-38{suffix}")
    beyond = edge.rename(edge.with_name(f"42-58_20-36_30-38{suffix}"))
    assert beyond.name in refusal(folder)
    edge.write_bytes(beyond.read_bytes())
    same(folder, VOLUME)
    (edge.parent / "99-115_20-36_30-38").touch()
    same(folder, VOLUME)


def test_other_files_are_not_chunks_and_other_parts_are_named(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", VOLUME)
    (folder / "4_4_40" / "notes.gz").write_bytes(gzip.compress(b"mine"))
    more = {"mesh": "mesh", "segment_properties": "names"}
    (folder / "info").write_text(json.dumps(json.loads((folder / "info").read_text()) | more))
    same(folder, VOLUME)
    with volumes.open(str(folder)) as reader:
        assert set(reader.lost) == set(more)


def test_scales_with_unknown_encodings_do_not_matter(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", VOLUME, mips=2)
    depots.change(folder, encoding="crackle")
    same(f"{folder}:mip=1", VOLUME[:, ::2, ::2])
    assert place(f"{folder}:mip=1").spacing == (40, 8, 8)
    assert "crackle" in refusal(folder)
    depots.change(folder, encoding="raw")
    for chunk in depots.chunks(folder):
        chunk.rename(chunk.with_name(f"{chunk.name}.zst"))
    assert "raw in .zst files" in refusal(folder)


def test_a_packed_chunk_takes_no_more_than_its_labels(tmp_path):
    folder = depots.packed(tmp_path / "seg", depots.labels(), ".gz")
    depots.chunks(folder)[0].write_bytes(gzip.compress(bytes(1 << 26)))
    assert "holds more than" in refusal(folder)


@pytest.mark.parametrize("encoding", ["raw", "compresso"])
@pytest.mark.parametrize(
    "scale",
    [
        {"size": [1 << 40] * 3},
        {"size": [1 << 18, 1 << 18, 10]},
        {"size": [-1, 5, 5]},
        {"size": None},
        {"size": [1 << 18] * 3, "chunk_sizes": [[1 << 18] * 3]},
        {"chunk_sizes": []},
        {"chunk_sizes": [[0] * 3]},
        {"resolution": [1]},
        {"voxel_offset": [1 << 62] * 3},
        {"sharding": {"@type": "x"}},
        {"sharding": depots.SHARDS | {"hash": "md5"}},
        {"sharding": depots.SHARDS | {"shard_bits": 99}},
    ],
)
def test_absurd_claims(tmp_path, encoding, scale):
    refusal(depots.info(tmp_path / "seg", encoding=encoding, **scale))

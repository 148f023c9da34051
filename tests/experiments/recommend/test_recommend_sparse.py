"""Volumes of which most is one label: where chunks are drawn, and what is said of the ratio."""

import dataclasses
import json
import math

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso import compressors, encodings, volumes
from compresso.volumes.volume import of_array, shape_of
from experiments import recommend
from experiments.commands import main
from experiments.measure import Method
from experiments.recommend.estimate import estimate, size
from experiments.recommend.places import Places
from experiments.recommend.sample import Plan, draw
from experiments.recommend.standing import Rest, Standing
from tests.helpers import stores as depots

SHAPE, CHUNK = (32, 384, 384), (8, 64, 64)
BLOCK = (slice(10, 22), slice(100, 228), slice(200, 328))
PLAN = Plan((8, 64, 64), 16, 0)


def cell(encoding, compression):
    return Method(encodings.parse(encoding), compressors.parse(compression))


CELLS = [cell("cpso", "none"), cell("cpso", "zstd"), cell("compresso", "zstd")]


def quiet(text):
    pass


@pytest.fixture(scope="module")
def labels():
    """Cells around random points in one block; all else is 0."""
    volume = np.zeros(SHAPE, np.uint32)
    block = volume[BLOCK]
    voxels = np.moveaxis(np.indices(block.shape), 0, -1) * (4, 1, 1)
    points = np.random.default_rng(0).random((60, 3)) * block.shape * (4, 1, 1)
    far = np.stack([((voxels - point) ** 2).sum(-1) for point in points])
    block[...] = far.argmin(0) + 1
    return volume


@pytest.fixture(scope="module")
def truth(labels):
    return {one: size(one, labels) for one in CELLS}


def dense(path, labels, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=labels, **options)


def only_the_block(path, labels):
    with h5py.File(path, "w") as file:
        made = file.create_dataset("main", SHAPE, "u4", chunks=CHUNK, compression="gzip")
        made[BLOCK] = labels[BLOCK]


def make(kind, folder, labels, zarr):
    """A source of the labels, and how its chunks are known."""
    path = folder / f"a.{kind.partition('-')[0]}"
    if kind == "h5":
        only_the_block(path, labels)
    elif kind == "h5-dense":
        dense(path, labels, chunks=CHUNK, compression="gzip")
    elif kind == "h5-unpacked":
        dense(path, labels, chunks=CHUNK)
    elif kind == "h5-one-piece":
        dense(path, labels)
    elif kind == "npy":
        made = np.lib.format.open_memmap(path, "w+", np.uint32, SHAPE)
        made[BLOCK] = labels[BLOCK]
    elif kind == "precomputed":
        depots.precomputed(path, labels, chunk_size=CHUNK[::-1])
        for chunk in depots.chunks(path):
            if not any(chunk.read_bytes()):
                chunk.unlink()
    else:
        array = zarr.create_array(
            str(path), shape=SHAPE, chunks=CHUNK, dtype="u4", zarr_format=int(kind[-1])
        )
        array[BLOCK] = labels[BLOCK]
    return path


#: The share of chunks that have voxels of the block, by how many of them along each axis do.
STORED = 2 * 3 * 3 / (4 * 6 * 6)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("h5", True),
        ("h5-dense", True),
        ("h5-unpacked", False),
        ("h5-one-piece", False),
        ("npy", False),
        ("zarr-2", True),
        ("zarr-3", True),
        ("precomputed", True),
    ],
)
def test_the_interval_holds_if_most_of_a_volume_is_blank(
    tmp_path, zarr, labels, truth, kind, known
):  # fmt: skip
    with volumes.open(str(make(kind, tmp_path, labels, zarr)), 1 << 30) as volume:
        samples = [draw(volume, dataclasses.replace(PLAN, seed=seed), quiet) for seed in range(3)]
    held = []
    for sample in samples:
        content = sample.content
        assert (content.share == content.low == content.high == STORED) == known
        assert all(fetched.any() for _, fetched in sample.boxes)
        for one in CELLS:
            found = estimate(one, sample)
            assert found.expected == pytest.approx(truth[one], rel=0.4)
            held.append(found.low < truth[one] < found.high)
    assert sum(held) >= 7


def test_missing_chunks_are_not_read(tmp_path, labels):
    only_the_block(tmp_path / "a.h5", labels)
    with volumes.open(str(tmp_path / "a.h5"), 1 << 30) as volume:
        read = []
        spying = dataclasses.replace(
            volume, fetch_box=lambda box: read.append(box) or volume.read_box(box)
        )
        draw(spying, PLAN, quiet)
    missing = [box for box in read if box[0][1] <= 8 or box[0][0] >= 24]
    assert [shape_of(box) for box in missing] == [(1, 1, 1)]  # for the label of missing chunks


def test_a_place_that_ends_inside_a_chunk_counts():
    places = Places((10, 10, 10), (4, 4, 4))
    marked = np.zeros(places.across, bool)
    marked[places.touching(((7, 8), (0, 4), (3, 5)))] = True
    expected = [
        z[0] < 8 and z[1] > 7 and y[0] < 4 and x[0] < 5
        for z, y, x in (places[number] for number in range(len(places)))
    ]
    assert marked.ravel().tolist() == expected


def test_rare_slices_are_counted_as_often_as_they_are():
    """Only the last slice has labels: each look meets it once in 64 times, or not at all."""
    labels = np.zeros((64, 128, 128), np.uint16)
    labels[-1] = np.random.default_rng(0).integers(9, size=(128, 128))
    one = cell("none", "zlib")
    exact = size(one, labels)
    sizes, held, blind = [], 0, 0
    for seed in range(30):
        sample = draw(of_array(labels), Plan((8, 32, 32), 8, seed), quiet)
        found = estimate(one, sample)
        sizes.append(found.expected)
        blind += math.isnan(found.low)
        held += found.low <= exact <= found.high
    assert np.mean(sizes) == pytest.approx(exact, rel=0.5)
    assert blind < 15
    assert held + blind >= 28


@pytest.mark.parametrize("label", [0, 7])
def test_a_ratio_without_several_labels_has_no_interval(label):
    volume = of_array(np.full((64, 128, 128), label, np.uint8))
    sample = draw(volume, Plan((8, 32, 32), 8, 0), quiet)
    assert sample.content.share == 0
    assert sample.content.label == label
    assert "128 places" in sample.unknown
    found = estimate(cell("none", "zlib"), sample)
    exact = size(cell("none", "zlib"), volume.read_box(volume.box))
    assert exact / 2 < found.expected < 2 * exact
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_boxes_of_a_volume_that_is_measured_whole_have_several_labels():
    labels = np.zeros((70, 200, 200), np.int16)
    labels[-1, 100:, 100:] = -np.arange(10000).reshape(100, 100)
    sample = draw(of_array(labels), Plan((8, 64, 64), 0, 0), quiet)
    assert sample.whole
    assert sample.boxes
    assert all(fetched.any() for _, fetched in sample.boxes)


def test_nothing_is_stored(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("main", SHAPE, "u4", chunks=CHUNK, fillvalue=3)
    with volumes.open(str(tmp_path / "a.h5"), 1 << 30) as volume:
        sample = draw(volume, PLAN, quiet)
    assert (sample.content.share, sample.content.label) == (0, 3)
    assert "no chunk is stored" in sample.unknown


def test_chunks_of_one_size_say_nothing_of_their_labels(tmp_path):
    """Chunks as small as the smallest one may have several labels: some are read to see that."""
    labels = np.random.default_rng(0).integers(9, size=(32, 128, 128)).astype(np.uint8)
    labels[:, :, :64] = np.tile(np.arange(2, dtype=np.uint8), 32)
    dense(tmp_path / "a.h5", labels, chunks=(8, 32, 32), compression="gzip")
    with volumes.open(str(tmp_path / "a.h5"), 1 << 30) as volume:
        sample = draw(volume, Plan((8, 32, 32), 16, 0), quiet)
    assert sum(chunk.max() == 1 for chunk in sample.chunks) == pytest.approx(8, abs=1)


def row(voxels, size, seconds):
    sizes = {"raw_bytes": 8 * voxels, "native_bytes": voxels, "compressed_bytes": size}
    stages = {"encode_s": 0.0, "compress_s": seconds, "decompress_s": seconds, "decode_s": 0.0}
    return {"status": "ok", **sizes, **stages}


def test_ratios_and_speeds_are_of_both_parts():
    content, rest = row(1000, 80, 1e-3), row(10**6, 9, 1e-4)
    one = Standing(CELLS[0], [content] * 3, Rest(0.99, 0.001, [rest] * 3))
    assert one.ratio == pytest.approx(8 / (0.01 * 0.08 + 0.99 * 0.001))
    assert one.native_ratio == pytest.approx(one.ratio / 8)
    assert one.compress_s.median == pytest.approx(0.01 * 1e-6 + 0.99 * 1e-10)
    failed = Rest(0.99, math.nan, [rest | {"status": "error: no"}])
    assert Standing(CELLS[0], [content], failed).failure == "error: no"


def test_the_answer_is_of_the_whole_volume(tmp_path, labels, truth, monkeypatch):
    monkeypatch.setattr(recommend, "sensible", lambda: CELLS)
    only_the_block(tmp_path / "a.h5", labels)
    words = ["recommend", tmp_path / "a.h5", "--chunk", "64x64x8", "--sample", 0.1, "--no-plot"]
    words = [*map(str, words), "--output", str(tmp_path / "r.csv")]
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)["archive"]
    smallest = min(truth, key=truth.get)
    assert f"{answer['encoding']} {answer['compression']}" == str(smallest)
    assert answer["bytes_low"] < truth[smallest] < answer["bytes_high"]
    ratio = labels.nbytes / truth[smallest]
    assert answer["native_low"] < ratio < answer["native_high"]
    assert "of the volume that may have several labels" in result.stderr


def test_an_answer_without_interval_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(recommend, "sensible", lambda: CELLS)
    np.save(tmp_path / "a.npy", np.zeros((64, 128, 128), np.uint8))
    words = ["recommend", tmp_path / "a.npy", "--chunk", "32x32x8", "--sample", 0.1, "--no-plot"]
    words = [*map(str, words), "--output", str(tmp_path / "r.csv")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "no interval" in result.stdout
    assert " nan" not in result.stdout
    answers = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    for answer in answers.values():
        assert answer["low"] is answer["high"] is answer["bytes_low"] is None
        assert answer["ratio"] > 1

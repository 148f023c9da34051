"""Recommending: what is drawn, which cells are left, what is estimated, and what is told."""

import dataclasses
import json
import math
import re
from collections import Counter

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from compresso import compressors, encodings
from compresso.volumes.volume import of_array, shape_of, slices_of
from experiments import recommend, records
from experiments.commands import main
from experiments.datasets import LoadedVolume
from experiments.measure import Method
from experiments.recommend import estimate, measurer, race, tell
from experiments.recommend.cells import sensible
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import Alone, Purposes, contenders
from experiments.recommend.race import Race
from experiments.recommend.sample import Places, Plan, draw, plan, stack
from experiments.records import results as derived
from experiments.records.results import pareto_front

CPSO = ("cpso", "none")
PURPOSES = ["archive", "everyday", "interactive", "random_access"]


def run(*arguments):
    return CliRunner().invoke(main, ["recommend", *map(str, arguments)])


def quiet(text):
    pass


@pytest.fixture
def out(tmp_path):
    return ["--output", tmp_path / "r.csv", "--figures", tmp_path / "figures", "--no-plot"]


def test_json_is_one_object_and_its_ratio_is_the_grids(tmp_path, out):
    result = run("phantom:size=48x40x6", "--json", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)
    assert list(answers) == PURPOSES
    for answer in answers.values():
        assert {"encoding", "compression", "ratio", "low", "high", "bytes", "seconds"} <= set(
            answer
        )
        assert answer["why"]
        grid = CliRunner().invoke(
            main,
            [
                answer["encoding"],
                answer["compression"],
                "phantom:size=48x40x6",
                "--no-plot",
                "--output",
                str(tmp_path / "grid.csv"),
            ],
        )
        assert f" {answer['bytes']:,} " in grid.output
        assert (
            answer["low"] == answer["ratio"] == answer["high"] == 8 * 48 * 40 * 6 / answer["bytes"]
        )


@pytest.mark.parametrize(
    ("labels", "text"),
    [(np.zeros((0, 4, 4), np.uint8), "empty"), (np.zeros((2, 3, 4, 5), np.uint8), "labels[0")],
)
def test_nothing_to_recommend_is_told_in_one_line(tmp_path, out, labels, text):
    np.save(tmp_path / "a.npy", labels)
    result = run(tmp_path / "a.npy", *out)
    assert result.exit_code != 0
    assert text in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not result.stdout


@pytest.mark.parametrize(
    "wrong",
    ["--sample 0", "--sample 1.5", "--chunk 8x8", "--chunk 0x8x8", "--seed -1", "--runs 0"],
)
def test_wrong_arguments(wrong):
    result = run("phantom", *wrong.split())
    assert result.exit_code == 2
    assert wrong.split()[0] in result.stderr


def test_a_voxel_and_a_picture(tmp_path, out):
    for shape in ((1, 1, 1), (1, 30, 40)):
        np.save(tmp_path / "a.npy", np.arange(math.prod(shape), dtype=np.uint16).reshape(shape))
        result = run(tmp_path / "a.npy", "--json", "--runs", 1, *out)
        assert result.exit_code == 0, result.output
        assert list(json.loads(result.stdout)) == PURPOSES


def test_a_sample_is_part_of_the_volume_and_the_same_for_a_seed():
    labels = np.random.RandomState(3).randint(99, size=(40, 64, 64)).astype(np.uint32)
    wanted = Plan((8, 16, 16), 5, seed=1)
    one, same = (draw(of_array(labels), wanted, quiet) for _ in range(2))
    other = draw(of_array(labels), Plan((8, 16, 16), 5, seed=2), quiet)
    assert np.array_equal(stack(one.chunks), stack(same.chunks))
    assert not np.array_equal(stack(one.chunks), stack(other.chunks))
    places = Places(labels.shape, (8, 16, 16))
    whole = [labels[slices_of(box)] for box in places]
    assert all(any(np.array_equal(chunk, part) for part in whole) for chunk in one.chunks)


def test_absent_labels_have_their_share_of_the_sample():
    labels = np.zeros((32, 64, 64), np.uint32)
    labels[:16] = np.random.RandomState(0).randint(9, size=(16, 64, 64))
    for seed in range(10):
        chunks = draw(of_array(labels), Plan((4, 16, 16), 8, seed), quiet).chunks
        assert sum(chunk.any() for chunk in chunks) == 4


def test_only_what_is_drawn_is_read():
    labels = np.random.RandomState(0).randint(9, size=(64, 256, 256)).astype(np.uint8)
    volume = of_array(labels)
    read = []
    spying = dataclasses.replace(
        volume, fetch_box=lambda box: read.append(shape_of(box)) or volume.read_box(box)
    )
    draw(spying, Plan((8, 32, 32), 4, 0), quiet)
    assert read == [(1, 32, 32)] * 16 + [(8, 32, 32)] * 4 + [(64, 64, 64)] * 4


def test_the_plan_states_what_a_person_asked_for():
    assert plan((1000, 2000, 3000), 0.01, (10, 100, 100), 7) == Plan((10, 100, 100), 600, 7)
    assert plan((100, 100, 100), None, None, 0).count == 0  # small: all of it
    assert plan((1000, 1000, 1000), 0.3, None, 0).count == 0  # more than a quarter
    assert plan((1000, 1000, 1000), 1e-9, None, 0).count == 4  # quarters, halves and all of them
    huge = plan((100_000, 100_000, 100_000), None, None, 0)
    assert huge.count == 64
    assert math.prod(huge.chunk) < 1 << 21


def test_places_cover_the_volume():
    shape, chunk = (10, 7, 5), (4, 3, 5)
    seen = np.zeros(shape, int)
    places = Places(shape, chunk)
    for number in range(len(places)):
        assert shape_of(places[number]) == chunk
        seen[slices_of(places[number])] += 1
    assert seen.min() == 1
    assert len(places) == 3 * 3 * 1


def test_the_front_is_what_nothing_beats():
    cells = [(9, 1), (8, 2), (8, 1), (7, 1.5), (5, 5), (5, 4), (1, 5)]
    assert pareto_front(cells, lambda c: c[0], lambda c: c[1]) == [(9, 1), (8, 2), (5, 5)]


def test_what_has_no_speed_is_not_on_the_front():
    cells = [(9, 1), (1, math.nan), (5, 5)]
    assert pareto_front(cells, lambda c: c[0], lambda c: c[1]) == [(9, 1), (5, 5)]


def made_cells(*codecs):
    return [Method(encodings.parse(a), compressors.parse(b)) for a, b in codecs]


def test_rows_are_kept_as_soon_as_they_are_measured(tmp_path, out, monkeypatch):
    """Ctrl-C in the middle: what is in the CSV by then is what is told, in one line."""
    measure, before = measurer.measure, []

    def stopped(volume, cell, run, now):
        path = tmp_path / "r.csv"
        before.append(len(records.read(path)) if path.exists() else 0)
        if len(before) == 4:
            raise KeyboardInterrupt
        return measure(volume, cell, run, now)

    monkeypatch.setattr(measurer, "measure", stopped)
    result = run("phantom:size=24x20x3", *out)
    assert result.exit_code == 130
    assert before == [0, 1, 2, 3]
    assert result.stderr.strip() == f"Interrupted; 3 rows are safe in {tmp_path / 'r.csv'}"
    assert not result.stdout


def test_every_run_and_every_box_is_a_row(tmp_path, out, monkeypatch):
    measure, counts = measurer.measure, Counter()

    def counted(volume, *given):
        counts["a box" if volume.chunk else "a part"] += 1
        return measure(volume, *given)

    monkeypatch.setattr(measurer, "measure", counted)
    result = run("phantom:size=24x20x3", "--runs", 2, *out)
    assert result.exit_code == 0, result.output
    table = records.read(tmp_path / "r.csv")
    assert f"{len(table)} rows added" in result.stderr
    assert Counter(table["chunk"]) == {"0-24x0-20x0-3": counts["a box"], "": counts["a part"]}
    assert set(counts) == {"a box", "a part"}
    newest = derived.newest(table)
    assert set(newest["chunk"]) == {""}
    assert set(newest["shape"]) == {"3x20x24"}


@pytest.mark.parametrize("every", [False, True])
def test_a_cell_that_fails_on_a_box_is_not_for_boxes(out, monkeypatch, every):
    """It has passed the race; one whose labels differ has all the numbers of a good one."""
    measure, asked = measurer.measure, []

    def failing(volume, cell, run, now):
        row = measure(volume, cell, run, now)
        if not volume.chunk:
            return row
        asked.append(str(cell))
        wrong = every or str(cell) == asked[0]
        differ = {"status": "error: decoded labels differ"} if wrong else {}
        return row | differ

    monkeypatch.setattr(measurer, "measure", failing)
    result = run("phantom:size=24x20x3", "--json", "--runs", 1, *out)
    assert result.exit_code == 1
    failed = [line for line in result.stderr.splitlines() if line.startswith("! ")]
    wrong = asked if every else asked[:1]
    assert failed == [f"! {cell}: error: decoded labels differ" for cell in wrong]
    answers = json.loads(result.stdout)
    assert list(answers) == (PURPOSES[:-1] if every else PURPOSES)
    if not every:
        answer = answers["random_access"]
        assert f"{answer['encoding']} {answer['compression']}" in asked[1:]


def test_what_no_purpose_may_take_is_not_run_again(monkeypatch):
    """Two ways at so many MB/s, and the ratio; all of them are on the front."""
    speeds = {"lzma": 100, "zstd": 900, "zlib": 9000, "lz4": 20000, "bz2": 300}
    ratios = {"lzma": 64, "zstd": 32, "zlib": 16, "lz4": 8, "bz2": 40}

    def measured(volume, cell, number, now):
        name = cell.compressor.spec
        raw = 8 * volume.labels.size
        seconds = raw / 1e6 / speeds[name]
        stages = {"encode_s": 0, "compress_s": seconds, "decompress_s": seconds, "decode_s": 0}
        sizes = {"raw_bytes": raw, "native_bytes": raw, "compressed_bytes": raw / ratios[name]}
        return {"status": "ok", **sizes, **stages}

    monkeypatch.setattr(measurer, "measure", measured)
    labels = np.ones((4, 8, 8), np.uint8)
    sample = draw(of_array(labels), Plan((4, 8, 8), 0, 0), quiet)
    volume = LoadedVolume("made", "", "em", labels)
    rows = []
    cells = made_cells(*(("cpso", name) for name in speeds))
    found = list(Race(sample, volume, 5, Measurer(record=rows.append)).run(cells))
    runs = {one.cell.compressor.spec: len(one.rows) for one in found}
    # lzma is the smallest, zstd of those above 500 MB/s, and zlib soonest: 4.9 s a gigavoxel, at
    # most 5.1; lz4's 8 over the line alone are more than a tenth above that. bz2 may be 375 MB/s.
    assert runs == {"lzma": 5, "zstd": 5, "zlib": 5, "lz4": 1, "bz2": 1}
    assert len(rows) == 17


def standing(name, ratio, compress, decompress, native=8):
    """A cell of five runs that agree, by its ratio and MB/s, and the bytes of a label."""
    row = {"raw_bytes": 8e6, "native_bytes": native * 1e6, "compressed_bytes": 8e6 / ratio}
    row |= {"status": "ok"}
    row |= {"encode_s": 0.0, "decode_s": 0.0}
    row |= {"compress_s": 8 / compress, "decompress_s": 8 / decompress}
    return race.Standing(made_cells(("cpso", name))[0], [row] * 5)


def purposes_of(*cells):
    labels = np.ones((4, 8, 8), np.uint8)
    sample = draw(of_array(labels), Plan((4, 8, 8), 0, 0), quiet)
    return Purposes(sample, LoadedVolume("made", "", "em", labels), cells, Measurer())


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ({"none": (1, 9000), "lz4": (40, 490), "zstd": (60, 400)}, "lz4"),  # the nearest
        ({"none": (1, 9000), "lz4": (40, 510), "zstd": (60, 400)}, "lz4"),
        ({"none": (1, 9000), "lz4": (1.9, 600), "zstd": (2, 400)}, "zstd"),
        ({"none": (1, 9000), "lz4": (1.9, 600)}, "lz4"),  # nothing is packed
    ],
)
def test_raw_labels_do_not_count_as_keeping_up_with_a_disk(cells, named, monkeypatch):
    made = [standing(name, ratio, speed, speed) for name, (ratio, speed) in cells.items()]
    monkeypatch.setattr(Purposes, "alone", lambda _, one: Alone(1.0, 0.01, one.ratio))
    everyday = purposes_of(*made).choose()["everyday"].standing
    assert everyday.cell.compressor.spec == named
    assert everyday.cell in [one.cell for one in contenders(made, True, 1)]


def test_labels_are_packed_by_their_own_bytes(monkeypatch):
    """Twice as small as uint64 is nothing for uint32."""
    monkeypatch.setattr(Purposes, "alone", lambda _, one: Alone(1.0, 0.01, one.ratio))
    made = [standing("lz4", 3.9, 900, 900, 4), standing("zstd", 4.1, 300, 300, 4)]
    assert purposes_of(*made).choose()["everyday"].standing.cell.compressor.spec == "zstd"


def test_of_cells_that_are_equal_none_drops_out():
    """By each other: both would. What is worse in one respect, and better in none, does."""
    cells = {"lz4": (50, 900), "zstd": (50, 900), "zlib": (50, 800), "bz2": (60, 800)}
    made = [standing(name, ratio, 100, speed) for name, (ratio, speed) in cells.items()]
    left = [one.cell.compressor.spec for one in race._left(made, (1.0, 1.0))]
    assert left == ["lz4", "zstd", "bz2"]


def test_of_equal_sizes_the_one_on_the_front_is_named(monkeypatch):
    made = [standing("lz4", 50, 100, 900), standing("zstd", 50, 200, 900)]
    monkeypatch.setattr(Purposes, "alone", lambda _, one: Alone(1.0, 0.01, one.ratio))
    archive = purposes_of(*made).choose()["archive"].standing
    assert archive.cell.compressor.spec == "zstd"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e-7, "0.000000100 s"),
        (119, "119 s"),
        (7200, "2.00 hours"),
        (3e11, "3,470,000 days"),
    ],
)
def test_seconds_have_no_exponents(seconds, text):
    assert tell._seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (12e15, "12 PB"), (2e18, "2 EB")]
)
def test_bytes_have_no_exponents(size, text):
    assert tell.spelled(size) == text


def test_an_encoding_that_cannot_hold_a_label_is_left_out_in_one_line(tmp_path, out):
    """2^64 - 1 has no stream of Compresso's, whatever compressor follows: no failure of the run."""
    labels = np.random.RandomState(0).randint(5, size=(3, 20, 24)).astype(np.uint64)
    labels[1, 2, 3] = 2**64 - 1
    np.save(tmp_path / "a.npy", labels)
    result = run(tmp_path / "a.npy", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if str(2**64 - 1) in line]
    assert len(lines) == 2
    assert lines[0].startswith("compresso is left out: refused: label")
    assert lines[1].startswith("compresso:window=4x4x1 is left out: refused: label")
    assert "!" not in result.stderr


def test_a_refused_label_is_named_as_in_the_file(tmp_path, out, monkeypatch):
    monkeypatch.setattr(recommend, "sensible", lambda: made_cells(("compresso", "none"), CPSO))
    np.save(tmp_path / "a.npy", np.full((2, 4, 4), -1, np.int64))
    result = run(tmp_path / "a.npy", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    assert "label -1 at" in result.stderr
    assert str(2**64 - 1) not in result.output


@pytest.mark.parametrize(
    ("dtype", "bases"),
    [("i2", ["vs int16 (file)", "vs uint64"]), ("?", ["vs bool (file)", "vs uint64"])]
    + [(wide, [f"vs {np.dtype(wide)} (file)"]) for wide in ("u8", "i8")],
)
def test_each_ratio_names_its_basis(tmp_path, out, monkeypatch, dtype, bases):
    monkeypatch.setattr(recommend, "sensible", lambda: made_cells(CPSO, ("png", "none")))
    labels = np.random.RandomState(0).randint(2, size=(2, 40, 40)).astype(dtype)
    np.save(tmp_path / "a.npy", labels)
    result = run(tmp_path / "a.npy", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    heading = next(line for line in result.stdout.splitlines() if line.startswith("front"))
    assert re.findall(r"vs \w+(?: \(file\))?", heading) == bases
    for text in re.findall(r"[\d,.]+ x\b(?! \d).{0,60}", result.stdout):
        assert re.match(r"[\d,.]+ x( \(95% interval [\d,.]+ to [\d,.]+\))? vs \w+", text), text
    table = records.read(tmp_path / "r.csv")
    assert set(table["dtype"]) == {str(labels.dtype)}
    answer = json.loads(run(tmp_path / "a.npy", "--runs", 1, "--json", *out).stdout)["archive"]
    assert answer["dtype"] == labels.dtype.name
    assert answer["native_ratio"] == labels.nbytes / answer["bytes"]


def test_no_interval_is_printed_of_few_runs(out, monkeypatch):
    monkeypatch.setattr(recommend, "sensible", lambda: made_cells(CPSO))
    for runs in (1, 2, 3):
        words = ["phantom:size=24x20x3", "--runs", runs, *out]
        result = run(*words)
        assert result.stdout.startswith("phantom:size=24x20x3 (synthetic), ")
        assert ("for both" in result.stdout) == (runs == 3)
        assert (f"(n = {runs})" in result.stdout) == (runs < 3)
        answer = json.loads(run(*words, "--json").stdout)["archive"]
        assert answer["runs"] == runs
        assert (answer["seconds_low"] is None) == (runs < 3)


def test_raw_labels_are_not_an_answer():
    assert "none none" not in map(str, sensible())
    assert "none lz4" in map(str, sensible())


@pytest.mark.parametrize("value", [0, 5])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 8)])
def test_a_volume_of_one_label(tmp_path, out, monkeypatch, value, shape):
    monkeypatch.setattr(recommend, "sensible", lambda: made_cells(CPSO, ("none", "zstd")))
    np.save(tmp_path / "a.npy", np.full(shape, value, np.uint8))
    result = run(tmp_path / "a.npy", "--json", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)
    assert list(answers) == PURPOSES
    for answer in answers.values():
        assert answer["low"] == answer["ratio"] == answer["high"] > 0


def test_what_fails_otherwise_ends_with_1(tmp_path, out, monkeypatch):
    measure = measurer.measure

    def failing(volume, cell, run, now):
        row = measure(volume, cell, run, now)
        return row | ({"status": "error: broken"} if str(cell) == "cpso lzma" else {})

    monkeypatch.setattr(measurer, "measure", failing)
    result = run("phantom:size=24x20x3", "--runs", 1, *out)
    assert result.exit_code == 1
    assert "! cpso lzma: error: broken" in result.stderr


def test_savings_go_on_but_end():
    steady = estimate.growth([100.0, 90.0, 81.0], 3)
    assert steady.low < steady.expected < steady.high <= 0
    assert steady.low >= 3 * math.log(0.9)  # no more than if nothing declined
    assert estimate.growth([100.0, 100.0], 9).expected == 0


def test_noise_costs_what_it_costs_in_any_piece():
    """Each voxel of noise takes its 8 bytes, whatever is around it, so the estimate is known."""
    labels = np.random.RandomState(1).randint(2**63, size=(64, 128, 128), dtype=np.uint64)
    sample = draw(of_array(labels), Plan((8, 32, 32), 8, 0), quiet)
    cell = Method(encodings.parse("none"), compressors.parse("none"))
    found = estimate.estimate(cell, sample)
    assert found.expected == pytest.approx(labels.nbytes, rel=1e-9)
    assert found.low < labels.nbytes < found.high


def test_a_file_is_sampled_and_its_interval_holds(tmp_path, out):
    from experiments.datasets import choose

    (made,) = choose("phantom:size=128x128x64", tmp_path)
    labels = made.load().labels
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("main", data=labels, chunks=(1, 128, 128), compression="gzip")
    result = run(
        *(tmp_path / "a.h5", "--sample", "0.15", "--chunk", "64x64x16", "--json", "--runs", 1), *out
    )
    assert result.exit_code == 0, result.output
    for answer in json.loads(result.stdout).values():
        cell = [encodings.parse(answer["encoding"]), compressors.parse(answer["compression"])]
        ratio = labels.nbytes / estimate.size(Method(*cell), labels)
        assert answer["low"] < ratio < answer["high"]
    assert "4 chunks of 64 x 64 x 16" in result.stderr  # 0.15 of 16 are 3, and 4 are the least


def raw_and(monkeypatch, ratio, runs=5, **row):
    """The answer where raw labels, in no time, are beside lz4."""
    raw = standing("none", 1, 1e9, 1e9)
    raw = race.Standing(made_cells(("none", "none"))[0], raw.rows[:runs])
    lz4 = standing("lz4", ratio, 100, 900)
    lz4 = race.Standing(lz4.cell, [one | row for one in lz4.rows[:runs]])
    monkeypatch.setattr(Purposes, "alone", lambda _, one: Alone(1.0, 1 / one.slower, one.ratio))
    purposes = purposes_of(raw, lz4)
    return [raw, lz4], purposes.choose(), purposes.sample


@pytest.mark.parametrize("ratio", [50, 0.9])
def test_raw_labels_have_no_speed(monkeypatch, ratio):
    """Also where nothing is smaller, and they are the answer."""
    cells, choices, sample = raw_and(monkeypatch, ratio)
    text = tell.as_text("title", cells, choices, sample)
    assert not [line for line in text.splitlines() if re.match(r"[cd]+ +none", line)]
    assert re.search(r"^cd +cpso +lz4 ", text, re.MULTILINE)
    assert "soonest is cpso + lz4" in text
    assert "000,000" not in text
    answer = tell.as_json(choices, sample)["archive"]
    assert (answer["encoding"] == "none") == (ratio < 1)
    assert (answer["compress_speed"] is None) == (ratio < 1)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_few_runs_have_no_interval_of_seconds(monkeypatch, runs):
    cells, choices, sample = raw_and(monkeypatch, 50, runs)
    answer = tell.as_json(choices, sample)["archive"]
    assert answer["runs"] == runs
    assert (answer["seconds_low"] is None) == (answer["seconds_high"] is None) == (runs < 3)
    text = tell.as_text("title", cells, choices, sample)
    assert (f"(n = {runs})" in text) == (runs < 3)
    assert (" for both)" in text) == (runs == 3)


def test_an_answer_says_that_its_encoding_was_trained_on_the_volume(monkeypatch):
    trained = {"dataset": "pinky40-z000-255.h5", "encoding": "ristretto"}
    cells, choices, sample = raw_and(monkeypatch, 50, **trained)
    text = tell.as_text("title", cells, choices, sample)
    assert "trained on this volume" in tell.as_json(choices, sample)["archive"]["why"]
    assert "cpso\u2020" in text  # the cell is made up, its rows are ristretto's
    cells, choices, sample = raw_and(monkeypatch, 50, **trained | {"dataset": "ac3"})
    assert "\u2020" not in tell.as_text("title", cells, choices, sample)


def test_the_heading_says_synthetic(out):
    result = run("phantom:size=24x20x3", "--runs", 1, *out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("phantom:size=24x20x3 (synthetic), ")

"""convert: the same voxels whatever the source, also when it is stopped, and nothing else lost."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import depots
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from compresso import volumes
from compresso.__main__ import main
from compresso.convert import Codec, Wanted, begin, make, plan
from compresso.convert.work import convert as convert_all
from compresso.convert.work import work
from compresso.errors import FileError
from compresso.scheduling import open_scheduler

zarr = pytest.importorskip("zarr", reason="needs the package zarr")
from compresso.adapters.zarr import CompressoCodec  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
#: Run a command, and print how much memory it took at most.
MEASURE = """
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(usage.ru_maxrss << 10)
sys.exit(bool(status))
"""
zarr.registry.register_codec("compresso", CompressoCodec)


def convert(source, target, *options):
    words = ["convert", str(source), str(target), "--encoding", "cpso", *map(str, options)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def labels(dtype="u8"):
    """150 x 90 x 170 voxels; the first chunk of 64 x 64 x 64 holds nothing but 0."""
    volume = depots.labels((150, 90, 170), dtype)
    volume[:64, :64, :64] = 0
    return volume


def same(target, volume):
    array = zarr.open_array(str(target), mode="r")
    assert array.dtype == volume.dtype
    assert array.metadata.dimension_names == ("z", "y", "x")
    np.testing.assert_array_equal(array[:], volume)


def files(target):
    """The chunks that are there, and when they were written."""
    found = [p for p in target.rglob("c/**/*") if p.is_file() and p.suffix != ".__lock"]
    return {p: p.stat().st_mtime_ns for p in found}


@pytest.mark.parametrize("dtype", ["u8", "i8", "i2", "bool"])
@pytest.mark.parametrize("kind", ["npy", "zarr2", "zarr3", "n5", "precomputed"])
def test_the_same_voxels(tmp_path, kind, dtype):
    if (dtype == "bool" and kind in ("n5", "precomputed")) or (dtype, kind) == (
        "i8",
        "precomputed",
    ):
        pytest.skip(f"{kind} has no {dtype}")
    volume, source = labels(dtype), tmp_path / f"source.{kind}"
    if kind == "npy":
        np.save(source, volume)
    elif kind == "n5":
        depots.n5(source, volume)
    elif kind == "precomputed":
        depots.precomputed(source, volume, offset=(7, 8, 9))
    else:
        depots.zarr_array(source, volume, zarr_format=int(kind[-1]), chunks=(30, 40, 50))
    target = tmp_path / "target.zarr"
    result = convert(source, target, "--threads", "2")
    assert result.exit_code == 0
    assert "17 written" in result.stdout
    assert "1 empty, 0 missing" in result.stdout
    same(target, volume)
    assert len(files(target)) == 3 * 2 * 3 - 1
    assert not (target / "c/0/0/0").exists()


def test_a_scale_and_its_place(tmp_path):
    volume = depots.labels((40, 60, 80), "u4")
    source = depots.precomputed(tmp_path / "seg", volume, mips=2)
    target = tmp_path / "target.zarr"
    assert convert(f"{source}:mip=1", target, "--chunks", "16x8x32").exit_code == 0
    same(target, volume[:, ::2, ::2])
    head = json.loads((target / "zarr.json").read_text())
    assert head["chunk_grid"]["configuration"]["chunk_shape"] == [32, 8, 16]
    assert head["attributes"]["dimension_units"] == ["40.0 nm", "8.0 nm", "8.0 nm"]
    geometry = head["attributes"]["compresso"]["metadata"]["geometry"]
    assert geometry["steps"] == [[0.0, 0.0, 40.0], [0.0, 8.0, 0.0], [8.0, 0.0, 0.0]]


def test_the_origin_comes_back(tmp_path):
    volume = depots.labels((20, 30, 40), "u4")
    source = depots.precomputed(tmp_path / "seg", volume, offset=(10, 20, 30))
    assert convert(source, tmp_path / "t").exit_code == 0
    found = depots.place(tmp_path / "t")
    assert found.origin == (10 * 4, 20 * 4, 30 * 40)
    assert found == depots.place(source)
    assert depots.place(f"{tmp_path}/t:box=5-9x0-9x2-9").origin == (60, 80, 1280)
    head = json.loads((tmp_path / "t/zarr.json").read_text())
    head["dimension_names"] = ["x", "y", "z"]  # somebody else's array: nothing is known of it
    (tmp_path / "t/zarr.json").write_text(json.dumps(head))
    assert depots.place(tmp_path / "t").origin == (0, 0, 0)


def test_shards(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume)
    target = tmp_path / "target.zarr"
    assert convert(source, target, "--chunks", "32x32x16", "--shards", "64x64x64").exit_code == 0
    same(target, volume)
    assert len(files(target)) == 17
    assert convert(source, tmp_path / "b", "--chunks", "32x32x16", "--shards", "9x9x9").exit_code


def test_only_what_is_missing_or_damaged_is_done_again(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume)
    target = tmp_path / "target.zarr"
    convert(source, target)
    before = files(target)
    (target / "c/1/1/1").unlink()
    (target / "c/2/0/2").write_bytes((target / "c/2/0/2").read_bytes()[:-1])
    stray = target / "c/0/0/0"
    stray.write_bytes(b"rubbish")
    assert convert(source, target).stdout.startswith("2 written")
    same(target, volume)
    after = files(target)
    assert before.keys() == after.keys()
    assert {str(p.relative_to(target)) for p in before if before[p] != after[p]} == {
        "c/1/1/1",
        "c/2/0/2",
    }
    stray.touch()  # no chunk either, though it has no bytes
    assert "17 there already" in convert(source, target).stdout
    assert not stray.exists()
    shutil.rmtree(target / ".compresso")  # as where it was killed: whole chunks are known by hashes
    (target / "c/1/1/1").write_bytes(b"rubbish")
    assert convert(source, target).stdout.startswith("1 written")
    same(target, volume)
    assert convert(source, target).stdout.startswith("0 written (0 bytes), 17 there already")


def test_a_damaged_source_costs_only_what_is_damaged(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume, chunks=(50, 90, 170))
    whole = (source / "c/2/0/0").read_bytes()
    (source / "c/2/0/0").write_bytes(whole[: len(whole) // 2])
    target = tmp_path / "target.zarr"
    result = convert(source, target)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 13  # the last two layers of 2 x 3 chunks, and the sum
    assert all("c/2/0/0" in line for line in lines[:-1])
    assert "c/1/0/0 is left out, voxels 0-64x0-64x64-128" in lines[0]
    assert lines[-1].startswith(
        f"Error: 12 parts of {target} could not be converted, and read as 0"
    )
    np.testing.assert_array_equal(zarr.open_array(str(target))[:64], volume[:64])
    (source / "c/2/0/0").write_bytes(whole)
    assert convert(source, target).stdout.startswith("12 written")
    same(target, volume)


def test_strict(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume)
    (source / "c/0/5/10").unlink()
    result = convert(source, tmp_path / "strict", "--strict")
    assert result.exit_code == 1
    assert "c/0/5/10" in result.stderr
    assert convert(source, tmp_path / "lax").exit_code == 0
    volume[:8, 80:, 160:] = 0
    same(tmp_path / "lax", volume)


@pytest.mark.parametrize("chunks", [(8, 16, 16), None])
def test_strict_with_hdf5(tmp_path, chunks):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        main = file.create_dataset("main", (20, 33, 41), "u4", chunks=chunks)
        if chunks:
            main[:16] = 1
    assert convert(tmp_path / "v.h5", tmp_path / "lax").exit_code == 0
    result = convert(tmp_path / "v.h5", tmp_path / "t", "--strict", "--chunks", "41x33x8")
    assert result.exit_code == 1
    assert f"({16 if chunks else 0}, 0, 0) was never written" in result.stderr
    assert len(files(tmp_path / "t")) == (2 if chunks else 0)
    with h5py.File(tmp_path / "v.h5", "a") as file:
        file["main"][:] = 1
    assert convert(tmp_path / "v.h5", tmp_path / "u", "--strict").exit_code == 0


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_strict_with_packed_chunks(tmp_path, suffix):
    volume = depots.labels((20, 33, 41), "u4")
    source = depots.precomputed(tmp_path / "source", volume)
    for chunk in depots.chunks(source):
        if suffix:
            chunk.with_name(chunk.name + suffix).write_bytes(gzip.compress(chunk.read_bytes()))
            chunk.unlink()
    name = f"0-16_0-16_8-16{suffix}"
    (source / "4_4_40" / name).unlink()
    assert convert(source, tmp_path / "lax").exit_code == 0
    result = convert(source, tmp_path / "strict", "--strict")
    assert result.exit_code == 1
    assert name.removesuffix(suffix) in result.stderr
    (source / "4_4_40" / name).touch()
    result = convert(source, tmp_path / "cut")
    assert result.exit_code == 1
    assert name in result.stderr


@pytest.mark.parametrize(
    ("chunks", "fits"), [((1, 64, 64), True), (None, True), ((1, 5000, 6000), False)]
)
def test_hdf5_of_large_slices_needs_no_memory_for_them(tmp_path, chunks, fits):
    """Its slices take 240 MB each, and are all fill value."""
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("main", (64, 5000, 6000), "u8", chunks=chunks)
    wanted = Wanted(str(tmp_path / "v.h5"), str(tmp_path / "t"), memory=plan.BASE + (200 << 20))
    if fits:
        assert len(make(wanted, 1)) > 1
    else:
        with pytest.raises(FileError, match="give --memory"):
            make(wanted, 1)


def test_what_is_refused(tmp_path):
    volume = depots.labels((20, 20, 20), "u4")
    source = depots.zarr_array(tmp_path / "source", volume)
    other = depots.zarr_array(tmp_path / "other", volume)
    depots.zarr_group(tmp_path / "group")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/thesis.tex").touch()
    for name, line in {
        "source": "is the source itself, or in it",
        "source/inside": "is the source itself, or in it",
        "other": "exists, and is another array (its chunk_grid, codecs, dimension_names,",
        "group": "is a group, or damaged, and is not removed; choose another name",
        "folder": "is a folder with other things in it",
        "x:mip=2": "a target has no selection",
    }.items():
        result = convert(source, tmp_path / name)
        assert (result.exit_code, result.stdout) == (1 + (name == "x:mip=2"), ""), name
        assert line in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert convert(source, tmp_path / "group", "--force").exit_code == 1
    assert convert(source, tmp_path / "folder", "--force").exit_code == 1
    np.testing.assert_array_equal(zarr.open_array(str(other))[:], volume)
    assert convert(source, other, "--force").exit_code == 0
    same(other, volume)
    assert convert(tmp_path / "none.npy", tmp_path / "t").exit_code == 1
    assert convert(source, tmp_path / "t", "--scheduler", "dusk:4").exit_code == 2
    np.save(tmp_path / "v.npy", volume)
    result = convert(tmp_path / "v.npy", tmp_path / "v.npy")
    assert "v.npy: is the source itself, or in it" in result.stderr
    assert "is a file, and a store is a folder" in convert(source, tmp_path / "v.npy").stderr
    result = convert(source, tmp_path / "t", "--memory", "16M")
    assert "give --memory" in result.stderr


@pytest.mark.parametrize("name", ["", "-"])
def test_streams_and_empty_names_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.ones((3, 3, 3), "u1"))
    for words in (("v.npy", name), (name, "t")):
        result = convert(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {name!r}: cannot be read or written box by box")
        assert len(result.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["v.npy"]
    assert convert("v.npy", "./-").exit_code == 0


def test_a_label_that_does_not_fit_is_named_by_its_voxel(tmp_path):
    volume = np.ones((9, 9, 80), "u8")
    volume[7, 5, 70] = 2**64 - 1
    np.save(tmp_path / "v.npy", volume)
    result = convert(tmp_path / "v.npy", tmp_path / "t", "--encoding", "compresso")
    assert result.exit_code == 1
    assert "c/0/0/1 is left out" in result.stderr
    assert "at voxel (z, y, x) = (7, 5, 70)" in result.stderr


def test_labels_that_the_encoding_cannot_hold_need_another_one(tmp_path):
    np.save(tmp_path / "v.npy", np.full((3, 4, 5), 2**64 - 1, "u8"))
    result = convert(tmp_path / "v.npy", tmp_path / "t", "--encoding", "compresso")
    line = result.stderr.splitlines()[-1]
    assert "--encoding cpso" in line
    assert "same command" not in line
    assert all(f"{tmp_path}/v.npy" in line for line in result.stderr.splitlines()[:-1])
    assert convert(tmp_path / "v.npy", tmp_path / "t", "--force").exit_code == 0


def test_the_memory_that_an_error_names_is_enough(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((70, 80, 90), "u8"))
    wanted = Wanted(str(tmp_path / "v.npy"), str(tmp_path / "t"), Codec("cpso"), 256 << 20)
    for at_once in (1, 3):
        with pytest.raises(FileError) as error:
            make(wanted, at_once)
        line = str(error.value)
        assert "--memory is 256 MiB, but the program takes 352 MiB" in line
        enough = int(line.partition("give --memory ")[2].partition("M")[0]) << 20
        plan = make(replace(wanted, memory=enough), at_once)
        assert len(plan) > 0
        assert plan.room >= 80 * 90 * 8  # a slice
        with pytest.raises(FileError):
            make(replace(wanted, memory=enough - (1 << 20)), at_once)


def test_a_file_that_changed_is_another_source(tmp_path):
    source, target = tmp_path / "v.npy", tmp_path / "t"
    np.save(source, np.ones((9, 9, 9), "u4"))
    assert convert(source, target).exit_code == 0
    np.save(source, np.ones((9, 9, 9), "u4") + 1)
    os.utime(source, ns=(1, 1))
    assert "another array (its source's size or time differ)" in convert(source, target).stderr


def test_links(tmp_path):
    """A target is made where a link leads; a link in a circle leads nowhere."""
    volume = np.ones((3, 4, 5), "u4")
    np.save(tmp_path / "v.npy", volume)
    (tmp_path / "link").symlink_to("made")
    (tmp_path / "circle").symlink_to("circle")
    assert convert(tmp_path / "v.npy", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    same(tmp_path / "made", volume)
    assert "1 there already" in convert(tmp_path / "v.npy", tmp_path / "link").stdout
    circle = tmp_path / "circle"
    for words, told in (
        (["convert", circle, tmp_path / "t"], f"{circle}: no such file"),
        (["convert", tmp_path / "made", circle], f"{circle}: is a file, and a store is a folder"),
        (["compress", tmp_path / "made", circle], f"{circle}: is a link that leads nowhere"),
    ):
        done = CliRunner().invoke(main, list(map(str, words)))
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: {told}")


def test_a_source_whose_name_is_no_unicode(tmp_path):
    volume, source = np.ones((3, 4, 5), "u4"), tmp_path / os.fsdecode(b"\xff.npy")
    np.save(source, volume)
    assert convert(source, tmp_path / "t").exit_code == 0
    same(tmp_path / "t", volume)
    assert convert(tmp_path / "t", tmp_path / "u").exit_code == 0
    assert "1 there already" in convert(source, tmp_path / "t").stdout


def test_data_that_changed_beside_their_header_are_another_source(tmp_path):
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 9 9 9\nencoding: raw\ndata file: v.raw\n\n"
    )
    (tmp_path / "v.nhdr").write_text(header)
    for value, told in ((1, ""), (2, "another array (its source's size or time differ)")):
        (tmp_path / "v.raw").write_bytes(bytes([value]) * 729)
        os.utime(tmp_path / "v.raw", ns=(value, value))
        result = convert(tmp_path / "v.nhdr", tmp_path / "t")
        assert result.exit_code == bool(told)
        assert told in result.stderr
    same(tmp_path / "t", np.ones((9, 9, 9), "u1"))


def test_a_file_that_changes_while_it_is_read_leaves_the_target_unfinished(tmp_path):
    source, target = tmp_path / "v.npy", tmp_path / "t"
    np.save(source, np.ones((9, 9, 9), "u4"))
    wanted = Wanted(str(source), str(target), Codec("cpso"))
    begun = begin(wanted, make(wanted, 1))
    os.utime(source, ns=(1, 1))
    with open_scheduler("", 1) as workers, pytest.raises(FileError) as error:
        convert_all(begun, workers, lambda _: None)
    told = f"{source}: changed while it was read; run it again with --force"
    assert str(error.value) == told
    assert not opens(target)
    assert convert(source, target).exit_code == 1
    assert convert(source, target, "--force").exit_code == 0
    same(target, np.ones((9, 9, 9), "u4"))


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0), (0, 0, 0)])
def test_a_volume_without_voxels(tmp_path, shape):
    np.save(tmp_path / "v.npy", np.zeros(shape, "u4"))
    result = convert(tmp_path / "v.npy", tmp_path / "t")
    assert (result.exit_code, result.stderr) == (0, "")
    same(tmp_path / "t", np.zeros(shape, "u4"))


def test_metadata_cut_off_are_removed_by_force(tmp_path):
    source, target = tmp_path / "v.npy", tmp_path / "t"
    volume = np.ones((9, 9, 9), "u4")
    np.save(source, volume)
    wanted = Wanted(str(source), str(target), Codec("cpso"))
    begin(wanted, make(wanted, 1))
    begun = target / "zarr.json.unfinished"
    begun.write_bytes(begun.read_bytes()[:100])
    assert "remove it with --force" in convert(source, target).stderr
    assert convert(source, target, "--force").exit_code == 0
    same(target, volume)
    assert not begun.exists()


def test_killed_and_called_again(tmp_path):
    source, volume = larger(tmp_path, (256, 256, 192))
    interrupt(source, tmp_path / "target.zarr", volume, "400M")


@pytest.mark.slow
def test_larger_than_the_memory_killed_and_called_again(tmp_path):
    """768 MiB of labels, and no more than 512 MiB for everything."""
    source, volume = larger(tmp_path, (384, 512, 512))
    assert interrupt(source, tmp_path / "target.zarr", volume, "512M") < 512 << 20


def larger(folder, shape):
    """A store of many chunks, and its labels."""
    tile = depots.labels((128, 128, 64))
    volume = np.tile(tile, [n // m for n, m in zip(shape, tile.shape, strict=True)])
    return depots.zarr_array(folder / "source", volume, chunks=(64, 64, 64)), volume


def interrupt(source, target, volume, memory):
    """Kill a conversion when some of it is there, call it again; the most memory that it took."""
    command = [sys.executable, "-m", "compresso", "convert", str(source), str(target)]
    command += ["--encoding", "cpso", "--memory", memory, "--threads", "2"]
    process = subprocess.Popen(command, cwd=ROOT)
    while len(files(target)) < 6 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = files(target)
    assert 6 <= len(before) < volume.size >> 18
    assert not opens(target)
    array = as_if_whole(target, target.with_name("opened"))
    for path in before:  # what is there is whole
        box = tuple(slice(64 * int(n), 64 * int(n) + 64) for n in path.parts[-3:])
        np.testing.assert_array_equal(array[box], volume[box])
    # A process of its own waits for it: what this one takes counts as the child's until its exec.
    again = [sys.executable, "-c", MEASURE, *command]
    said = subprocess.run(again, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    kept = int(said.partition("bytes), ")[2].partition(" ")[0])
    assert kept == len(before)
    same(target, volume)
    after = files(target)
    assert all(after[path] == before[path] for path in before)
    assert not list(target.rglob("*.__lock"))
    return int(said.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_and_says_what_is_left(tmp_path, number):
    source, volume = larger(tmp_path, (256, 256, 256))
    target = tmp_path / "target.zarr"
    command = [sys.executable, "-m", "compresso", "convert", str(source), str(target)]
    command += ["--encoding", "cpso", "--threads", "2", "--chunks", "16x16x16"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not (target / "zarr.json.unfinished").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert said.endswith(f"{target} is unfinished; the same command goes on from there\n")
    assert len(said.splitlines()) == 1
    assert not opens(target)
    assert len(files(target)) < volume.size >> 12


@pytest.mark.parametrize("name", ["u", "u.zarr"])
def test_what_is_unfinished_is_no_source_and_says_so(tmp_path, name):
    np.save(tmp_path / "v.npy", np.ones((3, 4, 5), "u1"))
    unfinished = tmp_path / name
    wanted = Wanted(str(tmp_path / "v.npy"), str(unfinished), Codec("cpso"))
    begin(wanted, make(wanted, 1))
    line = f"Error: {unfinished}: is an unfinished conversion; the command that made it goes on"
    for verb in ("compress", "convert"):
        result = CliRunner().invoke(main, [verb, str(unfinished), str(tmp_path / "x")])
        assert (result.exit_code, result.stderr) == (1, f"{line} from there\n")


def test_before_the_target_is_begun_nothing_is_unfinished(tmp_path, monkeypatch):
    def slow(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(plan.volumes, "open", slow)
    result = convert(tmp_path / "a.npy", tmp_path / "t")
    assert (result.exit_code, result.stderr) == (130, "Interrupted; nothing was changed\n")


@pytest.mark.parametrize("removals", [0, 1, 2])
def test_a_removal_that_was_cut_off_is_finished(tmp_path, monkeypatch, removals):
    """Until all of it is gone what is there is the old array, unfinished, and no fresh folder."""
    volume = np.arange(60, dtype="u4").reshape(3, 4, 5)
    np.save(tmp_path / "a.npy", volume)
    np.save(tmp_path / "b.npy", volume.astype("u8"))
    for again in "ab":
        target = tmp_path / f"t{again}"
        assert convert(tmp_path / "a.npy", target).exit_code == 0
        with monkeypatch.context() as patch:
            patch.setattr(volumes.Folder, "remove", only(removals, volumes.Folder.remove))
            said = convert(tmp_path / "b.npy", target, "--force").stderr
        assert said == f"Interrupted; {target} is unfinished; the same command goes on from there\n"
        assert opens(target) == (removals == 0)
        assert convert(tmp_path / "b.npy", target).stderr == (
            f"Error: {target}: exists, and is another array (its data_type, source, "
            "source's size or time differ); choose another name, or remove it with --force\n"
        )
    assert convert(tmp_path / "b.npy", tmp_path / "tb", "--force").exit_code == 0
    same(tmp_path / "tb", volume.astype("u8"))
    assert convert(tmp_path / "a.npy", tmp_path / "ta").exit_code == 0
    same(tmp_path / "ta", volume)
    assert not (tmp_path / "ta/zarr.json.unfinished").exists()


def test_who_was_driven_out_of_a_target_leaves_it_alone(tmp_path):
    """One conversion is at work, and another of a second volume takes its target with --force."""
    plans, target = [], str(tmp_path / "t")
    for name, force in (("a", False), ("b", True)):
        source = str(tmp_path / f"{name}.npy")
        np.save(source, np.full((3, 4, 5), ord(name), "u1"))
        wanted = Wanted(source, target, Codec("cpso"), force=force)
        plans.append(begin(wanted, make(wanted, 1)))
    first, second = plans
    (box,) = second.tasks()
    assert work(second, box).written == 1
    written = files(Path(target))
    with open_scheduler("", 1) as workers, pytest.raises(FileError) as error:
        convert_all(first, workers, lambda _: None)
    assert str(error.value) == f"{target}: another conversion took its place; run one at a time"
    assert not opens(target)
    assert files(Path(target)) == written
    with open_scheduler("", 1) as workers:
        convert_all(second, workers, lambda _: None)
    same(target, np.full((3, 4, 5), ord("b"), "u1"))


def test_a_target_that_is_removed_meanwhile_is_not_begun_again(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((3, 4, 5), "u1"))
    wanted = Wanted(str(tmp_path / "v.npy"), str(tmp_path / "t"), Codec("cpso"))
    begun = begin(wanted, make(wanted, 1))
    shutil.rmtree(tmp_path / "t")
    with open_scheduler("", 1) as workers, pytest.raises(FileError) as error:
        convert_all(begun, workers, lambda _: None)
    told = f"{tmp_path / 't'}: was removed while it was written; run it again"
    assert str(error.value) == told
    assert not (tmp_path / "t").exists()


def test_a_whole_target_is_read_only_work(tmp_path, monkeypatch):
    np.save(tmp_path / "v.npy", np.ones((9, 9, 9), "u4"))
    assert convert(tmp_path / "v.npy", tmp_path / "t").exit_code == 0
    monkeypatch.setattr(volumes.Folder, "write", only(0, volumes.Folder.write))
    monkeypatch.setattr(volumes.Folder, "remove", only(0, volumes.Folder.remove))
    assert "1 there already" in convert(tmp_path / "v.npy", tmp_path / "t").stdout


def only(number, function):
    """A function that works so many times, and is cut off then; nothing is not cut off."""
    left = [None] * number

    def limited(folder, *arguments):
        if arguments != ({},):
            if not left:
                raise KeyboardInterrupt
            left.pop()
        return function(folder, *arguments)

    return limited


def opens(target):
    """Whether Zarr takes it for an array."""
    try:
        zarr.open_array(str(target), mode="r")
    except FileNotFoundError:
        return False
    return True


def as_if_whole(target, copy):
    """An unfinished target as an array."""
    shutil.copytree(target, copy)
    (copy / "zarr.json.unfinished").rename(copy / "zarr.json")
    return zarr.open_array(str(copy), mode="r")

"""convert: the same voxels whatever the source, also if it is interrupted; nothing else is lost."""

import json
import os
import shutil
import subprocess
import sys
import time
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from compresso import volumes
from compresso.convert import BASE, Job, begin, make_plan, work
from compresso.convert import convert as convert_all
from compresso.errors import FileError
from compresso.parallel import open_scheduler
from tests.helpers import stores as depots
from tests.helpers.clusters import cluster, ended
from tests.helpers.paths import ROOT
from tests.helpers.program import PROGRAM, invoke, one_line, run

zarr = pytest.importorskip("zarr", reason="needs the package zarr")
pytest.importorskip("tensorstore", reason="needs the package tensorstore")
pytest.importorskip("compresso.adapters.zarr")  # registers the codec
#: Run a command, and print how much memory it took at most.
MEASURE = """
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(usage.ru_maxrss << 10)
sys.exit(bool(status))
"""


def convert(source, target, *options, code=0):
    return invoke("convert", source, target, "--encoding", "cpso", *options, code=code)


def labels(dtype="u8"):
    """150 x 90 x 170 voxels; the first chunk of 64 x 64 x 64 holds only 0."""
    volume = depots.labels((150, 90, 170), dtype)
    volume[:64, :64, :64] = 0
    return volume


def saved(path, value=1, shape=(3, 4, 5), dtype="u4"):
    """A small volume of one label, in a file."""
    volume = np.full(shape, value, dtype)
    np.save(path, volume)
    return volume


def begun(source, target, **options):
    """The plan of a conversion whose target is begun."""
    return begin(make_plan(Job(str(source), str(target), "cpso", **options), 1))


def finish(plan):
    with open_scheduler() as workers:
        return list(convert_all(plan, workers))


def same(target, volume, names=("z", "y", "x")):
    array = zarr.open_array(str(target), mode="r")
    assert array.dtype == volume.dtype
    assert array.metadata.dimension_names == names
    np.testing.assert_array_equal(array[:], volume)


def opens(target):
    """Whether Zarr takes it for an array."""
    try:
        zarr.open_array(str(target), mode="r")
    except FileNotFoundError:
        return False
    return True


def files(target):
    """The existing chunks, and when they were written."""
    found = [p for p in target.rglob("c/**/*") if p.is_file() and p.suffix != ".__lock"]
    return {p: p.stat().st_mtime_ns for p in found}


# -- sources and targets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [*(("npy", "bool"), ("zarr2", "i8"), ("zarr3", "i2"), ("n5", "i8"), ("raw", "u8"))],
)
def test_the_same_voxels(tmp_path, kind, dtype):
    volume, source, target = labels(dtype), tmp_path / f"source.{kind}", tmp_path / "target.zarr"
    write = np.save if kind == "npy" else depots.KINDS[kind][0]
    write(source, volume)
    text = convert(source, target, "--threads", "2").stdout
    assert text.startswith(f"{target}: 17 written (")
    assert text.endswith("0 kept, 1 empty, 0 missing\n")
    same(target, volume)
    assert len(files(target)) == 3 * 2 * 3 - 1
    assert not (target / "c/0/0/0").exists()


def test_the_default_codec_and_quiet_and_a_dry_run(tmp_path):
    source, target = tmp_path / "v.npy", tmp_path / "t"
    volume = saved(source, shape=(70, 80, 90))
    done = convert(source, target, "--dry-run", "--chunks", "32,64,16", "-t", "1")
    assert done.stdout.startswith(f"{target}: 1 task of 96 x 128 x 80 voxels, 1 at a time")
    assert not target.exists()
    assert invoke("convert", source, target, "--quiet").output == ""
    same(target, volume)
    (codec,) = json.loads((target / "zarr.json").read_text())["codecs"]
    assert codec["configuration"] == {"encoding": "ristretto", "compression": "none"}


def test_voxel_size_and_origin_are_kept(tmp_path):
    volume = depots.labels((40, 60, 80), "u4")
    source = depots.precomputed(tmp_path / "seg", volume, mips=2, offset=(10, 20, 30))
    convert(f"{source}:mip=1", tmp_path / "half", "--chunks", "16,8,32")
    same(tmp_path / "half", volume[:, ::2, ::2])
    head = json.loads((tmp_path / "half/zarr.json").read_text())
    assert head["chunk_grid"]["configuration"]["chunk_shape"] == [32, 8, 16]
    assert head["attributes"]["dimension_units"] == ["40.0 nm", "8.0 nm", "8.0 nm"]
    convert(source, tmp_path / "t")
    found = depots.place(tmp_path / "t")
    assert found.origin == (10 * 4, 20 * 4, 30 * 40)
    assert found == depots.place(source)
    assert depots.place(f"{tmp_path}/t:box=5-9x0-9x2-9").origin == (60, 80, 1280)


def test_a_volume_without_voxels_and_a_name_that_is_not_unicode(tmp_path):
    source = tmp_path / os.fsdecode(b"\xff.npy")
    volume = saved(source, shape=(3, 5, 0))
    assert convert(source, tmp_path / "t").stderr == ""
    convert(tmp_path / "t", tmp_path / "u")
    same(tmp_path / "u", volume)


def test_shards(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume)
    target = tmp_path / "target.zarr"
    convert(source, target, "--chunks", "32x32x16", "--shards", "64x64x64")
    same(target, volume)
    assert len(files(target)) == 17
    convert(source, tmp_path / "b", "--chunks", "32x32x16", "--shards", "9x9x9", code=1)


def test_both_packages_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    done = invoke("convert", tmp_path / "v.npy", tmp_path / "t", code=1)
    one_line(done, "pip install tensorstore zarr")


def test_what_is_refused(tmp_path):
    volume = depots.labels((20, 20, 20), "u4")
    source = depots.zarr_array(tmp_path / "source", volume)
    other = depots.zarr_array(tmp_path / "other", volume)
    depots.zarr_group(tmp_path / "group")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/thesis.tex").touch()
    np.save(tmp_path / "v.npy", volume)
    os.mkfifo(tmp_path / "fifo.npy")
    for name, text in {
        **{"source": "target and source", "source/inside": "target and source"},
        "other": "another array (its chunk_grid, codecs, dimension_names,",
        **{"group": "not removed", "folder": "not empty", "v.npy": "not a folder", "": ""},
    }.items():
        one_line(convert(source, tmp_path / name, code=1), text)
    one_line(convert(source, tmp_path / "x:mip=2", code=2), "x:mip=2: ")
    for name in ("group", "folder"):
        convert(source, tmp_path / name, "--force", code=1)
    same(other, volume, names=None)
    convert(source, other, "--force")
    same(other, volume)
    one_line(convert(tmp_path / "v.npy", tmp_path / "v.npy", code=1), "target and source")
    one_line(convert(source, tmp_path / "t", "--memory", "16M", code=1), "Give --memory")
    for words in (("v.npy", ""), ("", "t"), ("-", "t"), (tmp_path / "fifo.npy", "t")):
        one_line(convert(*words, code=1), "box by box")


def test_links(tmp_path):
    """A target is made where a link leads; a link in a circle leads nowhere."""
    volume = saved(tmp_path / "v.npy")
    (tmp_path / "link").symlink_to("made")
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    convert(tmp_path / "v.npy", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    same(tmp_path / "made", volume)
    assert "1 kept" in convert(tmp_path / "v.npy", tmp_path / "link").stdout
    one_line(convert(circle, tmp_path / "t", code=1), f"{circle}: no such file")
    one_line(convert(tmp_path / "made", circle, code=1), f"{circle}: not a folder")


# -- damage ---------------------------------------------------------------------------------------


def test_a_damaged_source_costs_only_the_damaged_part(tmp_path, monkeypatch):
    monkeypatch.setattr("compresso.__main__.MISSING", 10)
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume, chunks=(50, 90, 170))
    whole = (source / "c/2/0/0").read_bytes()
    (source / "c/2/0/0").write_bytes(whole[: len(whole) // 2])
    target = tmp_path / "target.zarr"
    lines = convert(source, target, code=1).stderr.splitlines()
    assert len(lines) == 12  # of the last two layers of 2 x 3 chunks
    assert all("c/2/0/0" in line for line in lines[:-2])
    assert lines[-2] == "... and 2 more"
    assert "c/1/0/0 is missing, voxels 0-64x0-64x64-128" in "\n".join(lines)
    assert lines[-1].startswith(f"Error: 12 missing parts of {target}")
    np.testing.assert_array_equal(zarr.open_array(str(target))[:64], volume[:64])
    (source / "c/2/0/0").write_bytes(whole)
    assert ": 12 written" in convert(source, target).stdout
    same(target, volume)


def test_threads_read_a_source_that_is_opened_once(tmp_path, monkeypatch):
    """Both threads begin while it is not open yet."""
    volume, opens = labels(), volumes.open
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["main"] = volume
    plan = begun(tmp_path / "v.h5", tmp_path / "t", memory=BASE + (24 << 20))
    assert len(list(plan.tasks())) > 1

    def slowly(*arguments, **options):
        time.sleep(0.1)
        return opens(*arguments, **options)

    monkeypatch.setattr(volumes, "open", slowly)
    with open_scheduler("threads:2") as workers:
        assert not any(done.problems for done in convert_all(plan, workers))
    same(tmp_path / "t", volume)


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
def test_no_part_of_a_file_with_one_checksum_is_kept_if_it_is_damaged(tmp_path, ending):
    """The checksum is at the end of the file, which only the last of three tasks reads."""
    volume = np.random.default_rng(5).integers(0, 9, (150, 64, 64), "u2")
    source, target = tmp_path / f"v.{ending}", tmp_path / "t"
    volumes.write(source, volumes.of_array(volume), [volume])
    data = bytearray(source.read_bytes())
    data[len(data) // 3] ^= 4
    source.write_bytes(data)
    for _ in range(2):  # nor when it is run again
        plan = begun(source, target, chunks=(50, 64, 64), memory=BASE + (8 << 20))
        with pytest.raises(FileError, match="stays unfinished"):
            finish(plan)
        assert not opens(target)


@pytest.mark.parametrize("kind", ["zarr", "hdf5"])
def test_strict_refuses_missing_chunks(tmp_path, kind):
    volume, source = depots.labels((20, 33, 41), "u4"), tmp_path / f"source.{kind}"
    if kind == "zarr":
        missing = "c/2/0/0"
        (depots.zarr_array(source, volume) / missing).unlink()
    else:
        missing = "(16, 0, 0)"
        with h5py.File(source, "w") as file:
            main = file.create_dataset("main", volume.shape, "u4", chunks=(8, 16, 16))
            main[:16] = volume[:16]
    convert(source, tmp_path / "lax")
    assert missing in convert(source, tmp_path / "strict", "--strict", code=1).stderr


def test_a_label_that_does_not_fit_is_named_by_its_voxel(tmp_path):
    volume = np.ones((9, 9, 80), "u8")
    volume[7, 5, 70] = 2**64 - 1
    np.save(tmp_path / "v.npy", volume)
    words = ["convert", tmp_path / "v.npy", tmp_path / "t"]
    first, last = invoke(*words, "-e", "compresso", code=1).stderr.splitlines()
    assert first.startswith("c/0/0/1 is missing")
    assert f"{tmp_path}/v.npy" in first
    assert "at voxel (z, y, x) = (7, 5, 70)" in first
    assert "--encoding cpso" in last
    convert(tmp_path / "v.npy", tmp_path / "t", "--force")


# -- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "fits"), [((1, 64, 64), True), (None, True), ((1, 5000, 6000), False)]
)
def test_hdf5_of_large_slices_needs_no_memory_for_them(tmp_path, chunks, fits):
    """Its slices take 240 MB each, and are all fill value."""
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("main", (64, 5000, 6000), "u8", chunks=chunks)
    job = Job(str(tmp_path / "v.h5"), str(tmp_path / "t"), memory=BASE + (200 << 20))
    if fits:
        assert len(make_plan(job, 1)) > 1
    else:
        with pytest.raises(FileError, match="Give --memory"):
            make_plan(job, 1)


def test_a_volume_has_a_task_for_every_thread(tmp_path):
    saved(tmp_path / "v.npy", shape=(64, 128, 128))
    assert len(make_plan(Job(str(tmp_path / "v.npy"), str(tmp_path / "t")), 4)) >= 4


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_memory_in_an_error_is_enough(tmp_path, at_once):
    saved(tmp_path / "v.npy", shape=(70, 80, 90), dtype="u8")

    def plan(memory, **options):
        job = Job(str(tmp_path / "v.npy"), str(tmp_path / "t"), memory=memory)
        return make_plan(job, at_once, **options)

    text = "--memory is 268 MB, but the program takes 369 MB"
    with pytest.raises(FileError, match=text) as error:
        plan(256 << 20)
    enough = int(str(error.value).partition("Give --memory ")[2].partition("M")[0]) * 10**6
    assert len(plan(enough)) > 0
    assert plan(enough).room >= 80 * 90 * 8  # a slice
    with pytest.raises(FileError):
        plan(enough - 10**6)
    if at_once > 1:
        assert plan(enough - 10**6, fewer=True).at_once == at_once - 1


# -- resuming -------------------------------------------------------------------------------------


def test_only_missing_or_damaged_objects_are_written_again(tmp_path):
    volume = labels()
    source = depots.zarr_array(tmp_path / "source", volume)
    target = tmp_path / "target.zarr"
    convert(source, target)
    before = files(target)
    (target / "c/1/1/1").unlink()
    (target / "c/2/0/2").write_bytes((target / "c/2/0/2").read_bytes()[:-1])
    stray = target / "c/0/0/0"
    stray.write_bytes(b"rubbish")
    assert ": 2 written" in convert(source, target).stdout
    same(target, volume)
    after = files(target)
    assert before.keys() == after.keys()
    changed = {str(p.relative_to(target)) for p in before if before[p] != after[p]}
    assert changed == {"c/1/1/1", "c/2/0/2"}
    stray.touch()  # an empty file is not a chunk
    assert "17 kept" in convert(source, target).stdout
    assert not stray.exists()
    shutil.rmtree(target / ".compresso")  # as after a kill: chunks are recognised by their hashes
    (target / "c/1/1/1").write_bytes(b"rubbish")
    assert ": 1 written" in convert(source, target).stdout
    same(target, volume)
    with pytest.MonkeyPatch.context() as patch:  # a complete target is not written to
        patch.setattr(volumes.Folder, "write", only(0, volumes.Folder.write))
        patch.setattr(volumes.Folder, "remove", only(0, volumes.Folder.remove))
        assert ": 0 written (0 bytes), 17 kept" in convert(source, target).stdout


def test_a_file_that_changed_is_another_source(tmp_path):
    volume = saved(tmp_path / "v.npy", 257)
    convert(tmp_path / "v.npy", tmp_path / "t")
    os.utime(tmp_path / "v.npy", ns=(1, 1))
    text = "another array (its source's size or time differ)"
    one_line(convert(tmp_path / "v.npy", tmp_path / "t", code=1), text)
    same(tmp_path / "t", volume)


def test_a_file_that_changes_while_it_is_read_leaves_the_target_unfinished(tmp_path):
    source, target = tmp_path / "v.npy", tmp_path / "t"
    volume = saved(source)
    plan = begun(source, target)
    os.utime(source, ns=(1, 1))
    with pytest.raises(FileError, match="changed while it was read"):
        finish(plan)
    assert not opens(target)
    convert(source, target, code=1)
    head = target / "zarr.json.unfinished"
    head.write_bytes(head.read_bytes()[:100])  # also if it is truncated
    one_line(convert(source, target, code=1), "--force")
    convert(source, target, "--force")
    same(target, volume)
    assert not head.exists()


def test_an_unfinished_target_is_not_a_source(tmp_path):
    saved(tmp_path / "v.npy")
    begun(tmp_path / "v.npy", tmp_path / "u")
    for command in ("compress", "convert"):
        done = invoke(command, tmp_path / "u", tmp_path / "x", code=1)
        one_line(done, f"Error: {tmp_path / 'u'}: unfinished conversion")


def test_before_the_target_is_begun_nothing_is_unfinished(tmp_path, monkeypatch):
    monkeypatch.setattr(volumes, "open", Mock(side_effect=KeyboardInterrupt))
    done = convert(tmp_path / "a.npy", tmp_path / "t", code=130)
    assert done.stderr == "Interrupted; nothing was changed\n"


@pytest.mark.parametrize("removals", [0, 1])
def test_an_interrupted_removal_is_finished(tmp_path, monkeypatch, removals):
    """Until all of it is removed, the target is the old array, unfinished, and not a new folder."""
    old, new = saved(tmp_path / "a.npy"), saved(tmp_path / "b.npy", dtype="u8")
    for name in "ab":
        target = tmp_path / f"t{name}"
        convert(tmp_path / "a.npy", target)
        with monkeypatch.context() as patch:
            patch.setattr(volumes.Folder, "remove", only(removals, volumes.Folder.remove))
            text = convert(tmp_path / "b.npy", target, "--force", code=130).stderr
        assert text == f"Interrupted; {target} is unfinished; the same command resumes it\n"
        assert opens(target) == (removals == 0)
        one_line(convert(tmp_path / "b.npy", target, code=1), "its data_type, source,")
    convert(tmp_path / "b.npy", tmp_path / "tb", "--force")
    same(tmp_path / "tb", new)
    convert(tmp_path / "a.npy", tmp_path / "ta")
    same(tmp_path / "ta", old)
    assert not (tmp_path / "ta/zarr.json.unfinished").exists()


def only(number, function):
    """A function that works N times and is interrupted then; a call without objects is not."""
    left = [None] * number

    def limited(folder, *arguments):
        if arguments != ({},):
            if not left:
                raise KeyboardInterrupt
            left.pop()
        return function(folder, *arguments)

    return limited


def test_a_replaced_conversion_leaves_the_new_target_alone(tmp_path):
    """One conversion is at work, and another of a second volume replaces its target by --force."""
    saved(tmp_path / "a.npy", 1)
    volume, target = saved(tmp_path / "b.npy", 2), tmp_path / "t"
    first = begun(tmp_path / "a.npy", target)
    second = begun(tmp_path / "b.npy", target, force=True)
    (box,) = second.tasks()
    assert work(second, box).written == 1
    written = files(target)
    with pytest.raises(FileError, match="another conversion"):
        finish(first)
    assert not opens(target)
    assert files(target) == written
    finish(second)
    same(target, volume)


def test_a_target_that_is_removed_meanwhile_is_not_begun_again(tmp_path):
    saved(tmp_path / "v.npy")
    plan = begun(tmp_path / "v.npy", tmp_path / "t")
    shutil.rmtree(tmp_path / "t")
    with pytest.raises(FileError, match="removed while"):
        finish(plan)
    assert not (tmp_path / "t").exists()


# -- processes that end ---------------------------------------------------------------------------


def larger(folder, shape):
    """A store of many chunks, and its labels."""
    tile = depots.labels((128, 128, 64))
    volume = np.tile(tile, [n // m for n, m in zip(shape, tile.shape, strict=True)])
    return depots.zarr_array(folder / "source", volume, chunks=(64, 64, 64)), volume


@pytest.mark.parametrize(
    ("shape", "memory"),
    [((256, 256, 128), "400M"), pytest.param((384, 512, 512), "512M", marks=pytest.mark.slow)],
)
def test_killed_and_resumed(tmp_path, shape, memory):
    """The second volume has 805 MB of labels, and everything takes not more than 512 MB."""
    source, volume = larger(tmp_path, shape)
    target = tmp_path / "target.zarr"
    words = [*PROGRAM, "convert", str(source), str(target), "--encoding", "cpso"]
    words += ["--memory", memory, "--threads", "2"]
    with ended(subprocess.Popen(words, cwd=ROOT)) as process:
        while len(files(target)) < 6 and process.poll() is None:
            time.sleep(0.01)
    before = files(target)
    assert 6 <= len(before) < volume.size >> 18
    assert not opens(target)
    copy = target.with_name("opened")
    shutil.copytree(target, copy)
    (copy / "zarr.json.unfinished").rename(copy / "zarr.json")
    array = zarr.open_array(str(copy), mode="r")
    for path in before:  # each of them is whole
        box = tuple(slice(64 * int(n), 64 * int(n) + 64) for n in path.parts[-3:])
        np.testing.assert_array_equal(array[box], volume[box])
    # Another process waits for it: the memory of this one would count as the child's.
    again = [sys.executable, "-c", MEASURE, *words]
    text = subprocess.run(again, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f" {len(before)} kept" in text
    same(target, volume)
    after = files(target)
    assert all(after[path] == before[path] for path in before)
    assert not list(target.rglob("*.__lock"))
    assert int(text.splitlines()[-1]) < int(memory[:-1]) * 10**6


def test_a_conversion_to_a_bucket_by_processes(tmp_path):
    """Two processes write to a bucket what one writes to a folder, object by object."""
    pytest.importorskip("distributed", reason="needs the package dask[distributed]")
    volume, objects, target = depots.labels((40, 70, 90), "u4"), {}, tmp_path / "t"
    source = depots.zarr_array(tmp_path / "seg", volume, chunks=(32, 32, 32))
    words = ["--encoding", "cpso", "--chunks", "32x32x32"]
    invoke("convert", source, target, *words)
    with depots.bucket(objects) as address:
        environment = os.environ | {"TENSORSTORE_GCS_HTTP_URL": address}
        words += ["--scheduler", "processes:2"]
        run("convert", source, "gs://mine/seg", *words, env=environment, timeout=300)
    paths = [p for p in target.rglob("*") if p.is_file() and ".compresso" not in p.parts]
    expected = {f"seg/{path.relative_to(target)}": path.read_bytes() for path in paths}
    assert len([name for name in expected if name.startswith("seg/c/")]) == 2 * 3 * 3
    assert {n: data for n, data in objects.items() if "/.compresso/" not in n} == expected


@pytest.mark.slow
def test_a_conversion_survives_a_killed_worker(tmp_path):
    pytest.importorskip("distributed", reason="needs the package dask[distributed]")
    source, volume = larger(tmp_path, (256, 256, 128))
    target = tmp_path / "target"
    with cluster(tmp_path) as (address, (_, *workers)):
        words = [*PROGRAM, "convert", str(source), str(target), "--encoding", "cpso"]
        words += ["--scheduler", address, "--memory", "400M"]
        with ended(subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)) as process:
            while not list(target.glob("c/*/*/*")) and process.poll() is None:
                time.sleep(0.01)
            workers[0].kill()
            assert process.wait(timeout=120) == 0
            process.stdout.close()
    same(target, volume)

"""Files of label volumes to frames and back, by the command."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import compresso as C
from compresso import files, volumes

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def grouped(phantom):
    """A frame of the phantom's 16 slices in groups of 5."""
    return C.dumps(phantom, compression="zlib", depth=5)


def run(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "compresso", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


TARGETS = ["back.npy", "back.h5", "back.nrrd", "back.tif", "back.nii", "back.nii.gz"]


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint8])
def test_files(tmp_path, phantom, dtype):
    labels = (phantom % 200).astype(dtype) - dtype(100 if dtype is np.int64 else 0)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["labels"] = labels
        file["other"] = labels
    files.compress_file(f"{tmp_path / 'in.h5'}:/labels", tmp_path / "x.cps", memory=2 << 20)
    said = run("info", tmp_path / "x.cps").stdout
    assert "6 groups of 3" in said  # 2 MB / (6 copies of 8 bytes a voxel)
    assert f"16 x 96 x 150 {np.dtype(dtype).name}" in said
    assert run("verify", tmp_path / "x.cps").stdout == "sound\n"
    for target in TARGETS:
        assert files.decompress_file(tmp_path / "x.cps", tmp_path / target)
        with volumes.open_file(tmp_path / target) as back:
            assert back.shape == labels.shape
            assert back.dtype == labels.dtype
            assert np.array_equal(back.read(0, 16), labels)
            assert np.array_equal(back.read(7, 9), labels[7:9])
    done = run("decompress", tmp_path / "x.cps", tmp_path / "part.npy", "--slices", "6:8")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "part.npy"), labels[6:8])


SHAPES = [(1, 1, 1), (1, 5, 7), (3, 1, 1), (2, 3, 70), (0, 3, 4), (2, 0, 3)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint64, np.int16, bool, ">u2"])
def test_every_format_restores_or_refuses(tmp_path, target, shape, dtype):
    top = 1 if dtype is bool else np.iinfo(dtype).max
    labels = np.full(shape, top, dtype)
    labels.reshape(-1)[::2] = 0
    (tmp_path / "x.cps").write_bytes(C.dumps(labels, "none", "zlib", depth=2))
    arguments = (tmp_path / "x.cps", tmp_path / target)
    refused = 0 in shape or (dtype is bool and not target.endswith("tif"))
    if not target.endswith(("npy", "h5")) and refused:
        with pytest.raises(C.FileError, match=r"write an \.h5 or \.npy file"):
            files.decompress_file(*arguments)
        assert not (tmp_path / target).exists()
        return
    assert files.decompress_file(*arguments)
    with volumes.open_file(tmp_path / target) as back:
        assert back.shape == shape
        assert np.array_equal(back.read(0, shape[0]), labels)


@pytest.mark.parametrize("target", [*TARGETS, "back.cps"])
def test_a_full_disk_leaves_the_old_file(tmp_path, target):
    """The system lets the process write 8192 bytes and no more, as a full disk does."""
    random = np.random.default_rng(0).integers(2**64, size=(4, 64, 64), dtype=np.uint64)
    np.save(tmp_path / "in.npy", random)
    (tmp_path / "in.cps").write_bytes(C.dumps(random, "none", "none", depth=1))
    (tmp_path / target).write_text("precious")
    verb, source = ("compress", "in.npy") if target == "back.cps" else ("decompress", "in.cps")
    code = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
        "runpy.run_module('compresso', run_name='__main__')"
    )
    places = [str(tmp_path / source), str(tmp_path / target)]
    done = subprocess.run(
        [sys.executable, "-c", code, verb, *places, "--force"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{target}: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / target).read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.npy", "in.cps", target])


def test_salvage(tmp_path, phantom, grouped):
    broken = bytearray(grouped)
    broken[len(broken) // 2] ^= 4
    (tmp_path / "x.cps").write_bytes(broken)
    done = run("verify", tmp_path / "x.cps")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path / 'x.cps'}: ")
    lost = [int(n) for n in done.stdout.split("slices ")[1].split(" are")[0].split(" to ")]
    done = run("decompress", tmp_path / "x.cps", tmp_path / "y.npy")
    assert done.returncode == 1
    assert not (tmp_path / "y.npy").exists()
    done = run("decompress", tmp_path / "x.cps", tmp_path / "y.npy", "--salvage")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'x.cps'}: ")
    back = np.load(tmp_path / "y.npy")
    for z in range(16):
        kept = phantom[z] if not lost[0] <= z <= lost[1] else np.zeros_like(phantom[z])
        assert np.array_equal(back[z], kept)


def test_every_line_of_damage_names_the_file(tmp_path, grouped):
    """A group that is damaged, and bytes that follow the end."""
    broken = bytearray(grouped) + b"more"
    broken[len(broken) // 2] ^= 4
    (tmp_path / "x.cps").write_bytes(broken)
    *lines, last = run("verify", tmp_path / "x.cps").stdout.splitlines()
    assert len(lines) == 2
    assert last == "damaged"
    done = run("decompress", tmp_path / "x.cps", tmp_path / "y.npy", "--salvage")
    assert len(done.stderr.splitlines()) == 2
    for line in (*lines, *done.stderr.splitlines()):
        assert line.startswith(f"{tmp_path / 'x.cps'}: ")


def test_targets_are_not_overwritten_unasked(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.uint8))
    (tmp_path / "b.cps").write_text("precious")
    done = run("compress", tmp_path / "a.npy", tmp_path / "b.cps")
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert (tmp_path / "b.cps").read_text() == "precious"
    assert run("compress", tmp_path / "a.npy", tmp_path / "b.cps", "--force").returncode == 0
    assert run("verify", tmp_path / "b.cps").returncode == 0
    before = (tmp_path / "a.npy").read_bytes()
    assert run("compress", tmp_path / "a.npy", tmp_path / "a.npy", "--force").returncode == 1
    assert (tmp_path / "a.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compress", "no.h5", "x.cps"], "no.h5: no such file"),
        (["verify", "no.cps"], "no.cps: cannot be read"),
        (["verify", "README.md"], "not a compresso file"),
        (["decompress", "README.md", "x.npy"], "not a compresso file"),
        (["decompress", "README.md", "x.png"], "x.png: unknown kind of file; known are"),
        (["compress", "a.npy", "x.cps", "--encoding", "rar"], "unknown encoding"),
        (["compress", "a.npy", "x.cps", "--memory", "much"], "size"),
        (["compress", "a.npy", "x.cps", "--memory", "0"], "at least 16M"),
        (["compress", "a.npy", "x.cps", "--memory", "1"], "at least 16M"),
        (["convert", "a.npy", "x.cps", "--memory", "15M"], "at least 16M"),
        (["verify", "README.md", "--limit", "0"], "at least 1"),
        (["compress", "a.npy", "no/such/x.cps"], "cannot be written"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, told):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.uint8))
    places = [
        str(tmp_path / a) if a in ("a.npy", "x.cps", "x.npy", "x.png") else a for a in arguments
    ]
    done = run(*places)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.cps").exists()


def test_kills_leave_the_source_and_no_half_file(tmp_path, phantom):
    """Killed at random moments: the target is absent or whole."""
    labels = np.tile(phantom, (8, 2, 2))
    np.save(tmp_path / "in.npy", labels)
    source = (tmp_path / "in.npy").read_bytes()
    target = tmp_path / "out.cps"
    command = [sys.executable, "-m", "compresso", "compress", str(tmp_path / "in.npy"), str(target)]
    options = ["--memory", "16M", "--compression", "lzma", "--force"]
    start = time.monotonic()
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    took = time.monotonic() - start
    whole = target.read_bytes()
    target.unlink()
    chance = random.Random(0)
    for _ in range(20):
        process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 1) * took)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / "in.npy").read_bytes() == source
        if target.exists():
            assert target.read_bytes() == whole
            target.unlink()


def test_hdf5_that_leads_to_other_files_is_refused(tmp_path):
    np.arange(24, dtype=np.uint8).tofile(tmp_path / "secret.raw")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["main"] = np.zeros((2, 3, 4), np.uint8)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["main"] = h5py.ExternalLink("other.h5", "main")
        file.create_dataset(
            "stored", (2, 3, 4), np.uint8, external=[(str(tmp_path / "secret.raw"), 0, 24)]
        )
    for inner, told in (("main", "link to another file"), ("stored", "stored in other files")):
        done = run("compress", f"{tmp_path / 'link.h5'}:/{inner}", tmp_path / "x.cps")
        assert done.returncode == 1
        assert told in done.stderr

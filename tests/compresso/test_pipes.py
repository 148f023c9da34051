"""Pipes and devices: their first bytes are checked before anything is copied, and full folders."""

import io
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import compresso as C
from compresso import volumes
from compresso.__main__ import main
from tests.helpers.paths import ROOT

LABELS = np.random.default_rng(0).integers(2**60, size=(4, 64, 64), dtype=np.uint64)
LIMITED = (
    "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
    "runpy.run_module('compresso', run_name='__main__')"
)


def limited(folder, *words, data=None):
    """Run the command where no file can have more than 8192 bytes, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )


def one_line(done, told):
    assert done.returncode == 1
    assert told in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", ["npy", "h5", "nrrd", "nii", "nii.gz", "tif", "cpso"])
def test_an_endless_source_of_another_kind_is_refused(tmp_path, form):
    """It would be copied until the disk is full."""
    done = limited(tmp_path, "compress", "/dev/zero", tmp_path / "a.cps", "--format", form)
    one_line(done, f"/dev/zero: not in the {volumes.suffixes()[f'.{form}'].name} format")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["info"], ["verify"], ["decompress", "a.npy"]])
def test_an_endless_source_is_not_a_compresso_file(tmp_path, words):
    verb, *target = words
    one_line(limited(tmp_path, verb, "/dev/zero", *target), "/dev/zero: not a compresso file")


@pytest.mark.parametrize("suffix", volumes.suffixes())
def test_every_format_begins_as_it_is_checked(tmp_path, suffix):
    path = tmp_path / f"A{suffix.upper()}"
    check = volumes.head(Path("pipe"), path)
    for other in (b"", b"junk that is long enough to be a head", bytes(1 << 20)):
        with pytest.raises(C.FileError, match="pipe: not in the"):
            check(other)
    if suffix != ".nhdr":
        volumes.writer(path)(path, LABELS.shape, LABELS.dtype, [LABELS], {})
        check(path.read_bytes())


@pytest.mark.parametrize("block", [0, 512, 4096, 1 << 19])
def test_hdf5_behind_a_user_block(block):
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=block) as h5:
        h5["labels"] = LABELS
    volumes.head(Path("pipe"), Path("a.h5"))(file.getvalue())


def test_a_damaged_magic_is_salvaged_from_a_pipe(tmp_path):
    data = bytearray(C.dumps(LABELS, "none", "zlib"))
    data[0] ^= 1
    words = [sys.executable, "-m", "compresso", "decompress", "-", tmp_path / "a.npy", "--salvage"]
    subprocess.run(words, cwd=ROOT, input=bytes(data), capture_output=True, check=False)
    assert np.array_equal(np.load(tmp_path / "a.npy"), LABELS)


@pytest.mark.parametrize("name", ["fifo.npy", "fifo.h5:/labels", "/dev/null"])
def test_a_pipe_is_not_converted(tmp_path, name):
    """It can be read only once, and would keep the conversion waiting."""
    pytest.importorskip("tensorstore", reason="needs the package tensorstore")
    if name.startswith("fifo"):
        os.mkfifo(tmp_path / name.partition(":")[0])
    done = CliRunner().invoke(main, ["convert", str(tmp_path / name), str(tmp_path / "a.zarr")])
    assert done.exit_code == 1
    assert "cannot be read or written box by box" in done.stderr


def test_a_full_temporary_folder_is_named(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    data = (tmp_path / "a.npy").read_bytes()
    done = limited(tmp_path, "compress", "-", tmp_path / "a.cps", "--format", "npy", data=data)
    one_line(done, f"-: cannot be copied to the temporary folder {tmp_path}")
    assert b"TMPDIR" in done.stderr
    packed = C.dumps(LABELS, "none", "none")
    one_line(limited(tmp_path, "verify", "-", data=packed), f"temporary folder {tmp_path}")
    (tmp_path / "a.cps").write_bytes(packed)
    for form in ("npy", "h5", "tif", "nii", "nrrd"):
        done = limited(tmp_path, "decompress", tmp_path / "a.cps", "-", "--format", form)
        one_line(done, f"-: cannot be written to the temporary folder {tmp_path}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.cps", "a.npy"]


def test_a_temporary_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    done = CliRunner().invoke(main, ["verify", "-"], input=b"")
    assert done.exit_code == 1
    assert "Set TMPDIR" in done.stderr

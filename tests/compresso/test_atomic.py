"""What the program reads from and writes to: files, links, devices, pipes, standard streams."""

import errno
import io
import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

import compresso as C
from compresso import atomic, container, files, volumes
from compresso.atomic import replacing
from tests.helpers.paths import ROOT
from tests.helpers.program import LIMITED, PROGRAM, invoke, one_line, run

LABELS = np.arange(2 * 5 * 6, dtype=np.uint16).reshape(2, 5, 6) // 7
#: A header that names its data file.
NHDR = "NRRD0004\ntype: uint16\ndimension: 3\nsizes: 6 5 2\nendian: little\nencoding: raw\n"
#: More than the 8192 bytes that LIMITED programs can write.
LARGE = np.random.default_rng(0).integers(2**60, size=(4, 64, 64), dtype=np.uint64)


@pytest.fixture
def folder(tmp_path):
    """A volume, and a compressed file of it."""
    np.save(tmp_path / "in.npy", LABELS)
    (tmp_path / "in.cps").write_bytes(C.dumps(LABELS, "none", "zlib"))
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def compress(source, target, force=True):
    return files.compress_file(str(source), target, "none", "zlib", force=force)


def decompress(source, target, **options):
    return files.decompress_file(source, target, force=True, **options)


# -- files and links ------------------------------------------------------------------------------


def test_a_target_is_not_overwritten_without_force(folder):
    (folder / "t.cps").write_text("precious")
    with pytest.raises(C.FileError, match="exists"):
        compress(folder / "in.npy", folder / "t.cps", force=False)
    assert (folder / "t.cps").read_text() == "precious"
    compress(folder / "in.npy", folder / "t.cps")
    assert np.array_equal(C.loads((folder / "t.cps").read_bytes()), LABELS)


@pytest.mark.parametrize(
    ("name", "made"), [("link2.cps", "there/old.cps"), ("new.cps", "made.cps")]
)
def test_a_link_stays_and_its_file_is_written(folder, name, made):
    (folder / "there").mkdir()
    (folder / "there" / "old.cps").write_text("old")
    (folder / "link.cps").symlink_to("there/old.cps")
    (folder / "link2.cps").symlink_to("link.cps")
    (folder / "new.cps").symlink_to("made.cps")
    compress(folder / "in.npy", folder / name)
    assert all((folder / link).is_symlink() for link in ("link.cps", "link2.cps", "new.cps"))
    assert np.array_equal(C.loads((folder / made).read_bytes()), LABELS)
    assert names(folder / "there") == ["old.cps"]
    (folder / "loop.cps").symlink_to("loop.cps")
    with pytest.raises(C.FileError, match="link"):
        compress(folder / "in.npy", folder / "loop.cps")


@pytest.mark.parametrize(("target", "mode"), [("t.cps", 0o4755), ("t.h5", 0o444)])
def test_modes_and_owners_are_kept(folder, mode, target):
    path = folder / target
    path.write_text("old")
    if os.geteuid() == 0:  # only root may give files away
        os.chown(path, 12345, 54321)
    path.chmod(mode)
    before = path.stat()
    if target == "t.cps":
        compress(folder / "in.npy", path)
    else:
        decompress(folder / "in.cps", path)
    after = path.stat()
    assert after.st_mode == before.st_mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    compress(folder / "in.npy", folder / "new.cps")
    (folder / "usual").touch()
    assert (folder / "new.cps").stat().st_mode == (folder / "usual").stat().st_mode


def test_no_command_overwrites_its_source(folder):
    (folder / "both.npy").write_bytes((folder / "in.cps").read_bytes())
    (folder / "link.npy").symlink_to("both.npy")
    os.link(folder / "both.npy", folder / "hard.npy")
    (folder / "x.nhdr").write_text(f"{NHDR}data file: x.raw\n\n")
    (folder / "x.raw").write_bytes(LABELS.tobytes())
    for target in ("both.npy", "link.npy", "hard.npy"):
        with pytest.raises(C.FileError, match="source itself"):
            decompress(folder / "both.npy", folder / target)
    for source, target in (("in.npy", "in.npy"), ("x.nhdr", "x.raw")):
        with pytest.raises(C.FileError, match=rf"{target}: .* source itself"):
            compress(folder / source, folder / target)
    (folder / "sub.cps").mkdir()
    with pytest.raises(C.FileError, match="folder"):
        compress(folder / "in.npy", folder / "sub.cps")
    assert (folder / "both.npy").read_bytes() == (folder / "in.cps").read_bytes()


def test_names_that_are_long_or_not_unicode(folder):
    name = "é" * 125 + ".cps"
    compress(folder / "in.npy", folder / name)
    assert np.array_equal(C.loads((folder / name).read_bytes()), LABELS)
    odd, target = (folder / os.fsdecode(name) for name in (b"caf\xe9, 1.npy", b"\xff.cps"))
    np.save(odd, LABELS)
    run("compress", odd, target)
    run("verify", target)


@pytest.mark.parametrize("refusal", [0, errno.EPERM])
def test_a_file_that_came_meanwhile_is_kept_unless_forced(tmp_path, monkeypatch, refusal):
    """Also if the file system has no hard links, and no owners."""
    if refusal:
        for name in ("link", "chown"):
            failure = OSError(refusal, os.strerror(refusal))
            monkeypatch.setattr(os, name, Mock(side_effect=failure))
    target = tmp_path / "x"
    with pytest.raises(C.FileError, match="exists"), replacing(target) as unfinished:  # noqa: PT012
        unfinished.write_text("new")
        target.write_text("precious")
    assert target.read_text() == "precious"
    for path, force in ((target, True), (tmp_path / "y", False)):
        with replacing(path, force) as unfinished:
            unfinished.write_text("written")
        assert path.read_text() == "written"
    assert names(tmp_path) == ["x", "y"]


@pytest.mark.parametrize("name", ["in.npy", "x.raw", "removed"])
def test_a_source_that_changes_while_it_is_read_is_refused(folder, monkeypatch, name):
    (folder / "x.nhdr").write_text(f"{NHDR}data file: x.raw\n\n")
    (folder / "x.raw").write_bytes(LABELS.tobytes())
    write = container.write

    def change(*given):
        write(*given)
        if name == "removed":
            (folder / "in.npy").unlink()
        else:
            os.utime(folder / name, ns=(1, 1))

    monkeypatch.setattr(container, "write", change)
    with pytest.raises(C.FileError, match="changed while it was read"):
        compress(folder / ("x.nhdr" if name == "x.raw" else "in.npy"), folder / "t.cps")
    assert not [name for name in names(folder) if name.startswith(".") or name == "t.cps"]


# -- interruptions and full disks -----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(folder, number):
    np.save(folder / "big.npy", np.tile(LARGE, (16, 4, 4)))
    (folder / "t.cps").write_text("precious")
    options = ["--memory", "16M", "-e", "none", "-c", "lzma", "--force", "-t", "2"]
    words = [*PROGRAM, "compress", folder / "big.npy", folder / "t.cps", *options]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    before = ["big.npy", "in.cps", "in.npy", "t.cps"]
    while process.poll() is None and not any(p.stat().st_size for p in folder.glob(".*")):
        time.sleep(0.01)
    process.send_signal(number)
    _, text = process.communicate()
    assert process.returncode == 128 + number
    assert text.decode().count("\n") == 1
    assert b"nothing was changed" in text
    assert names(folder) == before
    assert (folder / "t.cps").read_text() == "precious"


@pytest.mark.parametrize("target", ["b.npy", "b.h5", "b.tif", "b.nii.gz", "b.cps"])
def test_a_full_disk_leaves_the_old_file(tmp_path, target):
    np.save(tmp_path / "in.npy", LARGE)
    (tmp_path / "in.cps").write_bytes(C.dumps(LARGE, "none", "none", depth=1))
    (tmp_path / target).write_text("precious")
    words = ["decompress", tmp_path / "in.cps"]
    if target == "b.cps":
        words = ["compress", tmp_path / "in.npy", "--depth", "1"]
    done = run(*words, tmp_path / target, "--force", program=LIMITED, code=1)
    one_line(done, f"{target}: cannot be written")
    assert (tmp_path / target).read_text() == "precious"
    assert names(tmp_path) == sorted(["in.npy", "in.cps", target])


def test_a_full_temporary_folder_is_named(tmp_path):
    data, packed = io.BytesIO(), C.dumps(LARGE, "none", "none")
    np.save(data, LARGE)
    (tmp_path / "a.cps").write_bytes(packed)
    options = {"program": LIMITED, "env": os.environ | {"TMPDIR": str(tmp_path)}}
    for words, given, code, text in (
        (["compress", "-", tmp_path / "b.cps", "--format", "npy"], data.getvalue(), 1, "copied"),
        (["verify", "-"], packed, 2, "copied"),
        (["decompress", tmp_path / "a.cps", "-", "--format", "h5"], b"", 1, "written"),
    ):
        done = run(*words, input=given, code=code, **options)
        one_line(done, f"-: cannot be {text} to the temporary folder {tmp_path}")
        assert b"TMPDIR" in done.stderr
    assert names(tmp_path) == ["a.cps"]


def test_a_temporary_folder_that_cannot_be_made_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    one_line(invoke("info", "-", input=b"", code=1), "Set TMPDIR")


# -- pipes, devices and standard streams ----------------------------------------------------------


def test_a_device_stays_a_device(folder):
    compress(folder / "in.npy", Path("/dev/null"))
    decompress(folder / "in.cps", Path("/dev/null"), ending="npy")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(C.FileError, match=r"/dev/full: cannot be written \(No space left"):
        compress(folder / "in.npy", Path("/dev/full"))


def test_a_fifo_is_written_into_and_stays(folder):
    os.mkfifo(folder / "fifo.cps")
    with pytest.raises(C.FileError, match="reader first"):
        compress(folder / "in.npy", folder / "fifo.cps")
    got = []
    reader = threading.Thread(target=lambda: got.append((folder / "fifo.cps").read_bytes()))
    reader.start()
    for _ in range(100):  # until it reads
        try:
            compress(folder / "in.npy", folder / "fifo.cps")
            break
        except C.FileError:
            time.sleep(0.05)
    reader.join(10)
    assert np.array_equal(C.loads(got[0]), LABELS)
    assert stat.S_ISFIFO((folder / "fifo.cps").stat().st_mode)


def test_a_fifo_is_read_from(folder):
    os.mkfifo(folder / "fifo.npy")
    data = (folder / "in.npy").read_bytes()
    writer = threading.Thread(target=lambda: (folder / "fifo.npy").write_bytes(data))
    writer.start()
    compress(folder / "fifo.npy", folder / "t.cps")
    writer.join(10)
    assert np.array_equal(C.loads((folder / "t.cps").read_bytes()), LABELS)


def test_standard_streams(folder):
    done = run("compress", "-", "-", "--format", "npy", input=(folder / "in.npy").read_bytes())
    assert done.stderr.startswith(b"-: 6 x 5 x 2 uint16")
    packed = done.stdout
    assert np.array_equal(C.loads(packed), LABELS)
    for command, text in (("info", b"-: 6 x 5 x 2 uint16"), ("verify", b"-: OK, 6 x 5 x 2 uint16")):
        done = run(command, "-", input=packed)
        assert done.stdout.startswith(text)
        assert done.stderr == b""
    for form in ("nii.gz", "h5"):
        done = run("decompress", "-", "-", "--format", form, input=packed)
        (folder / f"back.{form}").write_bytes(done.stdout)
        compress(folder / f"back.{form}", folder / "again.cps")
        assert np.array_equal(C.loads((folder / "again.cps").read_bytes()), LABELS)
    for words, data, text in (
        (["compress", "-", "-"], b"", "--format npy"),
        (["decompress", folder / "in.cps", "-"], b"", "--format npy"),
        (["decompress", "-", "-", "--format", "npy"], b"x", "-: not a compresso file"),
        (["compress", "-", folder / "x.cps", "--format", "npy"], b"x", "-: not in the .npy format"),
    ):
        done = run(*words, input=data, code=1)
        one_line(done, text)
        assert done.stdout == b""
    assert not (folder / "x.cps").exists()
    assert not (ROOT / "-").exists()


def test_nothing_is_sent_before_all_is_checked(tmp_path):
    bad = bytearray(C.dumps(np.zeros((9, 4, 4), np.uint8), "none", "none", depth=1))
    bad[bad.index(b"GRP\0\7") + 50] ^= 1
    done = run("decompress", "-", "-", "--format", "npy", input=bytes(bad), code=1)
    one_line(done, "slices 7 to 7")
    assert done.stdout == b""
    bad[0] ^= 1  # the magic too
    run("decompress", "-", tmp_path / "a.npy", "--salvage", input=bytes(bad), code=1)
    assert np.load(tmp_path / "a.npy").shape == (9, 4, 4)


def test_a_file_may_be_called_minus(folder, monkeypatch):
    monkeypatch.chdir(folder)
    invoke("compress", "in.npy", "./-")
    assert np.array_equal(C.loads(Path("-").read_bytes()), LABELS)
    one_line(invoke("compress", "./-", "x.cps", code=1, input=b""), f"Error: {folder}/-: unknown")


def test_a_reader_that_ends_early_is_one_line(folder):
    (folder / "big.cps").write_bytes(C.dumps(np.zeros((99, 99, 99), np.uint64)))
    words = [*PROGRAM, "decompress", folder / "big.cps", "-", "--format", "npy"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=ROOT, **streams) as process:
        process.stdout.read(10)
        process.stdout.close()
        text = process.stderr.read().decode()
    assert process.returncode == 1
    assert text.startswith("Error: -: cannot be written")
    assert text.count("\n") == 1


@pytest.mark.parametrize("words", [["compress", "--format", "h5"], ["verify"], ["decompress"]])
def test_an_endless_stream_of_another_kind_is_refused(tmp_path, words):
    """It would be copied until the disk is full."""
    verify = words == ["verify"]
    target = [] if verify else [tmp_path / "a.npy"]
    settings = {"program": LIMITED, "env": os.environ | {"TMPDIR": str(tmp_path)}}
    done = run(*words, "/dev/zero", *target, code=2 if verify else 1, **settings)
    one_line(done, "/dev/zero: not ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", volumes.suffixes())
def test_every_format_recognises_the_first_bytes_of_its_files(tmp_path, suffix):
    path, form = tmp_path / f"a{suffix}", volumes.suffixes()[suffix]
    for other in (b"", b"junk that is long enough to be a head", bytes(1 << 20)):
        assert not form.begins(other)
    if suffix != ".nhdr":
        volumes.write(path, volumes.of_array(LARGE))
        assert form.begins(path.read_bytes())
    for block in (512, 1 << 19) if suffix == ".h5" else ():
        with h5py.File(path, "w", userblock_size=block) as h5:
            h5["labels"] = LABELS
        assert form.begins(path.read_bytes()[: atomic.CHECKED_BYTES])

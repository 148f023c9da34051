"""What the command reads from and writes to: files, links, devices, FIFOs, standard streams."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import compresso as C
from compresso import container, files
from compresso.atomic import replacing
from tests.helpers.paths import ROOT

LABELS = np.arange(2 * 5 * 6, dtype=np.uint16).reshape(2, 5, 6) // 7
PYTHON = [sys.executable, "-m", "compresso"]


def run(*arguments, **more):
    return subprocess.run(
        [*PYTHON, *map(str, arguments)], cwd=ROOT, capture_output=True, check=False, **more
    )


def one_line(done, told, code=1):
    """The error is one line, with no traceback."""
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert told in text
    assert len(text.splitlines()) == 1


@pytest.fixture
def folder(tmp_path):
    """A volume, and a frame of it."""
    np.save(tmp_path / "in.npy", LABELS)
    (tmp_path / "in.cps").write_bytes(C.dumps(LABELS, compression="zlib"))
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def compress(source, target, force=True, **more):
    return files.compress_file(str(source), target, "compresso", "zlib", force=force, **more)


def decompress(source, target, force=True, slices=(0, None), told=None, **more):
    report = (lambda _: None) if told is None else told.append
    return files.decompress_file(source, target, slices, force=force, report=report, **more)


def test_a_link_stays_and_what_it_leads_to_is_replaced(folder):
    (folder / "there").mkdir()
    (folder / "there" / "real.cps").write_text("old")
    (folder / "link.cps").symlink_to("there/real.cps")
    (folder / "link2.cps").symlink_to("link.cps")
    with pytest.raises(C.FileError, match="exists"):
        compress(folder / "in.npy", folder / "link2.cps", force=False)
    compress(folder / "in.npy", folder / "link2.cps")
    assert (folder / "link.cps").is_symlink()
    assert (folder / "link2.cps").is_symlink()
    assert np.array_equal(C.loads((folder / "there" / "real.cps").read_bytes()), LABELS)
    assert names(folder / "there") == ["real.cps"]


def test_links_that_lead_nowhere(folder):
    (folder / "new.cps").symlink_to("made.cps")
    compress(folder / "in.npy", folder / "new.cps", force=False)
    assert (folder / "new.cps").is_symlink()
    assert np.array_equal(C.loads((folder / "made.cps").read_bytes()), LABELS)
    (folder / "loop.cps").symlink_to("loop.cps")
    with pytest.raises(C.FileError, match="leads nowhere"):
        compress(folder / "in.npy", folder / "loop.cps")
    assert (folder / "loop.cps").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o4755, 0o444])
@pytest.mark.parametrize("target", ["t.cps", "t.npy", "t.h5"])
def test_modes_are_kept(folder, mode, target):
    path = folder / target
    path.write_text("old")
    path.chmod(mode)
    if target == "t.cps":
        compress(folder / "in.npy", path)
    else:
        decompress(folder / "in.cps", path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_new_files_have_the_usual_mode(folder):
    (folder / "usual").write_text("")
    compress(folder / "in.npy", folder / "t.cps")
    assert (folder / "t.cps").stat().st_mode == (folder / "usual").stat().st_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owners_are_kept(folder):
    (folder / "t.cps").write_text("old")
    os.chown(folder / "t.cps", 12345, 54321)
    compress(folder / "in.npy", folder / "t.cps")
    status = (folder / "t.cps").stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)


def test_a_device_stays_a_device(folder):
    compress(folder / "in.npy", Path("/dev/null"))
    decompress(folder / "in.cps", Path("/dev/null"), form="npy")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(C.FileError, match=r"/dev/full: cannot be written \(No space left"):
        compress(folder / "in.npy", Path("/dev/full"))


def test_a_fifo_is_written_into_and_stays(folder):
    os.mkfifo(folder / "fifo.cps")
    with pytest.raises(C.FileError, match="start the reader"):
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


def test_folders_are_not_replaced(folder):
    (folder / "sub.cps").mkdir()
    with pytest.raises(C.FileError, match="is a folder"):
        compress(folder / "in.npy", folder / "sub.cps")


def test_no_verb_overwrites_its_source(folder):
    (folder / "both.npy").write_bytes((folder / "in.cps").read_bytes())
    (folder / "link.npy").symlink_to("both.npy")
    os.link(folder / "both.npy", folder / "hard.npy")
    before = (folder / "both.npy").read_bytes()
    for target in ("both.npy", "link.npy", "hard.npy"):
        with pytest.raises(C.FileError, match="is the source itself"):
            decompress(folder / "both.npy", folder / target)
    with pytest.raises(C.FileError, match="is the source itself"):
        compress(folder / "in.npy", folder / "in.npy")
    assert (folder / "both.npy").read_bytes() == before


def test_standard_streams(folder):
    done = run("compress", "-", "-", "--format", "npy", input=(folder / "in.npy").read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"2 x 5 x 6 uint16" in done.stderr
    assert np.array_equal(C.loads(done.stdout), LABELS)
    packed = done.stdout
    for verb, told in (("info", b"2 x 5 x 6 uint16"), ("verify", b"sound")):
        done = run(verb, "-", input=packed)
        assert (done.returncode, done.stderr) == (0, b"")
        assert told in done.stdout
    done = run("decompress", "-", "-", "--format", "npy", input=packed)
    assert (done.returncode, done.stderr) == (0, b"")
    (folder / "back.npy").write_bytes(done.stdout)
    assert np.array_equal(np.load(folder / "back.npy"), LABELS)
    for form in ("nii.gz", "h5"):
        done = run("decompress", folder / "in.cps", "-", "--format", form)
        (folder / f"back.{form}").write_bytes(done.stdout)
        compress(folder / f"back.{form}", folder / "again.cps")
        assert np.array_equal(C.loads((folder / "again.cps").read_bytes()), LABELS)
    assert not (ROOT / "-").exists()


def test_standard_streams_that_do_not_fit(folder):
    one_line(run("compress", "-", "-", input=b""), "--format npy")
    one_line(run("decompress", folder / "in.cps", "-"), "--format npy")
    done = run("decompress", "-", "-", "--format", "npy", input=b"no frame")
    one_line(done, "-: not a compresso file")
    assert done.stdout == b""
    done = run("compress", "-", folder / "x.cps", "--format", "npy", input=b"no array")
    one_line(done, "Error: -: not in the .npy format")
    assert not (folder / "x.cps").exists()


def test_nothing_is_sent_before_all_is_sound(folder):
    bad = bytearray(C.dumps(np.zeros((9, 4, 4), np.uint8), "none", "none", depth=1))
    bad[bad.index(b"GRP\0\7") + 50] ^= 1
    done = run("decompress", "-", "-", "--format", "npy", input=bytes(bad))
    one_line(done, "slices 7 to 7")
    assert done.stdout == b""


def test_a_file_may_be_called_minus(folder):
    done = subprocess.run(
        [*PYTHON, "compress", "in.npy", "./-"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(C.loads((folder / "-").read_bytes()), LABELS)


@pytest.mark.parametrize(
    "words", [("info", "URL"), ("verify", "URL"), ("decompress", "URL", "a.npy")]
)
def test_a_url_is_no_file(words):
    done = run(*(word.replace("URL", "gs://bucket/a.cps") for word in words))
    assert done.returncode == 2
    told = done.stderr.decode().splitlines()[-1]
    assert told.endswith("gs://bucket/a.cps is no file; give a path, or - and a pipe")


def test_a_source_called_minus_is_not_the_standard_input(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("-").write_bytes(b"labels")
    done = subprocess.run(
        [*PYTHON, "compress", "./-", "x.cps"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=Path("in.npy").read_bytes(),
        capture_output=True,
        check=False,
    )
    one_line(done, f"Error: {folder}/-: unknown kind of file")


def test_a_reader_that_leaves_is_one_line(folder):
    command = [*PYTHON, "decompress", str(folder / "big.cps"), "-", "--format", "npy"]
    (folder / "big.cps").write_bytes(C.dumps(np.zeros((99, 99, 99), np.uint64)))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 1
    assert told.startswith("Error: -: cannot be written")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(folder, number):
    random = np.random.default_rng(0).integers(2**63, size=(64, 256, 256), dtype=np.uint64)
    np.save(folder / "big.npy", random)
    (folder / "t.cps").write_text("precious")
    options = ["--memory", "16M", "--encoding", "none", "--compression", "lzma", "--force"]
    process = subprocess.Popen(
        [*PYTHON, "compress", str(folder / "big.npy"), str(folder / "t.cps"), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    before = ["big.npy", "in.cps", "in.npy", "t.cps"]
    while process.poll() is None and not any(p.stat().st_size for p in folder.glob(".*")):
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 128 + number
    assert len(told.decode().splitlines()) == 1
    assert b"nothing was changed" in told
    assert names(folder) == before
    assert (folder / "t.cps").read_text() == "precious"


def test_a_name_as_long_as_names_can_be(folder):
    name = "é" * 125 + ".cps"
    compress(folder / "in.npy", folder / name)
    assert np.array_equal(C.loads((folder / name).read_bytes()), LABELS)


def test_names_that_are_not_unicode(folder):
    name = os.fsdecode(b"caf\xe9, 1.npy")
    np.save(folder / name, LABELS)
    target = str(folder / os.fsdecode(b"\xff.cps"))
    assert run("compress", folder / name, target).returncode == 0
    assert run("verify", target).stdout == b"sound\n"
    one_line(run("compress", folder / name, target), "exists")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable(folder):
    folder.chmod(0o555)
    try:
        one_line(run("compress", folder / "in.npy", folder / "t.cps"), "cannot be written")
    finally:
        folder.chmod(0o755)


def refusing(number):
    """A call of the system that fails."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    "refusal", [0, errno.EPERM, errno.EACCES, errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP]
)
def test_what_came_meanwhile_is_kept_unless_forced(tmp_path, monkeypatch, refusal):
    """Also where there are no hard links, whatever the file system says then."""
    if refusal:
        monkeypatch.setattr(os, "link", refusing(refusal))
    target = tmp_path / "x"
    with pytest.raises(C.FileError) as error, replacing(target) as unfinished:  # noqa: PT012
        unfinished.write_text("new")
        target.write_text("precious")
    told = f"{target}: exists; choose another name, or overwrite it with --force"
    assert str(error.value) == told
    assert target.read_text() == "precious"
    with replacing(target, force=True) as unfinished:
        unfinished.write_text("forced")
    assert target.read_text() == "forced"
    with replacing(tmp_path / "y") as unfinished:
        unfinished.write_text("free")
    assert (tmp_path / "y").read_text() == "free"
    assert names(tmp_path) == ["x", "y"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL])
def test_an_owner_that_cannot_be_had_is_no_obstacle(tmp_path, monkeypatch, number):
    """Not allowed; or not known in a container, where the system calls it no number of an owner."""
    target = tmp_path / "x"
    target.write_text("old")
    monkeypatch.setattr(os, "chown", refusing(number))
    with replacing(target, force=True) as unfinished:
        unfinished.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("change", ["written", "longer", "removed"])
def test_a_source_that_changes_while_it_is_read_is_refused(folder, monkeypatch, change):
    source, write = folder / "in.npy", container.write

    def meanwhile(*arguments):
        written = write(*arguments)
        if change == "written":
            os.utime(source, ns=(1, 1))
        elif change == "longer":
            found = source.stat()
            source.write_bytes(source.read_bytes() + b"0")
            os.utime(source, ns=(found.st_atime_ns, found.st_mtime_ns))
        else:
            source.unlink()
        return written

    monkeypatch.setattr(container, "write", meanwhile)
    with pytest.raises(C.FileError) as error:
        compress(source, folder / "t.cps")
    told = f"{source}: changed while it was read; nothing was written, run it again"
    assert str(error.value) == told
    assert not {"t.cps"} & set(names(folder))
    assert [name for name in names(folder) if name.startswith(".")] == []


@pytest.fixture
def detached(folder):
    """A header of NRRD, and its data beside it."""
    header = "NRRD0004\ntype: uint16\ndimension: 3\nsizes: 6 5 2\nendian: little\nencoding: raw\n"
    (folder / "x.nhdr").write_text(f"{header}data file: x.raw\n\n")
    (folder / "x.raw").write_bytes(LABELS.tobytes())
    return folder / "x.nhdr"


def test_data_beside_their_header_that_change_meanwhile_are_refused(detached, monkeypatch):
    data, write = detached.with_name("x.raw"), container.write

    def meanwhile(*arguments):
        written = write(*arguments)
        os.utime(data, ns=(1, 1))
        return written

    compress(detached, detached.with_name("t.cps"))
    assert np.array_equal(C.loads(detached.with_name("t.cps").read_bytes()), LABELS)
    monkeypatch.setattr(container, "write", meanwhile)
    with pytest.raises(C.FileError, match=r"x\.nhdr: changed while it was read"):
        compress(detached, detached.with_name("u.cps"))
    assert not detached.with_name("u.cps").exists()


def test_data_beside_their_header_are_the_source_too(detached):
    with pytest.raises(C.FileError, match=r"x\.raw: is the source itself"):
        compress(detached, detached.with_name("x.raw"))
    assert detached.with_name("x.raw").read_bytes() == LABELS.tobytes()


def test_a_temporary_file_is_removed_whatever_is_raised(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x") as unfinished:  # noqa: PT012
        unfinished.write_text("half")
        assert names(tmp_path) == [unfinished.name]
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_bugs_are_told_as_bugs(folder):
    """Another exception than those that are meant to be told."""
    code = (
        "import runpy, sys, compresso.files as f\n"
        "def broken(*a): raise KeyError('lossless')\n"
        "f.describe_file = broken\n"
        "sys.argv = ['compresso', 'info', 'x'] + sys.argv[1:]\n"
        "runpy.run_module('compresso', run_name='__main__')"
    )

    def bug(*arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=False
        )

    one_line(bug(), "Internal error: KeyError: 'lossless'; this is a bug", 70)
    loud = bug("--debug")
    assert loud.returncode == 70
    assert b"Traceback" in loud.stderr


def test_errors_with_debug_show_where_they_are_from(folder):
    done = run("info", folder / "in.npy", "--debug")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert b"not a compresso file" in done.stderr


def test_the_version():
    done = run("--version")
    assert done.returncode == 0
    assert C.__version__.encode() in done.stdout


@pytest.mark.parametrize("slices", ["5:2", "2:2", "0:0", "1:1"])
def test_slices_that_are_none_are_refused(folder, slices):
    done = run("decompress", folder / "in.cps", folder / "t.npy", "--slices", slices)
    assert done.returncode == 2
    assert b"holds no slice" in done.stderr
    assert not (folder / "t.npy").exists()


@pytest.mark.parametrize("slices", [(5, 2), (2, None), (2, 9), (7, 9), (1, 1), (-1, 1)])
def test_slices_outside_the_volume_are_refused(folder, slices):
    with pytest.raises(C.FileError, match="none of its 2 slices"):
        decompress(folder / "in.cps", folder / "t.npy", slices=slices)
    assert not (folder / "t.npy").exists()


def test_slices_beyond_the_end_are_told(folder):
    told = []
    assert decompress(folder / "in.cps", folder / "t.npy", slices=(1, 9), told=told)
    assert np.array_equal(np.load(folder / "t.npy"), LABELS[1:])
    assert len(told) == 1
    assert "has 2 slices" in told[0]


@pytest.mark.parametrize("shape", [(7,), (3, 4), (0,), (0, 4), (3, 0), (1, 3, 4), (1, 1, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_arrays_of_one_and_two_dimensions_come_back_as_they_were(tmp_path, shape, dtype):
    labels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    (tmp_path / "x.cps").write_bytes(C.dumps(labels))
    told = []
    assert decompress(tmp_path / "x.cps", tmp_path / "x.npy", told=told)
    assert decompress(tmp_path / "x.cps", tmp_path / "x.h5", told=told)
    assert not told
    with h5py.File(tmp_path / "x.h5") as file:
        for back in (np.load(tmp_path / "x.npy"), file["main"][()]):
            assert (back.shape, back.dtype) == (shape, dtype)
            assert np.array_equal(back, labels)


@pytest.mark.parametrize("target", ["x.nrrd", "x.tif", "x.nii"])
def test_what_a_format_cannot_hold_is_told(tmp_path, target):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (tmp_path / "x.cps").write_bytes(C.dumps(labels))
    told = []
    assert decompress(tmp_path / "x.cps", tmp_path / target, told=told)
    assert len(told) == 1
    assert "(3, 4) as (1, 3, 4)" in told[0]


def test_every_verb_refuses_what_follows_the_end(folder):
    (folder / "two.cps").write_bytes(2 * (folder / "in.cps").read_bytes())
    size = (folder / "in.cps").stat().st_size
    for verb in (["info"], ["decompress", folder / "t.npy"]):
        done = run(verb[0], folder / "two.cps", *verb[1:])
        one_line(done, f"two.cps: {size} bytes follow its end")
    done = run("verify", folder / "two.cps")
    assert done.returncode == 1
    told = f"{folder / 'two.cps'}: {size} bytes follow its end\ndamaged\n"
    assert done.stdout.decode() == told
    assert not (folder / "t.npy").exists()
    done = run("decompress", folder / "two.cps", folder / "t.npy", "--salvage")
    one_line(done, "bytes follow its end")
    assert np.array_equal(np.load(folder / "t.npy"), LABELS)


def test_a_damaged_head_is_salvaged(folder):
    data = bytearray((folder / "in.cps").read_bytes())
    data[20] ^= 1
    (folder / "bad.cps").write_bytes(data)
    one_line(run("decompress", folder / "bad.cps", folder / "t.npy"), "its head is damaged")
    one_line(run("decompress", folder / "bad.cps", folder / "t.npy", "--salvage"), "its head")
    assert np.array_equal(np.load(folder / "t.npy"), LABELS)


def test_a_group_larger_than_the_limit_is_refused(folder):
    done = run("decompress", folder / "in.cps", folder / "t.npy", "--limit", "100")
    one_line(done, "120 bytes, more than the limit of 100")
    assert run("info", folder / "in.cps").returncode == 0


def test_encoding_errors_name_the_file(folder):
    np.save(folder / "big.npy", np.full((2, 3, 4), 2**64 - 1, np.uint64))
    one_line(
        run("compress", folder / "big.npy", folder / "t.cps", "--encoding", "compresso"),
        "big.npy: label 18446",
    )
    assert not (folder / "t.cps").exists()

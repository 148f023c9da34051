"""The command ``compresso`` in place of PyPI's: the same files from the same command lines."""

import os
import subprocess
from pathlib import Path

import numpy as np
import peers
import pytest
from click.testing import CliRunner
from test_pypi import sample

import compresso
from compresso.__main__ import main
from compresso.adapters import pypi_program


def run(*words, **options):
    done = CliRunner().invoke(main, list(map(str, words)), **options)
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "a.npy", sample())
    return tmp_path / "a.npy"


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ((), {}),
        (("-c",), {}),
        (("--steps", "8,8,1"), {"steps": (8, 8, 1)}),
        (("--steps=4,4,2", "--no-z-index"), {"steps": (4, 4, 2), "random_access_z_index": False}),
        (("--six",), {"connectivity": 6}),
    ],
)
def test_there_and_back(file, words, arguments):
    packed = Path(f"{file}.cpso")
    assert run(*words, file).exit_code == 0
    assert sorted(file.parent.iterdir()) == [packed]
    assert packed.read_bytes() == compresso.compress(sample(), **arguments)
    assert run("-d", packed).exit_code == 0
    assert sorted(file.parent.iterdir()) == [file]
    found = np.load(file)
    assert found.dtype == sample().dtype
    assert np.array_equal(found, sample())


def test_the_packages_program_does_the_same(tmp_path, pytestconfig):
    python = peers.interpreter(Path(pytestconfig.cache.mkdir("peers")), "numpy", "compresso")
    code = "import sys, compresso_cli; sys.argv[0] = 'compresso'; compresso_cli.main()"

    def theirs(*words):
        done = subprocess.run([python, "-I", "-c", code, *words], capture_output=True, text=True)
        return done.stdout

    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", sample())
        (tmp_path / name / "b.cpso").write_bytes(compresso.compress(sample(np.uint64)))
    call = {"ours": lambda *words: run(*words).output, "theirs": theirs}
    for words in (["-i", "b.cpso"], ["-d", "b.cpso"], ["--steps", "8,8,1", "a.npy"]):
        said = {
            name: call[name](*words[:-1], tmp_path / name / words[-1]).replace(name, "")
            for name in call
        }
        assert said["ours"] == said["theirs"]
        files = {
            name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
            for name in call
        }
        assert files["ours"] == files["theirs"]


def test_names_from_the_standard_input(file):
    assert run("-", input=f"{file}\n\n").exit_code == 0
    assert Path(f"{file}.cpso").exists()


def test_nothing_is_lost(file, tmp_path):
    """A source that was not packed stays, and so does what is there already."""
    packed = Path(f"{file}.cpso")
    packed.write_bytes(b"precious")
    done = run(file, tmp_path / "no.npy")
    assert done.exit_code == 1
    assert "exists" in done.output
    assert f"{tmp_path / 'no.npy'}: cannot be read" in done.output
    assert packed.read_bytes() == b"precious"
    assert np.array_equal(np.load(file), sample())
    assert run("--force", file).exit_code == 2  # no option of that program begins so
    assert run("-c", "--force", file).exit_code == 0
    packed.write_bytes(packed.read_bytes()[:-1])
    assert run("-d", packed).exit_code == 1
    assert packed.exists()
    assert not file.exists()


def test_a_source_that_changes_while_it_is_packed_stays(file, monkeypatch):
    load = pypi_program._load

    def meanwhile(source):
        labels = load(source)
        os.utime(source, ns=(1, 1))
        return labels

    monkeypatch.setattr(pypi_program, "_load", meanwhile)
    done = run(file)
    assert done.exit_code == 1
    told = f"{file}: changed while it was read; nothing was written, run it again\n"
    assert done.output.endswith(told)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("unpack", [False, True])
def test_a_source_that_changes_before_it_is_removed_stays(file, monkeypatch, unpack):
    """Its name may have another's work by now."""
    packed = Path(f"{file}.cpso")
    source, target, words = (packed, file, ["-d"]) if unpack else (file, packed, [])
    if unpack:
        assert run(file).exit_code == 0
    equal = np.array_equal

    def meanwhile(*labels):
        source.write_bytes(b"later")
        return equal(*labels)

    monkeypatch.setattr(np, "array_equal", meanwhile)
    done = run(*words, source)
    told = f"{source}: changed while it was read; it is kept, and {target} holds what it was\n"
    assert (done.exit_code, done.output) == (1, f"Error: {told}")
    assert source.read_bytes() == b"later"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no .npy file"),
        (b"x" * 100, "no .npy file"),
        (np.zeros(3), "unsigned integers"),
        (np.zeros((2, 3, 4), np.int32), "unsigned integers"),
        (np.zeros((2, 2, 2, 2), np.uint8), "three dimensions"),
        (np.array([{}], object), "no .npy file"),
        (np.zeros((70000, 1, 1), np.uint8), "65535"),
    ],
)
def test_what_cannot_be_packed(tmp_path, content, reason):
    path = tmp_path / "a.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    before = path.read_bytes()
    done = run(path)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {path}: ")
    assert reason in done.output
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_stream_cannot_keep_is_told(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4), bool))
    done = run(tmp_path / "a.npy")
    assert done.exit_code == 0
    assert "bool (3, 4) comes back as uint8 (3, 4, 1)" in done.output


def test_frames_are_not_unpacked_by_it(tmp_path):
    """The frame would go, and its metadata with it."""
    path = tmp_path / "a.cps"
    path.write_bytes(compresso.dumps(sample()))
    done = run("-d", path)
    assert done.exit_code == 1
    assert "compresso decompress" in done.output
    assert path.exists()


def test_more_bytes_than_labels(file):
    with file.open("ab") as more:
        more.write(b"x")
    assert "would be lost" in run(file).output
    assert file.exists()


@pytest.mark.parametrize("words", [["--steps", "4,4", "a.npy"], ["--steps", "a,b,c", "a.npy"]])
def test_wrong_steps(words):
    assert "no size of a window" in run(*words).output


def test_verbs_come_first(file):
    assert run("compress", file, file.with_name("a.cps")).exit_code == 0
    assert file.exists()
    assert "No such command" in run("compres", "a", "b").output

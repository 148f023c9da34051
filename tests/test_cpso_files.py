"""Files that end in .cpso: streams of PyPI's package, from and to every other format."""

import numpy as np
import pytest
from click.testing import CliRunner

import compresso
from compresso.__main__ import main

LABELS = np.kron(np.arange(12).reshape(3, 2, 2), np.ones((2, 4, 3), int)).astype(np.uint16)


def run(*words):
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    return tmp_path


@pytest.mark.parametrize("name", ["a.cpso", "A.CPSO"])
def test_there_and_back(folder, name):
    stream = folder / name
    assert run("compress", folder / "a.npy", stream).exit_code == 0
    assert stream.read_bytes() == compresso.compress(LABELS.T)
    assert run("decompress", stream, folder / "b.npy").exit_code == 0
    found = np.load(folder / "b.npy")
    assert found.dtype == LABELS.dtype
    assert np.array_equal(found, LABELS)
    assert run("decompress", stream, folder / "c.npy", "--slices", "2:5").exit_code == 0
    assert np.array_equal(np.load(folder / "c.npy"), LABELS[2:5])


def test_a_stream_is_compressed_like_any_volume(folder):
    (folder / "a.cpso").write_bytes(compresso.compress(LABELS.T))
    assert run("compress", folder / "a.cpso", folder / "a.cps").exit_code == 0
    assert np.array_equal(compresso.loads((folder / "a.cps").read_bytes()), LABELS)


def test_info_and_verify(folder):
    (folder / "a.cpso").write_bytes(compresso.compress(LABELS.T))
    for command in ("info", "verify"):
        done = run(command, folder / "a.cpso")
        assert done.exit_code == 0
        assert "uint16" in done.output


@pytest.mark.parametrize("command", [("info",), ("verify",), ("decompress", "b.npy")])
@pytest.mark.parametrize("data", [b"", b"x" * 100, compresso.compress(LABELS.T)[:-1]])
def test_damage_is_refused(folder, command, data):
    (folder / "a.cpso").write_bytes(data)
    verb, *target = command
    done = run(verb, folder / "a.cpso", *(folder / name for name in target))
    assert done.exit_code == 1
    assert "a.cpso" in done.output
    assert not (folder / "b.npy").exists()


@pytest.mark.parametrize(
    "labels", [LABELS.astype(np.int32), LABELS.astype(bool), np.zeros((70000, 1, 1), np.uint8)]
)
def test_volumes_that_a_stream_cannot_hold(folder, labels):
    np.save(folder / "a.npy", labels)
    done = run("compress", folder / "a.npy", folder / "a.cpso")
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert not (folder / "a.cpso").exists()


def test_nothing_is_overwritten(folder):
    (folder / "a.cpso").write_bytes(b"precious")
    assert run("compress", folder / "a.npy", folder / "a.cpso").exit_code == 1
    assert (folder / "a.cpso").read_bytes() == b"precious"
    assert run("compress", "--force", folder / "a.npy", folder / "a.cpso").exit_code == 0

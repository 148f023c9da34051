"""Files that end in .cpso: streams of PyPI's package, from and to every other format."""

import numpy as np
import pytest

import compresso
from tests.helpers.sources import LABELS, run


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    return tmp_path


@pytest.mark.parametrize("name", ["a.cpso", "A.CPSO"])
def test_there_and_back(folder, name):
    stream = folder / name
    assert run("compress", folder / "a.npy", stream)
    assert stream.read_bytes() == compresso.compress(LABELS.T)
    assert run("decompress", stream, folder / "b.npy")
    found = np.load(folder / "b.npy")
    assert found.dtype == LABELS.dtype
    assert np.array_equal(found, LABELS)
    assert run("decompress", stream, folder / "c.npy", "--slices", "2:5")
    assert np.array_equal(np.load(folder / "c.npy"), LABELS[2:5])


@pytest.mark.parametrize("data", [b"", b"x" * 100, compresso.compress(LABELS.T)[:-1], None])
def test_damage_is_refused(folder, data):
    sound = data is None
    (folder / "a.cpso").write_bytes(compresso.compress(LABELS.T) if sound else data)
    for verb, *target in (["info"], ["verify"], ["decompress", folder / "b.npy"]):
        done = run(verb, folder / "a.cpso", *target, code=not sound)
        assert ("uint16" in done.output) == sound
    assert (folder / "b.npy").exists() == sound


@pytest.mark.parametrize(
    "labels", [LABELS.astype(np.int32), LABELS.astype(bool), np.zeros((70000, 1, 1), np.uint8)]
)
def test_volumes_that_a_stream_cannot_hold(folder, labels):
    np.save(folder / "a.npy", labels)
    done = run("compress", folder / "a.npy", folder / "a.cpso", code=1)
    assert done.output.count("\n") == 1
    assert not (folder / "a.cpso").exists()


def test_streams_are_sources_and_not_overwritten(folder):
    run("compress", folder / "a.npy", folder / "a.cpso")
    run("compress", folder / "a.cpso", folder / "a.cps")
    assert np.array_equal(compresso.loads((folder / "a.cps").read_bytes()), LABELS)
    run("compress", folder / "a.npy", folder / "a.cpso", code=1)
    run("compress", "--force", folder / "a.npy", folder / "a.cpso")


def test_options_of_compressed_files_are_refused(folder):
    options = ["-e", "ristretto", "-c", "lzma", "--depth", "2", "--memory", "1G"]
    done = run("compress", folder / "a.npy", folder / "a.cpso", *options, code=2)
    assert "Omit --encoding, --compression, --depth, --memory." in done.output
    run("compress", folder / "a.npy", folder / "a.cpso", "-t", "2")
    run("decompress", folder / "a.cpso", folder / "b.npy", "--salvage", code=2)

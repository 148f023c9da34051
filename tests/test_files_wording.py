"""What the command says of slices and groups."""

import numpy as np
import pytest
from click.testing import CliRunner

import compresso as C
from compresso.__main__ import main
from experiments import datasets


def said(*arguments):
    done = CliRunner().invoke(main, [str(word) for word in arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("shape", "depth", "words"),
    [
        ((12, 4, 5), None, "1 group of 12 slices"),
        ((12, 4, 5), 5, "3 groups of 5 slices"),
        ((12, 4, 5), 1, "12 groups of 1 slice\n"),
        ((4, 5), None, "1 group of 1 slice\n"),
        ((0, 4, 5), None, "no group"),
    ],
)
def test_groups_are_counted(tmp_path, shape, depth, words):
    data = C.dumps(np.zeros(shape, np.uint8), "none", "zlib", depth=depth)
    (tmp_path / "x.cps").write_bytes(data)
    assert words in said("info", tmp_path / "x.cps")[1]


@pytest.mark.parametrize("slices", ["12:", "12:14"])
def test_slices_are_told_as_they_were_asked_for(tmp_path, slices):
    (tmp_path / "x.cps").write_bytes(C.dumps(np.zeros((12, 4, 5), np.uint8), "none", "zlib"))
    code, text = said("decompress", tmp_path / "x.cps", tmp_path / "y.npy", "--slices", slices)
    assert code == 1
    assert f"{slices} are none of its 12 slices" in text


def test_slices_of_an_array_without_them_are_said_to_be_added(tmp_path):
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    (tmp_path / "x.cps").write_bytes(C.dumps(labels, "none", "zlib"))
    target = tmp_path / "y.npy"
    assert said("decompress", tmp_path / "x.cps", target) == (0, "")
    assert np.load(target).shape == (4, 5)
    code, text = said("decompress", tmp_path / "x.cps", target, "--slices", "0:1", "--force")
    assert code == 0
    assert "holds the array of shape (4, 5) as (1, 4, 5)" in text
    assert np.array_equal(np.load(target), labels[None])


@pytest.mark.parametrize("dtype", ["<u8", ">u2", "i1", "bool"])
def test_dtypes_are_shown_by_their_names(tmp_path, dtype):
    """A code such as u8 would be read as 8 bits."""
    labels = np.zeros((2, 3, 4), dtype)
    np.save(tmp_path / "a.npy", labels)
    for words in (
        ("compress", tmp_path / "a.npy", tmp_path / "a.cps"),
        ("info", tmp_path / "a.cps"),
    ):
        code, text = said(*words)
        assert code == 0
        assert f"2 x 3 x 4 {labels.dtype.name}," in text
    (found,) = datasets.parse(str(tmp_path / "a.npy"), tmp_path)
    assert f" {labels.dtype.name} in " in found.status()
    with C.open(tmp_path / "a.cps") as array:
        assert labels.dtype.name in repr(array)
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), ">f4"))
    assert "float32" in said("compress", tmp_path / "a.npy", tmp_path / "b.cps")[1]

"""Errors of the library's commands: one short line that names the cause."""

import errno
import os

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from compresso import volumes
from compresso.__main__ import main
from compresso.errors import FileError
from compresso.volumes._client import explain


def test_a_full_disk_is_not_a_lack_of_memory():
    reason = os.strerror(errno.ENOSPC)
    error = ValueError(f'RESOURCE_EXHAUSTED: Failed writing "x" [OS error 28: {reason}]')
    assert explain(error).startswith("cannot be written: the disk is full (")
    assert explain(ValueError("RESOURCE_EXHAUSTED: too big")).startswith("does not fit the memory")


def test_the_whole_ending_is_named(tmp_path):
    path = tmp_path / "a.nii.gz"
    with pytest.raises(FileError, match=r"^\.nii\.gz files cannot hold an empty volume"):
        volumes.write(path, volumes.of_array(np.empty((0, 6, 7), "u1")))


@pytest.mark.parametrize(("inner", "words"), [("9", "no series 9: 0 of"), ("", "several")])
def test_a_missing_series(tmp_path, inner, words):
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(np.ones((3, 4, 5), "u2"), photometric="minisblack")
        file.write(np.ones((2, 8, 9), "u1"), photometric="minisblack")
    with (
        pytest.raises(FileError, match=words),
        volumes.open(f"{tmp_path}/two.tif:{inner}"),
    ):
        pass


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "a folder"),
        (["zarr.json"], "chunked store"),
        ([".zgroup"], "chunked store"),
        (["zarr.json.unfinished"], "unfinished conversion"),
        (["zarr.json.unfinished", "zarr.json"], "chunked store"),
    ],
)
def test_folders_are_not_compressed_files(tmp_path, files, words):
    (tmp_path / "folder").mkdir()
    for name in files:
        (tmp_path / "folder" / name).touch()
    for verb, *target in (["info"], ["verify"], ["decompress", str(tmp_path / "x.npy")]):
        done = CliRunner().invoke(main, [verb, str(tmp_path / "folder"), *target])
        assert done.exit_code == (2 if verb == "verify" else 1)
        assert done.output.startswith(f"Error: {tmp_path / 'folder'}: ")
        assert words in done.output
        assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("verb", ["compress", "convert"])
def test_folders_are_not_volumes(tmp_path, verb):
    (tmp_path / "folder").mkdir()
    done = CliRunner().invoke(main, [verb, str(tmp_path / "folder"), str(tmp_path / "target")])
    line = f"Error: {tmp_path / 'folder'}: not a file or a known store (it is a folder)"
    assert done.output == f"{line}\n"
    assert done.exit_code == 1


def test_a_name_that_a_store_cannot_have(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((3, 4, 5), "u1"))
    for name, words in (
        (os.fsdecode(b"\xff"), "UTF-8"),
        (256 * "x", os.strerror(errno.ENAMETOOLONG)),
    ):
        command = ["convert", str(tmp_path / "v.npy"), str(tmp_path / name)]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 1
        assert words in done.output
        assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["info", "x" * 240 + "/" + "y" * 240 + "/" + "z" * 240],
        ["compress", "x.npy", "y.cps", "--encoding", "x" * 999],
        ["decompress", "x.cps", "y.npy", "--slices", "x" * 999],
        ["convert", "x.npy", "t", "--scheduler", "x" * 999],
    ],
)
def test_lines_about_errors_are_short(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((2, 3, 4), "u1"))
    result = CliRunner().invoke(main, words)
    assert result.exit_code
    assert "Error: " in result.stderr
    assert max(map(len, result.stderr.splitlines())) <= 300

"""Stores that are missing, private, unreachable, damaged or absurd: one line that says which."""

import os
import sys

import numpy as np
import pytest

from compresso import files, volumes
from compresso.errors import FileError
from compresso.volumes import _client, _stores, precomputed
from tests.helpers import program
from tests.helpers import stores as depots
from tests.helpers.stores import read, refusal, same, scales, zarr_group


@pytest.fixture
def impatient(monkeypatch):
    """Requests are repeated at once."""
    monkeypatch.setitem(_client.RETRIES, "initial_delay", "1ms")
    monkeypatch.setitem(_client.RETRIES, "max_delay", "1ms")


def test_nothing_leads_out_of_a_store(tmp_path):
    depots.precomputed(tmp_path / "secret", depots.labels(dtype="u4"))
    folder = depots.info(tmp_path / "seg", key="../secret/4_4_40")
    assert "leads out of the store" in refusal(folder)
    image = scales("zyx", [None] * 3, [[1, 1, 1]], [])
    image[0]["datasets"][0]["path"] = "../secret"
    zarr_group(tmp_path / "ome").attrs["ome"] = {"multiscales": image}
    assert "leads out of the store" in refusal(tmp_path / "ome")


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
@pytest.mark.parametrize("kind", depots.KINDS)
def test_damaged_chunks(tmp_path, kind, damage):
    if (kind, damage) in (("raw", "garbage"), ("shards", "garbage"), ("shards", "cut")):
        pytest.skip("raw chunks and indexes of shards have no checksum")
    folder = depots.KINDS[kind][0](tmp_path / "seg", depots.labels())
    for chunk in depots.chunks(folder)[3:6]:
        data = chunk.read_bytes()
        broken = {"cut": data[: len(data) // 2], "empty": b"", "garbage": b"\xa5" * len(data)}
        chunk.write_bytes(broken[damage])
    line = refusal(folder)
    assert ": slices " in line
    assert "damaged, or not of a kind" in line


@pytest.mark.parametrize("name", ["info", "zarr.json", ".zarray", "attributes.json"])
@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "\xff", "[" * 99999, "{}", '{"scales": [5]}', '{"shape": [5]}'),
        *('{"dimensions": 7}', '{"zarr_format": 2, "shape": [1e99]}', '{"node_type": "group"}'),
    ],
)
def test_damaged_metadata(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert volumes.names_store(str(tmp_path))
    refusal(tmp_path)


def test_volumes_larger_than_the_memory_are_refused(tmp_path, monkeypatch):
    folder = depots.precomputed(tmp_path / "seg", depots.labels())
    monkeypatch.setattr(_stores, "available", lambda: 20 * 33 * 41 * 8 - 1)
    assert "slices 0 to 19 (216 kB) do not fit the memory" in refusal(folder)
    same(f"{folder}:box=0-41x0-33x0-19", depots.labels()[:19])
    monkeypatch.setattr(_stores, "available", lambda: 16 * 16 * 8 * 8 - 1)
    assert "its chunks (16.4 kB) do not fit the memory" in refusal(folder)


@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_chunks_are_kept_while_the_memory_allows(tmp_path, monkeypatch, memory):
    volume, read = depots.labels(), []
    folder = depots.in_compresso(tmp_path / "seg", volume)
    decode = precomputed.Cpso.decode
    monkeypatch.setattr(precomputed.Cpso, "decode", lambda *words: read.append(1) or decode(*words))
    monkeypatch.setattr(_client, "INDEXES", 0)
    with volumes.open(str(folder), memory) as reader:
        parts = [reader.read(z, z + 3) for z in range(0, 20, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), volume)
    assert len(read) == 27 if memory else len(read) > 27


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        *(("404", "absent, or not a store"), ("403", "private, or asks for a login")),
        *(("401", "private, or asks for a login"), ("500", "its server fails")),
        *(("503", "its server fails"), ("garbage", "cannot be reached")),
        ("page", "is damaged: not JSON"),
    ],
)
def test_servers(tmp_path, path, reason):
    with depots.serving(tmp_path) as address:
        for text in (f"{address}/{path}/seg", f"precomputed://{address}/{path}/seg"):
            assert reason in refusal(text)


@pytest.mark.usefixtures("impatient")
def test_unreachable_hosts():
    for text in ("http://127.0.0.1:9/seg", "https://no.such.host.invalid/seg|zarr3:"):
        assert "cannot be reached" in refusal(text)


def test_a_silent_server(tmp_path):
    impatient = os.environ | {"TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "1"}
    with depots.serving(tmp_path) as address:
        words = "compress", f"{address}/hang", tmp_path / "x.cps"
        done = program.run(*words, code=1, env=impatient, text=True)
    assert done.stderr.startswith(f"Error: {address}/hang: cannot be reached")
    assert done.stderr.count("\n") == 1


def test_a_store_is_not_changed(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", depots.labels())
    for text in (str(folder), f"precomputed://{folder}", f"file://{folder}/|auto:"):
        for target in (folder / "info", folder / "4_4_40" / "new.cps"):
            with pytest.raises(FileError, match="inside the source"):
                files.compress_file(text, target, "none", "none", force=True)
    same(folder, depots.labels())


def test_without_tensorstore(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    _client.tensorstore.cache_clear()
    with pytest.raises(ImportError, match="pip install tensorstore"):
        read(depots.info(tmp_path / "seg"))


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        ("PERMISSION_DENIED: Failed to write: Permission denied", "not allowed on this"),
        ("PERMISSION_DENIED: Failed to write: Read-only file system", "not allowed on this"),
        ("PERMISSION_DENIED: Permission denied [HTTP code 403]", "private, or asks for a login"),
        (f"RESOURCE_EXHAUSTED: [OS error 28: {os.strerror(28)}]", "cannot be written: the disk"),
        ("RESOURCE_EXHAUSTED: too big", "does not fit the memory"),
    ],
)
def test_refusals_of_the_system_of_a_bucket_and_of_the_memory_differ(error, explained):
    assert _client.explain(ValueError(error)).startswith(explained)


@pytest.mark.parametrize("kind", ["raw", "zarr3", "own", "n5"])
def test_messages_name_the_damaged_chunk_of_a_long_path(tmp_path, kind):
    deep = tmp_path / ("x" * 100) / ("y" * 100) / ("z" * 100)
    folder = depots.KINDS[kind][0](deep / "seg", depots.labels(dtype="u4"))
    chunk = depots.chunks(folder)[3]
    chunk.write_bytes(b"")
    for verb in ("compress", "convert"):
        lines = program.invoke(verb, folder, tmp_path / verb, code=1).stderr.splitlines()
        assert chunk.relative_to(folder).as_posix() in lines[0]
        assert max(map(len, lines)) <= 300


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "private, or asks for a login ("), (503, "cannot be read: its server fails (")],
)
def test_clouds(tmp_path, status, reason):
    with depots.serving(tmp_path) as address:
        place = {"driver": "s3", "bucket": str(status), "path": "seg/", "endpoint": address}
        with pytest.raises(FileError) as caught:
            _client.Node.make("s3://x", place | {"aws_region": "us-east-1"}).document("info")
    line = str(caught.value)
    assert line.startswith(f"s3://x: {reason}")
    assert line.endswith(f"[HTTP code {status}])")

"""fetch: files from a server and stores, checked, converted to HDF5, and continued."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest

from experiments import DatasetError, datasets
from experiments.datasets import CATALOGUE, fetch
from tests.helpers import stores
from tests.helpers.archives import ARCHIVES, bsds
from tests.helpers.commands import run_here


@pytest.fixture
def server(tmp_path):
    """A folder, and the address that serves it; other files are a page of HTML, with 200."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Portal(stores.Handler):
        def do_GET(self):  # noqa: N802
            if (folder / self.path.lstrip("/")).exists():
                super().do_GET()
            else:
                page = b"<html>Please log in to the network</html>"
                length = len(page) + 9 * ("short" in self.path)
                self.send(200, page, **{"Content-Length": length})

    with stores.server(partial(Portal, directory=folder)) as address:
        yield folder, address


def served(monkeypatch, folder, name):
    """Write a small archive to the server's folder, and expect its checksum and size."""
    file, write = ARCHIVES[name]
    expected = write(folder / file)
    content = (folder / file).read_bytes()
    kind = CATALOGUE[name].checksum.partition(":")[0]
    if kind:
        digest = f"{kind}:{hashlib.new(kind, content).hexdigest()}"
        dataset = replace(CATALOGUE[name], checksum=digest, download=len(content))
        monkeypatch.setitem(CATALOGUE, name, dataset)
    return file, content, expected


@pytest.mark.parametrize("name", ["pinky40", "bsd500"])
def test_files_are_checked_and_converted_once(tmp_path, monkeypatch, server, name):
    folder, address = server
    file, content, expected = served(monkeypatch, folder, name)
    lines = []
    data = tmp_path / "data"
    path = fetch.fetch(name, data, address, lines.append)
    digest = hashlib.sha256(content).hexdigest()
    assert digest in lines[1]
    assert {p.name for p in data.iterdir()} == {file, f"{name}.h5"}
    with h5py.File(path) as found:
        main = found["main"]
        assert np.array_equal(main[:], expected)
        assert main.chunks == (1, *expected.shape[1:])
        assert (main.attrs["sha256"], main.attrs["url"]) == (digest, f"{address}/{file}")
    before = path.stat()
    (folder / file).unlink()
    assert fetch.fetch(name, data, address, lines.append) == path
    assert path.stat() == before
    assert np.array_equal(datasets.parse(name, data)[0].load().labels, expected)


def test_wrong_files_are_not_kept(tmp_path, server):
    folder, address = server
    data = tmp_path / "data"
    for name in ("pinky40", "bsd500"):  # with and without a checksum
        with pytest.raises(DatasetError, match=rf"{name}: cannot get http.*--mirror.*{name}\.h5"):
            fetch.fetch(name, data, address, [].append)
        assert list(data.iterdir()) == []
    with pytest.raises(DatasetError, match="received 41 of 50 bytes"):
        fetch.fetch("bsd500", data, f"{address}/short", [].append)
    # A wrong file that exists already is replaced; a right one is not downloaded.
    (data / "BSR_bsds500.tgz").write_bytes(b"<html>")
    expected = bsds(folder / "BSR_bsds500.tgz")
    for _ in range(2):
        fetch.fetch("bsd500", data, address, [].append)
        assert np.array_equal(datasets.parse("bsd500", data)[0].load().labels, expected)
        (data / "bsd500.h5").unlink()
        (folder / "BSR_bsds500.tgz").unlink(missing_ok=True)


def test_a_dataset_in_another_file_is_not_downloaded(tmp_path):
    for name, file in [("spl-knee", "spl-knee.nrrd"), ("bsd500", "BSR_bsds500_groundtruth.tgz")]:
        (tmp_path / file).touch()
        done = run_here("fetch", name, "-d", tmp_path)
        assert done.stdout == f"{name}: {tmp_path / file}\n"
        assert "already" in done.stderr


def test_the_command(tmp_path, monkeypatch, server):
    folder, address = server
    served(monkeypatch, folder, "fib25")
    assert "pinky40" in run_here("fetch", "-d", tmp_path).stdout
    done = run_here("fetch", "fib25", "cremi-a", "--mirror", address, "-d", tmp_path, code=1)
    assert done.stdout == f"fib25: {tmp_path / 'fib25.h5'}\n"
    assert "SHA256" in done.stderr
    assert "Error: cremi-a: cannot get" in done.stderr
    assert '"pinky40"' in run_here("fetch", "fib25", "pinky4", "-d", tmp_path, code=2).stderr


def test_datasets_are_listed(tmp_path):
    (tmp_path / "MRI").mkdir()
    np.save(tmp_path / "MRI" / "head.npy", np.zeros((1, 2, 3), np.uint8))
    (tmp_path / "ac4.h5").write_bytes(b"damaged")
    assert "3 x 2 x 1 uint8" in run_here("datasets", "-d", tmp_path).stdout
    found = json.loads(run_here("datasets", "-d", tmp_path, "--json").stdout)
    known = {one["name"]: one for one in found}
    assert known["mri/head"]["path"] == str(tmp_path / "MRI" / "head.npy")
    assert "ac4.h5" in known["ac4"]["error"]
    assert (known["pinky40"]["path"], known["pinky40"]["licence"]) == (None, "MIT")
    assert known["fib25"]["download_bytes"] == 1_240_524
    assert {name for name, one in known.items() if one["in_paper"]} == set(datasets.published())


# ---- stores


@pytest.fixture
def cylinder(tmp_path):
    """A folder with a store in 64^3 chunks, as the published one, and its labels."""
    volume = stores.labels((70, 80, 90), "u4")
    options = {"chunk_size": [64, 64, 32], "resolution": [6, 6, 30]}
    target = tmp_path / "mirror" / "ground_truth"
    stores.precomputed(target, volume, "compressed_segmentation", **options)
    return tmp_path / "mirror", volume


def check(path, volume, address):
    with h5py.File(path) as file:
        main = file["main"]
        np.testing.assert_array_equal(main[:], volume)
        assert main.dtype == volume.dtype
        assert main.attrs["url"] == f"precomputed://{address}/ground_truth"
        assert main.attrs["labels_sha256"] == hashlib.sha256(volume.tobytes()).hexdigest()
        assert main.attrs["resolution"].tolist() == pytest.approx([30, 6, 6])
    assert [p.name for p in path.parent.iterdir()] == ["cyl.h5"]


def test_a_store_on_a_server(tmp_path, cylinder):
    folder, volume = cylinder
    with stores.serving(folder) as address:
        path = fetch.fetch("cyl", tmp_path / "data", f"{address}/", [].append)
        check(path, volume, address)


def test_a_stopped_download_continues(tmp_path, cylinder, monkeypatch):
    folder, volume = cylinder
    saved, replacing = [], fetch.replacing

    def stopping(target, **settings):
        if target.suffix == ".cps":
            saved.append(int(target.stem))
            if len(saved) == 4:
                raise KeyboardInterrupt
        return replacing(target, **settings)

    monkeypatch.setattr(fetch, "replacing", stopping)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("cyl", tmp_path / "data", str(folder), [].append)
    parts = sorted((tmp_path / "data").glob(".fetching-*/*"))
    assert [part.name for part in parts] == ["0.cps", "16.cps", "32.cps"]
    parts[0].write_bytes(parts[0].read_bytes()[:-9])
    data = bytearray(parts[1].read_bytes())
    data[len(data) // 2] ^= 1
    parts[1].write_bytes(data)
    check(fetch.fetch("cyl", tmp_path / "data", str(folder), [].append), volume, folder)
    assert saved == [0, 16, 32, 48, 0, 16, 48, 64]


def test_parts_of_another_volume_are_not_used(tmp_path, cylinder):
    folder, volume = cylinder
    other = tmp_path / "other" / "ground_truth"
    stores.precomputed(other, volume + np.uint32(1))
    (other / "4_4_40" / "0-16_0-16_64-70").write_bytes(b"cut")
    with pytest.raises(DatasetError, match=r"slices 64 to 69.*finished slices are kept"):
        fetch.fetch("cyl", tmp_path / "data", str(tmp_path / "other"), [].append)
    check(fetch.fetch("cyl", tmp_path / "one", str(folder), [].append), volume, folder)
    with pytest.raises(DatasetError, match="cannot get"):
        fetch.fetch("cyl", tmp_path / "two", "http://127.0.0.1:9", [].append)
    assert not list((tmp_path / "two").iterdir())

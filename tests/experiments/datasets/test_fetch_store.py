"""fetch cyl: a published volume that is a store, on one laid out the same."""

import hashlib
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso.volumes import Volume
from experiments import datasets
from experiments.datasets import _parts
from experiments.datasets._fetch import fetch, fetchable
from experiments.errors import DatasetError
from tests.helpers import stores as depots


@pytest.fixture
def cylinder(tmp_path):
    """A folder with the store, in 64^3 chunks as the published one, and its labels."""
    volume = depots.labels((70, 80, 90), "u4")
    depots.precomputed(
        tmp_path / "mirror" / "ground_truth",
        volume,
        "compressed_segmentation",
        chunk_size=[64, 64, 32],
        resolution=[6, 6, 30],
    )
    return tmp_path / "mirror", volume


def check(path, volume, address):
    with h5py.File(path) as file:
        main = file["main"]
        np.testing.assert_array_equal(main[:], volume)
        assert main.dtype == volume.dtype
        assert main.chunks == (1, 80, 90)
        assert main.attrs["url"] == f"precomputed://{address}/ground_truth"
        assert main.attrs["labels_sha256"] == hashlib.sha256(volume.tobytes()).hexdigest()
        assert main.attrs["resolution"].tolist() == pytest.approx([30, 6, 6])
    assert [p.name for p in path.parent.iterdir()] == ["cyl.h5"]


def test_fetch(tmp_path, cylinder):
    folder, volume = cylinder
    assert "cyl" in fetchable()
    check(fetch("cyl", tmp_path / "data", str(folder)), volume, folder)
    (dataset,) = datasets.parse("cyl", tmp_path / "data")
    np.testing.assert_array_equal(dataset.load().labels, volume)


def test_fetch_from_a_server(tmp_path, cylinder):
    folder, volume = cylinder
    with depots.serving(folder) as address:
        check(fetch("cyl", tmp_path / "data", f"{address}/"), volume, address)


def test_a_killed_fetch_goes_on(tmp_path, cylinder, monkeypatch):
    folder, volume = cylinder
    program = (
        "import os, signal\n"
        "from experiments.datasets import _parts\n"
        "from experiments.datasets._fetch import fetch\n"
        "save = _parts._Parts.save\n"
        "def dying(self, start, labels):\n"
        "    if start == 32: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    save(self, start, labels)\n"
        "_parts._Parts.save = dying\n"
        "from pathlib import Path\n"
        f"fetch('cyl', Path({str(tmp_path / 'data')!r}), {str(folder)!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "data" / "cyl.h5").exists()
    read = []
    plain = Volume.read
    monkeypatch.setattr(Volume, "read", lambda self, a, b: read.append(a) or plain(self, a, b))
    fetched = fetch("cyl", tmp_path / "data", str(folder))
    assert min(read) == 32
    check(fetched, volume, folder)


def test_damaged_parts_are_fetched_again(tmp_path, cylinder, monkeypatch):
    folder, volume = cylinder

    def stopping(self, start, labels):
        if start == 48:
            raise KeyboardInterrupt
        save(self, start, labels)

    save = _parts._Parts.save
    monkeypatch.setattr(_parts._Parts, "save", stopping)
    with pytest.raises(KeyboardInterrupt):
        fetch("cyl", tmp_path / "data", str(folder))
    monkeypatch.undo()
    parts = sorted((tmp_path / "data").glob(".fetching-*/*"))
    assert [part.name for part in parts] == ["0.cps", "16.cps", "32.cps"]
    parts[0].write_bytes(parts[0].read_bytes()[:-9])
    data = bytearray(parts[1].read_bytes())
    data[len(data) // 2] ^= 1
    parts[1].write_bytes(data)
    check(fetch("cyl", tmp_path / "data", str(folder)), volume, folder)


def test_parts_of_another_volume_are_not_taken(tmp_path, cylinder, monkeypatch):
    folder, volume = cylinder
    depots.precomputed(tmp_path / "other" / "ground_truth", volume + np.uint32(1))
    (tmp_path / "other" / "ground_truth" / "4_4_40" / "0-16_0-16_64-70").write_bytes(b"cut")
    with pytest.raises(DatasetError, match=r"slices 64 to 69: damaged.* is kept"):
        fetch("cyl", tmp_path / "data", str(tmp_path / "other"))
    path = fetch("cyl", tmp_path / "data", str(folder))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["main"][:], volume)


@pytest.mark.parametrize("where", ["nothing", "http://127.0.0.1:9"])
def test_what_cannot_be_had(tmp_path, where):
    done = subprocess.run(
        [sys.executable, "run.py", "fetch", "cyl", "-d", str(tmp_path), "--mirror", where],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: cyl: cannot get precomputed://{where}/ground_truth (")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())

"""Conversions by several workers: the same objects, even if a worker dies."""

import os
import subprocess
import sys
import time
from pathlib import Path

import depots
import numpy as np
import pytest
from helpers.clusters import cluster, ended

pytest.importorskip("distributed", reason="needs the package dask[distributed]")

ROOT = Path(__file__).resolve().parents[2]


def test_a_conversion_to_a_bucket_by_workers(tmp_path):
    """What two processes write to a bucket is what one writes to a folder, object by object."""
    volume = depots.labels((40, 70, 90), "u4")
    source = depots.zarr_array(tmp_path / "seg", volume, chunks=(32, 32, 32))
    words = [sys.executable, "-m", "compresso", "convert", source]
    options = ["--encoding", "cpso", "--chunks", "32x32x32"]
    objects = {}
    with depots.bucket(objects) as address:
        environment = os.environ | {"TENSORSTORE_GCS_HTTP_URL": address}
        for target, more in (
            ("gs://mine/seg", ["--scheduler", "processes:2"]),
            (tmp_path / "t", []),
        ):
            subprocess.run(
                [*words, target, *options, *more],
                env=environment,
                cwd=ROOT,
                check=True,
                timeout=300,
            )
    expected = {
        f"seg/{path.relative_to(tmp_path / 't')}": path.read_bytes()
        for path in (tmp_path / "t").rglob("*")
        if path.is_file()
    }
    assert len([name for name in expected if name.startswith("seg/c/")]) == 2 * 3 * 3
    shown = {name: data for name, data in objects.items() if "/.compresso/" not in name}
    assert shown == {n: data for n, data in expected.items() if "/.compresso/" not in n}


@pytest.mark.slow
def test_a_conversion_survives_a_killed_worker(tmp_path):
    volume = depots.labels((256, 256, 128))
    source = depots.zarr_array(tmp_path / "seg", volume, chunks=(64, 64, 64))
    target = tmp_path / "target"
    with cluster(tmp_path) as (address, (_, *workers)):
        command = [sys.executable, "-m", "compresso", "convert", str(source), str(target)]
        command += ["--encoding", "cpso", "--scheduler", address, "--memory", "380M"]
        with ended(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)) as process:
            while not list(target.glob("c/*/*/*")) and process.poll() is None:
                time.sleep(0.01)
            workers[0].kill()
            assert process.wait(timeout=120) == 0
            process.stdout.close()
    zarr = pytest.importorskip("zarr")
    from compresso.adapters.zarr import CompressoCodec

    zarr.registry.register_codec("compresso", CompressoCodec)
    np.testing.assert_array_equal(zarr.open_array(str(target))[:], volume)

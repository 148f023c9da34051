"""A grid on a Dask scheduler: the same rows, even if a worker dies."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.helpers import stores
from tests.helpers.clusters import cluster, ended
from tests.helpers.commands import RUN, run_here

pytest.importorskip("distributed", reason="needs the package dask[distributed]")

from experiments import records

#: What must be the same wherever it was measured.
EXACT = ["dataset", "chunk", "encoding", "compression", "run", "source", "shape", "dtype", "status"]
EXACT += ["raw_bytes", "native_bytes", "encoded_bytes", "compressed_bytes", "lossless"]
EXACT += ["fingerprint", "part", "group"]
GRID = ["compresso,cpso", "zlib", "phantom:size=200x150x40", "--runs", "2", "--no-plot"]
CHUNKS = ["--chunks", "64x64x16"]
N_CHUNKS = 4 * 3 * 3


def rows(path):
    """The rows of a CSV without what depends on the workers, sorted."""
    table = records.read(path)[EXACT]
    return table.sort_values(EXACT[:5], kind="stable").reset_index(drop=True)


def test_a_killed_worker_loses_no_row(tmp_path):
    """The rows of 36 chunks and their totals are those of a run without a scheduler."""
    run_here(*GRID, *CHUNKS, "--csv", tmp_path / "here.csv")
    output = tmp_path / "there.csv"
    with cluster(tmp_path) as (address, (_, *workers)):
        words = [*GRID, *CHUNKS, "--scheduler", address, "--csv", str(output)]
        command = [sys.executable, RUN, *words]
        with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL)) as process:
            worker_id = killed_in_the_middle(output, workers, process)
            assert process.wait(timeout=120) == 0
    expected = rows(tmp_path / "here.csv")
    assert len(expected) == 4 * (N_CHUNKS + 1)
    assert rows(output).equals(expected)
    table = records.read(output)
    pids = {name.split(":")[1] for name in table["worker"] if ":" in name}
    assert pids == {str(worker.pid) for worker in workers}
    assert str(worker_id) in pids
    totals = table[table["chunk"] == ""].set_index(["encoding", "run"])
    chunks = table[table["chunk"] != ""].groupby(["encoding", "run"])
    assert set(totals["raw_bytes"]) == {8 * 40 * 150 * 200}
    for name in ("compressed_bytes", "encode_s"):
        assert totals[name].to_dict() == pytest.approx(chunks[name].sum().to_dict())


def killed_in_the_middle(output, workers, process):
    """Kill the worker that sent the first row when it has sent another; its process id."""
    while process.poll() is None:
        table = records.read(output) if output.exists() else []
        if len(table) >= 12:
            assert len(table) < 4 * N_CHUNKS
            worker_id = int(table["worker"].iloc[0].split(":")[1])
            assert worker_id in [worker.pid for worker in workers]
            os.kill(worker_id, signal.SIGKILL)
            return worker_id
        time.sleep(0.01)
    pytest.fail("it ended before a worker could be killed")
    return None


@pytest.mark.parametrize("words", [["processes:2"], ["threads:2", *CHUNKS], ["", *CHUNKS]])
@pytest.mark.slow
def test_the_same_rows_wherever_they_are_measured(tmp_path, words):
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    run_here(*GRID, *words[1:], "--csv", here)
    run_here(*GRID, *words[1:], "--csv", there, "--scheduler", words[0])
    assert rows(here).equals(rows(there))
    before = there.read_bytes()
    run_here(*GRID, *words[1:], "--csv", there, "--scheduler", words[0])
    assert there.read_bytes() == before


def test_chunks_without_a_scheduler_and_a_damaged_chunk(tmp_path):
    volume = stores.labels((20, 30, 40), "u4")
    source = stores.zarr_array(tmp_path / "seg", volume, chunks=(10, 30, 40))
    output = tmp_path / "r.csv"
    words = ["cpso", "none", source, "--chunks", "16x30x5", "--csv", output, "--no-plot"]
    run_here(*words)
    table = records.read(output)
    xs, zs = ("0-16", "16-32", "32-40"), ("0-5", "5-10", "10-15", "15-20")
    boxes = [f"{x}x0-30x{z}" for z in zs for x in xs]
    assert list(table["chunk"]) == [*boxes, ""]
    assert list(table["shape"]) == [*(["5x30x16", "5x30x16", "5x30x8"] * 4), "20x30x40"]
    assert list(table["native_bytes"]) == [*([9600, 9600, 4800] * 4), volume.nbytes]
    (source / "c/1/0/0").write_bytes(b"rubbish")
    done = run_here(*words, code=1)
    table = records.read(output).iloc[len(boxes) + 1 :]
    assert len(table) == 6 + 1
    assert all("c/1/0/0" in status for status in table["status"].iloc[:-1])
    assert table["status"].iloc[-1].startswith("error: 6 of 12 chunks failed: ")
    assert "6 of 12 chunks failed" in done.stdout


@pytest.mark.slow
def test_ctrl_c_ends_the_workers(tmp_path):
    output = tmp_path / "r.csv"
    words = ["none", "bz2", "pattern:size=256x256x256", "--chunks", "32x32x32", "--no-plot"]
    command = [sys.executable, RUN, *words, "--csv", str(output), "--scheduler", "processes:2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ended(subprocess.Popen(command, start_new_session=True, **pipes)) as process:
        while not output.exists() and process.poll() is None:
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed.splitlines()[-1].startswith("Interrupted; ")
    assert "Traceback" not in printed
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []

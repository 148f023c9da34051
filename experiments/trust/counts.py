"""What decoding costs in instructions, mispredicted branches and cache misses, by a simulator.

    python -m experiments.trust.counts my_segmentation.h5 --slices 2

Each kernel that ``compresso`` decodes with, and the one of ``neuroglancer``, runs under Valgrind's
callgrind. Its counts do not depend on what else the machine does. It knows no AVX-512, so the
kernels are compiled for ``x86-64-v3``; its branch predictor is simpler than any processor's of
today, and its caches are those that it finds. So counts are to compare, and no seconds.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from compresso import encodings, windows
from experiments import datasets
from experiments.errors import HarnessError
from experiments.program import Program

DTYPES = ("uint64", "uint32")
EVENTS = ("Ir", "Bcm", "D1mr", "D1mw", "DLmr", "DLmw")
#: A function of the C library that nothing else calls: callgrind writes its counts down before it.
DUMP_BEFORE = "getppid"


def calls(path: str, slices: int, dtype: str) -> tuple[int, int, dict[str, Callable[[], Any]]]:
    """Voxels, runs of non-boundary voxels, and each kernel as a call."""
    from compresso.kernels import boundary, components, labels, neuroglancer
    from compresso.kernels import windows as window_kernels

    dataset = datasets.choose_one(path, Path(), "this table")
    volume = np.ascontiguousarray(dataset.load(slices).labels, dtype)
    nz, ny, nx = volume.shape
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    boundary.mark(volume, bits)
    component, first, counts = components.label_runs(bits, nx)
    ids, starts = volume.reshape(-1)[first], np.cumsum(counts) - counts
    locations = np.empty(boundary.count_indeterminate(bits).sum(), np.uint64)
    labels.locate(volume, bits, 0, nz, locations)
    collector = windows.Collector(volume.shape, (1, 8, 8))
    collector.add(bits)
    found = collector.finish()
    packed = np.empty(windows.grid(volume.shape, (1, 8, 8)), np.uint64)
    words = np.frombuffer(encodings.parse("neuroglancer").encode(volume), "<u8", offset=24)
    offsets = neuroglancer.chunk_offsets(words, -(-nz // 64) * -(-ny // 64) * -(-nx // 64))
    bands = -(-nz // 64) * -(-ny // 64)
    out = np.zeros_like(volume)

    def draw() -> None:
        window_kernels.spell(found.indices, found.values, packed.reshape(-1))
        window_kernels.unpack(packed, nx, (1, 8, 8), bits)

    return (
        volume.size,
        component.size,
        {
            "windows": draw,
            "components": lambda: components.label_runs(bits, nx),
            "labels": lambda: labels.fill(bits, component, ids, starts, out),
            "locations": lambda: labels.resolve(bits, 0, nz, locations, out),
            "`neuroglancer`": lambda: neuroglancer.decode_bands(words, offsets, 64, 0, bands, out),
            "a copy": lambda: np.copyto(out, volume),
        },
    )


def run(path: str, slices: int, dtype: str, names: Path) -> None:
    """Call each kernel, once to compile it and once between two dumps, and write down its name."""
    voxels, runs, kernels = calls(path, slices, dtype)
    for call in kernels.values():
        call()
    for call in kernels.values():
        os.getppid()
        call()
        os.getppid()
    names.write_text("\n".join([str(voxels), str(runs), *kernels]))


def count(path: str, slices: int, dtype: str) -> tuple[int, int, dict[str, dict[str, int]]]:
    """Voxels, runs, and the events of each kernel."""
    with tempfile.TemporaryDirectory() as folder:
        simulator = ["valgrind", "--tool=callgrind", f"--dump-before={DUMP_BEFORE}"]
        simulator += ["--cache-sim=yes", "--branch-sim=yes", "--smc-check=all-non-file"]
        simulator += [f"--callgrind-out-file={folder}/counts"]
        child = [sys.executable, "-m", "experiments.trust.counts", path, "--slices", str(slices)]
        child += ["--dtype", dtype, "--child", f"{folder}/names"]
        environment = os.environ | {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}
        for command in (child, [*simulator, *child]):  # the first one compiles the kernels
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                raise HarnessError(said[-1].removeprefix("Error: "))
        voxels, runs, *kernels = (Path(folder) / "names").read_text().splitlines()
        # Dump 1 is of what comes before all kernels, and every other one of what lies between two.
        events = {
            kernel: totals(Path(f"{folder}/counts.{2 * number + 2}"))
            for number, kernel in enumerate(kernels)
        }
    return int(voxels), int(runs), events


def totals(path: Path) -> dict[str, int]:
    """The sums that a file of callgrind's ends with."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    numbers = map(int, lines["totals"].split())
    return dict(zip(lines["events"].split(), numbers, strict=False))


@click.command(cls=Program)
@click.argument("path")
@click.option("--slices", type=click.IntRange(1), default=2, show_default=True)
@click.option("--dtype", "dtypes", type=click.Choice(DTYPES), multiple=True, default=DTYPES)
@click.option("--child", type=click.Path(path_type=Path), hidden=True)
def main(path: str, slices: int, dtypes: tuple[str, ...], child: Path | None) -> None:
    """Print the counts as a Markdown table."""
    if child:
        run(path, slices, dtypes[0], child)
        return
    if not shutil.which("valgrind"):
        raise HarnessError("valgrind is missing; install it: apt-get install valgrind")
    click.echo(
        "| kernel | dtype | instructions a voxel | mispredicted branches a run |"
        " misses of the first cache, bytes a voxel | of the last, bytes a voxel |"
    )
    click.echo("|---|---|---:|---:|---:|---:|")
    for dtype in dtypes:
        voxels, runs, kernels = count(path, slices, dtype)
        for name, events in kernels.items():
            ir, wrong, *misses = (events.get(event, 0) for event in EVENTS)
            near, far = 64 * sum(misses[:2]) / voxels, 64 * sum(misses[2:]) / voxels
            click.echo(
                f"| {name} | {dtype} | {ir / voxels:.2f} | {wrong / runs:.2f} |"
                f" {near:.2f} | {far:.2f} |"
            )


if __name__ == "__main__":
    main()

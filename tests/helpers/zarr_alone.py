"""Uses Zarr as people do, without a word of this project but a codec's name.

    python zarr_alone.py FOLDER [xarray dask numcodecs ...]

Run by the tests in processes, and in an environment, of their own; names are what to try besides.
"""

import itertools
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import zarr

SHAPE, CHUNKS, SHARDS = (36, 70, 90), (8, 32, 32), (16, 64, 64)


def labels_of(shape, dtype, seed=0):
    """Regions, negative ones too where the dtype has them."""
    random = np.random.default_rng(seed)
    palette = (random.integers(-(2**63), 2**63, 20) >> 3).astype(dtype)
    coarse = random.integers(20, size=[-(-n // 7) for n in shape])
    for axis in range(len(shape)):
        coarse = coarse.repeat(7, axis)
    return palette[coarse[tuple(slice(n) for n in shape)]]


def create(path, dtype="uint64", configuration=None, **options):
    codec = {"name": "compresso", "configuration": configuration or {"depth": 3}}
    options = {"chunks": CHUNKS, "shards": SHARDS, "serializer": codec} | options
    return zarr.create_array(path, shape=SHAPE, dtype=dtype, compressors=None, **options)


def copy_region(source, target, region):
    zarr.open_array(target)[region] = np.load(source, mmap_mode="r")[region]


def sum_region(path, region):
    return int(zarr.open_array(path, mode="r")[region].sum(dtype=np.uint64))


def threads_and_processes(folder):
    labels = labels_of(SHAPE, "uint64")
    np.save(folder / "labels.npy", labels)
    starts = itertools.product(*map(range, (0, 0, 0), SHAPE, SHARDS))
    parts = [tuple(map(slice, at, np.add(at, SHARDS))) for at in starts]
    array = create(str(folder / "threads.zarr"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda region: array.__setitem__(region, labels[region]), parts))
    assert np.array_equal(zarr.open_array(str(folder / "threads.zarr"))[:], labels)

    path = str(folder / "processes.zarr")
    create(path)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(copy_region, [(str(folder / "labels.npy"), path, part) for part in parts])
        sums = pool.starmap(sum_region, [(path, part) for part in parts])
    assert sums == [int(labels[part].sum(dtype=np.uint64)) for part in parts]
    assert np.array_equal(zarr.open_array(path)[:], labels)


def parts(folder):
    labels = labels_of(SHAPE, "uint64")
    random = np.random.default_rng(1)
    for name, options in {
        "sharded": {},
        "plain": {"shards": None, "chunks": (16, 70, 90)},
        "whole": {"configuration": {"encoding": "cpso", "compression": "lzma:preset=1"}},
    }.items():
        array = create(str(folder / f"{name}.zarr"), **options)
        array[:] = labels
        for _ in range(12):
            low, high = np.sort(random.integers(0, SHAPE[0] + 1, 2))
            assert np.array_equal(array[low:high, 5:40], labels[low:high, 5:40])
        assert np.array_equal(array[17], labels[17])
        assert np.array_equal(array[1:30:5, ::3, 4], labels[1:30:5, ::3, 4])
        points = tuple(random.integers(0, n, 20) for n in SHAPE)
        assert np.array_equal(array.vindex[points], labels[points])


def xarray(folder):
    import xarray as xr

    labels = labels_of(SHAPE, "uint32")
    array = create(str(folder / "x.zarr" / "seg"), dtype="uint32", dimension_names=("z", "y", "x"))
    array[:] = labels
    zarr.open_group(str(folder / "x.zarr"), mode="a")
    found = xr.open_zarr(str(folder / "x.zarr"), consolidated=False)["seg"]
    assert found.dims == ("z", "y", "x")
    assert np.array_equal(found[5:9].values, labels[5:9])


def dask(folder):
    import dask.array as da

    labels = labels_of(SHAPE, "uint32")
    array = create(str(folder / "d.zarr"), dtype="uint32")
    da.store(da.from_array(labels, chunks=SHARDS), array, lock=False)
    found = da.from_zarr(str(folder / "d.zarr"))
    for scheduler in ("threads", "processes"):
        assert np.array_equal(found.compute(scheduler=scheduler, num_workers=2), labels)


if __name__ == "__main__":
    for name in ("threads_and_processes", "parts", *sys.argv[2:]):
        globals()[name](Path(sys.argv[1]))
    print("ok")

"""Arrays that do not have three axes: one rule for all readers, commands and ``dumps``."""

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest

import compresso as C
from compresso import volumes
from compresso.arrays import as_shape
from experiments import datasets
from tests.helpers import stores as depots
from tests.helpers.sources import load, run

LABELS = (np.arange(4 * 5 * 6).reshape(4, 5, 6) // 3).astype(np.uint16)


def labels(shape):
    return LABELS.reshape(-1)[: np.prod(shape)].reshape(shape)


def h5(path, array):
    with h5py.File(path, "w") as file:
        file["labels"] = array


def nifti(path, array):
    nib.save(nib.Nifti1Image(array.T, np.eye(4)), path)


WRITERS = {
    "a.npy": np.save,
    "fortran.npy": lambda path, array: np.save(path, np.asfortranarray(array)),
    "a.h5": h5,
    **{"a.nii": nifti, "a.nii.gz": nifti},
    "a.nrrd": lambda path, array: nrrd.write(str(path), array, index_order="C"),
}


SHAPES = {
    **{(4, 5, 6): (4, 5, 6), (1, 4, 5, 6): (4, 5, 6), (1, 1, 4, 5, 6): (4, 5, 6)},
    **{(1, 5, 6): (1, 5, 6), (4, 1, 6): (4, 1, 6), (1, 1, 1): (1, 1, 1), (1, 1, 1, 1): (1, 1, 1)},
    **{(5, 6): (1, 5, 6), (7,): (1, 1, 7)},
}


#: Not for NIfTI, whose axes are x, y, z, time and more.
UNNAMED = {
    **{(4, 5, 6, 1): (4, 5, 6), (1, 4, 5, 6, 1): (4, 5, 6), (1, 5, 6, 1): (1, 5, 6)},
    (4, 1, 5, 6): (4, 5, 6),
}


ALL = {**SHAPES, **UNNAMED}
CASES = [(n, s) for n in WRITERS for s in (SHAPES if "nii" in n else ALL)]


@pytest.mark.parametrize(("own", "shape"), ALL.items())
def test_the_rule(own, shape):
    assert as_shape(own) == shape
    kept = C.loads(C.dumps(labels(own)))
    assert np.array_equal(kept, labels(own).reshape(shape if len(own) > 3 else own))


@pytest.mark.parametrize(("name", "own"), CASES)
def test_every_reader_follows_it(tmp_path, name, own):
    WRITERS[name](tmp_path / name, labels(own))
    with volumes.open(tmp_path / name) as volume:
        assert volume.shape == ALL[own]
        whole = labels(own).reshape(volume.shape)
        assert np.array_equal(volume.read(0, volume.shape[0]), whole)
        assert np.array_equal(volume.read(0, 1), whole[:1])
        assert np.array_equal(volume.read_box(((0, 1), (0, 1), (0, 1))), whole[:1, :1, :1])
        assert volume.read_box(((1, 1), (0, 1), (0, 1))).shape == (0, 1, 1)


@pytest.mark.parametrize("target", ["b.npy", "b.h5", "b.nrrd", "b.nii.gz", "b.tif"])
@pytest.mark.parametrize(("name", "own"), [("a.npy", (5, 6)), ("a.h5", (4, 5, 6, 1))])
def test_decompressed_arrays_can_be_compressed_again(tmp_path, name, own, target):
    """Images keep their two axes if the format can; a line says how an array is read."""
    WRITERS[name](tmp_path / name, labels(own))
    assert str(own) in run("compress", tmp_path / name, tmp_path / "a.cps").stderr
    kept = C.loads((tmp_path / "a.cps").read_bytes())
    assert np.array_equal(kept, labels(own).reshape(own if len(own) < 3 else ALL[own]))
    run("decompress", tmp_path / "a.cps", tmp_path / target)
    run("compress", tmp_path / target, tmp_path / "b.cps")
    shape = kept.shape if target in ("b.npy", "b.h5") else ALL[own]
    again = C.loads((tmp_path / "b.cps").read_bytes())
    assert np.array_equal(again, kept.reshape(shape))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("shape", [(3, 5, 6, 2), ()])
def test_anything_but_a_volume_is_refused_with_a_hint(tmp_path, name, shape):
    array, hint = np.ones(shape, np.uint8), r"labels\[" if shape else "a single number"
    with pytest.raises(C.EncodeError, match=hint):
        C.dumps(array)
    if shape or name in ("a.npy", "a.h5"):
        WRITERS[name](tmp_path / name, array)
        with pytest.raises(C.FileError, match=hint) as error:
            load(tmp_path / name)
        assert len(str(error.value)) < 300


def test_time_is_not_depth_where_the_axes_have_fixed_meanings(tmp_path):
    WRITERS["a.nii"](tmp_path / "a.nii", labels((4, 1, 5, 6)))
    with pytest.raises(C.FileError, match=r"labels\[0, :, :, :\]"):
        load(tmp_path / "a.nii")
    WRITERS["a.nii"](tmp_path / "b.nii", labels((1, 4, 5, 1)))
    assert load(tmp_path / "b.nii").shape == (4, 5, 1)


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
@pytest.mark.parametrize("own", [(4, 5, 6), (1, 4, 5, 6), (1, 1, 4, 5, 6), (5, 6), (7,)])
def test_stores_follow_it(tmp_path, kind, own):
    path, array = tmp_path / "seg", labels(own)
    if kind == "n5":
        depots.n5(path, array, blockSize=own[::-1])
    else:
        depots.zarr_array(path, array, zarr_format=int(kind[-1]), chunks=own)
    depots.same(path, array.reshape(ALL[own]))


def test_commands_say_how_axes_are_read(tmp_path):
    path = depots.zarr_array(tmp_path / "a.zarr", LABELS[..., None], chunks=(4, 5, 6, 1))
    np.save(tmp_path / "a.npy", LABELS[..., None])
    for source in (path, tmp_path / "a.npy"):
        words = (source, tmp_path / "b.zarr", "--chunks", "8x8x8", "--force")
        assert "(4, 5, 6, 1)" in run("convert", *words).stderr
        assert "(4, 5, 6, 1)" in run("compress", source, tmp_path / "a.cps", "--force").stderr
        depots.same(tmp_path / "b.zarr", LABELS)
        (found,) = datasets.parse(str(source), tmp_path)
        assert "(4, 5, 6, 1)" in found.notes(None)[-1]
        assert np.array_equal(found.load().labels, LABELS)

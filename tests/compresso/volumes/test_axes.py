"""Arrays that do not have three axes: one rule for every reader, for dumps and for all commands."""

import h5py
import nibabel
import nrrd
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

import compresso as C
from compresso import volumes
from compresso.__main__ import main
from compresso.arrays import as_shape
from compresso.volumes import _metadata
from experiments import datasets

LABELS = (np.arange(4 * 5 * 6).reshape(4, 5, 6) // 3).astype(np.uint16)


def labels(shape):
    return LABELS.reshape(-1)[: np.prod(shape)].reshape(shape)


def h5(path, array):
    with h5py.File(path, "w") as file:
        file["labels"] = array


WRITERS = {
    "a.npy": np.save,
    "fortran.npy": lambda path, array: np.save(path, np.asfortranarray(array)),
    "a.h5": h5,
    "a.nii": lambda path, array: nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path),
    "a.nii.gz": lambda path, array: nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path),
    "a.nrrd": lambda path, array: nrrd.write(str(path), array, index_order="C"),
}
SHAPES = {
    (4, 5, 6): (4, 5, 6),
    (1, 4, 5, 6): (4, 5, 6),
    (1, 1, 4, 5, 6): (4, 5, 6),
    (1, 5, 6): (1, 5, 6),
    (4, 1, 6): (4, 1, 6),
    (1, 1, 1): (1, 1, 1),
    (1, 1, 1, 1): (1, 1, 1),
    (5, 6): (1, 5, 6),
    (7,): (1, 1, 7),
}
#: NIfTI's axes have fixed meanings: x, y, z, time, and more.
UNNAMED = {
    (4, 5, 6, 1): (4, 5, 6),
    (1, 4, 5, 6, 1): (4, 5, 6),
    (1, 5, 6, 1): (1, 5, 6),
    (4, 1, 5, 6): (4, 5, 6),
}
ALL = {**SHAPES, **UNNAMED}
CASES = [(n, s) for n in WRITERS for s in (SHAPES if "nii" in n else ALL)]


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(("own", "shape"), ALL.items())
def test_the_rule(own, shape):
    assert as_shape(own) == shape
    kept = C.loads(C.dumps(labels(own)))
    assert np.array_equal(kept, labels(own).reshape(shape if len(own) > 3 else own))


@pytest.mark.parametrize(("name", "own"), CASES)
def test_every_reader_follows_it(tmp_path, name, own):
    WRITERS[name](tmp_path / name, labels(own))
    with volumes.open_file(tmp_path / name) as volume:
        assert volume.shape == ALL[own]
        whole = labels(own).reshape(volume.shape)
        assert np.array_equal(volume.read(0, volume.shape[0]), whole)
        assert np.array_equal(volume.read(0, 1), whole[:1])
        assert np.array_equal(volume.read_box(((0, 1), (0, 1), (0, 1))), whole[:1, :1, :1])
        assert volume.read_box(((1, 1), (0, 1), (0, 1))).shape == (0, 1, 1)


def load(path):
    return C.loads(path.read_bytes())


@pytest.mark.parametrize("target", ["b.npy", "b.h5", "b.nrrd", "b.nii", "b.nii.gz", "b.tif"])
@pytest.mark.parametrize(("name", "own"), [("a.npy", (5, 6)), ("a.h5", (4, 5, 6, 1))])
def test_what_is_restored_can_be_compressed_again(tmp_path, name, own, target):
    """Images keep their two axes where the format can; a line says how an array is read."""
    WRITERS[name](tmp_path / name, labels(own))
    done = run("compress", tmp_path / name, tmp_path / "a.cps")
    assert done.exit_code == 0, done.output
    assert str(own) in done.stderr
    kept = load(tmp_path / "a.cps")
    assert np.array_equal(kept, labels(own).reshape(own if len(own) < 3 else ALL[own]))
    assert run("decompress", tmp_path / "a.cps", tmp_path / target).exit_code == 0
    done = run("compress", tmp_path / target, tmp_path / "b.cps")
    assert done.exit_code == 0, done.output
    shape = kept.shape if target in ("b.npy", "b.h5") else ALL[own]
    assert np.array_equal(load(tmp_path / "b.cps"), kept.reshape(shape))


@pytest.mark.parametrize("name", WRITERS)
def test_more_than_a_volume_is_refused_with_a_hint(tmp_path, name):
    WRITERS[name](tmp_path / name, np.ones((3, 5, 6, 2), np.uint8))
    with pytest.raises(C.FileError, match=r"labels\[") as error:
        volumes.open_file(tmp_path / name).__enter__()
    assert len(str(error.value)) < 300
    with pytest.raises(C.EncodeError, match=r"labels\[:, :, :, 0\]"):
        C.dumps(np.ones((3, 5, 6, 2), np.uint8))


def test_a_single_number_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.uint8(5))
    h5(tmp_path / "a.h5", np.uint8(5))
    for name in ("a.npy", "a.h5"):
        assert "a single number" in run("compress", tmp_path / name, tmp_path / "x.cps").stderr
    with pytest.raises(C.EncodeError, match="a single number"):
        C.dumps(np.uint8(5))


def test_time_is_not_depth_where_the_axes_have_fixed_meanings(tmp_path):
    nibabel.save(nibabel.Nifti1Image(labels((4, 1, 5, 6)).T, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(C.FileError, match=r"labels\[0, :, :, :\]"):
        volumes.open_file(tmp_path / "a.nii").__enter__()
    nibabel.save(nibabel.Nifti1Image(labels((1, 4, 5, 1)).T, np.eye(4)), tmp_path / "b.nii")
    with volumes.open_file(tmp_path / "b.nii") as volume:
        assert volume.shape == (4, 5, 1)


def test_hdf5_chooses_the_dataset_with_the_most_axes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ids"], file["table"] = np.arange(5), np.ones((5, 2), int)
        file["labels"] = LABELS[None, ..., None]
    with volumes.open_file(tmp_path / "a.h5") as volume:
        assert volume.shape == LABELS.shape
    h5(tmp_path / "b.h5", np.stack([LABELS, LABELS]))
    with pytest.raises(C.FileError, match=r"labels\[0, :, :, :\]"):
        volumes.open_file(tmp_path / "b.h5").__enter__()


def test_hdf5_attributes_of_dropped_axes_are_reported(tmp_path):
    """As ilastik writes them; on an array of three axes they would be wrong."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["labels"] = LABELS[..., None]
        file["labels"].attrs["axistags"] = '{"axes": [{"key": "z"}, {"key": "c"}]}'
        file["labels"].attrs["note"] = "kept"
    with volumes.open_file(tmp_path / "a.h5") as volume:
        assert set(volume.metadata["hdf5"]) == {"note"}
        assert volume.lost == ["axistags"]


def test_hdf5_chunks_are_those_of_the_volume(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("labels", data=LABELS[None, ..., None], chunks=(1, 2, 3, 4, 1))
    with volumes.open_file(tmp_path / "a.h5") as volume:
        assert volume.chunk == (2, 3, 4)


def test_pages_of_a_tiff_are_slices(tmp_path):
    gray = {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", LABELS[None, None], metadata={"axes": "TCZYX"}, **gray)
    tifffile.imwrite(tmp_path / "b.tif", LABELS[0], **gray)
    for name, expected in (("a.tif", LABELS), ("b.tif", LABELS[:1])):
        with volumes.open_file(tmp_path / name) as volume:
            assert np.array_equal(volume.read(0, 9), expected)


# -- NRRD's fields of each axis --------------------------------------------------------------------


def test_nrrd_keeps_the_fields_of_the_axes_that_are_left(tmp_path):
    header = {
        "kinds": ["list", "domain", "domain", "domain"],
        "space": "left-posterior-superior",
        "space directions": np.array([[np.nan] * 3, [0.5, 0, 0], [0, 0.5, 0], [0, 0, 2]]),
        "space origin": [1, 2, 3],
    }
    nrrd.write(str(tmp_path / "a.nrrd"), LABELS.T[None], header)
    assert run("compress", tmp_path / "a.nrrd", tmp_path / "a.cps").exit_code == 0
    assert "0.5 x 0.5 x 2" in run("info", tmp_path / "a.cps").stdout
    assert run("decompress", tmp_path / "a.cps", tmp_path / "b.nrrd").exit_code == 0
    back, header = nrrd.read(str(tmp_path / "b.nrrd"), index_order="C")
    assert np.array_equal(back, LABELS)
    assert header["kinds"] == ["domain"] * 3
    assert np.array_equal(header["space directions"], np.diag([0.5, 0.5, 2]))


def test_nrrd_images_keep_their_spacing(tmp_path):
    flat = {"space dimension": 2, "space directions": np.diag([0.5, 0.25]), "space origin": [1, 2]}
    for header in ({"spacings": [0.5, 0.25]}, flat):
        nrrd.write(str(tmp_path / "a.nrrd"), LABELS[0].T, header)
        with volumes.open_file(tmp_path / "a.nrrd") as volume:
            geometry = _metadata.geometry_of(volume.metadata)
            assert geometry.spacing == (None, 0.25, 0.5)
            assert geometry.origin == ((1, 2, 0) if header is flat else None)
            assert not volume.lost


# -- stores ---------------------------------------------------------------------------------------


def zarr(path, array, version=3, **options):
    zarr = pytest.importorskip("zarr", reason="needs the package zarr")
    zarr.create_array(str(path), data=array, chunks=array.shape, zarr_format=version, **options)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("own", ALL)
def test_zarr(tmp_path, version, own):
    path = zarr(tmp_path / "a.zarr", labels(own), version)
    with volumes.open_store(str(path)) as volume:
        assert volume.shape == ALL[own]
        assert np.array_equal(volume.read(0, 9), labels(own).reshape(volume.shape))
    boxes = volumes.open_store(str(path)).__enter__()
    assert np.array_equal(boxes.read_box(boxes.box), labels(own).reshape(boxes.shape))


@pytest.mark.parametrize("own", [(4, 5, 6), (1, 4, 5, 6), (1, 1, 4, 5, 6), (5, 6), (7,)])
def test_n5(tmp_path, own):
    ts = pytest.importorskip("tensorstore", reason="needs the package tensorstore")
    array = labels(own).T
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{tmp_path}/a.n5/"}}
    ts.open(spec, create=True, dtype="uint16", shape=array.shape).result().write(array).result()
    with volumes.open_store(f"{tmp_path}/a.n5") as volume:
        assert volume.shape == ALL[own]
        assert np.array_equal(volume.read(0, 9), labels(own).reshape(volume.shape))


def test_named_axes_of_an_image(tmp_path):
    path = zarr(tmp_path / "a.zarr", LABELS[0].T, dimension_names=["x", "y"])
    with volumes.open_store(f"{path}:box=1-5x2-3x0-1") as volume:
        assert np.array_equal(volume.read(0, 9), LABELS[:1, 2:3, 1:5])


def test_a_group_of_images(tmp_path):
    zarr(tmp_path / "a.zarr" / "x", np.arange(6))
    zarr(tmp_path / "a.zarr" / "seg", LABELS[0])
    pytest.importorskip("zarr").open_group(str(tmp_path / "a.zarr"), mode="a")
    with volumes.open_store(str(tmp_path / "a.zarr")) as volume:
        assert np.array_equal(volume.read(0, 9), LABELS[:1])


def test_every_command_says_how_axes_are_read(tmp_path):
    path = zarr(tmp_path / "a.zarr", LABELS[..., None])
    np.save(tmp_path / "a.npy", LABELS[..., None])
    for source in (path, tmp_path / "a.npy"):
        done = run("convert", source, tmp_path / "b.zarr", "--chunks", "8x8x8", "--force")
        assert done.exit_code == 0, done.output
        assert "(4, 5, 6, 1)" in done.stderr
        done = run("compress", source, tmp_path / "a.cps", "--force")
        assert "(4, 5, 6, 1)" in done.stderr
        with volumes.open_store(str(tmp_path / "b.zarr")) as volume:
            assert np.array_equal(volume.read(0, 9), LABELS)


def test_the_harness_says_how_axes_are_read(tmp_path):
    path = zarr(tmp_path / "a.zarr", LABELS[..., None])
    np.save(tmp_path / "a.npy", LABELS[..., None])
    for source in (path, tmp_path / "a.npy"):
        (found,) = datasets.parse(str(source), tmp_path)
        assert "(4, 5, 6, 1)" in datasets.checked([found], None)[-1]
        assert np.array_equal(found.load().labels, LABELS)

"""Datasets: the layouts they are found in, the formats, the phantom, and what a user is told."""

import gzip
import hashlib
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compresso import FileError, SpecError
from compresso.plugins import Extent
from compresso.volumes.volume import slices_of
from experiments import datasets
from experiments.datasets.phantom import Phantom
from experiments.errors import DatasetError

LABELS = np.arange(4 * 5 * 6, dtype=np.uint32).reshape(4, 5, 6)


def write_h5(path, **volumes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, labels in volumes.items():
            file[name.replace("__", "/")] = labels
    return path


@pytest.mark.parametrize(
    ("name", "file", "inner"),
    [
        ("ac3", "ac3/rhoana/ac3_rhoana.h5", "main"),
        ("ac4", "ac4/gold/ac4_gold.h5", "main"),
        ("cyl", "cyl.h5", "main"),
        ("cremi-a", "sample_A_20160501.hdf", "volumes__labels__neuron_ids"),
        ("cremi-c", "cremi-c/rhoana/cremi-c_rhoana.h5", "main"),
        ("spl-brain", "MRI/spl-brain.h5", "main"),
        ("spl-knee", "spl-knee.h5", "main"),
    ],
)
def test_layouts(tmp_path, name, file, inner):
    write_h5(tmp_path / file, **{inner: LABELS})
    (dataset,) = datasets.parse(name.upper(), tmp_path)
    volume = dataset.load()
    assert np.array_equal(volume.labels, LABELS)
    assert volume.labels.dtype == LABELS.dtype
    assert volume.name == name
    assert file in volume.source
    assert "6 x 5 x 4" in dataset.status()


def test_mri_is_every_volume_there(tmp_path):
    write_h5(tmp_path / "MRI/b.h5", main=LABELS)
    np.save(tmp_path / "MRI/a.npy", LABELS)
    (tmp_path / "MRI/notes.txt").write_text("not a volume")
    assert [d.name for d in datasets.parse("mri", tmp_path)] == ["mri/a", "mri/b"]
    with pytest.raises(DatasetError, match="MRI"):
        datasets.parse("mri", tmp_path / "MRI")


def test_missing_dataset_says_where_it_looked(tmp_path):
    (dataset,) = datasets.parse("cremi-a", tmp_path)
    with pytest.raises(DatasetError, match=rf"{tmp_path}.*sample_A_20160501.hdf.*cremi.org"):
        dataset.load()
    assert dataset.status().startswith("missing")


def test_all_is_what_is_present(tmp_path):
    with pytest.raises(DatasetError, match=r"run\.py datasets"):
        datasets.parse("all", tmp_path)
    write_h5(tmp_path / "ac4.h5", main=LABELS)
    assert [d.name for d in datasets.parse("all", tmp_path)] == ["ac4"]


@pytest.mark.parametrize("spec", ["nope", "missing.h5", "dir/missing.npy"])
def test_unknown_names_and_files(tmp_path, spec):
    with pytest.raises(DatasetError, match=r"choose from ac3|no such file"):
        datasets.parse(spec, tmp_path)


def test_hdf5_inner_path(tmp_path):
    path = write_h5(tmp_path / "two.h5", a=LABELS, g__b=LABELS + 1, image=LABELS.astype(float))
    assert np.array_equal(load(f"{path}:/g/b"), LABELS + 1)
    with pytest.raises(FileError, match=r"/a, /g/b"):
        load(path)
    with pytest.raises(FileError, match=r"no dataset 'c'.*/a, /g/b"):
        load(f"{path}:c")
    with pytest.raises(FileError, match="group"):
        load(f"{path}:g")
    with pytest.raises(FileError, match="holds float64"):
        load(f"{path}:image")


def test_hdf5_only_choice_and_usual_choice(tmp_path):
    assert np.array_equal(load(write_h5(tmp_path / "one.h5", x__y=LABELS)), LABELS)
    assert np.array_equal(load(write_h5(tmp_path / "m.h5", main=LABELS, other=LABELS * 2)), LABELS)


def load(path, slices=None):
    (dataset,) = datasets.parse(str(path), Path())
    return dataset.load(slices).labels


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, ">u4"])
def test_nrrd(tmp_path, encoding, dtype):
    import nrrd

    path = tmp_path / "atlas.nrrd"
    labels = LABELS.astype(dtype)
    nrrd.write(str(path), labels, {"encoding": encoding}, index_order="C")
    assert np.array_equal(load(path), labels)
    assert np.array_equal(load(path, 2), labels[:2])


@pytest.mark.parametrize(
    "data", ["../secret.raw", "{outside}/secret.raw", "LIST", "link/secret.raw"]
)
def test_nrrd_that_leads_to_other_folders_is_refused(tmp_path, data):
    """A header may name the file of its data; one beside it is read, any other is not."""
    outside, inside = tmp_path, tmp_path / "mine"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    for folder in (outside, inside):
        (folder / "secret.raw").write_bytes(LABELS.tobytes())
    header = (
        "NRRD0004\ntype: uint32\ndimension: 3\nsizes: 6 5 4\nencoding: raw\nendian: little\n"
        "data file: {}\n\n"
    )
    path = inside / "atlas.nhdr"
    path.write_text(header.format("secret.raw"))
    assert np.array_equal(load(path), LABELS)
    path.write_text(header.format(data.format(outside=outside)))
    with pytest.raises(FileError, match="not beside it"):
        load(path)


@pytest.mark.parametrize("member", ["../../Data/seg.nrrd", "/Data/seg.nrrd"])
def test_archives_write_nothing_outside(tmp_path, member):
    """Members are read where they are, so a path that leads out of the archive leads nowhere."""
    import nrrd

    nrrd.write(str(tmp_path / "made.nrrd"), LABELS, index_order="C")
    path = tmp_path / "mine" / "deep" / "knee-2016-09.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, (tmp_path / "made.nrrd").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    assert np.array_equal(load(path), LABELS)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/Data/seg.nrrd").exists()


def test_slices_reads_only_those(tmp_path):
    """The rest of the file is cut off or overwritten, so reading it would fail."""
    import nrrd

    random = np.random.default_rng(0).integers(255, size=(50, 64, 64)).astype(np.uint8)
    path = tmp_path / "atlas.nrrd"
    nrrd.write(str(path), random, {"encoding": "gzip"}, index_order="C")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert np.array_equal(load(path, 3), random[:3])
    with pytest.raises(FileError, match="not readable as NRRD"):
        load(path)

    h5 = tmp_path / "stack.h5"
    with h5py.File(h5, "w") as file:
        chunked = file.create_dataset(
            "main", data=random, chunks=(1, 64, 64), compression="gzip", fletcher32=True
        )
        at = chunked.id.get_chunk_info(40)
    damaged = bytearray(h5.read_bytes())
    damaged[at.byte_offset : at.byte_offset + at.size] = bytes(at.size)
    h5.write_bytes(damaged)
    assert np.array_equal(load(h5, 40), random[:40])
    with pytest.raises(FileError, match="not readable as HDF5"):
        load(h5)


def test_npy(tmp_path):
    path = tmp_path / "labels.npy"
    np.save(path, LABELS)
    assert np.array_equal(load(path, 3), LABELS[:3])
    np.save(path, np.array([{"no": "label"}], object), allow_pickle=True)
    with pytest.raises(FileError, match="npy"):
        load(path)
    np.save(path, np.stack([LABELS, LABELS]))
    with pytest.raises(FileError, match=r"labels\[0, :, :, :\]"):
        load(path)


@pytest.mark.parametrize("name", ["x.h5", "x.npy", "x.nrrd", "x.hdf"])
def test_files_that_are_something_else(tmp_path, name):
    path = tmp_path / name
    for content in (b"", b"not at all", gzip.compress(b"nor this")):
        path.write_bytes(content)
        with pytest.raises(FileError, match=name):
            load(path)


def test_unknown_kind_of_file(tmp_path):
    path = tmp_path / "labels.docx"
    path.write_bytes(b"?")
    with pytest.raises(FileError, match=r"\.nrrd"):
        load(path)


def test_phantom_is_deterministic():
    size = Extent("90x70x6")
    whole = Phantom(size).load()
    assert whole.labels.shape == (6, 70, 90)
    assert whole.group == datasets.SYNTHETIC
    assert "synthetic" in whole.source
    assert np.array_equal(Phantom(size).load(3).labels, whole.labels[:3])
    assert not np.array_equal(Phantom(size, seed=1).load().labels, whole.labels)
    assert Phantom(size, bits=32).load().labels.dtype == np.uint32


def test_a_phantom_stays_what_it_is():
    """Rows of one phantom are compared across versions; the hash is that of an earlier one."""
    labels = Phantom(Extent("150x90x8"), seed=4).load(4).labels
    found = hashlib.sha1(np.ascontiguousarray(labels, "<u8")).hexdigest()
    assert found == "17d1094bbfbd31fa797ca1e4d2cea71df5d34551"


def test_phantom_is_like_tissue():
    """Shares that real EM segmentations have too (pinky40, first 64 slices, in the comments)."""
    labels = Phantom(Extent("384x384x8")).load().labels
    boundary = np.zeros(labels.shape, bool)
    boundary[:, :, :-1] |= labels[:, :, :-1] != labels[:, :, 1:]
    boundary[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    assert 0.04 < boundary.mean() < 0.09  # 0.068
    windows = boundary.reshape(8, 48, 8, 48, 8).any(axis=(2, 4))
    assert 0.3 < windows.mean() < 0.6  # 0.45
    assert 0.85 < (labels[1:] == labels[:-1]).mean() < 0.97  # 0.94
    ids = np.unique(labels)
    assert ids.size > 100
    assert ids.max() > 2**60  # sparse


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))
def test_phantom_of_any_size(x, y, z):
    assert Phantom(Extent(f"{x}x{y}x{z}")).load().labels.shape == (z, y, x)


@pytest.mark.parametrize("spec", ["phantom:size=8x8", "phantom:bits=16", "phantom:colour=red"])
def test_bad_phantoms(tmp_path, spec):
    with pytest.raises(SpecError, match="phantom"):
        datasets.parse(spec, tmp_path)


def test_patterns():
    def made(kind):
        (dataset,) = datasets.parse(f"pattern:kind={kind},size=5x4x3", Path())
        return dataset.load(2).labels

    noise, board, coins, blank = map(made, ("noise", "checkerboard", "coins", "blank"))
    assert noise.shape == board.shape == coins.shape == blank.shape == (2, 4, 5)
    assert np.array_equal(noise, np.arange(1, 41).reshape(2, 4, 5))
    for axis in range(3):
        assert np.all(np.diff(board.astype(np.int8), axis=axis) != 0)
    assert np.array_equal(coins, np.random.RandomState(0).randint(2, size=(2, 4, 5)))
    assert np.array_equal(blank, np.full((2, 4, 5), 7))
    with pytest.raises(SpecError, match="noise, checkerboard, coins, blank"):
        datasets.parse("pattern:kind=plaid", Path())


def test_a_published_dataset_reads_only_the_chunks_of_a_box(tmp_path):
    """One chunk is damaged, so reading it fails; the others are read without it."""
    labels = np.random.default_rng(0).integers(255, size=(8, 32, 32)).astype(np.uint8)
    path = tmp_path / "ac4.h5"
    with h5py.File(path, "w") as file:
        chunked = file.create_dataset("main", data=labels, chunks=(8, 16, 16), fletcher32=True)
        at = chunked.id.get_chunk_info_by_coord((0, 16, 16))
    damaged = bytearray(path.read_bytes())
    damaged[at.byte_offset] ^= 1
    path.write_bytes(damaged)
    (dataset,) = datasets.parse("ac4", tmp_path)
    with dataset.boxes() as (source, volume):
        assert source == str(path)
        assert volume.shape == labels.shape
        box = ((2, 5), (3, 16), (1, 30))
        assert np.array_equal(volume.read_box(box), labels[slices_of(box)])
        with pytest.raises(FileError, match=r"ac4\.h5: not readable as HDF5"):
            volume.read_box(((2, 5), (3, 17), (1, 30)))


@pytest.mark.parametrize(
    "spec",
    ["phantom:size=150x90x6,seed=4", "phantom:size=64x66x6,bits=32"]
    + [f"pattern:size=70x66x6,kind={kind}" for kind in ("noise", "checkerboard", "coins", "blank")],
)
def test_what_is_made_is_made_box_by_box(tmp_path, spec):
    """In any order: no box depends on what was asked for before."""
    (dataset,) = datasets.parse(spec, tmp_path)
    whole = dataset.load()
    with dataset.boxes() as (source, volume):
        assert (source, volume.dtype) == (whole.source, whole.labels.dtype)
        for box in (((4, 6), (30, 66), (5, 64)), ((0, 3), (0, 1), (0, 64)), volume.box):
            assert np.array_equal(volume.read_box(box), whole.labels[slices_of(box)])


def test_a_box_of_a_volume_that_no_memory_holds(tmp_path):
    (dataset,) = datasets.parse("pattern:size=100000x100000x100000", tmp_path)
    with dataset.boxes() as (_, volume):
        made = volume.read_box(((99_999, 100_000), (0, 2), (7, 9)))
    first = 99_999 * 10**10 + 1 + 7  # its voxels are numbered from 1 on, x fastest
    assert made.tolist() == [[[first, first + 1], [first + 10**5, first + 10**5 + 1]]]


def test_one_dataset_where_one_is_wanted(tmp_path):
    assert datasets.choose_one("phantom", tmp_path, "bench").name == "phantom"
    with pytest.raises(DatasetError, match=r"^bench takes one dataset, and phantom,pattern is 2$"):
        datasets.choose_one("phantom,pattern", tmp_path, "bench")


def test_a_quoted_dataset_may_have_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as file:
        for name in ("old,new", "b", "old"):
            file[name] = np.ones((2, 3, 4), "u1")
    np.save("b.npy", np.ones((2, 3, 4), "u1"))
    for text, inner in (
        ('"a.h5:/old,new"', ["/old,new"]),
        (' "a.h5:/old,new" , b.npy, "a.h5:/b"', ["/old,new", "", "/b"]),
        ('b.npy,"a.h5:/old,new"', ["", "/old,new"]),
        ("a.h5:/old,b.npy", ["/old", ""]),
    ):
        found = datasets.choose(text, tmp_path)
        assert [dataset.inner for dataset in found] == inner
        assert all(dataset.load().labels.shape == (2, 3, 4) for dataset in found)
    with pytest.raises(DatasetError):
        datasets.choose('a.h5:"/old,new"', tmp_path)

"""Datasets by name, as files and as stores: layouts, lists, and the checks before a measurement."""

import os

import h5py
import numpy as np
import pytest

from compresso import FileError, SpecError, volumes
from experiments import DatasetError, datasets
from experiments.datasets import Dataset, LoadedVolume
from tests.helpers import stores

LABELS = np.arange(4 * 5 * 6, dtype=np.uint32).reshape(4, 5, 6)


def save(path, labels=LABELS, inner="main"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, labels)
        return path
    with h5py.File(path, "a") as file:
        file[inner] = labels
    return path


@pytest.mark.parametrize(
    ("name", "file", "inner"),
    [
        ("ac3", "ac3/rhoana/ac3_rhoana.h5", "main"),
        ("ac4", "ac4/gold/ac4_gold.h5", "main"),
        ("cremi-a", "sample_A_20160501.hdf", "volumes/labels/neuron_ids"),
        ("spl-brain", "MRI/spl-brain.h5", "main"),
        ("pinky40", "pinky40.h5", "main"),
    ],
)
def test_layouts(tmp_path, name, file, inner):
    save(tmp_path / file, LABELS, inner)
    (dataset,) = datasets.parse(name.upper(), tmp_path)
    volume = dataset.load()
    assert np.array_equal(volume.labels, LABELS)
    assert volume.labels.dtype == LABELS.dtype
    assert volume.dataset.name == name
    assert file in volume.dataset.source
    assert dataset.describe()["size"] == "6 x 5 x 4 uint32"


def test_missing_datasets_and_unknown_names(tmp_path):
    (dataset,) = datasets.parse("cremi-a", tmp_path)
    for refused in (dataset.load, lambda: dataset.notes(None)):
        with pytest.raises(DatasetError, match=r"sample_A_20160501.hdf.*run\.py fetch cremi-a"):
            refused()
    with pytest.raises(DatasetError, match=r"fetch spl-knee.*pinky40"):
        datasets.parse("all", tmp_path)
    for name in ("fib26", "ac3:seed=1", "nothing like it"):
        with pytest.raises(SpecError, match=r"fib25|ac3"):
            datasets.parse(name, tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        datasets.parse("dir/missing.npy", tmp_path)
    save(tmp_path / "ac4.h5")
    assert [d.name for d in datasets.parse("all", tmp_path)] == ["ac4"]


def test_mri_is_every_volume_in_its_folder(tmp_path):
    with pytest.raises(DatasetError, match="MRI"):
        datasets.parse("mri", tmp_path)
    for name in ("b.h5", "a.npy"):
        save(tmp_path / "MRI" / name)
    (tmp_path / "MRI/notes.txt").write_text("not a volume")
    assert [d.name for d in datasets.parse("mri", tmp_path)] == ["mri/a", "mri/b"]
    (tmp_path / "MRI/a.nrrd").touch()
    names = [d.name for d in datasets.parse("mri", tmp_path)]
    assert names == ["mri/a.npy", "mri/a.nrrd", "mri/b"]


def test_lists_of_files(tmp_path):
    a, b = (save(tmp_path / name) for name in ("a.npy", "b.npy"))
    chosen = datasets.choose(f"phantom:size=8x8x8,seed=1,{a}, {b},{a}", tmp_path)
    assert [d.name for d in chosen] == ["phantom:size=8x8x8,seed=1", "a.npy", "b.npy"]
    assert len(datasets.choose("phantom,phantom:seed=0", tmp_path)) == 1
    with pytest.raises(SpecError):
        datasets.choose(" , ", tmp_path)
    again = save(tmp_path / "other" / "a.npy", LABELS + 1)
    names = [d.name for d in datasets.choose(f"{a},{again}", tmp_path)]
    assert names == [f"{tmp_path.name}/a.npy", "other/a.npy"]


def test_a_quoted_dataset_may_have_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for inner in ("old,new", "b"):
        save(tmp_path / "a.h5", LABELS, inner)
    save(tmp_path / "c,d.npy")
    found = datasets.choose(' "a.h5:/old,new" , "c,d.npy", "a.h5:/b"', tmp_path)
    assert [dataset.name for dataset in found] == ["a.h5:/old,new", "c,d.npy", "a.h5:/b"]
    assert [dataset.name for dataset in datasets.choose("c,d.npy", tmp_path)] == ["c,d.npy"]
    assert all(dataset.load().labels.shape == (4, 5, 6) for dataset in found)
    assert found[0].source == os.path.abspath("a.h5:/old,new")
    with pytest.raises((DatasetError, SpecError)):
        datasets.choose('a.h5:"/old,new"', tmp_path)


def test_the_fingerprint_depends_only_on_the_labels():
    def fingerprint(labels):
        return LoadedVolume(Dataset(""), labels).fingerprint

    same = (LABELS, np.asfortranarray(LABELS), LABELS.astype(">u4"))
    others = [LABELS.reshape(5, 4, 6), LABELS.astype(np.uint64), LABELS.astype(np.int32)]
    others += [LABELS + 1, LABELS[::-1], np.zeros((0, 8, 8), "u4"), np.zeros((8, 0, 8), "u4")]
    assert len({fingerprint(labels) for labels in same}) == 1
    assert len({fingerprint(labels) for labels in [LABELS, *others]}) == 1 + len(others)


# ---- stores


def test_stores_have_names_and_sources(tmp_path, monkeypatch):
    volume = stores.labels()
    folder = stores.precomputed(tmp_path / "a" / "seg", volume, offset=(1, 2, 3), mips=2)
    monkeypatch.chdir(tmp_path)
    boxed = "seg:mip=1,box=1-5x2-6x3-4"
    url = f"file://{folder}/|neuroglancer-precomputed:"
    texts = {
        "a/seg": ("seg", str(folder), volume),
        f"{url}:mip=1": ("seg:mip=1", f"{url}:mip=1", volume[:, ::2, ::2]),
    }
    absolute = f"precomputed://{tmp_path}/a/{boxed}"
    texts[f"precomputed://a/{boxed}"] = (boxed, absolute, volume[:1, :8:2, :8:2])
    found = datasets.choose(",".join(texts), tmp_path)
    for dataset, (name, source, labels) in zip(found, texts.values(), strict=True):
        assert (dataset.name, dataset.source) == (name, source)
        np.testing.assert_array_equal(dataset.load().labels, labels)
    assert found[0].load(7).part == "first 7 of 20 slices"
    stores.precomputed(tmp_path / "b" / "seg", volume)
    found = datasets.choose("a/seg,b/seg,b/seg", tmp_path)
    assert [d.name for d in found] == ["a/seg", "b/seg"]


def test_volumes_that_cannot_be_loaded_are_refused_first(tmp_path, monkeypatch):
    stores.precomputed(tmp_path / "seg", stores.labels())
    np.save(tmp_path / "seg.npy", stores.labels())
    monkeypatch.setattr(volumes, "available", lambda: 2 * 20 * 33 * 41 * 8 - 1)
    for name in ("seg", "seg.npy"):
        (dataset,) = datasets.choose(str(tmp_path / name), tmp_path)
        for refused in (lambda: dataset.notes(None), dataset.load):  # noqa: B023
            with pytest.raises(DatasetError, match=r"41 x 33 x 20 uint64, .*--slices"):
                refused()
        notes = dataset.notes(19)
        assert len(notes) == (name == "seg")
    (dataset,) = datasets.choose(f"file://{tmp_path}/nothing", tmp_path)
    with pytest.raises(FileError):
        dataset.notes(None)

"""What the attributes of Zarr and N5 say: places are read, and nothing is lost without a word."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

import depots
import places
from depots import place, refusal, same, zarr_array

from compresso import container, files, volumes
from compresso.__main__ import main

VOLUME = depots.labels((6, 20, 24), "u4")


def n5(folder, said, volume=VOLUME, **group):
    """An N5 array with these attributes, in a group with those."""
    depots.n5(folder, volume)
    head = folder / "attributes.json"
    head.write_text(json.dumps(json.loads(head.read_text()) | said))
    (folder.parent / "attributes.json").write_text(json.dumps(group))
    return folder


def described(text):
    """The metadata of a store."""
    with volumes.open_store(str(text)) as reader:
        return reader.metadata


def run(*words):
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stderr


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("size", ["resolution", "voxel_size"])
@pytest.mark.parametrize(("units", "unit"), [(None, None), ("nm", "nm"), (["nm"] * 3, "nm")])
def test_places_of_zarr(tmp_path, version, size, units, unit):
    said = {size: [40, 4, 5], "offset": [1200, 800, 400]} | ({"units": units} if units else {})
    folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=version, attributes=said)
    found = place(folder)
    assert (found.spacing, found.origin, found.unit) == ((40, 4, 5), (400, 800, 1200), unit)
    assert place(f"{folder}:box=1-9x2-9x3-6").origin == (405, 808, 1320)
    assert set(described(folder)) == {"geometry"}


def test_places_of_zarr_follow_the_axes(tmp_path):
    said = {"resolution": [5, 4, 40], "offset": [400, 800, 1200], "axis_names": ["x", "y", "z"]}
    folder = zarr_array(tmp_path / "xyz", VOLUME.T, attributes=said)
    same(folder, VOLUME)
    assert (place(folder).spacing, place(folder).origin) == ((40, 4, 5), (400, 800, 1200))
    for names in (["c^", "z", "y", "x"], None):
        said = {"voxel_size": [40, 4, 5], "axis_names": names}
        folder = zarr_array(
            tmp_path / f"c{names}", VOLUME[None], chunks=(1, 8, 8, 8), attributes=said
        )
        same(folder, VOLUME)
        assert place(folder).spacing == (40, 4, 5)


@pytest.mark.parametrize("units", [{}, {"units": "nm"}, {"units": ["nm"] * 3}])
@pytest.mark.parametrize("where", ["array", "group"])
def test_places_of_n5(tmp_path, where, units):
    said = {"resolution": [5, 4, 40], "offset": [400, 800, 1200]} | units
    folder = n5(tmp_path / "s0", said if where == "array" else {}, **(said, {})[where == "array"])
    for text in (folder, tmp_path):
        same(text, VOLUME)
        assert (place(text).spacing, place(text).origin) == ((40, 4, 5), (400, 800, 1200))
        assert place(text).unit == ("nm" if units else None)
    assert place(f"{folder}:box=1-9x2-9x3-6").origin == (405, 808, 1320)


def test_scales_of_n5_have_larger_voxels(tmp_path):
    group = {
        "pixelResolution": {"dimensions": [5, 4, 40], "unit": "nm"},
        "offset": [400, 800, 1200],
    }
    n5(tmp_path / "s0", {}, **group)
    n5(tmp_path / "s1", {"downsamplingFactors": [2, 2, 1]}, VOLUME[:, ::2, ::2], **group)
    n5(tmp_path / "s2", {}, VOLUME[:, ::4, ::4], **group)
    assert place(tmp_path).spacing == (40, 4, 5)
    for text in (f"{tmp_path}:mip=1", tmp_path / "s1"):
        same(text, VOLUME[:, ::2, ::2])
        assert (place(text).spacing, place(text).origin) == ((40, 8, 10), (402.5, 802, 1200))
    assert place(f"{tmp_path}:mip=2") is None


@pytest.mark.parametrize(
    "value", [5, "x", [], [1, 2], [None] * 3, ["4"] * 3, {"dimensions": 5}, [[1]] * 3, [0] * 3]
)
def test_absurd_attributes(tmp_path, value):
    said = dict.fromkeys(["resolution", "offset", "units", "axis_names"], value)
    folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=2)
    (folder / ".zattrs").write_text(json.dumps(said))
    same(folder, VOLUME)
    same(n5(tmp_path / "n5" / "s0", said, **said), VOLUME)


@pytest.mark.parametrize(
    "ours",
    [
        5,
        {"metadata": 5},
        {"metadata": {"geometry": 5, "nrrd": 5, "zarr": 5, "mine": float("inf")}},
        {"metadata": {"geometry": {"steps": [[0, 0, float("nan")], None, None]}, "tiff": [[]]}},
    ],
)
def test_absurd_metadata_of_ours(tmp_path, ours):
    said = {"compresso": ours, "other": 1}
    names = ["z", "y", "x"]
    folder = zarr_array(tmp_path / "seg", VOLUME, dimension_names=names, attributes=said)
    same(folder, VOLUME)
    run("compress", folder, tmp_path / "a.cps", "--encoding", "cpso")
    run("convert", folder, tmp_path / "t", "--encoding", "cpso")
    for name in ("nrrd", "h5", "tif", "nii"):
        run("decompress", tmp_path / "a.cps", tmp_path / f"a.{name}")


@pytest.mark.parametrize("version", [2, 3])
def test_labels_of_an_ome_image_keep_their_names(tmp_path, version):
    label = {"version": "0.4", "colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}]}
    image = depots.scales("zyx", ["nanometer"] * 3, [[40, 4, 4]], [])
    root = depots.zarr_group(tmp_path / "seg", version)
    said = {"multiscales": image, "image-label": label}
    root.attrs.update(said if version == 2 else {"ome": {"version": "0.5", **said}})
    root.create_array("s/0", data=VOLUME, chunks=(8, 8, 8))
    assert described(tmp_path / "seg")["zarr"] == {"image-label": label}
    assert run("compress", tmp_path / "seg", tmp_path / "a.cps", "--encoding", "cpso") == ""
    assert run("convert", tmp_path / "seg", tmp_path / "t", "--encoding", "cpso") == ""
    assert run("compress", tmp_path / "t", tmp_path / "b.cps", "--encoding", "cpso") == ""
    for name in ("a.cps", "b.cps"):
        with container.open(tmp_path / name) as held:
            assert held.metadata["zarr"] == {"image-label": label}
            assert held.metadata == described(tmp_path / "seg")
        said = run("decompress", tmp_path / name, tmp_path / "x.nrrd", "--force")
        assert "colors" in said


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_attributes_that_json_cannot_hold_are_named(tmp_path, kind):
    said = {"mine": 1, "fault": float("nan")}
    if kind == "n5":
        folder = n5(tmp_path / "seg", said)
    else:
        folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=int(kind[-1]), attributes=said)
    for verb, target in (("compress", "a.cps"), ("convert", "t")):
        lines = run(verb, folder, tmp_path / target, "--encoding", "cpso").splitlines()
        assert len(lines) == 1
        assert "fault" in lines[0]
    assert described(folder)[kind.rstrip("23")] == {"mine": 1}


def test_convert_names_what_the_target_cannot_hold(tmp_path):
    many = [f"key{n}:={'x' * 1000}" for n in range(100)]
    source = places.nrrd_file(tmp_path / "v.nrrd", *many)
    lines = run("convert", source, tmp_path / "t", "--encoding", "cpso").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(str(source))
    assert "key" in lines[0]


def test_convert_keeps_fields_and_oblique_axes(tmp_path):
    source = places.itk_file(tmp_path / "v.nrrd", places.TURN)
    with volumes.open_file(source) as volume:
        expected = volume.metadata
    run("convert", source, tmp_path / "t", "--encoding", "cpso")
    assert described(tmp_path / "t") == expected
    files.compress_file(f"{tmp_path}/t:box=1-6x2-5x3-7", tmp_path / "b.cps", "cpso", "zstd")
    files.decompress_file(tmp_path / "b.cps", tmp_path / "b.nrrd")
    part = places.LABELS[3:7, 2:5, 1:6]
    with volumes.open_file(tmp_path / "b.nrrd") as volume:
        np.testing.assert_array_equal(volume.read(0, 4), part)
    steps = places.TURN * places.SPACING
    expected = np.array(places.ORIGIN) + steps @ (1, 2, 3)
    corner = places.SimpleITK.ReadImage(str(tmp_path / "b.nrrd")).GetOrigin()
    np.testing.assert_allclose(corner, expected, rtol=1e-6)


def test_label_multisets_are_refused(tmp_path):
    assert "multiset" in refusal(n5(tmp_path / "seg", {"isLabelMultiset": True}))

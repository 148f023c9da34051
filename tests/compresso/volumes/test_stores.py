"""Volumes in stores: every kind and dtype, addresses, selections, axes and groups."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK

from compresso import container, files, volumes
from compresso.errors import FileError, SpecError
from compresso.volumes._stores import Selection, locate
from compresso.volumes.volume import slices_of
from tests.helpers import stores as depots
from tests.helpers.geometry import LABELS, ORIGIN, SPACING, TURN, itk_file
from tests.helpers.sources import run
from tests.helpers.stores import place, read, refusal, same, scales, zarr_array, zarr_group

CASES = [(kind, dtype) for kind, (_, dtypes) in depots.KINDS.items() for dtype in dtypes]


def make(kind, path, volume):
    """Write a volume to a store of this kind."""
    return depots.KINDS[kind][0](path, volume)


@pytest.mark.parametrize(("kind", "dtype"), CASES)
def test_every_kind_and_dtype(tmp_path, kind, dtype):
    volume = depots.labels(dtype=dtype)
    folder = make(kind, tmp_path / "seg", volume)
    same(folder, volume)
    same(f"{folder}:box=12-20x21-29x3-20", volume[3:20, 21:29, 12:20])


@pytest.mark.parametrize("kind", depots.KINDS)
def test_missing_chunks_are_the_fill_value_or_refused(tmp_path, kind):
    volume = depots.labels()
    folder = make(kind, tmp_path / "seg", volume)
    for chunk in depots.chunks(folder):
        chunk.unlink()
    same(folder, volume * 0)
    with volumes.open(str(folder), strict=True) as reader, pytest.raises(FileError):
        reader.read_box(reader.box)


@pytest.mark.parametrize("kind", ["hdf5", *depots.KINDS])
def test_stored_chunks_are_listed(tmp_path, kind):
    volume, seen, expected = (np.zeros((20, 33, 41), np.uint64) for _ in range(3))
    volume[9:18, 17:20, 3:5] = 5
    expected[8:20, 16:32, :16] = 1
    text = f"{tmp_path}/seg{'.h5' if kind == 'hdf5' else ''}"
    if kind == "hdf5":
        with h5py.File(text, "w") as file:
            labels = file.create_dataset("main", volume.shape, "u8", chunks=(8, 16, 16))
            labels[9:18, 17:20, 3:5] = 5
    else:
        make(kind, Path(text), volume)
    with volumes.open(text, 1 << 30) as found:
        if kind in ("shards", "compresso-shards"):
            assert found.stored is None
            return
        for box in found.stored():
            seen[slices_of(box)] = 1
        assert np.array_equal(seen, expected)
    if kind != "hdf5":
        seen[:] = 0
        with volumes.open(f"{text}:box=5-40x10-30x1-19") as found:
            for box in found.stored():
                seen[1:19, 10:30, 5:40][slices_of(box)] = 1
        assert np.array_equal(seen[1:19, 10:30, 5:40], expected[1:19, 10:30, 5:40])


# -- addresses and selections ----------------------------------------------------------------------


def test_every_way_to_name_a_local_folder(tmp_path, monkeypatch):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "my seg", volume)
    url = f"file://{folder}"
    driver = "neuroglancer-precomputed"
    for text in (
        *(folder, f"{folder}/", f"precomputed://{folder}", f"PRECOMPUTED://{folder}/"),
        *(f"precomputed://{url}", url, f"{url}/", f"{url}/|auto:", url.replace(" ", "%20")),
        *(f"{url}|{driver}", f"{url}/|{driver}:", f"{url}/|{driver}:mip=0"),
        *(f"{url}/|{driver}::mip=0", f"{folder}|{driver}:"),
    ):
        assert volumes.names_store(str(text))
        same(text, volume)
    monkeypatch.chdir(tmp_path)
    same("my seg", volume)
    same("precomputed://my seg", volume)
    same("precomputed://file://my seg", volume)


def test_zarr_and_n5_addresses(tmp_path):
    volume = depots.labels(dtype="u4")
    two = zarr_array(tmp_path / "two", volume, zarr_format=2)
    three = zarr_array(tmp_path / "three", volume, zarr_format=3)
    five = depots.n5(tmp_path / "five", volume)
    for text in (f"zarr://{two}", f"zarr://{three}", f"zarr2://{two}", f"zarr3://file://{three}"):
        same(text, volume)
    for text in (f"n5://{five}", f"file://{five}|n5:", f"file://{two}|zarr2:", f"{three}|zarr3:"):
        same(text, volume)
    refusal(f"zarr2://{three}")
    refusal(f"zarr3://{two}")


@pytest.mark.parametrize("name", ["my.h5:/a=b", "a.npy", "phantom:size=8x8x8", "gs:", "x|y", "\0"])
def test_files_and_names_are_no_stores(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    if name == "x|y":
        Path(name).touch()
    assert not volumes.names_store(name)


@pytest.mark.parametrize("bucket", ["gs", "s3"])
def test_buckets(bucket):
    found = locate(f"precomputed://{bucket}://a-bucket/of/seg:mip=2")
    driver = {"gs": "gcs", "s3": "s3"}[bucket]
    assert found.kvstore == {"driver": driver, "bucket": "a-bucket", "path": "of/seg/"}
    assert [kind.name for kind in found.kinds] == ["precomputed"]
    assert found.selection == Selection(mip=2)
    found = locate(f"{bucket}://a-bucket/of/seg.zarr|zarr3:in/side")
    assert [kind.name for kind in found.kinds] == ["zarr3"]
    assert found.kvstore["path"] == "of/seg.zarr/in/side/"
    found = locate(f"zarr://{bucket}://a-bucket/of/seg.zarr:/in/side")
    assert [kind.name for kind in found.kinds] == ["zarr3", "zarr2"]
    assert found.kvstore["path"] == "of/seg.zarr/in/side/"


@pytest.mark.parametrize("text", ["graphene://https://x/y", "file:///x|foo:"])
def test_unknown_addresses(text):
    refusal(text)


def test_scales_and_boxes_are_in_the_stores_own_coordinates(tmp_path):
    volume = depots.labels()
    folder = depots.precomputed(tmp_path / "seg", volume, offset=(10, 20, 30), mips=2)
    same(f"{folder}:mip=1", volume[:, ::2, ::2])
    same(f"{folder}:box=12-20x21-29x33-50", volume[3:20, 1:9, 2:10])
    same(f"{folder}:mip=1,box=10-31x20-37x30-31", volume[:1, ::2, ::2])
    assert "mip=0 (41 x 33 x 20), mip=1 (21 x 17 x 20)" in refusal(f"{folder}:mip=2")
    assert "10-51x20-53x30-50 (x, y, z)" in refusal(f"{folder}:box=9-20x21-29x33-50")


@pytest.mark.parametrize(
    "chosen",
    ["mip=-1", "mip=x", "box=1", "box=0-1x0-1", "box=0-1x0-1x5-5", "axes=zy", "axes=zyxx", "nip=1"],
)
def test_selections_that_make_no_sense(tmp_path, chosen):
    folder = depots.info(tmp_path / "seg")
    with pytest.raises(SpecError):
        read(f"{folder}:{chosen}")


def test_roots(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = zarr_array(tmp_path / "seg", volume)
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    same(f"file://{tmp_path}/packed.zip|zip:|zarr3:", volume)
    with depots.serving(folder) as address:
        same(f"{address}|zarr3:", volume)
        same(f"{address}/|zarr3:", volume)
        same(address, volume)
    found = locate("gs://a-bucket|zarr3:")
    assert found.kvstore.get("path", "") == ""


def test_buckets_that_refuse_missing_objects(tmp_path):
    volume = depots.labels(dtype="u4")
    depots.precomputed(tmp_path / "pre", volume)
    zarr_array(tmp_path / "two", volume, zarr_format=2)
    (tmp_path / "two" / ".zattrs").unlink(missing_ok=True)
    depots.n5(tmp_path / "five" / "s0", volume)
    with depots.serving(tmp_path, unlisted=True) as address:
        for text in ("pre", "two", "five/s0"):
            same(f"{address}/{text}", volume)
            assert "private, or asks for a login" in refusal(f"{address}/{text}/nothing")
        same(f"zarr2://{address}/two", volume)


# -- axes and positions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "order"),
    [(("x", "y", "z"), (2, 1, 0)), (("Y", "Z", "X"), (1, 0, 2)), (("z", "y", "x"), (0, 1, 2))],
)
@pytest.mark.parametrize("version", [2, 3])
def test_axes_by_name(tmp_path, names, order, version):
    volume = depots.labels(dtype="u4")
    said = {"attributes": {"_ARRAY_DIMENSIONS": names}}
    options = {"dimension_names": names} if version == 3 else said
    turned = volume.transpose(order)
    same(zarr_array(tmp_path / "seg", turned, zarr_format=version, **options), volume)


def test_axes_without_names(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = zarr_array(tmp_path / "zyx", volume)
    same(folder, volume)
    same(f"{folder}:axes=xyz", volume.T)
    same(f"{depots.n5(tmp_path / 'n5', volume)}:axes=zyx", volume.T)
    folder = zarr_array(tmp_path / "odd", volume, dimension_names=["z", "y", "w"])
    assert ":axes=zyx" in refusal(folder)
    same(f"{folder}:axes=zyx", volume)
    folder = zarr_array(tmp_path / "flat", volume[0], dimension_names=["y", "w"], chunks=(8, 8))
    assert ":axes=yx" in refusal(folder)
    same(f"{folder}:axes=yx", volume[:1])


def test_channels(tmp_path):
    volume = depots.labels(dtype="u4")
    same(zarr_array(tmp_path / "one", volume[None], chunks=(1, 8, 8, 8)), volume)
    same(zarr_array(tmp_path / "film", volume[None, None], chunks=(1, 1, 8, 8, 8)), volume)
    two = np.stack([volume, volume + np.uint32(1)])
    folder = zarr_array(tmp_path / "two", two, chunks=(1, 8, 8, 8))
    assert ":channel=0" in refusal(folder)
    assert ":channel=0" in refusal(f"{folder}:channel=2")
    same(f"{folder}:channel=1", two[1])
    folder = zarr_array(tmp_path / "times", two[:, None], chunks=(1, 1, 8, 8, 8))
    assert ":time=0" in refusal(folder)
    same(f"{folder}:time=1,box=0-5x0-6x0-7", two[1, :7, :6, :5])


def test_places(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "seg", volume, offset=(10, 20, 30), mips=2)
    found = place(folder)
    assert (found.spacing, found.origin, found.unit) == ((40, 4, 4), (40, 80, 1200), "nm")
    found = place(f"{folder}:mip=1,box=11-20x22-30x33-34")
    assert (found.spacing, found.origin, found.unit) == ((40, 8, 8), (88, 176, 1320), "nm")
    units = {"units": ["nm", "nm", "um"], "resolution": [4, 5, 0.04], "axes": ["x", "y", "z"]}
    found = place(depots.n5(tmp_path / "n5", volume, **units))
    assert (found.spacing, found.unit) == ((40, 5, 4), "nm")
    attributes = depots.n5(tmp_path / "pixel", volume) / "attributes.json"
    head = json.loads(attributes.read_text())
    head["pixelResolution"] = {"dimensions": [4, 5, 40], "unit": "nm"}
    attributes.write_text(json.dumps(head))
    assert place(tmp_path / "pixel").spacing == (40, 5, 4)
    assert place(zarr_array(tmp_path / "plain", volume)) is None


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
    with volumes.open(str(text)) as reader:
        return reader.metadata


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


def test_label_multisets_are_refused(tmp_path):
    assert "multiset" in refusal(n5(tmp_path / "seg", {"isLabelMultiset": True}))


# -- groups and images -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path, version):
    volume = depots.labels(dtype="u4")
    units = [None, "nanometer", "micrometer", "nanometer"]
    image = scales("czyx", units, [[1, 40, 0.004, 4], [1, 40, 0.008, 8]], [0, 0, 0.002, 2])
    root = zarr_group(tmp_path / "brain.zarr", version)
    for path in ("", "labels/cells/"):
        group = root.create_group(path) if path else root
        if version == 3:
            group.attrs["ome"] = {"version": "0.5", "multiscales": image}
        else:
            group.attrs["multiscales"] = image
        root.create_array(f"{path}s/0", data=volume[None], chunks=(1, 8, 8, 8))
        root.create_array(f"{path}s/1", data=volume[None, :, ::2, ::2], chunks=(1, 8, 8, 8))
    for inside in ("", ":/labels/cells", ":/labels", "/labels/cells"):
        same(f"{tmp_path / 'brain.zarr'}{inside}", volume)
    folder = tmp_path / "brain.zarr"
    same(f"{folder}:/labels/cells:mip=1", volume[:, ::2, ::2])
    found = place(f"{folder}:mip=1,box=1-2x0-2x0-2")
    assert found.spacing == pytest.approx((40, 8, 8))
    assert found.origin == pytest.approx((2 + 8, 2, 0))
    assert found.unit == "nm"
    assert "mip=0 (s/0), mip=1 (s/1)" in refusal(f"{folder}:mip=2")


CHANGE = {"path": "s", "coordinateTransformations": [{"type": "scale", "scale": ["a"]}]}


@pytest.mark.parametrize(
    "image",
    [5, {}, {"datasets": 5}, {"datasets": [{}]}, {"datasets": [CHANGE], "axes": ["z"]}],
)
def test_damaged_multiscales(tmp_path, image):
    zarr_group(tmp_path / "seg").attrs["ome"] = {"multiscales": [image]}
    assert "its multiscales metadata is damaged" in refusal(tmp_path / "seg")


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_groups(tmp_path, version, consolidated):
    import zarr

    volume = depots.labels(dtype="u4")
    folder = tmp_path / "many"
    group = zarr_group(folder, version)
    group.create_array("a/labels", data=volume, chunks=(8, 8, 8))
    group.create_array("image", data=volume.astype("f4"), chunks=(8, 8, 8))
    same(folder, volume)
    group.create_array("other", data=volume, chunks=(8, 8, 8))
    if consolidated:
        with pytest.warns() if version == 3 else pytest.MonkeyPatch.context():
            zarr.consolidate_metadata(str(folder), zarr_format=version)
    assert refusal(folder).endswith(f"/a/labels, /other. Choose one, e.g. {folder}:/a/labels")
    url = f"file://{folder}|zarr{version}:"
    assert f"e.g. '{url}a/labels'" in refusal(url)
    same(f"{folder}:/a/labels", volume)
    same(f"{url}a/labels", volume)
    with depots.serving(tmp_path) as address:
        text = f"zarr://{address}/many"
        line = refusal(text)
        expected = f"{text}/a/labels" if consolidated else f"e.g. {text}/path/inside"
        assert line.endswith(expected)
        same(f"{text}/a/labels", volume)


# -- attributes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [5, "x", [], [1, 2], [None] * 3, ["4"] * 3, {"dimensions": 5}, [[1]] * 3, [0] * 3]
)
def test_absurd_attributes(tmp_path, value):
    said = dict.fromkeys(["resolution", "offset", "units", "axis_names", "compresso"], value)
    folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=2)
    (folder / ".zattrs").write_text(json.dumps(said))
    same(folder, VOLUME)
    same(n5(tmp_path / "n5" / "s0", said, **said), VOLUME)


@pytest.mark.parametrize("version", [2, 3])
def test_labels_of_an_ome_image_keep_their_names(tmp_path, version):
    label = {"version": "0.4", "colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}]}
    image = depots.scales("zyx", ["nanometer"] * 3, [[40, 4, 4]], [])
    root = depots.zarr_group(tmp_path / "seg", version)
    said = {"multiscales": image, "image-label": label}
    root.attrs.update(said if version == 2 else {"ome": {"version": "0.5", **said}})
    root.create_array("s/0", data=VOLUME, chunks=(8, 8, 8))
    assert described(tmp_path / "seg")["zarr"] == {"image-label": label}
    assert run("compress", tmp_path / "seg", tmp_path / "a.cps", "--encoding", "cpso").stderr == ""
    run("convert", tmp_path / "seg", tmp_path / "t", "--encoding", "cpso")
    run("compress", tmp_path / "t", tmp_path / "b.cps", "--encoding", "cpso")
    for name in ("a.cps", "b.cps"):
        with container.open(tmp_path / name) as held:
            assert held.metadata["zarr"] == {"image-label": label}
            assert held.metadata == described(tmp_path / "seg")
        said = run("decompress", tmp_path / name, tmp_path / "x.nrrd", "--force").stderr
        assert "colors" in said


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_attributes_that_json_cannot_hold_are_named(tmp_path, kind):
    said = {"mine": 1, "fault": float("nan")}
    if kind == "n5":
        folder = n5(tmp_path / "seg", said)
    else:
        folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=int(kind[-1]), attributes=said)
    for verb, target in (("compress", "a.cps"), ("convert", "t")):
        lines = run(verb, folder, tmp_path / target, "--encoding", "cpso").stderr.splitlines()
        assert len(lines) == 1
        assert "fault" in lines[0]
    assert described(folder)[kind.rstrip("23")] == {"mine": 1}


def test_convert_keeps_fields_and_oblique_axes(tmp_path):
    source = itk_file(tmp_path / "v.nrrd", TURN)
    with volumes.open(source) as volume:
        expected = volume.metadata
    run("convert", source, tmp_path / "t", "--encoding", "cpso")
    assert described(tmp_path / "t") == expected
    files.compress_file(f"{tmp_path}/t:box=1-6x2-5x3-7", tmp_path / "b.cps", "cpso", "zstd")
    files.decompress_file(tmp_path / "b.cps", tmp_path / "b.nrrd")
    part = LABELS[3:7, 2:5, 1:6]
    with volumes.open(tmp_path / "b.nrrd") as volume:
        np.testing.assert_array_equal(volume.read(0, 4), part)
    steps = TURN * SPACING
    expected = np.array(ORIGIN) + steps @ (1, 2, 3)
    corner = SimpleITK.ReadImage(str(tmp_path / "b.nrrd")).GetOrigin()
    np.testing.assert_allclose(corner, expected, rtol=1e-6)

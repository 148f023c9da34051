"""Volumes in stores: every kind and dtype, addresses, selections, axes and groups."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK

from compresso import files, volumes
from compresso.errors import FileError, SpecError
from compresso.volumes._stores import Selection, locate
from compresso.volumes.volume import slices_of
from tests.helpers import stores as depots
from tests.helpers.geometry import LABELS, ORIGIN, SPACING, TURN, itk_file
from tests.helpers.program import one_line
from tests.helpers.sources import run
from tests.helpers.stores import place, read, refusal, same, scales, zarr_array, zarr_group

SEG, VOLUME = depots.labels(dtype="u4"), depots.labels((6, 20, 24), "u4")
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
    volume, expected = (np.zeros((20, 33, 41), np.uint64) for _ in range(2))
    volume[9:18, 17:20, 3:5] = 5
    expected[8:20, 16:32, :16] = 1
    path = tmp_path / ("seg.h5" if kind == "hdf5" else "seg")
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            labels = file.create_dataset("main", volume.shape, "u8", chunks=(8, 16, 16))
            labels[9:18, 17:20, 3:5] = 5
    else:
        make(kind, path, volume)
    for chosen, part in (("", np.s_[:]), (":box=5-40x10-30x1-19", np.s_[1:19, 10:30, 5:40])):
        if kind == "hdf5" and chosen:
            continue
        with volumes.open(f"{path}{chosen}", 1 << 30) as found:
            if kind in ("shards", "compresso-shards"):
                assert found.stored is None
                continue
            seen = np.zeros(found.shape, np.uint64)
            for box in found.stored():
                seen[slices_of(box)] = 1
        assert np.array_equal(seen, expected[part])


# -- addresses and selections ----------------------------------------------------------------------


def test_every_way_to_name_a_local_folder(tmp_path, monkeypatch):
    folder = depots.precomputed(tmp_path / "my seg", SEG)
    url, driver = f"file://{folder}", "neuroglancer-precomputed"
    monkeypatch.chdir(tmp_path)
    for text in (
        *(f"{folder}/", f"precomputed://{folder}", f"PRECOMPUTED://{folder}/"),
        *(f"precomputed://{url}", url, f"{url}/|auto:", url.replace(" ", "%20")),
        *(f"{url}|{driver}", f"{url}/|{driver}:mip=0", f"{url}/|{driver}::mip=0"),
        *(f"{folder}|{driver}:", "my seg", "precomputed://my seg", "precomputed://file://my seg"),
    ):
        assert volumes.names_store(text)
        same(text, SEG)


def test_zarr_and_n5_addresses(tmp_path):
    two, three = (zarr_array(tmp_path / name, SEG, zarr_format=int(name)) for name in "23")
    five = depots.n5(tmp_path / "five", SEG)
    for text in (
        *(f"zarr://{two}", f"zarr://{three}", f"zarr2://{two}", f"zarr3://file://{three}"),
        *(f"n5://{five}", f"file://{five}|n5:", f"file://{two}|zarr2:", f"{three}|zarr3:"),
    ):
        same(text, SEG)
    for text in (f"zarr2://{three}", f"zarr3://{two}", "graphene://https://x/y", "file:///x|foo:"):
        refusal(text)


@pytest.mark.parametrize("name", ["my.h5:/a=b", "a.npy", "phantom:size=8x8x8", "gs:", "x|y", "\0"])
def test_files_and_names_are_no_stores(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    if name == "x|y":
        Path(name).touch()
    assert not volumes.names_store(name)


@pytest.mark.parametrize(("scheme", "driver"), [("gs", "gcs"), ("s3", "s3")])
def test_buckets(scheme, driver):
    place = {"driver": driver, "bucket": "a-bucket"}
    for text, kinds, path, selection in (
        ("precomputed://{}/seg:mip=2", ["precomputed"], "of/seg/", Selection(mip=2)),
        ("{}/seg.zarr|zarr3:in/side", ["zarr3"], "of/seg.zarr/in/side/", Selection()),
        ("zarr://{}/a.zarr:/in/side", ["zarr3", "zarr2"], "of/a.zarr/in/side/", Selection()),
    ):
        found = locate(text.format(f"{scheme}://a-bucket/of"))
        assert found.kvstore == place | {"path": path}
        assert [kind.name for kind in found.kinds] == kinds
        assert found.selection == selection
    assert locate(f"{scheme}://a-bucket|zarr3:").kvstore.get("path", "") == ""


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
    folder = zarr_array(tmp_path / "seg", SEG)
    other = depots.precomputed(tmp_path / "other", SEG)
    for path, driver in ((folder, "zarr3"), (other, "neuroglancer-precomputed")):
        shutil.make_archive(str(path), "zip", path)
        same(f"file://{path}.zip|zip:|{driver}:", SEG)
    with depots.serving(folder) as address:
        for text in (f"{address}|zarr3:", f"{address}/|zarr3:", address):
            same(text, SEG)


def test_buckets_that_refuse_missing_objects(tmp_path):
    depots.precomputed(tmp_path / "pre", SEG)
    zarr_array(tmp_path / "two", SEG, zarr_format=2)
    (tmp_path / "two" / ".zattrs").unlink(missing_ok=True)
    depots.n5(tmp_path / "five" / "s0", SEG)
    with depots.serving(tmp_path, unlisted=True) as address:
        for text in ("pre", "two", "five/s0"):
            same(f"{address}/{text}", SEG)
            assert "private, or asks for a login" in refusal(f"{address}/{text}/nothing")
        same(f"zarr2://{address}/two", SEG)


# -- axes and positions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "order"),
    [(("x", "y", "z"), (2, 1, 0)), (("Y", "Z", "X"), (1, 0, 2)), (("z", "y", "x"), (0, 1, 2))],
)
@pytest.mark.parametrize("version", [2, 3])
def test_axes_by_name(tmp_path, names, order, version):
    said = {"attributes": {"_ARRAY_DIMENSIONS": names}}
    options = {"dimension_names": names} if version == 3 else said
    turned = SEG.transpose(order)
    same(zarr_array(tmp_path / "seg", turned, zarr_format=version, **options), SEG)


def test_axes_without_names(tmp_path):
    folder = zarr_array(tmp_path / "zyx", SEG)
    same(folder, SEG)
    same(f"{folder}:axes=xyz", SEG.T)
    same(f"{depots.n5(tmp_path / 'n5', SEG)}:axes=zyx", SEG.T)
    folder = zarr_array(tmp_path / "odd", SEG, dimension_names=["z", "y", "w"])
    assert ":axes=zyx" in refusal(folder)
    same(f"{folder}:axes=zyx", SEG)
    folder = zarr_array(tmp_path / "flat", SEG[0], dimension_names=["y", "w"], chunks=(8, 8))
    assert ":axes=yx" in refusal(folder)
    same(f"{folder}:axes=yx", SEG[:1])


def test_channels(tmp_path):
    same(zarr_array(tmp_path / "one", SEG[None], chunks=(1, 8, 8, 8)), SEG)
    same(zarr_array(tmp_path / "film", SEG[None, None], chunks=(1, 1, 8, 8, 8)), SEG)
    two = np.stack([SEG, SEG + np.uint32(1)])
    folder = zarr_array(tmp_path / "two", two, chunks=(1, 8, 8, 8))
    assert ":channel=0" in refusal(folder)
    assert ":channel=0" in refusal(f"{folder}:channel=2")
    same(f"{folder}:channel=1", two[1])
    folder = zarr_array(tmp_path / "times", two[:, None], chunks=(1, 1, 8, 8, 8))
    assert ":time=0" in refusal(folder)
    same(f"{folder}:time=1,box=0-5x0-6x0-7", two[1, :7, :6, :5])


def where(text):
    found = place(text)
    return found and (found.spacing, found.origin, found.unit)


def test_places(tmp_path):
    folder = depots.precomputed(tmp_path / "seg", SEG, offset=(10, 20, 30), mips=2)
    assert where(folder) == ((40, 4, 4), (40, 80, 1200), "nm")
    assert where(f"{folder}:mip=1,box=11-20x22-30x33-34") == ((40, 8, 8), (88, 176, 1320), "nm")
    units = {"units": ["nm", "nm", "um"], "resolution": [4, 5, 0.04], "axes": ["x", "y", "z"]}
    assert where(depots.n5(tmp_path / "n5", SEG, **units))[::2] == ((40, 5, 4), "nm")
    assert where(zarr_array(tmp_path / "plain", SEG)) is None


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


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5", "group of n5"])
@pytest.mark.parametrize(("units", "unit"), [(None, None), ("nm", "nm"), (["nm"] * 3, "nm")])
def test_places_by_attributes(tmp_path, kind, units, unit):
    size = "voxel_size" if kind == "zarr2" else "resolution"
    said = {size: [40, 4, 5], "offset": [1200, 800, 400]}
    if "n5" in kind:
        said = {name: numbers[::-1] for name, numbers in said.items()}
    said |= {"units": units} if units else {}
    folder = tmp_path / "s0"
    if kind == "n5":
        n5(folder, said)
    elif kind == "group of n5":
        n5(folder, {}, **said)
    else:
        zarr_array(folder, VOLUME, zarr_format=int(kind[-1]), attributes=said)
    same(folder, VOLUME)
    assert where(folder) == ((40, 4, 5), (400, 800, 1200), unit)
    assert place(f"{folder}:box=1-9x2-9x3-6").origin == (405, 808, 1320)
    assert set(described(folder)) == {"geometry"}


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
    units = [None, "nanometer", "micrometer", "nanometer"]
    image = scales("czyx", units, [[1, 40, 0.004, 4], [1, 40, 0.008, 8]], [0, 0, 0.002, 2])
    root = zarr_group(tmp_path / "brain.zarr", version)
    for path in ("", "labels/cells/"):
        group = root.create_group(path) if path else root
        if version == 3:
            group.attrs["ome"] = {"version": "0.5", "multiscales": image}
        else:
            group.attrs["multiscales"] = image
        root.create_array(f"{path}s/0", data=SEG[None], chunks=(1, 8, 8, 8))
        root.create_array(f"{path}s/1", data=SEG[None, :, ::2, ::2], chunks=(1, 8, 8, 8))
    folder = tmp_path / "brain.zarr"
    for inside in ("", ":/labels/cells", ":/labels", "/labels/cells"):
        same(f"{folder}{inside}", SEG)
    same(f"{folder}:/labels/cells:mip=1", SEG[:, ::2, ::2])
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

    folder = tmp_path / "many"
    group = zarr_group(folder, version)
    group.create_array("a/labels", data=SEG, chunks=(8, 8, 8))
    group.create_array("image", data=SEG.astype("f4"), chunks=(8, 8, 8))
    same(folder, SEG)
    group.create_array("other", data=SEG, chunks=(8, 8, 8))
    if consolidated:
        with pytest.warns() if version == 3 else pytest.MonkeyPatch.context():
            zarr.consolidate_metadata(str(folder), zarr_format=version)
    assert refusal(folder).endswith(f"/a/labels, /other. Choose one, e.g. {folder}:/a/labels")
    url = f"file://{folder}|zarr{version}:"
    assert f"e.g. '{url}a/labels'" in refusal(url)
    same(f"{folder}:/a/labels", SEG)
    same(f"{url}a/labels", SEG)
    with depots.serving(tmp_path) as address:
        text = f"zarr://{address}/many"
        line = refusal(text)
        expected = f"{text}/a/labels" if consolidated else f"e.g. {text}/path/inside"
        assert line.endswith(expected)
        same(f"{text}/a/labels", SEG)


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
    expected = described(tmp_path / "seg")
    assert expected["zarr"] == {"image-label": label}
    run("convert", tmp_path / "seg", tmp_path / "t", "--encoding", "cpso")
    for source in ("seg", "t"):
        done = run("compress", tmp_path / source, tmp_path / "a.cps", "-e", "cpso", "--force")
        assert done.stderr == ""
        assert files.describe_file(tmp_path / "a.cps").description.metadata == expected
    assert "colors" in run("decompress", tmp_path / "a.cps", tmp_path / "x.nrrd").stderr


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_attributes_that_json_cannot_hold_are_named(tmp_path, kind):
    folder, said = tmp_path / "seg", {"mine": 1, "fault": float("nan")}
    if kind == "n5":
        n5(folder, said)
    else:
        zarr_array(folder, VOLUME, zarr_format=int(kind[-1]), attributes=said)
    for verb in ("compress", "convert"):
        one_line(run(verb, folder, tmp_path / f"{verb}.cps", "--encoding", "cpso"), "fault")
    assert described(folder)[kind.rstrip("23")] == {"mine": 1}


def test_convert_keeps_fields_and_oblique_axes(tmp_path):
    source = itk_file(tmp_path / "v.nrrd", TURN)
    run("convert", source, tmp_path / "t", "--encoding", "cpso")
    assert described(tmp_path / "t") == described(source)
    files.compress_file(f"{tmp_path}/t:box=1-6x2-5x3-7", tmp_path / "b.cps", "cpso", "zstd")
    files.decompress_file(tmp_path / "b.cps", tmp_path / "b.nrrd")
    same(tmp_path / "b.nrrd", LABELS[3:7, 2:5, 1:6])
    corner = SimpleITK.ReadImage(str(tmp_path / "b.nrrd")).GetOrigin()
    np.testing.assert_allclose(corner, ORIGIN + (TURN * SPACING) @ (1, 2, 3), rtol=1e-6)

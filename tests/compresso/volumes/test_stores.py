"""Volumes in stores of chunks: bit for bit, whatever the format and the layout."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from compresso import files, volumes
from compresso.errors import SpecError
from compresso.volumes import _metadata
from compresso.volumes._location import Box, Selection, locate, split
from tests.helpers import stores as depots
from tests.helpers.stores import place, read, refusal, same, scales, zarr_array, zarr_group

DTYPES = ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@pytest.mark.parametrize("dtype", ["u4", "u8"])
@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
@pytest.mark.parametrize("packing", [{}, {"sharding": depots.SHARDS}], ids=["files", "shards"])
def test_precomputed(tmp_path, dtype, encoding, packing):
    volume = depots.labels(dtype=dtype)
    same(depots.precomputed(tmp_path / "seg", volume, encoding, (10, 20, 30), **packing), volume)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in ("bool", "i8")])
def test_precomputed_dtypes(tmp_path, dtype):
    volume = depots.labels(dtype=dtype)
    same(depots.precomputed(tmp_path / "seg", volume), volume)


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr(tmp_path, version, order, byteorder, dtype):
    volume = depots.labels(dtype=dtype)
    stored = volume.astype(np.dtype(dtype).newbyteorder(byteorder))
    options = {"order": order} if version == 2 else {}
    if version == 3 and order == "F":
        zarr = pytest.importorskip("zarr", reason="needs the package zarr")
        options["filters"] = [zarr.codecs.TransposeCodec(order=(2, 1, 0))]
    if version == 3 and byteorder == ">":
        zarr = pytest.importorskip("zarr", reason="needs the package zarr")
        options["serializer"] = zarr.codecs.BytesCodec(endian="big")
    same(zarr_array(tmp_path / "seg", stored, zarr_format=version, **options), volume)


def test_zarr_shards(tmp_path):
    volume = depots.labels()
    same(zarr_array(tmp_path / "seg", volume, chunks=(4, 8, 8), shards=(8, 16, 24)), volume)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_n5(tmp_path, dtype):
    volume = depots.labels(dtype=dtype)
    same(depots.n5(tmp_path / "seg.n5" / "s0", volume), volume)
    same(tmp_path / "seg.n5", volume)


def test_every_way_to_write_a_local_place(tmp_path, monkeypatch):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "my seg", volume)
    url = f"file://{folder}"
    for text in (
        folder,
        f"{folder}/",
        f"precomputed://{folder}",
        f"PRECOMPUTED://{folder}/",
        f"precomputed://{url}",
        url,
        f"{url}/",
        f"{url}/|auto:",
        f"{url}|neuroglancer-precomputed",
        f"{url}/|neuroglancer-precomputed:",
        f"{url}/|neuroglancer-precomputed:mip=0",
        f"{url}/|neuroglancer-precomputed::mip=0",
        f"{folder}|neuroglancer-precomputed:",
        url.replace(" ", "%20"),
    ):
        assert volumes.names_store(str(text))
        same(text, volume)
    monkeypatch.chdir(tmp_path)
    same("my seg", volume)
    same("precomputed://my seg", volume)


def test_zarr_and_n5_addresses(tmp_path):
    volume = depots.labels(dtype="u4")
    two = zarr_array(tmp_path / "two", volume, zarr_format=2)
    three = zarr_array(tmp_path / "three", volume, zarr_format=3)
    five = depots.n5(tmp_path / "five", volume)
    for text in (f"zarr://{two}", f"zarr://{three}", f"zarr2://{two}", f"zarr3://file://{three}"):
        same(text, volume)
    for text in (f"n5://{five}", f"file://{five}|n5:", f"file://{two}|zarr2:", f"{three}|zarr3:"):
        same(text, volume)
    assert refusal(f"zarr2://{three}").endswith("it has no .zarray, .zgroup")
    assert refusal(f"zarr3://{two}").endswith("it has no zarr.json")


@pytest.mark.parametrize("name", ["my.h5:/a=b", "a.npy", "phantom:size=8x8x8", "gs:", "x|y", "\0"])
def test_files_and_names_are_no_stores(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    if name == "x|y":
        Path(name).touch()
    assert not volumes.names_store(name)


@pytest.mark.parametrize("bucket", ["gs", "s3"])
def test_buckets(bucket):
    import tensorstore

    found = locate(f"precomputed://{bucket}://a-bucket/of/seg:mip=2", tensorstore)
    driver = {"gs": "gcs", "s3": "s3"}[bucket]
    assert found.kvstore == {"driver": driver, "bucket": "a-bucket", "path": "of/seg/"}
    assert (found.kinds, found.selection) == (("precomputed",), Selection(mip=2))
    found = locate(f"{bucket}://a-bucket/of/seg.zarr|zarr3:in/side", tensorstore)
    assert (found.kinds, found.kvstore["path"]) == (("zarr3",), "of/seg.zarr/in/side/")
    found = locate(f"zarr://{bucket}://a-bucket/of/seg.zarr:/in/side", tensorstore)
    assert (found.kinds, found.kvstore["path"]) == (("zarr3", "zarr2"), "of/seg.zarr/in/side/")


@pytest.mark.parametrize(
    ("text", "reason"), [("graphene://https://x/y", "graphene"), ("file:///x|foo:", "foo")]
)
def test_unknown_addresses(text, reason):
    assert reason in refusal(text)


def test_scales_and_boxes_are_in_the_stores_own_coordinates(tmp_path):
    volume = depots.labels()
    folder = depots.precomputed(tmp_path / "seg", volume, offset=(10, 20, 30), mips=2)
    same(f"{folder}:mip=1", volume[:, ::2, ::2])
    same(f"{folder}:box=12-20x21-29x33-50", volume[3:20, 1:9, 2:10])
    same(f"{folder}:mip=1,box=10-31x20-37x30-31", volume[:1, ::2, ::2])
    assert "has no scale mip=2; it has mip=0 (41 x 33 x 20), mip=1 (21 x 17 x 20)" in refusal(
        f"{folder}:mip=2"
    )
    assert "10-51x20-53x30-50 (x, y, z)" in refusal(f"{folder}:box=9-20x21-29x33-50")


def test_negative_offsets(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = depots.precomputed(tmp_path / "seg", volume, offset=(-10, -20, -30))
    same(folder, volume)
    same(f"{folder}:box=-10--5x-20--15x-30--28", volume[:2, :5, :5])


@given(st.tuples(*[st.tuples(st.integers(-999, 999), st.integers(1, 999))] * 3))
def test_boxes_are_spelled_as_they_are_read(ranges):
    box = Box("x".join(f"{low}-{low + size}" for low, size in ranges))
    assert tuple(box) == tuple((low, low + size) for low, size in ranges)
    assert Box(str(box)) == box
    assert split(f"gs://bucket/a|zarr3::mip=1,box={box}") == (
        "gs://bucket/a|zarr3:"[:-1],
        f"mip=1,box={box}",
    )


@pytest.mark.parametrize(
    "chosen",
    ["mip=-1", "mip=x", "box=1", "box=0-1x0-1", "box=0-1x0-1x5-5", "axes=zy", "axes=zyxx", "nip=1"],
)
def test_selections_that_make_no_sense(tmp_path, chosen):
    folder = depots.info(tmp_path / "seg")
    with pytest.raises(SpecError):
        read(f"{folder}:{chosen}")


@pytest.mark.parametrize(
    ("names", "order"),
    [(("x", "y", "z"), (2, 1, 0)), (("Y", "Z", "X"), (1, 0, 2)), (("z", "y", "x"), (0, 1, 2))],
)
@pytest.mark.parametrize("version", [2, 3])
def test_axes_by_name(tmp_path, names, order, version):
    volume = depots.labels(dtype="u4")
    options = (
        {"dimension_names": names} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": names}}
    )
    same(
        zarr_array(tmp_path / "seg", volume.transpose(order), zarr_format=version, **options),
        volume,
    )


def test_axes_without_names(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = zarr_array(tmp_path / "zyx", volume)
    same(folder, volume)
    same(f"{folder}:axes=xyz", volume.T)
    same(f"{depots.n5(tmp_path / 'n5', volume)}:axes=zyx", volume.T)
    folder = zarr_array(tmp_path / "odd", volume, dimension_names=["z", "y", "w"])
    assert "say axes=zyx" in refusal(folder)
    same(f"{folder}:axes=zyx", volume)
    folder = zarr_array(tmp_path / "flat", volume[0], dimension_names=["y", "w"], chunks=(8, 8))
    assert "say axes=yx" in refusal(folder)
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


def test_floats_are_refused(tmp_path):
    line = refusal(zarr_array(tmp_path / "seg", np.zeros((4, 5, 6), "f4")))
    assert "holds float32 of shape (4, 5, 6)" in line


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


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path, version):
    volume = depots.labels(dtype="u4")
    image = scales(
        "czyx",
        [None, "nanometer", "micrometer", "nanometer"],
        [[1, 40, 0.004, 4], [1, 40, 0.008, 8]],
        [0, 0, 0.002, 2],
    )
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
    assert "has no scale mip=2; it has mip=0 (s/0), mip=1 (s/1)" in refusal(f"{folder}:mip=2")


@pytest.mark.parametrize(
    "image",
    [
        5,
        {},
        {"datasets": 5},
        {"datasets": [{}]},
        {
            "datasets": [
                {"path": "s", "coordinateTransformations": [{"type": "scale", "scale": ["a"]}]}
            ],
            "axes": ["z"],
        },
    ],
)
def test_damaged_multiscales(tmp_path, image):
    zarr_group(tmp_path / "seg").attrs["ome"] = {"multiscales": [image]}
    assert "its multiscales metadata is damaged" in refusal(tmp_path / "seg")


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_groups(tmp_path, version, consolidated):
    zarr = pytest.importorskip("zarr", reason="needs the package zarr")
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
    assert refusal(folder) == (
        f"{folder}: is a group; its volumes are /a/labels, /other; name one as {folder}:/a/labels"
    )
    url = f"file://{folder}|zarr{version}:"
    assert f"name one as '{url}a/labels'" in refusal(url)
    same(f"{folder}:/a/labels", volume)
    same(f"{url}a/labels", volume)
    with depots.serving(tmp_path) as address:
        text = f"zarr://{address}/many"
        line = refusal(text)
        expected = f"{text}/a/labels" if consolidated else f"such as {text}/path/inside"
        assert line.endswith(expected)
        same(f"{text}/a/labels", volume)


@pytest.mark.parametrize("version", [2, 3])
def test_an_error_shows_how_to_name_a_volume_in_a_group(tmp_path, version):
    """The example in it works, however the group was named."""
    volume = depots.labels(dtype="u4")
    group = zarr_group(tmp_path / "x.zarr", version)
    for name in ("a/b/seg", "a/b/other"):
        group.create_array(name, data=volume, chunks=(8, 8, 8))
    folder, url = tmp_path / "x.zarr", f"file://{tmp_path}/x.zarr"
    for text in (
        *(folder, f"{folder}/", f"{folder}/a", f"{folder}:/a", f"{folder}:/a/b/", f"{url}:/a/b"),
        *(url, f"zarr://{folder}:/a", f"{url}|zarr{version}:", f"{url}|zarr{version}:a"),
        *(f"{folder}:box=1-9x1-9x1-9", f"{folder}:/a:box=1-9x1-9x1-9"),
    ):
        example = refusal(text).rpartition(" as ")[2].strip("'")
        same(example, volume[1:9, 1:9, 1:9] if "box" in str(text) else volume)


def test_a_path_inside_of_a_store_is_one_path(tmp_path):
    depots.zarr_group(tmp_path / "x.zarr").create_array("a/seg", shape=(3, 4, 5), dtype="u1")
    assert "absent" in refusal(f"{tmp_path}/x.zarr:/a:/seg")


def test_buckets_that_refuse_what_they_do_not_have(tmp_path):
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


def test_roots(tmp_path):
    volume = depots.labels(dtype="u4")
    folder = zarr_array(tmp_path / "seg", volume)
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    same(f"file://{tmp_path}/packed.zip|zip:|zarr3:", volume)
    with depots.serving(folder) as address:
        same(f"{address}|zarr3:", volume)
        same(f"{address}/|zarr3:", volume)
        same(address, volume)
    found = locate("gs://a-bucket|zarr3:", depots.ts)
    assert found.kvstore.get("path", "") == ""


def test_compressing_a_store(tmp_path):
    volume = depots.labels((50, 33, 41))
    folder = depots.precomputed(tmp_path / "seg", volume, offset=(1, 2, 3))
    target = tmp_path / "seg.cps"
    files.compress_file(f"precomputed://{folder}", target, "neuroglancer", "zstd", 1 << 20)
    files.decompress_file(target, tmp_path / "seg.nrrd")
    with volumes.open_file(tmp_path / "seg.nrrd") as reader:
        np.testing.assert_array_equal(reader.read(0, 50), volume)
        found = _metadata.geometry_of(reader.metadata).in_unit("nm")
    assert found.spacing == pytest.approx((40, 4, 4))
    assert found.origin == pytest.approx((4, 8, 120))

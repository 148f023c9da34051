"""TIFF: pages and series, and the metadata of ImageJ, OME and tifffile."""

import numpy as np
import pytest
import tifffile

import compresso as C
from compresso import volumes
from compresso.volumes import tiff
from compresso.volumes._metadata import Geometry
from tests.helpers.geometry import carry, named
from tests.helpers.memory import peak
from tests.helpers.sources import LABELS, load, outcome, written

PLAIN = {"photometric": "minisblack", "metadata": None}


def pages(path, arrays, **options):
    with tifffile.TiffWriter(path) as file:
        for array in arrays:
            file.write(array, **PLAIN | options)
            options.pop("description", None)
    return path


def ome(order, tail=""):
    data = "".join(
        f'<TiffData IFD="{ifd}" FirstZ="{z}" FirstC="0" FirstT="0" PlaneCount="1">{tail}</TiffData>'
        for ifd, z in enumerate(order)
    )
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="20"'
        ' SizeY="12" SizeZ="6" SizeC="1" SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="1"/>'
        f"{data}</Pixels></Image></OME>"
    )


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ome_pages_are_read_in_their_own_order(tmp_path, compression):
    order = [5, 4, 0, 1, 3, 2]
    pages(tmp_path / "x.ome.tif", LABELS[order], description=ome(order), compression=compression)
    assert np.array_equal(load(tmp_path / "x.ome.tif"), LABELS)
    assert np.array_equal(tifffile.imread(tmp_path / "x.ome.tif"), LABELS)


def test_ome_that_leads_to_other_files_or_misses_pages_is_refused(tmp_path):
    other = '<UUID FileName="other.ome.tif">urn:uuid:1</UUID>'
    pages(tmp_path / "other.ome.tif", LABELS, description=ome(range(6)))
    for labels, text in (
        (LABELS, ome(range(6), other)),
        (LABELS[:4], ome(range(6))),
        (LABELS, ome(range(4))),
    ):
        path = pages(tmp_path / "x.ome.tif", labels, description=text)
        with pytest.raises(C.FileError, match="other files" if other in text else "."):
            load(path)


@pytest.mark.parametrize(
    "said", ['SizeZ="6"', 'SizeT="1"', 'FirstZ="3"', 'PlaneCount="1"', 'IFD="2"']
)
def test_ome_that_promises_millions_of_pages_takes_no_memory(tmp_path, said):
    load(written(tmp_path, "tif-ome"))  # the caches of the packages
    name, value, _ = said.split('"')
    text = ome(range(6)).replace(said, f'{name}"{10**8}{value}"', 1)
    path = pages(tmp_path / "x.ome.tif", LABELS, description=text)

    def refuse():
        with pytest.raises(C.FileError, match="more than 6 pages"):
            load(path)

    assert peak(refuse) < 16 << 20


def test_tiff_with_several_series_names_them(tmp_path):
    path = pages(tmp_path / "x.tif", [LABELS[0, ::2, ::2], *LABELS])
    for inner in ("", "2", "-1", "x"):
        with pytest.raises(C.FileError, match=r"\b0 of uint16 \(6, 10\), 1 of .* e.g. \S*x\.tif:1"):
            load(path, inner)
    assert np.array_equal(load(path, "1"), LABELS)
    assert np.array_equal(load(path, "0"), LABELS[:1, ::2, ::2])


RGB = {"photometric": "rgb"}


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        *(((12, 20, 3), RGB), ((6, 12, 20, 4), RGB), ((3, 12, 20), RGB | {"planarconfig": 2})),
        ((3, 2, 12, 20), {"imagej": True}),
    ],
)
def test_colours_and_more_dimensions_are_refused(tmp_path, shape, how):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros(shape, np.uint8), **how)
    with pytest.raises(C.FileError, match=r"colours|shape"):
        load(tmp_path / "x.tif")


def test_imagej_stacks_of_one_page(tmp_path):
    """Beyond 4 GB ImageJ describes the first slice only; the others follow it."""
    path = written(tmp_path, "tif-imagej")
    with tifffile.TiffFile(path) as file:
        after = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
        start = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[after : after + 4] = bytes(4)
    path.write_bytes(data[: start + LABELS.nbytes])
    assert np.array_equal(load(path), LABELS)
    path.write_bytes(data[: start + LABELS.nbytes - 1])
    assert outcome(path) == "refused"


@pytest.mark.parametrize("circle", [False, True])
@pytest.mark.parametrize("name", ["tif-imagej-zlib", "tif-ome-zlib", "tif-tiles-zlib", "tif-own"])
def test_chains_of_pages_that_are_cut_or_circles_are_refused(tmp_path, name, circle):
    path = written(tmp_path, name)
    with tifffile.TiffFile(path) as file:
        form, page, second = file.tiff, file.pages[3], file.pages[1].offset
        after = page.offset + form.tagnosize + form.tagsize * len(page.aspage().tags)
    data = bytearray(path.read_bytes())
    following = second if circle else 0
    data[after : after + form.offsetsize] = following.to_bytes(form.offsetsize, "little")
    path.write_bytes(data)
    with pytest.raises(C.FileError, match="in a circle" if circle else "."):
        load(path)


def test_strips_must_be_there(tmp_path):
    path = written(tmp_path, "tif-packbits")
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripOffsets"]
    with path.open("r+b") as file:
        file.seek(tag.valueoffset)
        file.write(bytes(tag.dtype.value if tag.dtype.value == 4 else 2))
    with pytest.raises(C.FileError, match="slice 0"):
        load(path)


def test_pages_that_were_appended_are_slices(tmp_path):
    for plane in LABELS:
        tifffile.imwrite(tmp_path / "a.tif", plane, append=True)
    assert np.array_equal(load(tmp_path / "a.tif"), LABELS)
    assert np.array_equal(load(tmp_path / "a.tif", "3"), LABELS[3:4])


def tags_of(path):
    """The tags of each page of a TIFF file, by their names."""
    with tifffile.TiffFile(path) as file:
        return [{tag.name: tag.value for tag in page.tags} for page in file.pages]


TEXTS = {269: "brain", 306: "2024:01:02 03:04:05", 315: "me", 33432: "CC0 \u00e9"}
COLOURS = np.random.default_rng(1).integers(0, 1 << 16, (3, 256), dtype=np.uint16)
SAID = {
    "white is 0": {"photometric": "miniswhite"},
    "turned": {"extratags": [(274, "H", 1, 4, False)]},
    "palette": {"photometric": "palette", "colormap": COLOURS},
    "texts": {
        "software": "segmenter 3",
        "extratags": [(code, "s", 0, text.encode(), True) for code, text in TEXTS.items()],
    },
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_tags_are_kept_or_named(tmp_path, said):
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, LABELS.astype(np.uint8), metadata=None, **said)
    assert carry(source, target) == []
    before, after = tags_of(source)[0], tags_of(target)[0]
    for name in tiff.KEPT & before.keys():
        np.testing.assert_array_equal(after[name], before[name], name)
    assert "tiff " in named(source, ".nrrd")


def test_other_tags_are_named(tmp_path):
    tags = [(286, "2I", 1, (3, 2), True), (50000, "H", 1, 7, True)]
    tifffile.imwrite(tmp_path / "a.tif", LABELS, metadata=None, extratags=tags)
    with volumes.open(tmp_path / "a.tif") as volume:
        assert list(volume.lost) == ["tag XPosition", "tag 50000"]


@pytest.mark.parametrize(
    ("resolution", "unit"), [((300, 300), 2), ((2.5, 5), 3), ((10, 20), 1), ((1 / 3, 0.1), 3)]
)
def test_resolutions_and_descriptions_come_back(tmp_path, resolution, unit):
    about = {"resolution": resolution, "resolutionunit": unit, "description": "\u00b5".encode()}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, **about)
    for source, target in ("ab", "bc"):
        assert carry(tmp_path / f"{source}.tif", tmp_path / f"{target}.tif") == []
    before, after = (tags_of(tmp_path / f"{name}.tif")[0] for name in "ac")
    for name in ("XResolution", "YResolution", "ResolutionUnit"):
        assert after[name] == before[name]
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert file.shaped_metadata[0]["ImageDescription"] == "\u00b5"


def test_fields_of_tifffile_are_kept_or_named(tmp_path):
    metadata = {"axes": "ZYX", "spacing": 0.5, "names": {"1": "cell"}, "odd": float("nan")}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, metadata=metadata)
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif") == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert {"spacing": 0.5, "names": {"1": "cell"}}.items() <= file.shaped_metadata[0].items()
    assert "shaped" in named(tmp_path / "a.tif", ".nii")


@pytest.mark.parametrize("unit", ["um", "\\u00B5m", "micron", "nm", "pixel", "inch"])
def test_imagejs_metadata_are_kept_or_named(tmp_path, unit):
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    ramp = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    metadata = {"spacing": 0.3, "unit": unit, "xorigin": 1.5, "LUTs": [ramp], "Info": "a \u00b5"}
    metadata |= {"Labels": [f"slice {z}" for z in range(6)], "Ranges": (0.0, 9.0), "axes": "ZYX"}
    metadata |= {"Properties": {"a": "b"}}
    tifffile.imwrite(source, LABELS, imagej=True, resolution=(20, 10), metadata=metadata)
    assert carry(source, target) == []
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        old, new = before.imagej_metadata, after.imagej_metadata
    for name in (*metadata.keys() - {"axes"}, "images", "slices"):
        np.testing.assert_equal(new[name], old[name], name)
    assert tags_of(target)[0]["XResolution"] == tags_of(source)[0]["XResolution"]
    assert "Labels" in named(source, ".nrrd")
    carry(source, target, first=2)
    with tifffile.TiffFile(target) as file:
        assert file.imagej_metadata["Labels"] == [f"slice {z}" for z in range(2, 6)]


def test_imagejs_objects_are_named(tmp_path):
    metadata = {"axes": "ZYX", "ROI": b"Iout1234", "Overlays": [b"Iout1", b"Iout2"]}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, imagej=True, metadata=metadata)
    with volumes.open(tmp_path / "a.tif") as volume:
        assert len(volume.lost) == 2


@pytest.mark.parametrize("dtype", ["u1", "i8", "?"])
@pytest.mark.parametrize("big", [True, False])
def test_large_files_are_big_tiffs(tmp_path, monkeypatch, dtype, big):
    path, labels = tmp_path / "a.tif", LABELS.astype(dtype)
    monkeypatch.setattr(tiff, "CLASSIC", labels.nbytes - big)
    volumes.write(path, volumes.of_array(labels), iter(labels[:, None]))
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff == big
    assert np.array_equal(load(path), labels)
    np.testing.assert_array_equal(tifffile.imread(path), labels)


def test_omes_sizes_are_the_geometry(tmp_path):
    sizes = 'PhysicalSizeX="0.1" PhysicalSizeY="200" PhysicalSizeYUnit="nm" '
    sizes += 'PhysicalSizeZ="0.001" PhysicalSizeZUnit="mm" SizeX'
    text = ome(range(6)).replace("SizeX", sizes)
    pages(tmp_path / "a.ome.tif", LABELS, description=text)
    assert carry(tmp_path / "a.ome.tif", tmp_path / "b.tif") == []
    for name in ("a.ome.tif", "b.tif"):
        with volumes.open(tmp_path / name) as volume:  # OME's unit is micrometres by default
            place = volumes.geometry_of(volume.metadata).in_unit("um")
        assert place.spacing == pytest.approx((1, 0.2, 0.1))


def test_the_origin_of_slices_is_named_if_lost(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, resolution=(10, 10), resolutionunit=3, metadata={})
    with volumes.open(tmp_path / "a.tif") as volume:
        place = Geometry.from_json(volume.metadata["geometry"])
    assert place.spacing == (None, 0.1, 0.1)
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif", first=3) == []  # z is unknown anyway
    tifffile.imwrite(tmp_path / "c.ome.tif", LABELS, metadata={"axes": "ZYX", "PhysicalSizeZ": 2.0})
    assert "origin" in "".join(carry(tmp_path / "c.ome.tif", tmp_path / "d.tif", first=3))

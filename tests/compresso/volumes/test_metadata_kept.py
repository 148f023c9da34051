"""Fields that a file of the same format must keep, and any other one must name."""

import struct

import h5py
import nibabel as nib
import nrrd
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

import compresso
from compresso import volumes
from compresso.__main__ import main
from compresso.errors import FileError
from compresso.volumes import tiff
from tests.helpers.geometry import (
    LABELS,
    TURN,
    assert_same_place,
    by_itk,
    carry,
    itk_file,
    nrrd_file,
)

BYTES = LABELS.astype(np.uint8)


def tags_of(path):
    """The tags of each page of a TIFF file, by their names."""
    with tifffile.TiffFile(path) as file:
        return [{tag.name: tag.value for tag in page.tags} for page in file.pages]


def named(path, target):
    """The line that names what a format cannot hold."""
    (line,) = carry(path, path.with_name(f"named{target}"))
    return line


@pytest.mark.parametrize("turned", range(1, 9))
def test_tiffs_orientation_is_kept_or_named(tmp_path, turned):
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, BYTES, metadata=None, extratags=[(274, "H", 1, turned, False)])
    assert carry(source, tmp_path / "b.tif") == []
    assert [page.get("Orientation", 1) for page in tags_of(tmp_path / "b.tif")] == [turned] * 7
    for target in (".nii", ".nrrd", ".h5", ".npy"):
        if turned == 1:
            assert carry(source, tmp_path / f"c{target}") == []
        else:
            assert "Orientation" in named(source, target)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_tiffs_colours_are_kept_or_named(tmp_path, dtype):
    source, labels = tmp_path / "a.tif", LABELS.astype(dtype)
    size = 1 << 8 * labels.itemsize
    colours = np.random.default_rng(1).integers(0, 1 << 16, (3, size), dtype=np.uint16)
    tifffile.imwrite(source, labels, photometric="palette", colormap=colours, metadata=None)
    assert carry(source, tmp_path / "b.tif") == []
    for page in tags_of(tmp_path / "b.tif"):
        assert page["PhotometricInterpretation"] == 3
        np.testing.assert_array_equal(page["ColorMap"], colours)
    assert "ColorMap" in named(source, ".nrrd")


def test_pillow_sees_the_same_colours(tmp_path):
    pages = [Image.fromarray(plane, "L").convert("P") for plane in BYTES]
    for page in pages:
        page.putpalette(list(range(30, 90)))
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif") == []
    for path in (tmp_path / "a.tif", tmp_path / "b.tif"):
        with Image.open(path) as image:
            image.seek(6)
            np.testing.assert_array_equal(image.getpalette()[:60], list(range(30, 90)))
            np.testing.assert_array_equal(np.array(image), BYTES[6])


def test_a_palette_of_a_few_colours_fits_larger_labels(tmp_path):
    """Sixteen colours of four bits become the first of 256; other dtypes have no palette."""
    fields = {"tiff": {"ColorMap": np.arange(48).reshape(3, 16).tolist()}}
    for dtype, lost in (("u1", []), ("u4", ["ColorMap"]), ("i1", ["ColorMap"])):
        path, labels = tmp_path / f"{dtype}.tif", LABELS.astype(dtype)
        assert volumes.writer(path)(path, labels.shape, labels.dtype, [labels], fields) == lost
    colours = tags_of(tmp_path / "u1.tif")[0]["ColorMap"]
    np.testing.assert_array_equal(colours[:, :16].ravel(), range(48))
    assert not colours[:, 16:].any()


def test_white_is_zero_stays(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BYTES, photometric="miniswhite", metadata=None)
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif") == []
    assert tags_of(tmp_path / "b.tif")[3]["PhotometricInterpretation"] == 0


def test_tiffs_lines_of_text_are_kept_and_other_tags_named(tmp_path):
    texts = {269: "brain", 306: "2024:01:02 03:04:05", 315: "me", 33432: "CC0 \u00e9"}
    tags = [(code, "s", 0, text.encode(), True) for code, text in texts.items()]
    tags += [(286, "2I", 1, (3, 2), True), (50000, "H", 1, 7, True)]
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, BYTES, metadata=None, software="segmenter 3", extratags=tags)
    with volumes.open_file(source) as volume:
        assert len(volume.lost) == 2
        assert any("XPosition" in name for name in volume.lost)
    assert carry(source, tmp_path / "b.tif") == []
    before, after = (tags_of(tmp_path / f"{name}.tif")[0] for name in "ab")
    for name in ("Software", "DocumentName", "DateTime", "Artist", "Copyright"):
        assert after[name] == before[name]
    assert "Software" in named(source, ".nii")


def test_what_tifffile_writes_next_to_the_shape_is_kept_or_named(tmp_path):
    metadata = {"axes": "ZYX", "spacing": 0.5, "names": {"1": "cell"}, "odd": float("nan")}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, metadata=metadata)
    assert carry(tmp_path / "a.tif", tmp_path / "b.tif") == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        found = file.shaped_metadata[0]
    assert (found["spacing"], found["names"]) == (0.5, {"1": "cell"})
    assert "shaped" in named(tmp_path / "a.tif", ".nii")


def imagej_file(path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um", "LUTs": [ramp], "Info": "a \u00b5"}
    metadata |= {"Labels": [f"slice {z}" for z in range(7)], "Ranges": (0.0, 9.0)}
    metadata |= {"Properties": {"a": "b"}}
    tifffile.imwrite(path, LABELS, imagej=True, resolution=(2, 2), metadata=metadata)
    return path


def test_imagejs_labels_and_colours_are_kept_or_named(tmp_path):
    source = imagej_file(tmp_path / "a.tif")
    assert carry(source, tmp_path / "b.tif") == []
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
        old, new = before.imagej_metadata, after.imagej_metadata
    for name in ("Labels", "Info", "Ranges", "Properties"):
        assert new[name] == old[name]
    np.testing.assert_array_equal(new["LUTs"], old["LUTs"])
    assert "Labels" in named(source, ".nrrd")


def test_imagejs_objects_are_named(tmp_path):
    metadata = {"axes": "ZYX", "ROI": b"Iout1234", "Overlays": [b"Iout1", b"Iout2"]}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, imagej=True, metadata=metadata)
    with volumes.open_file(tmp_path / "a.tif") as volume:
        assert len(volume.lost) == 2


def run(*arguments):
    """A command that must succeed, and what it says on stderr."""
    done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stderr


def test_slices_have_their_own_labels(tmp_path):
    run("compress", imagej_file(tmp_path / "a.tif"), tmp_path / "a.cps")
    run("decompress", tmp_path / "a.cps", tmp_path / "b.tif", "--slices", "2:5")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["Labels"] == ["slice 2", "slice 3", "slice 4"]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i8", "?"])
def test_tiffs_are_classic_until_they_are_too_large(tmp_path, monkeypatch, dtype):
    """The limit is reached in the middle, or by the first page."""
    bits = np.random.default_rng(2).bytes(9 * 100 * 120 * np.dtype(dtype).itemsize)
    labels = np.frombuffer(bits, "u1" if dtype == "?" else dtype).reshape(9, 100, 120)
    labels = labels > 127 if dtype == "?" else labels
    metadata = {"tiff": {"Orientation": 3, "ImageDescription": "mine"}}
    path = tmp_path / "a.tif"
    for limit, big in ((1 << 32, False), (6 * labels[0].nbytes, True), (1, True)):
        monkeypatch.setattr(tiff, "CLASSIC", limit // 2 if big and dtype == "?" else limit)
        volumes.writer(path)(path, labels.shape, labels.dtype, iter(labels[:, None]), metadata)
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff == big
            assert len(file.pages) == 9
        assert [page["Orientation"] for page in tags_of(path)] == [3] * 9
        with volumes.open_file(path) as volume:
            assert volume.metadata == metadata
            np.testing.assert_array_equal(volume.read(0, 9), labels)
        np.testing.assert_array_equal(tifffile.imread(path), labels)


def test_pages_that_were_appended_are_slices(tmp_path):
    for plane in BYTES:
        tifffile.imwrite(tmp_path / "a.tif", plane, append=True)
    with volumes.open_file(tmp_path / "a.tif") as volume:
        np.testing.assert_array_equal(volume.read(0, 7), BYTES)
    with volumes.open_file(tmp_path / "a.tif", "3") as volume:
        np.testing.assert_array_equal(volume.read(0, 1), BYTES[3:4])


def test_many_series_are_one_short_line(tmp_path):
    for number in range(200):
        plane = np.zeros((3, 4 + number % 2), np.uint8)
        tifffile.imwrite(tmp_path / "a.tif", plane, append=True)
    with pytest.raises(FileError) as error, volumes.open_file(tmp_path / "a.tif"):
        pass
    assert len(str(error.value)) - len(str(tmp_path)) < 250


SFORM = np.array([[-0.5, 0, 0.25, 10], [0, 0.25, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])
QFORM = np.eye(4)
QFORM[:3, :3], QFORM[:3, 3] = TURN * (0.5, 0.25, 3), (-7, 8, 9)
SHEARED = SFORM.copy()
SHEARED[0, 1] = 0.125


def affines_file(path, sform, qform, codes=(4, 1), kind=nib.Nifti1Image):
    """A NIfTI file with a code for each affine; 0 is none."""
    image = kind(LABELS.T, None, dtype=LABELS.dtype)
    image.header.set_qform(qform, codes[1])
    image.header.set_sform(sform, codes[0])
    image.header.set_xyzt_units("micron", "sec")
    image.header["intent_code"], image.header["intent_name"] = 1002, b"parts"
    image.header["cal_min"], image.header["cal_max"] = 1, 9
    image.to_filename(path)
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("codes", [(4, 1), (0, 1), (2, 0), (1, 5)])
@pytest.mark.parametrize("sform", [SFORM, SHEARED], ids=["straight", "sheared"])
@pytest.mark.parametrize("first", [0, 2])
def test_slices_move_both_of_niftis_affines(tmp_path, kind, codes, sform, first):
    source = affines_file(tmp_path / "a.nii", sform, QFORM, codes, kind)
    assert carry(source, tmp_path / "b.nii", first) == []
    before, after = nib.load(source).header, nib.load(tmp_path / "b.nii").header
    assert type(before) is type(after)
    changed = {"dim", *(f"qoffset_{axis}" for axis in "xyz"), *(f"srow_{axis}" for axis in "xyz")}
    for name in before.keys():  # noqa: SIM118 - a header is not a dict
        if first == 0 or name not in changed:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    move = np.eye(4)
    move[2, 3] = first
    for get in ("get_sform", "get_qform"):
        old, new = (getattr(header, get)(coded=True)[0] for header in (before, after))
        assert (old is None) == (new is None)
        if old is not None:
            np.testing.assert_allclose(new, old @ move, atol=1e-5)


def test_a_qform_that_is_another_place_is_named(tmp_path):
    for codes, sform, line in (((1, 1), QFORM, 0), ((1, 1), SFORM, 1), ((0, 1), SFORM, 0)):
        source = affines_file(tmp_path / "a.nii", sform, QFORM, codes)
        for target in (".nrrd", ".h5", ".npy"):
            assert ("nifti qform" in named(source, target)) == line


@pytest.mark.parametrize("code", [2, 3, 4])
def test_niftis_codes_are_named_unless_usual(tmp_path, code):
    source = affines_file(tmp_path / "a.nii", QFORM, QFORM, (code, 1))
    assert "sform_code" in named(source, ".nrrd")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_long_axes_are_nifti_2(tmp_path, axis):
    for length, kind in ((32767, nib.Nifti1Image), (32768, nib.Nifti2Image)):
        shape = [1, 1, 1]
        shape[axis] = length
        labels, path = np.ones(shape, np.uint8), tmp_path / "a.nii"
        assert volumes.writer(path)(path, labels.shape, labels.dtype, [labels], {}) == []
        image = nib.load(path)
        assert type(image) is kind
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, labels)


def extended_file(path, *extensions, order="<"):
    """A NIfTI file with extensions of these codes and bytes, as they are."""
    packed = b"".join(
        struct.pack(f"{order}ii", 8 + len(content), code) + content for code, content in extensions
    )
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(LABELS.dtype)
    header.set_data_shape(LABELS.shape[::-1])
    header["vox_offset"] = 352 + len(packed)
    labels = LABELS.astype(f"{order}u2").tobytes()
    path.write_bytes(header.binaryblock + b"\1\0\0\0" + packed + labels)
    return packed


EXTENSIONS = [
    [(42, struct.pack("<5d", 1.5, 2.5, 0, 0, 0))],
    [(42, bytes(24)), (6, b"a comment" + bytes(15))],
    [(4, b"<?xml?><AFNI/>".ljust(40, b"\0")), (44, b"\x80\xff\0\0\0\0\0\0")],
    [(4, bytes(8)), (6, b"x" * 8 + bytes(96))],
    [(30, b"<Label/>" * 20_001)],
]


@pytest.mark.parametrize("extensions", EXTENSIONS)
@pytest.mark.parametrize("order", "<>")
def test_niftis_extensions_keep_every_byte(tmp_path, extensions, order):
    packed = extended_file(tmp_path / "a.nii", *extensions, order=order)
    assert run("compress", tmp_path / "a.nii", tmp_path / "a.cps") == ""
    assert run("decompress", tmp_path / "a.cps", tmp_path / "b.nii") == ""
    whole = (tmp_path / "b.nii").read_bytes()
    assert len(whole) == 352 + len(packed) + LABELS.nbytes
    if order == "<":
        assert whole[348 : 352 + len(packed)] == b"\1\0\0\0" + packed
    back = nib.load(tmp_path / "b.nii").header.extensions
    assert [e.get_code() for e in back] == [code for code, _ in extensions]
    assert "extensions" in named(tmp_path / "a.nii", ".nrrd")


def test_zeros_behind_niftis_extensions_are_none(tmp_path):
    extended_file(tmp_path / "a.nii", (6, b"a comment" + bytes(15)), (0, bytes(8)))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[352 + 32 : 352 + 48] = bytes(16)
    (tmp_path / "a.nii").write_bytes(raw)
    with volumes.open_file(tmp_path / "a.nii") as volume:
        assert volume.lost == []
        assert volume.metadata["nifti"]["extensions"] == [[6, "a comment" + "\0" * 15]]


@pytest.mark.parametrize("name", ["A.NII.GZ", "A.Nii.gZ", "A.NII", "A.NRRD", "A.TIF", "A.TIFF"])
def test_capital_endings_are_written_as_small_ones(tmp_path, name):
    capital, small = tmp_path / name, tmp_path / f"small{name.lower()[1:]}"
    (tmp_path / "a.cps").write_bytes(compresso.dumps(LABELS))
    for path in (capital, small):
        run("decompress", tmp_path / "a.cps", path)
        with volumes.open_file(path) as volume:
            np.testing.assert_array_equal(volume.read(0, 7), LABELS)
    assert capital.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("name", ["A.H5", "A.HDF5", "A.NPY"])
def test_capital_endings_are_read_by_others(tmp_path, name):
    (tmp_path / "a.cps").write_bytes(compresso.dumps(LABELS))
    run("decompress", tmp_path / "a.cps", tmp_path / name)
    if name == "A.NPY":
        found = np.load(tmp_path / name)
    else:
        with h5py.File(tmp_path / name) as file:
            found = file["main"][()]
    np.testing.assert_array_equal(found, LABELS)


KEYS = {
    "ultrasound image type": "BRIGHTNESS",
    "DICOM_0008_0060": "CT",
    "note": "a: b := c",
    "empty": "",
    "name": "Gr\u00f6\u00dfe \u00b5m",
    "with:colon": "value",
    "a: field": "no",
    " spaces ": " both sides ",
    "kinds of": "x",
    "content": "a key, and no field",
    "#": "",
}


def test_nrrds_odd_keys_are_kept_or_named(tmp_path):
    keys = {name: text for name, text in KEYS.items() if name != "#"}
    lines = [f"{name}:={text}" for name, text in keys.items()]
    source = nrrd_file(tmp_path / "a.nrrd", *lines, "MyField: my: value")
    with volumes.open_file(source) as volume:
        assert volume.lost == []
    assert carry(source, tmp_path / "b.nrrd") == []
    written = (tmp_path / "b.nrrd").read_bytes().split(b"\n")
    assert {line.encode() for line in (*lines, "MyField: my: value")} <= set(written)
    with volumes.open_file(tmp_path / "b.nrrd") as volume:
        found = volume.metadata["nrrd"]
    assert {n: v.encode("latin-1").decode() for n, v in found["keys"].items()} == keys
    assert found["custom"] == {"MyField": "my: value"}
    assert "MyField" in named(nrrd_file(tmp_path / "c.nrrd", "MyField: 1"), ".nii")


@pytest.mark.parametrize(
    "lines",
    [
        ["space dimension: 2", "space directions: none (1,0) (0,2)", "space origin: (3,4)"],
        ["space: LPST", "space directions: (1,0,0,0) (0,1,0,0) none", "space origin: (0,0,0,0)"],
        ["space dimension: 2", "measurement frame: (0,1) (1,0)"],
        ["space: LPS", "space directions: none none (0,0,1)", "measurement frame: none none none"],
    ],
)
def test_nrrds_vectors_of_any_length_are_kept_or_named(tmp_path, lines):
    kinds = "kinds: list domain domain", "centerings: none cell node", 'labels: "a b" "" "z"'
    source = nrrd_file(tmp_path / "a.nrrd", *lines, *kinds)
    with volumes.open_file(source) as volume:
        assert volume.lost == []
    assert carry(source, tmp_path / "b.nrrd") == []
    before, after = (nrrd.read_header(str(tmp_path / f"{name}.nrrd")) for name in "ab")
    for name in set(before) - {"encoding", "centerings"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert "nrrd kinds" in named(source, ".nii")


def test_slices_keep_nrrds_other_words_of_place(tmp_path):
    """A space that is neither LPS nor RAS, units that differ: only the origin is another one."""
    lines = "space: scanner-xyz", 'space units: "mm" "mm" "um"'
    place = "space directions: (0.5,0,0) (0,0.25,0) (0,1,3)", "space origin: (1,2,3)"
    source = nrrd_file(tmp_path / "a.nrrd", *lines, *place)
    assert carry(source, tmp_path / "b.nrrd", first=2) == []
    before, after = (nrrd.read_header(str(tmp_path / f"{name}.nrrd")) for name in "ab")
    for name in ("space", "space units", "space directions"):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["space origin"].tolist() == [1, 4, 9]
    line = named(source, ".nii")
    assert "nrrd space," in line
    assert "nrrd space units" in line


@pytest.mark.parametrize("space", ["left-anterior-superior", "LAS", "RAS"])
def test_slices_in_mirrored_spaces_are_where_itk_sees_them(tmp_path, space):
    place = "space directions: (0.5,0,0) (0,0.25,0) (0,1,3)", "space origin: (1,2,3)"
    source = nrrd_file(tmp_path / "a.nrrd", f"space: {space}", *place)
    carry(source, tmp_path / "b.nrrd", first=2)
    moved = "space directions: (0.5,0,0) (0,0.25,0) (0,1,3)", "space origin: (1,4,9)"
    wanted = nrrd_file(tmp_path / "c.nrrd", f"space: {space}", *moved, labels=LABELS[2:])
    assert_same_place(by_itk(tmp_path / "b.nrrd"), by_itk(wanted))


def test_a_place_that_makes_no_sense_is_named(tmp_path):
    source = nrrd_file(
        tmp_path / "a.nrrd", "space: LPS", "space directions: (nan,0,0) (0,1,0) (0,0,1)"
    )
    assert carry(source, tmp_path / "b.nrrd") == []
    for target in (".nii", ".h5", ".tif"):
        assert "space directions" in named(source, target)
    unknown = nrrd_file(tmp_path / "c.nrrd", "space directions: none (0,1,0) (0,0,1)")
    assert carry(unknown, tmp_path / "d.nrrd") == []
    assert "step" in named(unknown, ".nii")


def segments_file(path, number):
    lines = ["space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)"]
    for n in range(number):
        lines += [f"Segment{n}_Name:=part {n}", f"Segment{n}_Extent:=0 5 0 4 {n % 7} {n % 7}"]
        lines += [f"Segment{n}_LabelValue:={n + 1}", f"Segment{n}_Tags:={'tag|' * 100}{n}"]
    return nrrd_file(path, *lines)


def test_slicers_segments_are_kept_or_named(tmp_path):
    """Two hundred segments are 90 KB of text, which a frame packs."""
    source = segments_file(tmp_path / "a.seg.nrrd", 200)
    assert run("compress", source, tmp_path / "a.cps") == ""
    assert run("decompress", tmp_path / "a.cps", tmp_path / "b.seg.nrrd") == ""
    before, after = (nrrd.read_header(str(tmp_path / f"{name}.seg.nrrd")) for name in "ab")
    assert {n: after[n] for n in before if n.startswith("Segment")} == {
        n: before[n] for n in before if n.startswith("Segment")
    }
    assert "Segment0_Name" in run("decompress", tmp_path / "a.cps", tmp_path / "b.nii")
    assert (tmp_path / "a.cps").stat().st_size < 20_000


def test_slices_cut_the_segments_extents(tmp_path):
    run("compress", segments_file(tmp_path / "a.nrrd", 6), tmp_path / "a.cps")
    run("decompress", tmp_path / "a.cps", tmp_path / "b.nrrd", "--slices", "2:5")
    header = nrrd.read_header(str(tmp_path / "b.nrrd"))
    found = [header[f"Segment{n}_Extent"] for n in range(6)]
    nothing = "0 -1 0 -1 0 -1"
    assert found == [nothing] * 2 + [f"0 5 0 4 {z} {z}" for z in range(3)] + [nothing]


def test_segments_in_layers_are_refused_in_plain_words(tmp_path):
    data = np.zeros((2, 6, 5, 7), np.uint8)
    header = {"kinds": ["list", "domain", "domain", "domain"], "Segment0_Name": "a"}
    nrrd.write(str(tmp_path / "a.seg.nrrd"), data, header | {"Segment0_Layer": "1"})
    with pytest.raises(FileError, match="layers"), volumes.open_file(tmp_path / "a.seg.nrrd"):
        pass


def test_bool_stays_bool_in_tiff(tmp_path):
    labels = LABELS > 4
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack", metadata=None)
    run("compress", tmp_path / "a.tif", tmp_path / "a.cps")
    run("decompress", tmp_path / "a.cps", tmp_path / "b.tif")
    for read in (tifffile.imread, lambda path: np.stack(list(frames(path)))):
        np.testing.assert_array_equal(read(tmp_path / "b.tif"), labels)


def frames(path):
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            yield np.array(image)


def test_itks_place_is_kept_beside_a_long_description(tmp_path):
    source = itk_file(tmp_path / "a.nii", TURN)
    image = nib.load(source)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 99_999))
    nib.save(image, tmp_path / "b.nii")
    assert run("compress", tmp_path / "b.nii", tmp_path / "b.cps") == ""
    assert run("decompress", tmp_path / "b.cps", tmp_path / "c.nii") == ""
    assert_same_place(by_itk(tmp_path / "c.nii"), by_itk(source))
    assert run("verify", tmp_path / "b.cps") == ""

"""NRRD: encodings, data files, and the fields of a header."""

import bz2
import gzip
import json

import nrrd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compresso as C
from compresso import volumes
from compresso.volumes import nrrd as nrrd_format
from tests.helpers.geometry import assert_same_place, by_itk, by_nibabel, carry, named, nrrd_file
from tests.helpers.sources import LABELS, load, outcome


def encoded_file(path, data, encoding, **fields):
    fields = {"type": "uint16", "dimension": 3, "sizes": "20 12 6", "endian": "little", **fields}
    lines = [f"{name.replace('_', ' ')}: {value}\n" for name, value in fields.items()]
    path.write_bytes(f"NRRD0004\n{''.join(lines)}encoding: {encoding}\n\n".encode() + data)
    return path


RAW = LABELS.tobytes()
TEXT = "\n".join(map(str, LABELS.flat)).encode() + b"\n"


PACKED = {"raw": bytes} | dict.fromkeys(["gzip", "gz"], gzip.compress)
PACKED |= dict.fromkeys(["bzip2", "bz2"], bz2.compress)


@pytest.mark.parametrize("encoding", PACKED)
def test_nrrd_skips(tmp_path, encoding):
    """Lines are skipped in the file, then bytes in what it unpacks to; -1 is from its end."""
    path, pack = tmp_path / "x.nrrd", PACKED[encoding]
    encoded_file(path, b"1\n2\n" + pack(b"abc" + RAW), encoding, line_skip=2, byte_skip=3)
    assert np.array_equal(load(path), LABELS)
    encoded_file(path, b"1\n" + pack(b"abcd" + RAW), encoding, lineskip=1, byteskip=-1)
    assert np.array_equal(load(path), LABELS)
    encoded_file(path, pack(RAW[4:]), encoding, byte_skip=-1)
    with pytest.raises(C.FileError, match=r"2880 bytes|fewer labels"):
        load(path)
    encoded_file(path, pack(RAW), encoding, line_skip=1 << 60)
    with pytest.raises(C.FileError, match="lines to skip"):
        load(path)


@pytest.mark.parametrize("encoding", ["text", "txt", "ascii", "ASCII"])
def test_nrrd_text(tmp_path, encoding):
    path = encoded_file(tmp_path / "x.nrrd", TEXT.replace(b"\n", b" \t\n", 9), encoding)
    assert np.array_equal(load(path), LABELS)
    for bad in (TEXT[:-1], TEXT + b"1\n", TEXT.replace(b"\n", b"\n-1 ", 1), b"1" * 4000):
        assert outcome(encoded_file(path, bad, encoding)) == "refused"


def test_nrrd_detached_headers(tmp_path):
    raw = tmp_path / "x.raw"
    raw.write_bytes(b"line\n" + RAW)
    path = encoded_file(tmp_path / "x.nhdr", b"", "raw", data_file="x.raw", line_skip=1)
    assert np.array_equal(load(path), LABELS)
    assert np.array_equal(nrrd.read(str(path), index_order="C")[0], LABELS)
    raw.write_bytes(b"line\n" + RAW[:-1])
    assert outcome(path) == "refused"
    raw.unlink()
    with pytest.raises(C.FileError, match="missing"):
        load(path)


def test_nrrd_may_be_a_link_to_another_folder(tmp_path):
    (tmp_path / "far").mkdir()
    encoded_file(tmp_path / "far" / "x.nrrd", RAW, "raw")
    (tmp_path / "y.nrrd").symlink_to("far/x.nrrd")
    assert np.array_equal(load(tmp_path / "y.nrrd"), LABELS)


def test_nrrds_fields_come_back_each(tmp_path):
    lines = [
        "# a comment",
        "space: right-anterior-superior",
        "space directions: (0.1,0,0) (0,0.30000000000000004,0) (0,0,-1e-1)",
        "space origin: (1,2,3)",
        'space units: "mm" "mm" "mm"',
        "measurement frame: (1,0,0) (0,0,1) (0,1,0)",
        "kinds: domain domain domain",
        'labels: "x" "" "a \\"z\\""',
        "content: a label map: of a knee",
        "thicknesses: nan nan 0.5",
        "min: 0",
        "Segment0_Name:=femur = \u00e9 := left",
        b"odd:=\xff\xfe\x85 bytes",
        "empty:=",
        "with:colon:=a: b := c",
        " spaces := both sides ",
        "MyField: my: value",
    ]
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    assert carry(source, tmp_path / "b.nrrd") == []
    fields = {"space", "space units", "measurement frame", "kinds", "labels", "content"}
    fields |= {"space origin", "space directions", "thicknesses", "min", "empty"}
    before, after = (nrrd.read_header(str(tmp_path / f"{name}.nrrd")) for name in "ab")
    assert fields <= set(after)
    assert "MyField" in named(source, ".nii")
    for name in set(before) - {"encoding"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    written = (tmp_path / "b.nrrd").read_bytes()
    for line in lines[11:]:
        assert (line if isinstance(line, bytes) else line.encode()) + b"\n" in written


@pytest.mark.parametrize("unit", ["m", "mm", "um", "nm"])
@pytest.mark.parametrize("space", ["LPS", "RAS", "LAS", "scanner-xyz", "3D-left-handed", None])
def test_nrrds_worlds_and_units_become_niftis(tmp_path, space, unit):
    world = f"space: {space}" if space else "space dimension: 3"
    units = " ".join([f'"{unit}"'] * 3)
    place = "space directions: (0,0.5,0) (-4,0,0) (0,0,-35)\nspace origin: (10,-20,30.5)"
    source = nrrd_file(tmp_path / "a.nrrd", world, f"space units: {units}", place)
    carry(source, tmp_path / "a.nii")
    millimetres = {"m": 1e3, "mm": 1, "um": 1e-3, "nm": 1e-6}[unit]
    expected = by_itk(source) * millimetres  # ITK does not read NRRD's units
    assert_same_place(by_nibabel(tmp_path / "a.nii"), expected)
    assert_same_place(by_itk(tmp_path / "a.nii"), expected)
    carry(tmp_path / "a.nii", tmp_path / "b.nrrd")
    assert_same_place(by_itk(tmp_path / "b.nrrd"), expected)


def test_a_place_that_makes_no_sense_is_named(tmp_path):
    for first, word, targets in (
        ("space: LPS\nspace directions: (nan,0,0)", "space directions", (".nii", ".h5", ".tif")),
        ("space directions: none", "step", (".nii",)),
    ):
        source = nrrd_file(tmp_path / "a.nrrd", f"{first} (0,1,0) (0,0,1)")
        assert carry(source, tmp_path / "b.nrrd") == []
        assert all(word in named(source, target) for target in targets)


def test_slices_cut_the_segments_extents(tmp_path):
    keys = [f"Segment{n}_Extent:=0 5 0 4 {n} {n}" for n in range(6)]
    source = nrrd_file(tmp_path / "a.nrrd", *keys, "Segment0_Name:=x")
    carry(source, tmp_path / "b.nrrd", first=2)
    header = nrrd.read_header(str(tmp_path / "b.nrrd"))
    found = [header[f"Segment{n}_Extent"] for n in range(6)]
    assert found == ["0 -1 0 -1 0 -1"] * 2 + [f"0 5 0 4 {z} {z}" for z in range(4)]
    assert header["Segment0_Name"] == "x"


def test_segments_in_layers_are_refused_in_plain_words(tmp_path):
    header = {"kinds": ["list", "domain", "domain", "domain"], "Segment0_Layer": "1"}
    nrrd.write(str(tmp_path / "a.seg.nrrd"), np.zeros((2, 6, 5, 7), np.uint8), header)
    with pytest.raises(C.FileError, match="layers"):
        load(tmp_path / "a.seg.nrrd")


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=12))
def test_any_nrrd_header_comes_back_as_it_was_understood(lines):
    header = b"NRRD0005\n" + b"\n".join(lines) + b"\n"
    metadata, _ = nrrd_format.read_metadata(header)
    metadata = json.loads(json.dumps(metadata, allow_nan=False))
    magic, again, lost = nrrd_format.header_lines(metadata)
    assert lost == []
    text = "\n".join([magic, *again]).encode("latin-1")
    assert nrrd_format.read_metadata(text)[0] == metadata


def test_nrrd_keeps_the_fields_of_the_axes_that_are_left(tmp_path):
    header = {
        "kinds": ["list", "domain", "domain", "domain"],
        "space": "left-posterior-superior",
        "space directions": np.array([[np.nan] * 3, [0.5, 0, 0], [0, 0.5, 0], [0, 0, 2]]),
        "space origin": [1, 2, 3],
    }
    nrrd.write(str(tmp_path / "a.nrrd"), LABELS.T[None], header)
    carry(tmp_path / "a.nrrd", tmp_path / "b.nrrd")
    back, header = nrrd.read(str(tmp_path / "b.nrrd"), index_order="C")
    assert np.array_equal(back, LABELS)
    assert header["kinds"] == ["domain"] * 3
    assert np.array_equal(header["space directions"], np.diag([0.5, 0.5, 2]))


def test_nrrd_images_keep_their_spacing(tmp_path):
    flat = {"space dimension": 2, "space directions": np.diag([0.5, 0.25]), "space origin": [1, 2]}
    for header, origin in (({"spacings": [0.5, 0.25]}, None), (flat, (1, 2, 0))):
        nrrd.write(str(tmp_path / "a.nrrd"), LABELS[0].T, header)
        with volumes.open(tmp_path / "a.nrrd") as volume:
            geometry = volumes.geometry_of(volume.metadata)
            assert (geometry.spacing, geometry.origin) == ((None, 0.25, 0.5), origin)
            assert not volume.lost


@pytest.mark.parametrize("centers", ["", "centers: cell cell cell", "centerings: node node node"])
def test_spacings_and_axis_mins_are_understood_as_itk_does(tmp_path, centers):
    lines = "spacings: 0.5 1 2", "axis mins: 10 20 30", *([centers] if centers else [])
    source = nrrd_file(tmp_path / "a.nrrd", *lines)
    for name in ("a.nii", "b.nrrd"):
        assert carry(source, tmp_path / name) == []
        assert_same_place(by_itk(tmp_path / name), by_itk(source))


@pytest.mark.parametrize(
    "data", ["../secret.raw", "{outside}/secret.raw", "LIST", "link/secret.raw"]
)
def test_nrrd_headers_cannot_name_files_of_other_folders(tmp_path, data):
    inside = tmp_path / "mine"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    for folder in (tmp_path, inside):
        (folder / "secret.raw").write_bytes(RAW)
    path = encoded_file(inside / "atlas.nhdr", b"", "raw", data_file="secret.raw")
    assert np.array_equal(load(path), LABELS)
    encoded_file(path, b"", "raw", data_file=data.format(outside=tmp_path))
    with pytest.raises(C.FileError, match="must be in one file next to the header"):
        load(path)


def test_nrrd_of_an_unknown_type_is_refused_in_words(tmp_path):
    path = encoded_file(tmp_path / "x.nrrd", RAW, "raw", type="pixels")
    with pytest.raises(C.FileError, match="its type pixels is unknown"):
        load(path)

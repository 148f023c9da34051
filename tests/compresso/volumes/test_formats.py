"""Source files: one contract for the readers of all formats, and damage that none may hide."""

import bz2
import errno
import gzip
import os
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import h5py
import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

import compresso as C
from compresso import files, volumes
from compresso.errors import FileError
from compresso.volumes._format import reading
from experiments.checks.sources import SOURCES
from tests.helpers.paths import ROOT

LABELS = np.repeat(np.arange(6 * 12 * 5, dtype=np.uint16).reshape(6, 12, 5) // 7, 4, axis=2)


def written(folder, name, labels=LABELS):
    source = SOURCES[name]
    path = folder / f"labels{source.ending}"
    source.write(path, labels)
    return path


def load(path, inner="", step=2):
    """All slices, a few at a time, as files are compressed."""
    with volumes.open_file(path, inner) as reader:
        parts = [reader.read(z, z + step) for z in range(0, reader.shape[0], step)]
        return np.concatenate(parts)


def outcome(path):
    try:
        found = load(path)
    except C.FileError as error:
        return "traceback" if "\n" in str(error) else "refused"
    return "same" if np.array_equal(found, LABELS) else "wrong"


# -- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_reads_are_clamped_as_slices_in_any_order(tmp_path, name):
    with volumes.open_file(written(tmp_path, name)) as reader:
        assert reader.shape == LABELS.shape
        assert reader.dtype == LABELS.dtype
        for start, stop in [
            (0, 99),
            (4, 6),
            (1, 3),
            (2, 2),
            (5, 3),
            (0, 1),
            (6, 9),
            (-2, 6),
            (3, -1),
        ]:
            found = reader.read(start, stop)
            assert found.dtype == LABELS.dtype
            assert np.array_equal(found, LABELS[start:stop]), (start, stop)


@pytest.mark.parametrize("name", SOURCES)
def test_a_box_is_that_part_of_the_slices(tmp_path, name):
    with volumes.open_file(written(tmp_path, name)) as reader:
        assert (reader.fetch_box is not None) == name.startswith("h5")
        for box in [
            ((1, 4), (3, 11), (2, 19)),
            ((0, 6), (0, 12), (0, 20)),
            ((2, 2), (0, 1), (4, 5)),
        ]:
            found = reader.read_box(box)
            assert found.dtype == LABELS.dtype
            assert np.array_equal(found, LABELS[tuple(slice(*ends) for ends in box)]), box


@pytest.mark.parametrize("wrong", [LABELS[:1], LABELS[:2, :3, :4].astype("u8")])
def test_a_box_of_another_shape_or_dtype_is_refused(wrong):
    reader = volumes.Volume(LABELS.shape, LABELS.dtype, None, fetch_box=lambda box: wrong)
    with pytest.raises(FileError, match=r"instead of uint16 \(2, 3, 4\)"):
        reader.read_box(((0, 2), (0, 3), (0, 4)))


@pytest.mark.parametrize("name", SOURCES)
def test_int64_and_big_endian_labels(tmp_path, name):
    if name.startswith(("tif-imagej", "tif-ome", "tif-lzw")):
        pytest.skip("ImageJ and OME have no 64-bit labels")
    labels = (LABELS.astype(np.int64) - 50) << 33
    assert np.array_equal(load(written(tmp_path, name, labels)), labels)


@pytest.mark.parametrize("name", SOURCES)
def test_every_cut_is_refused(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    for size in sorted({*range(0, len(data), 41), *range(len(data) - 5, len(data))}):
        path.write_bytes(data[:size])
        # What follows the labels of a TIFF file may be a description alone.
        allowed = ("refused", "same") if name in ("tif", "tif-imagej") else ("refused",)
        assert outcome(path) in allowed, f"{size} of {len(data)}"


@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith(("npy", "nrrd", "nii"))])
def test_bytes_that_follow_are_refused(tmp_path, name):
    path = written(tmp_path, name)
    with path.open("ab") as file:
        file.write(b" 1")
    # bzip2's own program ignores them, too
    assert outcome(path) == ("same" if name == "nrrd-bz2" else "refused")


@pytest.mark.parametrize("name", [n for n in SOURCES if SOURCES[n].checked])
def test_no_flipped_bit_under_a_checksum_is_wrong(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    spans = SOURCES[name].checked(path)
    places = [at for start, stop in spans for at in range(start, stop)]
    tally = Counter()
    for at in random.Random(1).sample(places, min(len(places), 120)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        path.write_bytes(bad)
        tally[outcome(path)] += 1
    assert tally["wrong"] == 0
    assert not places or tally["refused"] > 60


# -- memory and errors ----------------------------------------------------------------------------


def huge(folder, name):
    """A small file whose header promises 2**60 bytes of labels, or as many as it can."""
    path = written(folder, name)
    data = path.read_bytes()
    if name.startswith("npy"):
        data = data.replace(b"(6, 12, 20)", b"(6, 2**99)".replace(b"2**99", b"9" * 4 + b",9"))
    elif name.startswith("nrrd"):
        data = data.replace(b"sizes: 20 12 6", b"sizes: 1048576 1048576 1048576")
    elif name.startswith("nii"):
        raw = gzip.decompress(data) if name == "nii-gz" else data
        raw = raw[:42] + np.array([32767] * 3, "<i2").tobytes() + raw[48:]
        data = gzip.compress(raw) if name == "nii-gz" else raw
    elif name == "h5":
        data = data.replace(*(np.array([6, 12, n], "<u8").tobytes() for n in (20, 1 << 50)))
    elif name.startswith("h5"):
        data = data.replace(*(np.array([n, 12, 20], "<u8").tobytes() for n in (6, 1 << 50)))
    else:  # ImageWidth
        with tifffile.TiffFile(path) as file:
            tag = file.pages[0].tags["ImageWidth"]
        at, size = tag.valueoffset, 4 if tag.dtype == 4 else 2
        data = data[:at] + (2 ** (8 * size - 1) - 1).to_bytes(size, "little") + data[at + size :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_a_forged_shape_is_refused_before_it_is_allocated(tmp_path, name):
    load(written(tmp_path, name))  # what the packages keep for themselves
    path = huge(tmp_path, name)
    tracemalloc.start()
    try:
        with pytest.raises(C.FileError):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "compresso", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def damaged_files(folder):
    """Files that made the libraries raise what was not expected of them."""
    with h5py.File(folder / "loop.h5", "w") as file:
        file["main"] = h5py.SoftLink("/other")
        file["other"] = h5py.SoftLink("/main")
    yield folder / "loop.h5:main"
    data = written(folder, "npy").read_bytes()
    (folder / "token.npy").write_bytes(data.replace(b"(6, 12, 20)", b"(6, 12, 20("))
    yield folder / "token.npy"
    data = bytearray(written(folder, "nii").read_bytes())
    data[70] = 99  # a type that there is not
    (folder / "type.nii").write_bytes(data)
    yield folder / "type.nii"
    data = written(folder, "nrrd-gzip").read_bytes()
    (folder / "sizes.nrrd").write_bytes(data.replace(b"20 12 6", b"9" * 90 + b" 12 6"))
    yield folder / "sizes.nrrd"
    path = written(folder, "tif-zlib")
    data = bytearray(path.read_bytes())
    data[SOURCES["tif-zlib"].checked(path)[2][0] + 5] ^= 4
    (folder / "deflate.tif").write_bytes(data)
    yield folder / "deflate.tif"


def test_the_command_tells_damage_in_one_line(tmp_path):
    for path in damaged_files(tmp_path):
        done = command("compress", path, tmp_path / "x.cps")
        assert done.returncode == 1, path
        assert done.stderr.startswith("Error: "), path
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "x.cps").exists()


@pytest.mark.parametrize("name", ["nrrd-gzip", "nii-gz"])
def test_a_flipped_bit_behind_the_last_slice_is_found(tmp_path, name):
    """gzip's checksum is the last thing in the file: a reader that stops before it is fooled."""
    path = written(tmp_path, name)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # of the checksum
    path.write_bytes(data)
    with pytest.raises(FileError, match="CRC"):
        files.compress_file(str(path), tmp_path / "x.cps", memory=1 << 10)


@pytest.mark.parametrize("junk", [b"", b"junk\n", b"PK\3\4 an archive", b"\x80\x04N."])
def test_what_is_no_npy_file_is_said_to_be_none(tmp_path, junk):
    """NumPy's own words are of pickles, and how to allow them."""
    (tmp_path / "x.npy").write_bytes(junk)
    with pytest.raises(FileError) as error, volumes.open_file(tmp_path / "x.npy"):
        pass
    assert str(error.value) == f"{tmp_path / 'x.npy'}: not in the .npy format"


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_in_any_order_and_cut_while_it_is_open(tmp_path, order):
    labels = np.arange(40 * 50 * 60, dtype="u4").reshape(40, 50, 60)
    np.save(tmp_path / "x.npy", np.asarray(labels, order=order))
    with volumes.open_file(tmp_path / "x.npy") as reader:
        for start, stop in ((3, 9), (39, 40), (0, 40), (0, 1)):
            np.testing.assert_array_equal(reader.read(start, stop), labels[start:stop])
    with volumes.open_file(tmp_path / "x.npy") as reader:
        os.truncate(tmp_path / "x.npy", 1000)
        with pytest.raises(C.FileError, match=r"x\.npy: not readable as \.npy"):
            reader.read(3, 9)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "x.npy").mkdir()
    os.mkfifo(tmp_path / "x.nrrd")
    for name, told in (("x.npy", "is a folder"), ("x.nrrd", "not a file")):
        with pytest.raises(C.FileError, match=f"{name}: {told}"):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["npy", "nrrd-raw", "nii"])
def test_files_of_one_volume_have_nothing_behind_a_colon(tmp_path, name):
    with pytest.raises(C.FileError, match="holds one volume"):
        load(written(tmp_path, name), "labels")


# -- NRRD -----------------------------------------------------------------------------------------


def nrrd_file(path, data, encoding, **fields):
    fields = {"type": "uint16", "dimension": 3, "sizes": "20 12 6", "endian": "little", **fields}
    lines = [f"{name.replace('_', ' ')}: {value}\n" for name, value in fields.items()]
    path.write_bytes(f"NRRD0004\n{''.join(lines)}encoding: {encoding}\n\n".encode() + data)
    return path


RAW = LABELS.tobytes()
TEXT = "\n".join(map(str, LABELS.flat)).encode() + b"\n"
PACKED = {
    "raw": bytes,
    "gzip": gzip.compress,
    "gz": gzip.compress,
    "bzip2": bz2.compress,
    "bz2": bz2.compress,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_nrrd_skips(tmp_path, encoding):
    """Lines are skipped in the file, then bytes in what it unpacks to; -1 is from its end."""
    path, pack = tmp_path / "x.nrrd", PACKED[encoding]
    nrrd_file(path, b"1\n2\n" + pack(b"abc" + RAW), encoding, line_skip=2, byte_skip=3)
    assert np.array_equal(load(path), LABELS)
    nrrd_file(path, b"1\n" + pack(b"abcd" + RAW), encoding, lineskip=1, byteskip=-1)
    assert np.array_equal(load(path), LABELS)
    nrrd_file(path, pack(RAW[4:]), encoding, byte_skip=-1)
    with pytest.raises(C.FileError, match=r"2880 bytes|fewer labels"):
        load(path)
    nrrd_file(path, pack(RAW), encoding, line_skip=1 << 60)
    with pytest.raises(C.FileError, match="lines to skip"):
        load(path)


@pytest.mark.parametrize("encoding", ["text", "txt", "ascii", "ASCII"])
def test_nrrd_text(tmp_path, encoding):
    path = nrrd_file(tmp_path / "x.nrrd", TEXT.replace(b"\n", b" \t\n", 9), encoding)
    assert np.array_equal(load(path), LABELS)
    for bad in (TEXT[:-1], TEXT + b"1\n", TEXT.replace(b"\n", b"\n-1 ", 1), b"1" * 4000):
        assert outcome(nrrd_file(path, bad, encoding)) == "refused"


def test_nrrd_detached_headers(tmp_path):
    (tmp_path / "x.raw").write_bytes(b"line\n" + RAW)
    path = nrrd_file(tmp_path / "x.nhdr", b"", "raw", data_file="x.raw", line_skip=1)
    assert np.array_equal(load(path), LABELS)
    found, _ = nrrd.read(str(path), index_order="C")
    assert np.array_equal(found, LABELS)
    (tmp_path / "x.raw").write_bytes(b"line\n" + RAW[:-1])
    assert outcome(path) == "refused"
    (tmp_path / "x.raw").unlink()
    with pytest.raises(C.FileError, match="missing"):
        load(path)


@pytest.mark.parametrize("name", ["nrrd-bz2", "nrrd-gzip", "nii-gz"])
def test_packed_files_are_unpacked_once_however_small_the_groups(tmp_path, name, monkeypatch):
    opened = []
    module, kind = (bz2, "BZ2File") if name == "nrrd-bz2" else (gzip, "GzipFile")
    real = getattr(module, kind)

    def count(*args, **options):
        opened.append(1)
        return real(*args, **options)

    path = written(tmp_path, name)
    monkeypatch.setattr(module, kind, count)
    assert np.array_equal(load(path, step=6), LABELS)
    once = len(opened)  # NIfTI's header is packed, too
    assert np.array_equal(load(path, step=1), LABELS)
    assert len(opened) == 2 * once


# -- NIfTI ----------------------------------------------------------------------------------------


def test_nifti_2_and_big_endian(tmp_path):
    labels = LABELS.astype(np.int64) << 40
    path = tmp_path / "x.nii.gz"
    nibabel.Nifti2Image(labels.T, np.eye(4), dtype=np.int64).to_filename(path)
    assert np.array_equal(load(path), labels)
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.Nifti1Image(LABELS.T, np.eye(4), header, dtype=np.uint16).to_filename(path)
    assert np.array_equal(load(path), LABELS)


def test_nifti_that_scales_or_has_its_labels_elsewhere_is_refused(tmp_path):
    path = written(tmp_path, "nii")
    data = bytearray(path.read_bytes())
    data[112:116] = np.float32(2).tobytes()
    path.write_bytes(data)
    with pytest.raises(C.FileError, match="scales"):
        load(path)
    data[112:116] = np.float32(1).tobytes()
    data[344:347] = b"ni1"
    path.write_bytes(data)
    with pytest.raises(C.FileError, match="in another file"):
        load(path)


# -- TIFF -----------------------------------------------------------------------------------------

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
    path = pages(tmp_path / "x.ome.tif", LABELS, description=ome(range(6), other))
    with pytest.raises(C.FileError, match="other files"):
        load(path)
    path = pages(tmp_path / "x.ome.tif", LABELS[:4], description=ome(range(6)))
    assert outcome(path) == "refused"
    path = pages(tmp_path / "x.ome.tif", LABELS, description=ome(range(4)))
    assert outcome(path) == "refused"


@pytest.mark.parametrize(
    "said", ['SizeZ="6"', 'SizeT="1"', 'FirstZ="3"', 'PlaneCount="1"', 'IFD="2"']
)
def test_ome_that_promises_millions_of_pages_takes_no_memory(tmp_path, said):
    load(written(tmp_path, "tif-ome"))  # what the packages keep for themselves
    name, value, _ = said.split('"')
    text = ome(range(6)).replace(said, f'{name}"{10**8}{value}"', 1)
    path = pages(tmp_path / "x.ome.tif", LABELS, description=text)
    tracemalloc.start()
    try:
        with pytest.raises(C.FileError, match="more than 6 pages"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_tiff_with_several_series_names_them(tmp_path):
    path = pages(tmp_path / "x.tif", [LABELS[0, ::2, ::2], *LABELS])
    with pytest.raises(
        C.FileError, match=r"0 of uint16 \(6, 10\), 1 of .* name one as \S*x\.tif:1"
    ):
        load(path)
    assert np.array_equal(load(path, "1"), LABELS)
    assert np.array_equal(load(path, "0"), LABELS[:1, ::2, ::2])
    for inner in ("2", "-1", "x"):
        with pytest.raises(C.FileError, match=r"name one as \S*x\.tif:1"):
            load(path, inner)
    done = command("compress", f"{path}:1", tmp_path / "x.cps")
    assert done.returncode == 0, done.stderr


def test_tiff_with_interleaved_series(tmp_path):
    both = [page for z in LABELS for page in (z, z[:4])]
    path = pages(tmp_path / "x.tif", both, compression="zlib")
    assert np.array_equal(load(path, "0"), LABELS)
    assert np.array_equal(load(path, "1"), LABELS[:, :4])


@pytest.mark.parametrize("shape", [(12, 20, 3), (12, 20, 4), (6, 12, 20, 3)])
def test_tiff_of_colours_is_refused(tmp_path, shape):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="rgb")
    with pytest.raises(C.FileError, match="colours"):
        load(path)
    tifffile.imwrite(path, np.zeros((3, 12, 20), np.uint8), photometric="rgb", planarconfig=2)
    with pytest.raises(C.FileError, match="colours"):
        load(path)


def test_tiff_of_more_dimensions_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((3, 2, 12, 20), np.uint8), imagej=True)
    with pytest.raises(C.FileError, match=r"shape \(3, 2, 12, 20\)"):
        load(tmp_path / "x.tif")


def test_tiff_pyramids_are_read_at_their_full_size(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(LABELS, subifds=1, photometric="minisblack", compression="zlib")
        file.write(LABELS[:, ::2, ::2], subfiletype=1, photometric="minisblack", compression="zlib")
    assert np.array_equal(load(tmp_path / "x.tif"), LABELS)


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


@pytest.mark.parametrize("name", ["tif-imagej-zlib", "tif-ome-zlib", "tif-tiles-zlib", "tif-own"])
def test_pages_that_the_metadata_promise_must_be_there(tmp_path, name):
    path = written(tmp_path, name)
    with tifffile.TiffFile(path) as file:
        page, tiff = file.pages[3], file.tiff
        after = page.offset + tiff.tagnosize + tiff.tagsize * len(file.pages[3].aspage().tags)
    data = bytearray(path.read_bytes())
    data[after : after + tiff.offsetsize] = bytes(tiff.offsetsize)
    path.write_bytes(data)
    assert outcome(path) == "refused"


@pytest.mark.parametrize("name", ["tif", "tif-zlib", "tif-imagej-zlib", "tif-ome-zlib", "tif-own"])
def test_pages_in_a_circle_are_refused(tmp_path, name):
    path = written(tmp_path, name)
    with tifffile.TiffFile(path) as file:
        after, form, second = file.pages.next_page_offset, file.tiff, file.pages[1].offset
    data = bytearray(path.read_bytes())
    data[after : after + form.offsetsize] = second.to_bytes(form.offsetsize, "little")
    path.write_bytes(data)
    with pytest.raises(C.FileError, match="in a circle"):
        load(path)


def test_strips_must_be_there(tmp_path):
    path = written(tmp_path, "tif-packbits")
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripOffsets"]
    data = bytearray(path.read_bytes())
    size = tag.dtype.value if tag.dtype.value == 4 else 2
    data[tag.valueoffset : tag.valueoffset + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(C.FileError, match="slice 0"):
        load(path)


# -- HDF5 -----------------------------------------------------------------------------------------


def test_hdf5_soft_links_inside_the_file_are_followed(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["volumes/labels/ids"] = LABELS
        file["volumes/near"] = h5py.SoftLink("labels/ids")
        file["far"] = h5py.SoftLink("/volumes/./near")
        file["group"] = h5py.SoftLink("volumes/labels")
        file["nowhere"] = h5py.SoftLink("/not/here")
    for inner in ("far", "volumes/near", "group/ids", "/group//ids", "volumes/labels/ids"):
        assert np.array_equal(load(tmp_path / "x.h5", inner), LABELS)
    for inner in ("nowhere", "group", "group/ids/more", "group/no", "nowhere/more"):
        with pytest.raises(C.FileError, match=r"its volumes are /volumes/labels/ids"):
            load(tmp_path / "x.h5", inner)


def test_hdf5_is_never_led_to_another_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.full((6, 12, 20), 7, np.uint16).tofile("x.bin")
    with h5py.File("other.h5", "w") as file:
        file["main"] = file["group/main"] = LABELS
    layout = h5py.VirtualLayout(LABELS.shape, LABELS.dtype)
    layout[...] = h5py.VirtualSource("other.h5", "main", LABELS.shape)
    with h5py.File("x.h5", "w") as file:
        file["out"] = h5py.ExternalLink("other.h5", "/main")
        file["soft"] = h5py.SoftLink("/out")
        file["softer"] = h5py.SoftLink("soft")
        file["outgroup"] = h5py.ExternalLink("other.h5", "/group")
        file["softgroup"] = h5py.SoftLink("/outgroup")
        file["inside/soft"] = h5py.SoftLink("/softgroup/main")
        file.create_virtual_dataset("virtual", layout)
        file["softvirtual"] = h5py.SoftLink("/virtual")
        file.create_dataset(
            "bytes", LABELS.shape, LABELS.dtype, external=[("x.bin", 0, LABELS.nbytes)]
        )
        file["first"] = h5py.SoftLink("/second")
        file["second"] = h5py.SoftLink("/first")
    names = ["out", "soft", "softer", "outgroup/main", "softgroup/main", "inside/soft"]
    for inner in [*names, "virtual", "softvirtual", "bytes"]:
        with pytest.raises(C.FileError, match=r"another file|other files"):
            load(Path("x.h5"), inner)
    for inner in ("first", "second", "first/main"):
        with pytest.raises(C.FileError, match="16"):
            load(Path("x.h5"), inner)


def test_hdf5_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        main = file.create_dataset(
            "main", LABELS.shape, LABELS.dtype, chunks=(2, 5, 20), fillvalue=9, compression="gzip"
        )
        main[2:4, :5] = LABELS[2:4, :5]
    expected = np.full_like(LABELS, 9)
    expected[2:4, :5] = LABELS[2:4, :5]
    assert np.array_equal(load(tmp_path / "x.h5"), expected)


def test_hdf5_tables_of_chunks_are_checked(tmp_path):
    """HDF5 itself reads beside the chunk where its table says that it was left unpacked."""
    path = tmp_path / "x.h5"
    for chunk, at, skipped in [
        (LABELS[2].tobytes()[:50], (2, 0, 0), 1),
        (zlib.compress(LABELS[2].tobytes()), (2, 0, 0), 0),
    ]:
        with h5py.File(path, "w") as file:
            main = file.create_dataset("main", data=LABELS, chunks=(1, 12, 20), compression="gzip")
            main.id.write_direct_chunk(at, chunk, skipped)
        assert outcome(path) == ("refused" if skipped else "same")
    data = path.read_bytes()
    for seven in (1, 3, 9):  # the key of the chunk at z=5 in the table is another's, or outside
        keys = [np.array([z, 0, 0, 0], "<u8").tobytes() for z in (5, seven)]
        assert data.count(keys[0]) == 1
        path.write_bytes(data.replace(*keys))
        assert outcome(path) == "refused"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_the_system_refuses_is_not_blamed_on_the_format(number):
    """However the library words it."""
    told = rf"^x\.h5: cannot be read \({os.strerror(number)}\)$"
    with pytest.raises(FileError, match=told), reading(Path("x.h5"), "HDF5"):
        raise OSError(number, "Unable to synchronously open file (unable to open: name = 'x.h5')")


@pytest.mark.parametrize("ending", ["h5", "npy", "nii", "nrrd", "tif"])
def test_a_missing_file_is_named(ending, tmp_path):
    path = tmp_path / f"nothing.{ending}"
    with pytest.raises(FileError) as error, volumes.open_file(path):
        pass
    assert str(error.value) == f"{path}: no such file"

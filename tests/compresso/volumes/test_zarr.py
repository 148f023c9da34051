"""Zarr and N5: names of chunks, metadata of other writers, and our own codec."""

import json
import shutil

import numpy as np
import pytest

import compresso as C
from tests.helpers import stores as depots
from tests.helpers.program import one_line, run
from tests.helpers.stores import refusal, same, zarr_array

VOLUME = depots.labels(dtype="u4")
HEADS = {"zarr2": ".zarray", "zarr3": "zarr.json", "n5": "attributes.json"}
NAMES = {
    "zarr2": [("", "."), ("", "/")],
    "zarr3": [("c", "/"), ("c", "."), ("", "."), ("", "/")],
    "n5": [("", "/"), ("", ".")],
}


def rename(folder, old, new, part=1.0):
    """Give a part of the chunks other names."""
    chunks = depots.chunks(folder)
    for chunk in chunks[: round(part * len(chunks))]:
        name = chunk.relative_to(folder).as_posix().removeprefix(old[0]).lstrip("./")
        numbers = name.split(old[1])
        target = folder / new[1].join([*filter(None, [new[0]]), *numbers])
        target.parent.mkdir(parents=True, exist_ok=True)
        chunk.rename(target)


def make(folder, kind, volume):
    """An array with the names that are usual for its kind."""
    if kind == "n5":
        return depots.n5(folder, volume)
    return zarr_array(folder, volume, zarr_format=int(kind[-1]))


def say(folder, kind, names):
    """Have the metadata lead to other names."""
    head = json.loads((folder / HEADS[kind]).read_text())
    if kind == "zarr2":
        head["dimension_separator"] = names[1]
    else:
        name = "default" if names[0] else "v2"
        head["chunk_key_encoding"] = {"name": name, "configuration": {"separator": names[1]}}
    (folder / HEADS[kind]).write_text(json.dumps(head))


@pytest.mark.parametrize("part", [1.0, 0.5])
@pytest.mark.parametrize(
    ("kind", "new"), [(kind, new) for kind, names in NAMES.items() for new in names[1:]]
)
def test_misplaced_chunks(tmp_path, kind, new, part):
    """In a folder, and on a server, which does not list them."""
    old, folder = NAMES[kind][0], make(tmp_path / "seg", kind, VOLUME)
    with depots.serving(tmp_path) as address:
        for text in (folder, f"{kind}://{address}/seg"):
            same(text, VOLUME)
        rename(folder, old, new, part)
        for text in (folder, f"{kind}://{address}/seg"):
            refusal(text)
    if kind != "n5" and part == 1:
        say(folder, kind, new)
        same(folder, VOLUME)
        rename(folder, new, old)
        refusal(folder)


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_leftovers_hide_nothing(tmp_path, kind):
    """Chunks that exist under both names, and names of no chunk of the array."""
    folder = make(tmp_path / "seg", kind, VOLUME)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    rename(copy, *NAMES[kind][:2])
    shutil.copytree(copy, folder, dirs_exist_ok=True)
    (folder / "99.99.99").touch()
    (folder / "0.0.0.0").touch()
    same(folder, VOLUME)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "value", "fill"),
    [
        *(("u4", 7, "7"), ("i8", -1, "-1"), ("u8", 2**64 - 1, str(2**64 - 1)), ("u1", 0, False)),
        *(("bool", True, 1), ("bool", False, 0)),
    ],
)
def test_fill_values_of_other_types(tmp_path, version, dtype, value, fill):
    volume = depots.labels(dtype=dtype)
    volume[:8] = value
    folder = zarr_array(tmp_path / "seg", volume, zarr_format=version, fill_value=value)
    head = folder / HEADS[f"zarr{version}"]
    head.write_text(json.dumps(json.loads(head.read_text()) | {"fill_value": fill}))
    assert len(depots.chunks(folder)) == 2 * 3 * 3
    same(folder, volume)


@pytest.mark.parametrize(
    ("name", "more"), [("zstd", {"checksum": True}), ("blosc", {"typesize": None})]
)
def test_settings_of_codecs_that_only_encoding_needs(tmp_path, numcodecs, name, more):
    codec = numcodecs.get_codec({"id": name})
    folder = zarr_array(tmp_path / "seg", VOLUME, zarr_format=2, compressors=codec)
    head = json.loads((folder / ".zarray").read_text())
    head["compressor"] |= more
    (folder / ".zarray").write_text(json.dumps(head))
    same(folder, VOLUME)


# -- the codec compresso ---------------------------------------------------------------------------


SHARDS = (8, 32, 48)


@pytest.mark.parametrize("separator", "/.")
@pytest.mark.parametrize("encoding", ["default", "v2"])
@pytest.mark.parametrize("shards", [None, SHARDS])
def test_keys_and_holes(zarr, tmp_path, encoding, separator, shards):
    VOLUME[8:] = 7
    folder = tmp_path / "seg"
    depots.own(
        folder, VOLUME, shards=shards, fill_value=7,
        chunk_key_encoding={"name": encoding, "separator": separator},
    )  # fmt: skip
    assert len(depots.chunks(folder)) == (9 if shards is None else 2)
    same(folder, VOLUME)


@pytest.mark.parametrize("shards", [None, SHARDS])
def test_damage_names_the_slices(zarr, tmp_path, shards):
    folder = depots.own(tmp_path / "seg", depots.labels(), shards=shards)
    chunk = next(path for path in depots.chunks(folder) if "/c/1/" in str(path))
    data = chunk.read_bytes()
    for at in (60, len(data) - 30 if shards else len(data) - 1):
        for rest in (bytes([data[at] ^ 1]) + data[at + 1 :], b""):
            chunk.write_bytes(data[:at] + rest)
            assert "slices 8 to 15: damaged" in refusal(folder)


@pytest.mark.parametrize("depth", [None, 4])
def test_zarr_names_a_damaged_chunk(zarr, tmp_path, depth):
    codec = {"encoding": "cpso"} | ({"depth": depth} if depth else {})
    folder = depots.own(tmp_path / "seg", depots.labels(), codec=codec)
    chunk = folder / "c" / "1" / "0" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    array = zarr.open_array(str(folder), mode="r")
    for part in (slice(None), slice(14, 15)):
        with pytest.raises(C.DecodeError, match=r"^c/1/0/2: "):
            array[part]


def test_a_program_ends_after_a_damaged_chunk(zarr, tmp_path):
    """Chunks that are still being decoded then would wait for Zarr for ever."""
    folder = depots.own(tmp_path / "seg", depots.labels((64, 128, 128)), codec={"encoding": "none"})
    chunk = next(path for path in sorted(folder.rglob("c/*/*/*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-9])
    one_line(run("compress", folder, tmp_path / "x.cps", code=1, timeout=60), "damaged")


def codec(configuration):
    return {"codecs": [{"name": "compresso", "configuration": configuration}]}


@pytest.mark.parametrize(
    "change",
    [
        *map(codec, [{"encoding": "x"}, {"deep": 1}, {"depth": 0}, 5]),
        {"shape": [1 << 40] * 2},
        {"chunk_key_encoding": 5},
        {"chunk_grid": {}},
        {"data_type": "float32"},
        {"codecs": [{"name": "sharding_indexed", "configuration": codec({})}]},
    ],
)
def test_absurd_claims(zarr, tmp_path, change):
    folder = depots.own(tmp_path / "seg", depots.labels())
    head = json.loads((folder / "zarr.json").read_text())
    (folder / "zarr.json").write_text(json.dumps(head | change))
    refusal(folder)


def test_codecs_before_it_and_version_2(zarr, numcodecs, tmp_path):
    """Also from a clone, in which numcodecs finds no codecs by their entry points."""
    turned = [zarr.codecs.TransposeCodec(order=(2, 1, 0))]
    same(depots.own(tmp_path / "turned", VOLUME, filters=turned), VOLUME)
    codec = numcodecs.get_codec({"id": "compresso"})
    same(depots.zarr_array(tmp_path / "two", VOLUME, zarr_format=2, compressors=codec), VOLUME)
    run("compress", tmp_path / "two", tmp_path / "x.cps")
    with C.open(tmp_path / "x.cps") as found:
        np.testing.assert_array_equal(found, VOLUME)

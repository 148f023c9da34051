"""Chunks of Zarr and N5 that are not where the metadata lead: never read as empty ones."""

import json
import shutil

import pytest

pytest.importorskip("tensorstore", reason="needs the package tensorstore")

from tests.helpers import stores as depots
from tests.helpers.stores import refusal, same, zarr_array

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
    volume = depots.labels(dtype="u4")
    old = NAMES[kind][0]
    folder = make(tmp_path / "seg", kind, volume)
    rename(folder, old, new, part)
    refusal(folder)
    if kind != "n5" and part == 1:
        say(folder, kind, new)
        same(folder, volume)
        rename(folder, new, old)
        refusal(folder)


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_misplaced_chunks_on_a_server(tmp_path, kind):
    volume = depots.labels(dtype="u4")
    folder = make(tmp_path / "seg", kind, volume)
    with depots.serving(tmp_path) as address:
        same(f"{kind}://{address}/seg", volume)
        rename(folder, *NAMES[kind][:2])
        refusal(f"{kind}://{address}/seg")


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_leftovers_hide_nothing(tmp_path, kind):
    """Chunks that exist under both names, and names of no chunk of the array."""
    volume = depots.labels(dtype="u4")
    folder = make(tmp_path / "seg", kind, volume)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    rename(copy, *NAMES[kind][:2])
    shutil.copytree(copy, folder, dirs_exist_ok=True)
    (folder / "99.99.99").touch()
    (folder / "0.0.0.0").touch()
    same(folder, volume)


@pytest.mark.parametrize("kind", ["zarr2", "zarr3", "n5"])
def test_arrays_without_any_chunk_are_empty(tmp_path, kind):
    volume = depots.labels(dtype="u4")
    folder = make(tmp_path / "seg", kind, volume)
    for chunk in depots.chunks(folder):
        chunk.unlink()
    same(folder, volume * 0)


def test_misplaced_chunks_of_an_image(tmp_path):
    volume = depots.labels(dtype="u4")
    group = depots.zarr_group(tmp_path / "ome", 2)
    group.attrs["multiscales"] = depots.scales("zyx", [None] * 3, [[1, 1, 1]], [])
    array = group.create_array("s/0", data=volume, chunks=(8, 16, 16))
    same(tmp_path / "ome", volume)
    rename(tmp_path / "ome" / "s" / "0", ("", "."), ("", "/"))
    refusal(tmp_path / "ome")
    assert array.shape == volume.shape


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
    ("codec", "more"),
    [
        ({"id": "zstd", "level": 3}, {"checksum": True}),
        ({"id": "zstd", "level": 3}, {"checksum": False}),
        ({"id": "blosc"}, {"typesize": None}),
    ],
)
def test_settings_of_codecs_that_only_encoding_needs(tmp_path, codec, more):
    numcodecs = pytest.importorskip("numcodecs", reason="needs the package numcodecs")
    volume = depots.labels(dtype="u4")
    codecs = numcodecs.get_codec(dict(codec))
    folder = zarr_array(tmp_path / "seg", volume, zarr_format=2, compressors=codecs)
    head = json.loads((folder / ".zarray").read_text())
    head["compressor"] |= more
    (folder / ".zarray").write_text(json.dumps(head))
    same(folder, volume)
    same(f"{folder}:box=12-20x21-29x3-20", volume[3:20, 21:29, 12:20])

"""Stores of chunks for the tests, written by TensorStore and by zarr, and a server for them."""

import bz2
import gzip
import importlib
import json
import lzma
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import brotli
import numpy as np
import pytest
import zstandard

from compresso import encodings, volumes
from compresso.errors import FileError
from compresso.volumes import _metadata

ts = pytest.importorskip("tensorstore", reason="needs the package tensorstore")

PACK = {
    ".gz": gzip.compress,
    ".br": brotli.compress,
    ".zstd": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
SHARDS = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 1,
    "minishard_bits": 2,
    "shard_bits": 2,
    "hash": "murmurhash3_x86_128",
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}


def labels(shape=(20, 33, 41), dtype="<u8", seed=0):
    """Blocks of labels up to the largest of the dtype, [z, y, x]."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return random.integers(2, size=shape).astype(bool)
    info = np.iinfo(dtype)
    palette = np.array([info.min, 0, 1, 5, info.max - 1, info.max], dtype)
    coarse = palette[random.integers(len(palette), size=[-(-n // 3) for n in shape])]
    for axis in range(3):
        coarse = coarse.repeat(3, axis)
    return np.ascontiguousarray(coarse[: shape[0], : shape[1], : shape[2]])


def precomputed(folder: Path, volume, encoding="raw", offset=(0, 0, 0), mips=1, **scale) -> Path:
    """Neuroglancer's volume; mip 1 has every second voxel along x and y, and so on."""
    if encoding == "compressed_segmentation":
        scale["compressed_segmentation_block_size"] = [8, 8, 8]
    for mip in range(mips):
        part = volume[:, :: 1 << mip, :: 1 << mip]
        given = {"size": part.shape[::-1], "encoding": encoding, "voxel_offset": offset}
        given |= {"chunk_size": [16, 16, 8], "resolution": [4 << mip, 4 << mip, 40]} | scale
        kind = {"type": "segmentation", "data_type": volume.dtype.name, "num_channels": 1}
        metadata = {"multiscale_metadata": kind, "scale_metadata": given}
        created("neuroglancer_precomputed", folder, **metadata)[..., 0] = part.T
    return folder


def created(driver, folder, **metadata):
    store = {"driver": "file", "path": f"{folder}/"}
    return ts.open({"driver": driver, "kvstore": store, **metadata}, create=True).result()


def packed(folder: Path, volume, *suffixes, encoding="raw", offset=(0, 0, 0)) -> Path:
    """As CloudVolume writes a volume to a local folder; the suffixes take turns."""
    precomputed(folder, volume, encoding, offset)
    for number, chunk in enumerate(chunks(folder)):
        if suffix := suffixes[number % len(suffixes)]:
            chunk.with_name(chunk.name + suffix).write_bytes(PACK[suffix](chunk.read_bytes()))
            chunk.unlink()
    return folder


def change(folder: Path, **scale) -> Path:
    """Change fields of the info's first scale; None removes one."""
    head = json.loads((folder / "info").read_text())
    scale = head["scales"][0] | scale
    head["scales"][0] = {name: value for name, value in scale.items() if value is not None}
    (folder / "info").write_text(json.dumps(head))
    return folder


def in_compresso(folder: Path, volume, offset=(0, 0, 0), **scale) -> Path:
    """A precomputed volume with ``encoding: compresso``, each chunk a stream of cpso."""
    precomputed(folder, volume, offset=offset, **scale)
    encode_again(folder, volume, "cpso", offset)
    return change(folder, encoding="compresso")


def encode_again(folder: Path, volume, codec, offset=(0, 0, 0)) -> None:
    """Write each chunk's file of a precomputed volume with a codec."""
    for chunk in chunks(folder):
        ends = [map(int, part.split("-")) for part in chunk.name.split("_")[::-1]]
        box = tuple(slice(a - at, b - at) for (a, b), at in zip(ends, offset[::-1], strict=True))
        chunk.write_bytes(encodings.parse(codec).encode(np.ascontiguousarray(volume[box])))


def in_shards(folder: Path, volume, offset=(0, 0, 0)) -> Path:
    """The same in shards, each stream under the key that TensorStore has for its raw chunk."""
    precomputed(folder, volume, offset=offset, sharding=SHARDS)
    base = {"driver": "file", "path": f"{folder}/4_4_40/"}
    spec = {"driver": "neuroglancer_uint64_sharded", "metadata": SHARDS, "base": base}
    shards = ts.KvStore.open(spec).result()
    step, streams = (8, 16, 16), {}
    for index in np.ndindex(*[-(-n // by) for n, by in zip(volume.shape, step, strict=True)]):
        chunk = volume[tuple(slice(n * by, n * by + by) for n, by in zip(index, step, strict=True))]
        streams[chunk.tobytes()] = encodings.parse("cpso").encode(np.ascontiguousarray(chunk))
    for key in shards.list().result():
        shards.write(key, streams[shards.read(key).result().value]).result()
    return change(folder, encoding="compresso")


def n5(folder: Path, volume, **metadata) -> Path:
    """An N5 array, axes x, y, z."""
    given = {"dimensions": volume.shape[::-1], "blockSize": [16, 16, 8]}
    given |= {"dataType": volume.dtype.name, "compression": {"type": "gzip"}} | metadata
    created("n5", folder, metadata=given)[...] = volume.T
    return folder


def scales(names, units, steps, shift):
    axes = [{"name": n} | ({"unit": u} if u else {}) for n, u in zip(names, units, strict=True)]
    datasets = []
    for number, step in enumerate(steps):
        changes = [{"type": "scale", "scale": step}]
        changes += [{"type": "translation", "translation": shift}] * (number > 0)
        datasets.append({"path": f"s/{number}", "coordinateTransformations": changes})
    return [{"axes": axes, "datasets": datasets}]


def read(text):
    with volumes.open(str(text)) as reader:
        return reader.read(0, reader.shape[0])


def place(text):
    with volumes.open(str(text)) as reader:
        return _metadata.geometry_of(reader.metadata)


def same(text, expected):
    found = read(text)
    assert found.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, expected)


def refusal(text) -> str:
    with pytest.raises(FileError) as caught:
        read(text)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(text))
    return line


def zarr_array(path, volume, **options):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(path), data=volume, **({"chunks": (8, 16, 16)} | options))
    return path


def own(path, volume, codec=None, **options):
    """A Zarr array in the codec compresso."""
    pytest.importorskip("zarr")
    importlib.import_module("compresso.adapters.zarr")  # registers the codec
    codec = {"name": "compresso", "configuration": codec or {"encoding": "cpso"}}
    return zarr_array(path, volume, serializer=codec, compressors=None, **options)


def zarr_group(path, version=3):
    zarr = pytest.importorskip("zarr")
    return zarr.open_group(str(path), mode="w", zarr_format=version)


#: Writers of one volume to a store of each kind, in chunks of (8, 16, 16) or less, and its dtypes.
ALL = ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
KINDS = {
    "raw": (precomputed, ALL[1:4] + ALL[5:]),
    "segmentation": (partial(precomputed, encoding="compressed_segmentation"), ("u4", "u8")),
    "shards": (partial(precomputed, sharding=SHARDS), ("i1", "u8")),
    "packed": (lambda folder, volume: packed(folder, volume, ".gz"), ("u1", "u8")),
    "compresso": (in_compresso, ALL[5:]),
    "compresso-shards": (in_shards, ("u8",)),
    "zarr2": (partial(zarr_array, zarr_format=2), ALL),
    "zarr3": (zarr_array, ALL),
    "zarr3-shards": (partial(zarr_array, chunks=(4, 8, 8), shards=(8, 16, 16)), ("i8", "u4")),
    "own": (own, ALL),
    "own-shards": (partial(own, chunks=(4, 8, 8), shards=(8, 16, 16)), ("i8", "u8")),
    "n5": (n5, ALL[1:]),
}


def info(folder: Path, **scale) -> Path:
    """A precomputed volume of claims alone: 10 x 10 x 10 uint32 in one scale, but for ``scale``."""
    folder.mkdir(parents=True)
    usual = {"key": "k", "size": [10, 10, 10], "resolution": [1, 1, 1], "encoding": "raw"}
    usual |= {"voxel_offset": [0, 0, 0], "chunk_sizes": [[5, 5, 5]]}
    head = {"@type": "neuroglancer_multiscale_volume", "type": "segmentation"}
    head |= {"data_type": "uint32", "num_channels": 1, "scales": [usual | scale]}
    (folder / "info").write_text(json.dumps(head))
    return folder


def chunks(folder: Path) -> list[Path]:
    """The files of a store that hold labels."""
    heads = {"info", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata", "attributes.json"}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in heads)


class Answering(BaseHTTPRequestHandler):
    """Sends answers, and writes no log."""

    def send(self, status, data, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Handler(Answering, SimpleHTTPRequestHandler):
    """Serves a folder; ``/404/`` and the like answer so, whatever is asked for.

    Where it is ``unlisted``, it refuses what it does not have, as a bucket may.
    """

    def __init__(self, *args, unlisted=False, **options):
        self.unlisted = unlisted
        super().__init__(*args, **options)

    def do_GET(self):
        word = self.path.split("/")[1]
        if self.unlisted and not os.path.isfile(self.translate_path(self.path)):
            self.send_error(403)
        elif len(word) == 3 and word.isdigit():
            self.send_error(int(word))
        elif word == "hang":
            time.sleep(30)
        elif word == "garbage":
            self.wfile.write(b"\0rubbish\xff" * 99)
            self.close_connection = True
        elif word == "page":
            self.send(200, b"<html>Welcome</html>")
        elif (span := self.headers.get("Range")) and os.path.isfile(self.translate_path(self.path)):
            self.send_part(span)
        else:
            super().do_GET()

    def send_part(self, span):
        """Send what ``bytes=16-31`` asks for, or ``bytes=16-``, or ``bytes=-16``."""
        data = Path(self.translate_path(self.path)).read_bytes()
        first, last = span.removeprefix("bytes=").split("-")
        start = int(first) if first else len(data) - int(last)
        stop = min(len(data), int(last) + 1) if first and last else len(data)
        if not 0 <= start < stop:
            self.send_error(416)
            return
        place = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        self.send(206, data[start:stop], **place)

    do_HEAD = do_GET  # noqa: N815


class Bucket(Answering):
    """As much of Google's storage as TensorStore needs to write and to read, ``objects`` by name.

    An address is ``/storage/v1/b/BUCKET/o/OBJECT``, or ``/upload`` and that, the object a question.
    """

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, objects, **options):
        self.objects = objects
        super().__init__(*args, **options)

    def do_GET(self):
        data = self.objects.get(self.asked)
        if self.asked is None:
            names = sorted(self.objects)
            data = json.dumps({"items": [{"name": name} for name in names]}).encode()
        self.answer(404 if data is None else 200, data or b"")

    def do_POST(self):
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        self.objects[name] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, json.dumps({"name": name, "generation": "1"}).encode())

    def do_DELETE(self):
        self.answer(404 if self.objects.pop(self.asked, None) is None else 204, b"")

    @property
    def asked(self):
        """The name of an object; None if the list of them is requested."""
        return unquote(urlsplit(self.path).path).partition("/o/")[2] or None

    def answer(self, status, data):
        self.send(status, data, **{"x-goog-generation": "1"})


def serving(folder: Path, unlisted: bool = False) -> AbstractContextManager[str]:
    return server(partial(Handler, directory=str(folder), unlisted=unlisted))


def bucket(objects: dict[str, bytes]) -> AbstractContextManager[str]:
    """The address of a server that TensorStore takes for Google's, of all buckets' objects."""
    return server(partial(Bucket, objects=objects))


@contextmanager
def server(handler) -> Iterator[str]:
    """The address of a server with this handler, which ends with the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()

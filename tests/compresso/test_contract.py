"""The contract of encodings and compressors, for every one that is registered.

A new codec is tested on the day its file is there.
"""

import copy
import dataclasses
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compresso as C
from compresso import compressors, encodings
from compresso.codec import Compressor, Encoding
from tests.helpers.strategies import LARGEST, UNSIGNED, volumes

#: Their streams say neither shape nor width of the labels: readers know both from elsewhere.
BLIND = ("compressed_segmentation",)
SHAPES = [(0, 0, 0), (3, 0, 2), (1, 1, 1), (1, 1, 67), (5, 1, 1), (2, 3, 130), (9, 17, 10)]
SHAPES += [(7,), (3, 5)]


def available(registry):
    """The codecs whose packages are here; those that are not say how to get them elsewhere."""
    found = []
    for name in registry.names():
        codec = registry.parse(name)
        reason = f"needs {', '.join(codec.missing())}"
        marks = pytest.mark.skipif(bool(codec.missing()), reason=reason)
        found.append(pytest.param(codec, marks=marks, id=name))
    return found


every_encoding = pytest.mark.parametrize("encoding", available(encodings))
every_compressor = pytest.mark.parametrize("compressor", available(compressors))
every_codec = pytest.mark.parametrize("codec", [*available(encodings), *available(compressors)])


def registry_of(codec):
    return encodings if isinstance(codec, Encoding) else compressors


def regions(shape, dtype, top=LARGEST):
    """Labels with regions, the largest that every stream can hold among them."""
    random = np.random.default_rng(sum(shape))
    palette = np.array([0, 1, 2, min(np.iinfo(dtype).max, top)], dtype)
    picks = random.integers(len(palette), size=[-(-n // 3) for n in shape])
    for axis in range(len(shape)):
        picks = picks.repeat(3, axis)
    return palette[picks][tuple(slice(n) for n in shape)]


@every_codec
def test_a_codec_is_a_value(codec):
    assert codec.spec == str(codec) == codec.name == codec.name.lower()
    assert registry_of(codec).parse(codec.name.upper()) == codec
    assert {codec: 1}[dataclasses.replace(codec)] == 1
    assert pickle.loads(pickle.dumps(codec)) == copy.deepcopy(codec) == codec
    assert codec.__doc__


@every_codec
def test_parameters_are_part_of_the_spec(codec):
    registry = registry_of(codec)
    for field in dataclasses.fields(codec):
        again = registry.parse(f"{codec.name}:{field.name}={getattr(codec, field.name)}")
        assert again == codec
        assert again.spec == codec.name
    with pytest.raises(C.SpecError, match="no parameter"):
        registry.parse(f"{codec.name}:no_such_parameter=1")


@pytest.mark.parametrize("spec", [None, 5, b"none", encodings.parse("none")])
def test_what_is_no_text_is_no_spec(spec):
    for parse in (encodings.parse, compressors.parse):
        with pytest.raises(C.SpecError, match="Choose from: none, "):
            parse(spec)


@every_codec
def test_a_missing_package_is_named(codec, monkeypatch):
    for import_name, pip_name in codec.packages.items():
        monkeypatch.setitem(__import__("sys").modules, import_name, None)
        use = codec.compress if isinstance(codec, Compressor) else codec.encode
        data = bytes(100) if isinstance(codec, Compressor) else np.zeros((1, 2, 3), np.uint8)
        with pytest.raises(C.MissingPackageError, match=f"{codec.name}.*pip install {pip_name}"):
            use(data)


@every_encoding
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [*UNSIGNED, np.int16])
def test_every_shape_and_dtype_comes_back(encoding, shape, dtype):
    labels = regions(shape, dtype)
    stream = encoding.encode(labels)
    assert isinstance(stream, bytes)
    assert encoding.shape_of(stream) in ((1,) * (3 - len(shape)) + shape, None)
    again = encoding.decode(stream, shape, dtype)
    assert (again.shape, again.dtype) == (shape, dtype)
    assert np.array_equal(again, labels)
    if encoding.name not in BLIND:
        assert np.array_equal(encoding.decode(stream, shape), labels)  # as uint64


@every_encoding
@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 2, 3)])
def test_labels_are_decoded_to_integers_alone(encoding, shape):
    stream = encoding.encode(np.ones(shape, np.uint64))
    for dtype in ("?", "f4", "f8", "c8", "S8", "O", "M8[s]"):
        with pytest.raises(C.DecodeError, match="labels are integers, not"):
            encoding.decode(stream, shape, dtype)
        with pytest.raises(C.DecodeError, match="labels are integers, not"):
            encoding.decode_slices(stream, 0, 1, shape, dtype)


@every_encoding
@settings(max_examples=15)
@given(labels=volumes(max_side=9), threads=st.integers(1, 3))
def test_any_volume_comes_back(encoding, labels, threads):
    plain = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    stream = encoding.encode(labels, threads)
    assert stream == encoding.encode(plain)  # whatever the layout and the number of threads
    assert np.array_equal(encoding.decode(stream, labels.shape, plain.dtype, threads), plain)


@every_encoding
@pytest.mark.parametrize("layout", ["C", "F", "swapped", "strided"])
def test_any_array_can_be_decoded_to(encoding, layout):
    labels = regions((9, 17, 10), np.uint32)
    out = {
        "C": np.empty_like(labels),
        "F": np.empty_like(labels, order="F"),
        "swapped": np.empty_like(labels, dtype=">u4"),
        "strided": np.empty((9, 17, 20), np.uint32)[:, :, ::2],
    }[layout]
    encoding.decode_into(encoding.encode(labels), out)
    assert np.array_equal(out, labels)


@every_encoding
def test_slices_are_told_at_most_once(encoding):
    labels = regions((9, 17, 10), np.uint32)
    told = []  # list.append is safe from any thread
    stream = encoding.encode_volume(labels, 2, lambda z0, z1: told.extend(range(z0, z1)))
    assert sorted(told) == sorted(set(told) & set(range(9)))
    told.clear()
    out = np.empty_like(labels)

    def watch(z0, z1):
        told.extend(range(z0, z1))
        assert np.array_equal(out[z0:z1], labels[z0:z1])

    encoding.decode_into(stream, out, 2, watch)
    assert sorted(told) == sorted(set(told) & set(range(9)))


@every_encoding
def test_some_slices(encoding):
    labels = regions((9, 17, 10), np.uint32)
    stream = encoding.encode(labels)
    for z0, z1 in [(0, 9), (2, 5), (8, 9), (4, 4), (7, 99)]:
        part = encoding.decode_slices(stream, z0, z1, labels.shape, np.uint32)
        assert np.array_equal(part, labels[z0:z1])


@every_encoding
def test_another_shape_or_dtype_is_refused(encoding):
    stream = encoding.encode(np.array([[[0, 1], [255, 256]]], np.uint16))
    with pytest.raises(C.DecodeError):
        encoding.decode(stream, (1, 2, 2), np.uint8)
    if encoding.name not in BLIND:
        for shape in [(1, 2, 3), (2, 2, 2), (1, 1, 1), (0, 2, 2)]:
            with pytest.raises(C.DecodeError):
                encoding.decode(stream, shape, np.uint16)


@every_encoding
def test_damage_is_refused_or_decodes_to_a_volume(encoding):
    """A bare stream may decode to wrong voxels, but to nothing else than a volume."""
    if not encoding.robust:
        return
    labels = regions((2, 9, 10), np.uint16)
    stream = encoding.encode(labels)
    inputs = [stream[:size] for size in range(0, len(stream), max(1, len(stream) // 60))]
    inputs += list(flips(stream, [2, 7]))[:: 1 + len(stream) // 30]
    reasons = []
    for data in inputs:
        try:
            again = encoding.decode(data, labels.shape, np.uint16)
        except C.DecodeError as error:
            reasons.append(str(error))
        else:
            assert (again.shape, again.dtype) == (labels.shape, np.uint16)
    assert reasons
    assert not any("\n" in reason for reason in reasons)


@every_compressor
@pytest.mark.parametrize(
    "data", [b"", b"a", b"labels" * 1000, bytes(range(256)) * 64, bytes(100_000)]
)
def test_bytes_come_back(compressor, data):
    packed = compressor.compress(data)
    assert bytes(compressor.decompress(packed)) == data
    assert bytes(compressor.decompress(packed, limit=len(data))) == data
    assert compressor.compress(memoryview(data)) == packed
    assert b"".join(map(bytes, compressor.decompress_pieces(packed, 1000))) == data
    if len(data) == 100_000:
        assert len(packed) < 5000 or compressor.name == "none"
        with pytest.raises(C.DecodeError, match="99999 bytes"):
            compressor.decompress(packed, limit=99_999)


def flips(data, bits=range(8)):
    """Every byte with one of its bits changed, each in turn."""
    for at in range(len(data)):
        for bit in bits:
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@every_compressor
def test_damaged_bytes_are_refused(compressor):
    if compressor.name == "none":
        return
    packed = bytes(compressor.compress(b"labels" * 1000))
    for data in (packed[:-5], packed[:1], packed + b"more", b"no such stream"):
        with pytest.raises(C.DecodeError, match=compressor.name):
            compressor.decompress(data)
    for data in flips(bytes(compressor.compress(regions((2, 3, 12), np.uint16).tobytes()))):
        with suppress(C.DecodeError):
            assert len(memoryview(compressor.decompress(data, limit=1 << 20))) <= 1 << 20


@every_encoding
def test_a_damaged_file_is_never_wrong(encoding):
    """Hashes cover every bit alike, so that one bit per byte stands for all."""
    labels = regions((2, 3, 12), np.uint16)
    data = C.dumps(labels, encoding.spec, depth=1)
    assert np.array_equal(C.loads(data), labels)
    for size in range(len(data)):
        with pytest.raises(C.DecodeError):
            C.loads(data[:size])
    for bad in flips(data, bits=[3]):
        with suppress(C.DecodeError):
            assert np.array_equal(C.loads(bad), labels)


@every_encoding
@every_compressor
def test_every_pair_in_a_frame(encoding, compressor):
    labels = regions((3, 20, 30), np.int64)
    frame = C.dumps(labels, encoding.spec, compressor.spec, depth=2)
    again = C.loads(frame)
    assert again.dtype == labels.dtype
    assert np.array_equal(again, labels)

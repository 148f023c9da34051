"""Codec strings, registries, the compressors, and the library calls of the original README."""

import gc
import os
import re
from pathlib import Path

import numpy as np
import pytest

import compresso as C
from compresso import compressors, encodings
from compresso.codec import ignore, split_list
from compresso.kernels import dictionary


@pytest.mark.parametrize(
    ("registry", "spec", "canonical"),
    [
        (compressors, "lzma:preset=6", "lzma"),
        (compressors, "Zstd:Level=19", "zstd:level=19"),
        (compressors, " none ", "none"),
        (encodings, "Compresso:WINDOW=8X8X1", "compresso"),
        (encodings, "compresso:window=4x4x4", "compresso:window=4x4x4"),
    ],
)
def test_canonical_codec_strings(registry, spec, canonical):
    assert registry.parse(spec).spec == canonical
    assert registry.parse(canonical) == registry.parse(spec)


@pytest.mark.parametrize(
    ("parse", "spec", "text"),
    [
        (encodings.parse, "gzip", "none, .*compresso, .*neuroglancer, .*x264"),
        (compressors.parse, "rar", "brotli, bz2"),
        (compressors.parse, "lzma:level=3", "no parameter .*preset"),
        (compressors.parse, "lzma:preset=ten", "preset=ten"),
        (compressors.parse, "lzma:preset=10", "must be 0 to 9"),
        (compressors.parse, "zstd:level=99", "must be -7 to 22"),
        (encodings.parse, "compresso:window=8x8x2", "64"),
        (encodings.parse, "compresso:window=8x8", "XxYxZ"),
        (encodings.parse, "compresso:window=0x8x8", "at least 1"),
    ],
)
def test_wrong_codec_strings_list_the_right_ones(parse, spec, text):
    with pytest.raises(C.SpecError, match=text):
        parse(spec)


def test_lists_of_codec_strings():
    for names in (
        *(["compresso:window=4x4x1", "none"], ["a:x=1,y=2", "b"]),
        ["my.h5:/labels", "phantom:size=8x8x8,seed=3"],
    ):
        assert split_list(",".join(names)) == names


@pytest.mark.parametrize(
    ("encode", "data", "codes"),
    [
        # a | b | aa | ba | a: the last phrase is known, and written as its own code again.
        (dictionary.encode_lz78, b"abaabaa", [97, 98, 1 << 8 | 97, 2 << 8 | 97, 97]),
        # a, b, ab (256), aba (258, made by the very code that uses it), then what is left.
        (dictionary.encode_lzw, b"abababa", [97, 98, 256, 258]),
    ],
)
def test_dictionary_codecs_by_hand(encode, data, codes):
    assert encode(np.frombuffer(data, np.uint8)).tolist() == codes


@pytest.mark.parametrize("name", ["lz78", "lzw"])
def test_dictionary_codecs_take_time_and_memory_in_proportion(name):
    """Codes and dictionary grow with the data, and the hash table keeps its steps short."""
    encode = getattr(dictionary, f"encode_{name}")
    random = np.random.default_rng(0).integers(256, size=1 << 20).astype(np.uint8)
    codes = encode(random)
    assert codes.size < random.size
    blank = encode(np.zeros(1 << 20, np.uint8))
    assert 1400 < blank.size < 1500  # phrases of 1, 2, 3, ... bytes: 1448**2 / 2 = 2**20


def test_calls_of_the_original_readme(phantom):
    for first in (C.COMPRESSO, C.NEUROGLANCER):
        for second in (C.LZMA, C.ZLIB, C.BZ2, C.ZSTD, C.NONE):
            packed = second.compress(first.compress(phantom))
            assert isinstance(packed, bytes)
            assert np.array_equal(first.decompress(second.decompress(packed)), phantom)
        assert first(phantom, compress=False) == first.compress(phantom)
        with pytest.raises(C.EncodeError, match="compressor"):
            first(phantom, compress=True)
    assert C.NONE.compress(phantom.astype(np.uint16)) == (phantom & 0xFFFF).tobytes()
    with pytest.raises(AttributeError, match="RAR"):
        C.RAR  # noqa: B018


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux")
@pytest.mark.parametrize("name", encodings.names())
def test_the_memory_of_an_encoding_is_as_stated(name):
    """Next to labels of 64 bits, and the array they are decoded to."""
    codec = encodings.parse(name)
    if codec.missing():
        pytest.skip("an optional package is missing")
    z, y, x = np.indices((16, 512, 512), np.int32)
    labels = (1 + x // 30 + 1000 * ((y + z + x // 7) // 30)).astype(np.uint64)
    codec.decode(codec.encode(labels[:2]), labels[:2].shape)

    def taken(work):
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        before = status("VmRSS")
        result = work()
        return result, (status("VmHWM") - before) / labels.size

    def status(name):
        return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10

    stream, encoding = taken(lambda: codec.encode_volume(labels, 1, ignore))
    out = np.ones_like(labels)
    _, decoding = taken(lambda: codec.decode_into(stream, out))
    assert np.array_equal(out, labels)
    assert max(encoding, decoding) <= codec.working_bytes

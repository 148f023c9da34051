"""In place of PyPI's compresso: its calls, evaluated with ours and, where it is there, with it."""

import gzip
import io
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import compresso
from tests.helpers.cpso import GOLDEN, STREAMS, noise, windows
from tests.helpers.peers import here, same
from tests.helpers.strategies import UNSIGNED, volumes

#: What takes a stream, and what else the package has.
CALLED_WITH_A_STREAM = (
    "raw_header raw_ids raw_labels raw_locations raw_values raw_windows raw_z_index decompress "
    "labels header valid nbytes check_compatibility"
)
OTHERS = (
    "CompressoArray DecodeError EncodeError check_bounds clamp compress label_dtype load "
    "reify_slices remap save window_dtype zindex_byte_width"
)
SECTIONS = "header ids values locations windows"


def sample(dtype=np.uint16):
    """Volume and spots, x, y, z = 9, 8, 6."""
    labels = np.kron(np.arange(12).reshape(3, 2, 2), np.ones((3, 4, 3), int)).astype(dtype)
    labels[np.random.default_rng(2).random(labels.shape) < 0.1] = np.iinfo(dtype).max - 3
    return np.asfortranarray(labels)


#: What the package's README and docstrings show; v is an array, s its stream, m a mapping.
CALLS = (
    "compresso.compress(v, steps=w, connectivity=c, random_access_z_index=i)",
    "compresso.decompress(s)",
    "compresso.labels(s)",
    "compresso.header(s)",
    "compresso.remap(s, m)",
    "compresso.remap(s, m, preserve_missing_labels=True)",
    "compresso.remap(s, {}, preserve_missing_labels=True)",
    "compresso.remap(s, {})",
    "compresso.decompress(s, z=0)",
    "compresso.decompress(s, z=(0, v.shape[2]))",
    "compresso.decompress(s, z=(v.shape[2] // 2, v.shape[2]))",
    "compresso.decompress(s, (v.shape[2] // 3, v.shape[2] // 2))",
    "compresso.compress(v, (np.int16(4), 4.0, 1), 6.0, 0)",
    "compresso.CompressoArray(s)[:]",
    "compresso.CompressoArray(s)[:, :, v.shape[2] // 2]",
    "compresso.CompressoArray(s)[:, :, : v.shape[2] // 2]",
    "compresso.CompressoArray(s)[v.shape[0] // 2 :, 0, ::2]",
    "compresso.CompressoArray(s)[-1:, :, -1:]",
    "compresso.CompressoArray(s)[0, 0, 0]",
    "[getattr(compresso.CompressoArray(s), n) for n in ('shape', 'size', 'nbytes', 'dtype')]",
    "compresso.CompressoArray(s).random_access_enabled",
    "compresso.CompressoArray(s).labels()",
    "compresso.CompressoArray(s).remap(s, m).binary",
    "len(compresso.CompressoArray(s))",
    "[label in compresso.CompressoArray(s) for label in (0, 1, 77, 2**64 - 1, 'a')]",
    "compresso.raw_labels(s)",
    "compresso.label_dtype(compresso.header(s))",
    "compresso.window_dtype(compresso.header(s))",
    "compresso.zindex_byte_width(*v.shape[:2])",
    "compresso.check_compatibility(s)",
)
#: What the package refuses, and with which exception.
REFUSED = (
    "compresso.compress(v, connectivity=5)",
    "compresso.compress(v, steps=(5, 13, 1))",
    "compresso.compress(v, steps=(0, 4, 1))",
    "compresso.compress(v, steps=(4, 4))",
    "compresso.compress(v, steps=4)",
    "compresso.compress(v.astype(np.int32))",
    "compresso.compress(np.ones((2, 2, 2, 2), np.uint8))",
    "compresso.decompress(s, z=6)",
    "compresso.decompress(s, z=-1)",
    "compresso.decompress(s, z=(4, 2))",
    "compresso.decompress(s, z=(0, 7))",
    "compresso.decompress(compresso.compress(v, random_access_z_index=False), z=1)",
    "compresso.decompress(b'x' * 100)",
    "compresso.labels(s[:35])",
    "compresso.remap(b'', {}, True)",
    "compresso.CompressoArray(b'').shape",
    "compresso.decompress(s[:4] + bytes([2]) + s[5:])",
    "compresso.decompress(None)",
    "compresso.decompress('cpso')",
    "compresso.header(s[:4] + bytes([9]) + s[5:])",
    "compresso.remap(s, {})",
    "compresso.remap(s, {label: 70000 for label in range(2**16)})",
    "compresso.remap(s, {label: -1 for label in range(2**16)})",
    "compresso.remap(s, [1])",
    "compresso.CompressoArray(s)[:, :, 6]",
    "compresso.reify_slices((slice(None, None, -1),), 9, 8, 6)",
    "compresso.check_bounds(7, 0, 6)",
    "compresso.load('no such file')",
)


@pytest.mark.parametrize(("name", "number", "window", "connectivity", "index"), STREAMS)
def test_streams_of_the_package(name, number, window, connectivity, index):
    labels, stream = GOLDEN[f"labels{number}"].T, GOLDEN[name].tobytes()
    for layout in (np.asfortranarray, np.ascontiguousarray):
        assert compresso.compress(layout(labels), window, connectivity, index) == stream
    decoded = compresso.decompress(stream)
    assert decoded.flags.f_contiguous
    assert decoded.dtype == labels.dtype
    assert np.array_equal(decoded, labels)
    old = np.unique(labels)
    assert np.array_equal(compresso.labels(stream), old)
    assert compresso.valid(stream)
    assert compresso.nbytes(stream) == labels.nbytes
    mapping = dict(zip(old.tolist(), old[::-1].tolist(), strict=True))
    renamed = compresso.decompress(compresso.remap(stream, mapping))
    assert np.array_equal(renamed, old[::-1][np.searchsorted(old, labels)])
    sections = [getattr(compresso, f"raw_{what}")(stream) for what in SECTIONS.split()]
    if (tail := compresso.raw_z_index(stream)) is not None:
        sections.append(tail.astype(f"u{compresso.zindex_byte_width(*labels.shape[:2])}"))
    assert b"".join(section.tobytes() for section in sections) == stream


@settings(max_examples=60)
@given(volumes(largest=2**64 - 1, max_side=12), windows(), st.sampled_from([4, 6]), st.booleans())
def test_calls(pypi, labels, window, connectivity, index):
    """Every documented call gives the same value, or raises where the package does."""
    assume(np.prod(window) > 8)  # the package writes smaller ones, and reads them amiss here
    labels = labels.astype(labels.dtype.newbyteorder("=")).T
    values = {"v": labels, "w": window, "c": connectivity, "i": index}
    stream = here(CALLS[0], **values)
    assume(isinstance(stream, bytes))
    old = np.unique(labels).tolist()
    values |= {"s": stream, "m": {label: 100 - at for at, label in enumerate(old)}}
    for call in CALLS:
        mine, theirs = here(call, **values), pypi(call, **values)
        if isinstance(theirs, str):  # what it raised: some of its own faults among them
            assert same_refusal(mine, theirs) or mends(call, mine, values), (call, theirs)
        else:
            assert same(mine, theirs), call


def same_refusal(mine, theirs):
    """Whether ours raised that exception, or one derived from it."""
    name = theirs.split()[1].rstrip(":")
    return isinstance(mine, type) and name in {base.__name__ for base in mine.__mro__}


def mends(call, mine, values):
    """Whether ours answers as it should where the package raises by mistake."""
    labels = values["v"]
    if "CompressoArray(s)[" in call:
        expected = here(call.replace("compresso.CompressoArray(s)", "v"), **values)
        if isinstance(expected, type):
            return isinstance(mine, type)
        return np.array_equal(mine, expected) and mine.dtype == labels.dtype
    if "remap" in call and isinstance(mine, bytes):
        mapping = {label: label for label in np.unique(labels).tolist()}
        mapping |= values["m"] if ", m" in call else {}
        expected = np.vectorize(mapping.__getitem__, otypes=[labels.dtype])(labels)
        return np.array_equal(compresso.decompress(mine), expected)
    return False


@pytest.mark.parametrize("dtype", [*UNSIGNED, bool])
@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("shape", [(), (7,), (7, 5), (7, 5, 4), (7, 5, 4, 1), (0, 5, 4)])
def test_shapes_and_types(pypi, dtype, order, shape):
    labels = np.random.default_rng(4).integers(2, size=shape).astype(dtype, order=order)
    for call in ("compresso.compress(v)", "compresso.decompress(compresso.compress(v))"):
        assert same(here(call, v=labels), pypi(call, v=labels))


@pytest.mark.parametrize("call", REFUSED)
def test_refusals_of_the_package(pypi, call):
    values = {"v": sample(), "s": compresso.compress(sample())}
    theirs = pypi(call, **values)
    assert isinstance(theirs, str)
    assert same_refusal(here(call, **values), theirs), theirs


def test_default_window(pypi):
    """4x4x1, and 8x8x1 where that has too many values; but what is asked for is not changed."""
    labels = noise().T
    assert compresso.compress(labels) == pypi("compresso.compress(v)", v=labels)
    assert compresso.header(compresso.compress(labels))["xstep"] == 8
    with pytest.raises(compresso.EncodeError):
        compresso.compress(labels, steps=(4, 4, 1))
    assert "EncodeError" in pypi("compresso.compress(v, steps=(4, 4, 1))", v=labels)


def test_faults_that_are_mended():
    """What the package answers wrongly, or not at all."""
    for name in (CALLED_WITH_A_STREAM + " " + OTHERS).split():
        assert getattr(compresso, name).__doc__
    labels = sample()
    stream = compresso.compress(labels)
    array = pickle.loads(pickle.dumps(compresso.CompressoArray(stream)))
    for key in (np.s_[..., 3], np.s_[::2, ::-1, ::-2], np.s_[:, :, -1], np.s_[:, :, 3:100]):
        assert np.array_equal(array[key], labels[key])
    assert np.array_equal(np.asarray(array), labels)
    assert np.array_equal(compresso.decompress(stream, z=np.int64(2)), labels[:, :, 2:3])
    for kind in (bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)):
        assert np.array_equal(compresso.decompress(kind(stream)), labels)
    labels.flags.writeable = False
    assert compresso.compress(labels) == stream
    assert not compresso.valid(b"x" * 100)
    assert not compresso.valid(stream[:-1])
    for call in (compresso.labels, compresso.raw_ids, compresso.decompress):
        with pytest.raises(compresso.DecodeError):
            call(stream[:60])
    with pytest.raises(compresso.EncodeError, match="65535"):
        compresso.compress(np.ones((65536, 1, 1), np.uint8))
    with pytest.raises(compresso.DecodeError, match="limit"):
        compresso.decompress(stream, limit=labels.nbytes - 1)
    assert compresso.decompress(stream, limit=labels.nbytes).size == labels.size
    assert compresso.decompress(stream, z=3, limit=labels.nbytes // 6).size == 72


def test_remap_to_a_label_that_cannot_be_shifted():
    """PyPI's package fails; here the label is spelled out, and the index follows."""
    labels = np.random.default_rng(8).integers(4, size=(6, 5, 4)).astype(np.uint8)
    for index in (True, False):
        stream = compresso.compress(labels, random_access_z_index=index)
        remapped = compresso.remap(stream, {0: 255, 1: 250, 2: 3, 3: 249})
        expected = np.array([255, 250, 3, 249], np.uint8)[labels]
        assert np.array_equal(compresso.decompress(remapped), expected)
        if index:
            for z in range(4):
                assert np.array_equal(compresso.CompressoArray(remapped)[:, :, z], expected[..., z])
        assert remapped == compresso.compress(expected, random_access_z_index=index)


def test_files(tmp_path):
    labels = sample(np.uint32)
    for path in (tmp_path / "a.cpso", str(tmp_path / "b.cpso.gz")):
        compresso.save(labels, path)
        assert np.array_equal(compresso.load(path), labels)
    assert (tmp_path / "a.cpso").read_bytes() == compresso.compress(labels)
    assert gzip.decompress((tmp_path / "b.cpso.gz").read_bytes()) == compresso.compress(labels)
    file = io.BytesIO()
    compresso.save(labels, file)
    file.seek(0)
    assert np.array_equal(compresso.load(file), labels)


def test_compresso_files_are_refused():
    """``compress`` and ``decompress`` are PyPI's alone; a file is read by ``loads``."""
    labels = sample().astype(np.int64)
    with pytest.raises(compresso.DecodeError, match="loads"):
        compresso.decompress(compresso.dumps(labels))
    with pytest.raises(TypeError, match="dumps"):
        compresso.compress(labels)


@settings(max_examples=200)
@given(st.sampled_from([(4, True), (4, False), (6, False)]), st.data())
def test_damage_is_told(variant, data):
    """Whatever is asked of damaged bytes, the answer is a value or a DecodeError."""
    stream = compresso.compress(sample(), None, *variant)
    damaged = bytearray(stream[: data.draw(st.integers(0, len(stream)) | st.just(len(stream)))])
    for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
        at = data.draw(st.integers(0, min(40, len(damaged) - 1)) | st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    for name in CALLED_WITH_A_STREAM.split():
        arguments = {"limit": 1 << 24} if name == "decompress" else {}
        with suppress(compresso.DecodeError):
            getattr(compresso, name)(bytes(damaged), **arguments)
    with suppress(compresso.DecodeError):
        remapped = compresso.remap(bytes(damaged), {0: 1}, preserve_missing_labels=True)
        assert len(remapped) >= len(damaged)
    with suppress(compresso.DecodeError, ValueError):
        compresso.CompressoArray(bytes(damaged))[0, 0, 0]
    with suppress(compresso.DecodeError, ValueError):
        compresso.decompress(bytes(damaged), z=(1, 3), limit=1 << 24)

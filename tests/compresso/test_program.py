"""The commands of the program ``compresso``: what they print, and their exit codes."""

import errno
import json
import os
import pickle
import signal
import time
from unittest.mock import Mock

import numpy as np
import pytest
from numba.core import serialize

import compresso as C
from compresso import cli, files
from compresso.codec import Encoding
from compresso.text import digits, file_size, ratio_text
from experiments.commands import MODULES
from tests.helpers.commands import run_here
from tests.helpers.program import PROGRAM, invoke, one_line, run

LABELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6) // 7


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a volume and a compressed file of it in two groups."""
    np.save(tmp_path / "seg.npy", LABELS)
    metadata = {"geometry": {"steps": [[0, 0, 40], [0, 4, 0], [5, 0, 0]], "unit": "nm"}}
    data = C.dumps(LABELS, "compresso", "zstd", depth=3, metadata=metadata)
    (tmp_path / "in.cps").write_bytes(data)
    (tmp_path / "README.md").write_text("Read me.")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compress_verify_and_decompress_end_with_one_line(folder):
    small = invoke("compress", "seg.npy").output
    size = (folder / "seg.cps").stat().st_size
    assert small == f"seg.cps: 6 x 5 x 4 int16, {size} bytes, more than the labels as int16\n"
    np.save("blank.npy", np.zeros((30, 20, 10), ">u2"))
    done = invoke("compress", "blank.npy")
    size = (folder / "blank.cps").stat().st_size
    wide, own = ratio_text(48_000 / size), ratio_text(12_000 / size)
    ratios = f"{wide}x smaller than uint64 ({own}x than uint16)"
    assert done.output == f"blank.cps: 10 x 20 x 30 uint16, {size} bytes, {ratios}\n"
    assert invoke("verify", "seg.cps").output == "seg.cps: OK, 6 x 5 x 4 int16\n"
    assert invoke("decompress", "seg.cps", "b.nrrd").output == "b.nrrd: 6 x 5 x 4 int16 written\n"
    for words in (["compress", "seg.npy", "-f"], ["verify", "seg.cps"]):
        assert invoke(*words, "--quiet").output == ""


def test_the_default_target_is_next_to_a_local_source(folder):
    (folder / "seg.zarr").mkdir()
    for source, target in {
        **{"a.h5:/labels": "a.cps", "d/a.NII.GZ": "d/a.cps", "a.b.npy": "a.b.cps"},
        **{"seg.zarr": "seg.cps", "seg.zarr:/in": "seg.cps"},
    }.items():
        assert str(files.default_target(source)) == target
    for source in ("-", "gs://bucket/seg", "a.zip|zip:x|zarr3:"):
        one_line(invoke("compress", source, code=1), "Name the target")


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], "codec: ristretto\n  groups: 1 of 4 slices\n"),
        (["-e", "cpso", "-c", "zstd:level=3"], "codec: cpso + zstd\n"),
        (["--depth", "1", "--memory", "1G"], "groups: 4 of 1 slice\n"),
    ],
)
def test_options_of_compress(folder, options, lines):
    invoke("compress", "seg.npy", "out.cps", *options)
    assert lines in invoke("info", "out.cps").output
    with C.open(folder / "out.cps") as array:
        assert np.array_equal(array[:], LABELS)


def test_verify_distinguishes_damage_from_a_failure(folder):
    data = bytearray((folder / "in.cps").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "bad.cps").write_bytes(data + b"more")
    *faults, last = invoke("verify", "bad.cps", code=1).output.splitlines()
    assert len(faults) == 2
    assert all(line.startswith("bad.cps: ") for line in faults)
    assert last.startswith("bad.cps: damaged")
    for name, text in {
        **{"seg.npy": "not a compresso file", "README.md": "not a compresso file"},
        **{"no.cps": "no.cps: no such file", ".": "folder"},
    }.items():
        one_line(invoke("verify", name, code=2), text)


def test_info(folder):
    lines = invoke("info", "in.cps", "--labels").output.splitlines()
    size = (folder / "in.cps").stat().st_size
    assert lines[:2] == ["in.cps: 6 x 5 x 4 int16", "  codec: compresso + zstd"]
    assert lines[2] == "  groups: 2 of 3 slices"
    assert f"{size} bytes" in lines[3]
    assert "5 x 4 x 40 nm" in lines[4]
    assert lines[5:] == ["  labels: 18"]
    facts = json.loads(invoke("info", "in.cps", "--labels", "--json").output)
    expected = {
        **{"file": "in.cps", "shape": [6, 5, 4], "axes": "xyz", "dtype": "int16", "size": size},
        **{"encoding": "compresso", "compression": "zstd", "groups": 2, "labels": 18},
        **{"voxel_size": [5, 4, 40], "unit": "nm", "ratio_uint64": 960 / size},
    }
    assert {name: facts[name] for name in expected} == expected
    for shape, groups in (((4, 5), "1 of 1 slice\n"), ((0, 4, 5), "0")):
        (folder / "x.cps").write_bytes(C.dumps(np.zeros(shape, np.uint8), "none", "zlib"))
        assert f"groups: {groups}" in invoke("info", "x.cps").output


def test_codecs_are_listed_with_parameters_and_missing_packages(folder, monkeypatch):
    monkeypatch.setattr(type(C.CRACKLE), "packages", {"no_such_module": "some-package"})
    text = invoke("codecs").output
    for name in (*C.encodings.names(), *C.compressors.names()):
        assert f"  {name}" in text
    for part in ("zstd:level=3", "ristretto:effort=1", "pip install some-package"):
        assert part in text
    assert text.count(" (default)") == 2
    assert "Order of the Markov model" in invoke("codecs", "crackle").output
    (zstd,) = json.loads(invoke("codecs", "zstd", "--json").output)
    assert zstd["parameters"] == {"level": 3}
    assert (zstd["kind"], zstd["missing"]) == ("compressor", [])
    assert len(json.loads(invoke("codecs", "none", "--json").output)) == 2


def test_warmup_compiles_the_named_codecs(folder, monkeypatch):
    warmed = []
    monkeypatch.setattr(Encoding, "warm", lambda codec: warmed.append(codec))
    done = invoke("warmup", "compresso:window=4x4x1", "lzw")
    assert "cache folder: " in done.output
    assert [codec.spec for codec in warmed] == ["compresso:window=4x4x1"]
    invoke("warmup")
    assert {codec.name for codec in warmed} >= {"cpso", "ristretto", "neuroglancer"}


def test_the_named_commands_are_those_of_run_py():
    assert set(cli.HARNESS) <= set(MODULES)


def test_an_interruption_before_the_command_begins(monkeypatch):
    monkeypatch.setattr(cli.Commands, "parse_args", Mock(side_effect=KeyboardInterrupt))
    one_line(invoke("codecs", code=130), "Interrupted")


class Interrupting:
    """Sends Ctrl-C to this process while it is unpickled."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGINT,)


def test_an_interruption_while_a_kernel_returns_an_array(monkeypatch):
    """Numba's unpickling hook is called by compiled code, which drops exceptions that it raises."""
    hook_returned = []

    def codecs(*_):
        serialize._numba_unpickle(0, pickle.dumps(Interrupting()), b"")
        hook_returned.append(True)
        time.sleep(60)

    monkeypatch.setattr(cli.click.Group, "invoke", codecs)
    one_line(invoke("codecs", code=130), "Interrupted")
    assert hook_returned


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["compres", "a.npy"], "no command 'compres'. Did you mean \"compress\"?", 2),
        (["help", "xyz"], "Choose from: ", 2),
        (["recommend", "a.h5"], "python run.py recommend", 2),
        (["compress", "seg.npy", "-e", "rar"], "unknown encoding 'rar'. Choose from: none", 2),
        (["compress", "seg.npy", "-c", "ztsd"], 'Did you mean "zstd"?', 2),
        (["warmup", "ristreto"], 'Did you mean "ristretto"?', 2),
        (["codecs", "zstdd:level=19"], 'Did you mean "zstd"?', 2),
        (["compress", "seg.npy", "in.cps"], "in.cps: exists", 1),
        (["compress", "no.h5", "x.cps"], "no.h5: no such file", 1),
        (["info", "no.cps"], "no.cps: no such file", 1),
        (["decompress", "seg.npy", "x.npy"], "To compress it: compresso compress seg.npy", 1),
        (["info", "README.md"], "README.md: not a compresso file", 1),
        (["decompress", "in.cps", "x.png"], "x.png: unknown", 1),
        (["decompress", "in.cps", "x.zarr"], "use compresso convert", 1),
        (["compress", "in.cps", "x.cps"], "compresso decompress in.cps in.h5", 1),
        (["compress", "seg.npy", "--depth", "0"], "0 is not in the range", 2),
        (["compress", "seg.npy", "no/such/x.cps"], "cannot be written", 1),
        (["compress", "seg.npy", "--memory", "much"], "not a valid size", 2),
        (["convert", "seg.npy", "x.zarr", "--memory", "15M"], "too small (at least 16.0 MB)", 2),
        (["convert", "seg.npy", "x.zarr", "--chunks", "64"], "not a size along x, y and z", 2),
        (["convert", "seg.npy", "x", "-t2", "--scheduler=threads"], "Omit --threads", 2),
        (["verify", "in.cps", "-t", "-1"], "-1 is not in the range", 2),
        (["info", "gs://bucket/a.cps"], "gs://bucket/a.cps is a URL", 2),
        (["decompress", "in.cps", "x.npy", "--slices", "5:2"], "empty range", 2),
        (["decompress", "in.cps", "x.npy", "--slices", "5"], "not a range of slices", 2),
        (["decompress", "in.cps", "x.npy", "--limit", "100"], "more than the limit of 100", 1),
        (["info", "/".join(c * 240 for c in "xyz")], "Error: ", 1),
        (["decompress", "in.cps", "y.npy", "--slices", "x" * 999], "Error: ", 2),
    ],
)
def test_errors_are_one_line(folder, words, text, code):
    done = invoke(*words, code=code)
    assert text in done.stderr.splitlines()[-1]
    assert max(map(len, done.stderr.splitlines())) <= 300
    assert done.stdout == ""
    assert not set(os.listdir()) & {"x.cps", "x.npy", "seg.cps"}


@pytest.mark.parametrize(
    ("name", "words", "source"),
    [
        ("thesis.tex", "a folder", "d: not a file or a known store"),
        (".zgroup", "chunked store", "d: "),
        ("zarr.json.unfinished", "unfinished conversion", "d: "),
    ],
)
def test_folders_are_not_compressed_files(folder, name, words, source):
    (folder / "d").mkdir()
    (folder / "d" / name).touch()
    for verb, code, *target in (("info", 1), ("verify", 2), ("decompress", 1, "x.npy")):
        one_line(invoke(verb, "d", *target, code=code), words)
    for verb in ("compress", "convert"):
        one_line(invoke(verb, "d", "x", code=1), source)


def test_names_that_a_store_cannot_have(folder):
    for name, words in (
        (os.fsdecode(b"\xff"), "UTF-8"),
        (256 * "x", os.strerror(errno.ENAMETOOLONG)),
    ):
        one_line(invoke("convert", "seg.npy", name, code=1), words)


def test_help(folder):
    first = invoke("--help").output
    for command in ("compress", "decompress", "info", "verify", "convert", "codecs", "warmup"):
        text = invoke("help", command).output
        assert text == invoke(command, "-h").output
        assert "Examples:" in text
        assert max(map(len, text.splitlines())) <= 100
        (line,) = [line for line in first.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith(".")
        assert "..." not in line
    assert invoke("help").output == first


def test_the_version_is_that_of_run_py():
    version = f"compresso {C.__version__}\n"
    assert invoke("--version").output == run_here("--version").stdout == version


def test_bugs_are_reported_as_bugs(folder, monkeypatch):
    monkeypatch.setattr(files, "describe_file", Mock(side_effect=KeyError("lossless")))
    one_line(invoke("info", "x", code=70), "error: KeyError: 'lossless'; this is a bug")
    assert "Traceback" in invoke("info", "x", "--debug", code=70).stderr
    assert "Traceback" in invoke("verify", "seg.npy", "--debug", code=2).stderr


def test_a_terminal_gets_a_bar_and_the_news_that_kernels_are_compiled(monkeypatch, capsys):
    def shown(**options):
        with cli.progress_bar(**options) as progress:
            progress(1, 2)
            for _ in range(2):
                cli.KERNELS.info("compiling kernels")
        return capsys.readouterr().err

    assert shown() == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    text = shown()
    assert "1/2" in text
    assert text.count("compiling kernels") == 1
    assert shown(quiet=True) == ""


def test_numbers_and_sizes_have_three_digits():
    """And are read as they are printed."""
    numbers = {0: "0", 1451.6: "1,450", 999.6: "1,000", 10.04: "10.0", 6.1e-7: "0.000000610"}
    assert {number: digits(number) for number in numbers} == numbers
    assert file_size(999_600) == "1.00 MB"
    for text, printed in {"999": "999 bytes", "256M": "256 MB", "2k": "2.00 kB"}.items():
        assert file_size(cli.size()(text)) == printed


def test_completion(folder):
    environment = os.environ | {"_COMPRESSO_COMPLETE": "bash_complete", "COMP_WORDS": "compresso v"}
    words = ["-c", "from compresso.__main__ import main; main(prog_name='compresso')"]
    done = run(*words, program=PROGRAM[:1], env=environment | {"COMP_CWORD": "1"})
    assert done.stdout == b"plain,verify\n"

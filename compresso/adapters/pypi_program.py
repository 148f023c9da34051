"""The program of PyPI's package: ``compresso a.npy`` makes ``a.npy.cpso`` of it, and back.

As gzip does, it takes the place of its source: that goes once the target is whole, on the disk, and
was read again to the same labels. Nothing else is overwritten without ``--force``.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from compresso import frame
from compresso.adapters import pypi
from compresso.arrays import Labels
from compresso.cli import VERBOSE
from compresso.errors import CompressoError, FileError
from compresso.targets import Stamp, check_unchanged, replacing, stamp

OPTIONS = [
    "-c",
    "--compress",
    "-d",
    "--decompress",
    "-i",
    "--info",
    "--steps",
    "--six",
    "--z-index",
    "--no-z-index",
]
SUFFIXES = (".npy", ".cpso")


def meant(words: Sequence[str]) -> bool:
    """Whether a command line begins as that program's do: with an option of its, or a file."""
    first = words[0] if words else ""
    return first.partition("=")[0] in OPTIONS or first == "-" or first.endswith(SUFFIXES)


class Steps(click.ParamType[tuple[int, ...]]):
    """The size of a window, such as 4,4,1."""

    name = "x,y,z"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the text."""
        try:
            steps = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            steps = ()
        if len(steps) != 3:
            self.fail(f"{value!r} is no size of a window such as 4,4,1", param, ctx)
        return steps


@click.command("pypi-program", hidden=True)
@click.option("-c/-d", "--compress/--decompress", default=True, help="To .cpso, or back to .npy.")
@click.option("-i", "--info", is_flag=True, help="Print the headers of streams.")
@click.option("--steps", type=Steps(), help="Size of a window, x,y,z; by default 4,4,1.")
@click.option("--six", is_flag=True, help="6-connected components instead of 4-connected ones.")
@click.option("--z-index/--no-z-index", default=True, help="Whether slices can be read one by one.")
@click.option("--force", is_flag=True, help="Overwrite targets.")
@click.argument("sources", nargs=-1)
@VERBOSE
def pypi_program(
    compress: bool,
    info: bool,
    steps: tuple[int, ...] | None,
    six: bool,
    z_index: bool,
    force: bool,
    sources: tuple[str, ...],
) -> None:
    """Compress .npy files to .cpso, or the other way; the name - reads names from the input.

    A source is removed once its target was read again to the same labels. The exit code is 1 where
    any of them failed.
    """
    encode = partial(
        pypi.compress, steps=steps, connectivity=6 if six else 4, random_access_z_index=z_index
    )
    failed = False
    for source in _named(sources):
        try:
            if info:
                _tell(source)
            elif compress:
                _compress(source, encode, force)
            else:
                _decompress(source, force)
        except CompressoError as error:
            click.echo(f"Error: {error}", err=True)
            failed = True
    sys.exit(int(failed))


def _named(sources: Sequence[str]) -> Iterator[Path]:
    for source in sources:
        if source != "-":
            yield Path(source)
            continue
        for line in sys.stdin:
            if name := line.rstrip("\r\n"):
                yield Path(name)


def _tell(source: Path) -> None:
    found = pypi.header(_read(source))
    click.echo(f"Filename: {source}")
    for name, value in found.items():
        click.echo(f"{name}: {value}")
    click.echo()


def _compress(source: Path, encode: Callable[[Labels], bytes], force: bool) -> None:
    before = stamp([source])
    labels = _load(source)
    try:
        stream = encode(labels)
    except CompressoError as error:
        raise FileError(f"{source}: {error}") from error
    target = Path(f"{source}.cpso")
    with replacing(target, force, [source]) as unfinished:
        unfinished.write_bytes(stream)
        check_unchanged([source], before, "nothing was written, run it again")
    again = pypi.decompress(_read(target))
    shape = labels.shape[:3] + (1,) * (3 - labels.ndim)
    _take_the_place(source, before, target, np.array_equal(again, labels.reshape(shape)))
    if (again.shape, again.dtype) != (labels.shape, labels.dtype):
        kept = f"{labels.dtype} {labels.shape} comes back as {again.dtype} {again.shape}"
        click.echo(f"{target}: {kept}", err=True)


def _decompress(source: Path, force: bool) -> None:
    before = stamp([source])
    stream = _read(source)
    if stream[: len(frame.MAGIC)] == frame.MAGIC:
        raise FileError(f"{source}: is a frame; use compresso decompress {source} TARGET")
    try:
        labels = pypi.decompress(stream)
    except CompressoError as error:
        raise FileError(f"{source}: {error}") from error
    name = source.name.replace(".cpso", "")
    target = source.with_name(name if name.endswith(".npy") else f"{name}.npy")
    with replacing(target, force, [source]) as unfinished, unfinished.open("wb") as file:
        np.save(file, labels)
    _take_the_place(source, before, target, np.array_equal(_load(target), labels))


def _take_the_place(source: Path, before: Stamp | None, target: Path, sound: bool) -> None:
    if not sound:
        raise FileError(f"{target}: does not hold what {source} does, which is kept")
    check_unchanged([source], before, f"it is kept, and {target} holds what it was")
    try:
        os.remove(source)
    except OSError as error:
        raise FileError(f"{source}: cannot be removed ({error.strerror or error})") from None


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None


def _load(source: Path) -> Labels:
    try:
        with source.open("rb") as file:
            labels: Labels = np.lib.format.read_array(file, allow_pickle=False)
            rest = file.read(1)
    except OSError as error:
        raise FileError(f"{source}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, MemoryError) as error:
        raise FileError(f"{source}: is no .npy file of labels ({error})") from None
    if rest:
        raise FileError(f"{source}: something follows its labels, which would be lost")
    return labels

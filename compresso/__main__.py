"""python -m compresso: compress, decompress, info and verify files of label volumes."""

import re
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from compresso import __version__, encodings, files, volumes
from compresso.arrays import LIMIT
from compresso.atomic import STANDARD, file_or_standard
from compresso.cli import DEBUG, FORCE, MEMORY, Commands, Size, complain, threads
from compresso.container import COMPRESSION, Description
from compresso.plugins import Extent

SMALL = "ristretto"  # what files are compressed with, where nothing is named


class Slices(click.ParamType[tuple[int, int | None]]):
    """A range of slices, such as 10:20."""

    name = "z0:z1"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int | None]:
        """Parse the text."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d*):(\d*)", str(value))
        if not found:
            self.fail(f"{value!r} is no range such as 10:20", param, ctx)
        z0, z1 = int(found[1] or 0), int(found[2]) if found[2] else None
        if z1 is not None and z1 <= z0:
            self.fail(f"{value!r} holds no slice", param, ctx)
        return z0, z1


class FileOrStandard(click.ParamType[Path]):
    """A file, or ``-`` for the standard input or output; a file of that name is ``./-``."""

    name = "path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Tell the two apart."""
        if "://" in str(value):
            self.fail(f"{value} is no file; give a path, or - and a pipe", param, ctx)
        return file_or_standard(str(value))


SOURCE = click.argument("source", type=FileOrStandard())
TARGET = click.argument("target", type=FileOrStandard())
THREADS = threads(1)
FORMAT = click.option(
    "--format",
    "form",
    default="",
    type=click.Choice(
        ["", *(ending.lstrip(".") for ending in volumes.suffixes())], case_sensitive=False
    ),
    metavar="NAME",
    help="Format of the volume where its name does not tell: npy, h5, nrrd, nii, tif, ...",
)
LIMIT_OPTION = click.option(
    "--limit",
    type=Size(),
    default=LIMIT,
    show_default="16G",
    help="Refuse groups of slices that are larger.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="compresso")
def main() -> None:
    """Compress label volumes to checked files, and back.

    The file - is standard input or output. A file that ends in .cpso holds a stream of PyPI's
    compresso package: every command reads it, and compress writes it.
    """


@main.command()
@click.argument("source")
@TARGET
@click.option("--encoding", default=SMALL, show_default=True, help="Spec of the first stage.")
@click.option(
    "--compression",
    default="",
    show_default=f"none after an encoding that needs none, as {SMALL}; else {COMPRESSION}",
    help="Spec of the second.",
)
@MEMORY
@FORMAT
@THREADS
@FORCE
@DEBUG
def compress(
    source: str,
    target: Path,
    encoding: str,
    compression: str,
    memory: int | None,
    form: str,
    threads: int,
    force: bool,
) -> None:
    """Compress a volume (.h5[:/path], .npy, .nrrd, .nii.gz, .tif) to a frame.

    It may be a store of chunks too: precomputed://gs://bucket/seg:mip=1, folder.zarr:/path.
    The source is never changed, and the target appears only once it is complete.
    """
    work = files.Work(threads, force, complain, form)
    if files.is_stream(target):
        files.copy_volume(source, target, work=work)
        return
    if not compression:
        compression = "none" if encodings.parse(encoding).alone else COMPRESSION
    done, size = files.compress_file(source, target, encoding, compression, memory, work)
    ratio = f"{done.nbytes:,} -> {size:,} bytes, {done.nbytes / size:.1f} x"
    click.echo(f"{_tell(done)}\n{ratio}", err=target == STANDARD)


@main.command()
@SOURCE
@TARGET
@click.option("--slices", type=Slices(), default=(0, None), help="Only slices z0:z1.")
@click.option("--salvage", is_flag=True, help="Fill damaged slices with 0 and go on.")
@FORMAT
@LIMIT_OPTION
@THREADS
@FORCE
@DEBUG
def decompress(
    source: Path,
    target: Path,
    slices: tuple[int, int | None],
    salvage: bool,
    form: str,
    limit: int,
    threads: int,
    force: bool,
) -> None:
    """Restore a frame to an .h5 (dataset main), .npy, .nrrd, .nii, .nii.gz or .tif file.

    The exit code is 1 where anything had to be given up.
    """
    work = files.Work(threads, force, complain, form, limit)
    if files.is_stream(source):
        files.copy_volume(str(source), target, slices, work)
        return
    sound = files.decompress_file(source, target, slices, salvage, work)
    sys.exit(0 if sound else 1)


@main.command()
@click.argument("source")
@click.argument("target")
@click.option("--encoding", default="compresso", show_default=True, help="Spec of the encoding.")
@click.option("--compression", default="zstd", show_default=True, help="Spec of the compressor.")
@click.option(
    "--chunks",
    type=Extent,
    default="64x64x64",
    show_default=True,
    help="Chunks of the target, x, y, z.",
)
@click.option("--shards", type=Extent, help="Shards that hold the chunks, x, y, z.")
@MEMORY
@THREADS
@click.option("--scheduler", default="", help="threads:4, processes:4 or tcp://host:8786, by Dask.")
@click.option("--strict", is_flag=True, help="A chunk that the source lacks is an error.")
@click.option("--force", is_flag=True, help="Remove another array that is the target.")
@DEBUG
def convert(**options: Any) -> None:
    """Convert a volume, a store of any size or a file, to Zarr v3 with our codec.

    Stopped at any moment, even by kill -9, and called again, it goes on from there. Every chunk is
    proved to decode to the same labels before it is written. The exit code is 1 where some of the
    source could not be read; all else is there then. See docs/large-volumes.md.
    """
    from compresso.convert import command

    sys.exit(command.run(**options))


@main.command()
@SOURCE
@DEBUG
def info(source: Path) -> None:
    """Tell what a frame holds, without decoding it."""
    if files.is_stream(source):
        click.echo(files.describe_stream(source))
        return
    click.echo(_tell(files.describe_file(source)))


@main.command()
@SOURCE
@LIMIT_OPTION
@THREADS
@DEBUG
def verify(source: Path, limit: int, threads: int) -> None:
    """Decode a frame and check every hash; the exit code is 1 where anything is damaged."""
    if files.is_stream(source):
        click.echo(f"{files.describe_stream(source, decode=True)}: decoded, without a checksum")
        return
    damage = list(files.verify_file(source, threads, limit))
    for part in damage:
        click.echo(f"{source}: {part.reason}")
    click.echo("damaged" if damage else "sound")
    sys.exit(1 if damage else 0)


def _tell(description: Description) -> str:
    shape = " x ".join(map(str, description.shape))
    text = (
        f"{shape} {np.dtype(description.dtype).name}, {description.encoding} + "
        f"{description.compression}, {_groups(description)}"
    )
    said = volumes.summary(description.metadata or {})
    return f"{text}\n{said}" if said else text


def _groups(description: Description) -> str:
    """How many groups there are, and how deep the first one is."""
    number, depth = description.n_groups, min(description.depth, description.grid[0])
    groups = f"{number} group{'' if number == 1 else 's'}"
    return f"{groups} of {depth} slice{'' if depth == 1 else 's'}" if number else "no group"


if __name__ == "__main__":
    main(prog_name="python -m compresso")

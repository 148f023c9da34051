"""python -m compresso: compress, decompress, info and verify files of label volumes."""

import re
import sys
from pathlib import Path

import click

from compresso import files
from compresso.errors import CompressoError, SpecError
from compresso.frame import Description

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Size(click.ParamType[int]):
    """A number of bytes, such as 1G."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text."""
        found = re.fullmatch(r"(\d+)([KMGT]?)B?", str(value).upper())
        if not found:
            self.fail(f"{value!r} is no size such as 500M or 2G", param, ctx)
        return int(found[1]) * UNITS[found[2]]


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
        return int(found[1] or 0), int(found[2]) if found[2] else None


class Errors(click.Group):
    """Tells what the user can mend in one line."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CompressoError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, SpecError) else 1)
        except KeyboardInterrupt:
            click.echo("Interrupted; nothing was changed", err=True)
            ctx.exit(130)


SOURCE = click.argument("source", type=click.Path(path_type=Path))
TARGET = click.argument("target", type=click.Path(path_type=Path))
THREADS = click.option("--threads", type=click.IntRange(1), default=1, help="Threads.")
FORCE = click.option("--force", is_flag=True, help="Overwrite the target.")


@click.group(cls=Errors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Compress label volumes to checked files, and back."""


@main.command()
@click.argument("source")
@TARGET
@click.option("--encoding", default="compresso", help="Spec of the encoding.")
@click.option("--compression", default="zstd", help="Spec of the compressor.")
@click.option("--memory", type=Size(), help="Memory to use at most, about; such as 1G.")
@THREADS
@FORCE
def compress(
    source: str,
    target: Path,
    encoding: str,
    compression: str,
    memory: int | None,
    threads: int,
    force: bool,
) -> None:
    """Compress a volume (.h5[:/path], .npy, .nrrd, .nii.gz, .tif) to a frame.

    The source is never changed, and the target appears only once it is complete.
    """
    done = files.compress_file(source, target, encoding, compression, threads, memory, force)
    size = target.stat().st_size
    click.echo(f"{_tell(done)}\n{done.nbytes:,} -> {size:,} bytes, {done.nbytes / size:.1f} x")


@main.command()
@SOURCE
@TARGET
@click.option("--slices", type=Slices(), default=(0, None), help="Only slices z0:z1.")
@click.option("--salvage", is_flag=True, help="Fill damaged slices with 0 and go on.")
@THREADS
@FORCE
def decompress(
    source: Path,
    target: Path,
    slices: tuple[int, int | None],
    salvage: bool,
    threads: int,
    force: bool,
) -> None:
    """Restore a frame to an .h5 (dataset main), .npy, .nrrd, .nii, .nii.gz or .tif file.

    The exit code is 1 where slices had to be given up.
    """
    sound = files.decompress_file(
        source, target, threads, slices, salvage, force, lambda text: click.echo(text, err=True)
    )
    sys.exit(0 if sound else 1)


@main.command()
@SOURCE
def info(source: Path) -> None:
    """Tell what a frame holds, without decoding it."""
    click.echo(_tell(files.describe_file(source)))


@main.command()
@SOURCE
@THREADS
def verify(source: Path, threads: int) -> None:
    """Decode a frame and check every hash; the exit code is 1 where any slice is damaged."""
    damage = list(files.verify_file(source, threads))
    for part in damage:
        click.echo(part.reason)
    click.echo("damaged" if damage else "sound")
    sys.exit(1 if damage else 0)


def _tell(description: Description) -> str:
    shape = " x ".join(map(str, description.shape))
    return (
        f"{shape} {description.dtype.lstrip('<|')}, {description.encoding} + "
        f"{description.compression}, {len(description.groups)} groups of {description.depth} slices"
    )


if __name__ == "__main__":
    main(prog_name="python -m compresso")

"""The program ``compresso``: compress, decompress, verify and convert files of label volumes.

Each command imports its own heavy packages.
"""

import dataclasses
import inspect
import itertools
import json
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from compresso import cli
from compresso.cli import DEBUG, FORCE, JSON, QUIET, complain, examples, progress_bar
from compresso.codec import DEFAULT_COMPRESSION, DEFAULT_ENCODING, Encoding, split_codec
from compresso.errors import SpecError, did_you_mean
from compresso.text import counted, extent, file_size, method_name, ratio_text

#: Lines about missing objects that are printed; the others are counted.
MISSING = 20
SOURCE = click.argument("source", type=cli.file)
ENCODING = click.option(
    "-e",
    "--encoding",
    metavar="CODEC",
    default=DEFAULT_ENCODING,
    help="Encoding, e.g. compresso:window=4x4x1 (see compresso codecs).",
)
COMPRESSION = click.option(
    "-c",
    "--compression",
    metavar="CODEC",
    default=None,
    help="Compressor of the encoded bytes, e.g. zstd:level=19.  "
    f"[default: {DEFAULT_COMPRESSION}, or none if the encoding is ristretto]",
)
THREADS = cli.threads()
FORMAT = click.option(
    "--format",
    "ending",
    metavar="ENDING",
    default="",
    show_default=False,
    help="Format of the volume: npy, h5, nrrd, nii, nii.gz, tif or cpso.  "
    "[default: from the file name]",
)
LIMIT = click.option(
    "--limit",
    type=cli.size(),
    metavar="SIZE",
    default="16G",
    help="Largest group of slices to decode, in bytes of labels.",
)


@click.group(
    cls=cli.Commands,
    context_settings=cli.SETTINGS,
    epilog=examples(
        "compresso compress seg.h5:/labels",
        "compresso decompress seg.cps seg.nrrd",
        "compresso help compress",
    ),
)
@cli.VERSION
def main() -> None:
    """Compress label volumes losslessly, with checksums.

    The file - is standard input or output. A file that ends in .cpso is a stream of PyPI's
    compresso package.
    """


@main.command(
    epilog=examples(
        "compresso compress seg.h5:/labels seg.cps",
        "compresso compress seg.nii.gz -e compresso -c zstd:level=19",
    )
)
@click.argument("source")
@click.argument("target", type=cli.file, required=False)
@ENCODING
@COMPRESSION
@THREADS
@FORCE
@cli.MEMORY
@click.option(
    "--depth",
    type=click.IntRange(1),
    metavar="N",
    help="Slices per group. Smaller groups are read and recovered one by one, and compress "
    "worse.  [default: about 16 million voxels]",
)
@FORMAT
@QUIET
@DEBUG
def compress(source: str, target: Path | None, quiet: bool, **options: Any) -> None:
    """Compress a volume to a checked file.

    SOURCE is a file (.h5[:/path], .npy, .nrrd, .nii.gz, .tif) or a store of chunks, such as
    precomputed://gs://bucket/seg:mip=1 or folder.zarr:/path. It is not changed. TARGET is by
    default SOURCE with the ending .cps; it appears once it is complete.
    """
    from compresso import files

    target = target or files.default_target(source)
    _check_options(target, "encoding", "compression", "depth", "memory")
    with progress_bar(quiet) as progress:
        done = files.compress_file(source, target, progress=progress, **options)
    _finish(target, done, f"{_array(done)}, {_sizes(done)}", quiet)


@main.command(
    epilog=examples(
        "compresso decompress seg.cps seg.nrrd",
        "compresso decompress seg.cps part.tif --slices 10:20",
    )
)
@SOURCE
@click.argument("target", type=cli.file)
@THREADS
@FORCE
@click.option(
    "--slices",
    type=cli.slices,
    metavar="Z0:Z1",
    default=":",
    show_default=False,
    help="Restore only these slices, e.g. 10:20 (10 to 19).  [default: all]",
)
@click.option("--salvage", is_flag=True, help="Fill damaged slices with 0 and go on.")
@FORMAT
@LIMIT
@QUIET
@DEBUG
def decompress(source: Path, target: Path, quiet: bool, **options: Any) -> None:
    """Restore a volume from a compressed file.

    TARGET is an .h5 (dataset main), .npy, .nrrd, .nii, .nii.gz, .tif or .cpso file. Exits with
    status 1 if any data could not be recovered.
    """
    from compresso import files

    _check_options(source, "salvage", "limit")
    with progress_bar(quiet) as progress:
        done = files.decompress_file(source, target, progress=progress, **options)
    for fault in done.faults:
        complain(f"{source}: {fault}")
    depth = done.description.shape[0]
    lost = f", {done.lost} of {counted(depth, 'slice')} lost" if done.lost else ""
    if done.lost == depth > 0:
        lost = f", but nothing could be recovered: all {counted(done.lost, 'slice')} are 0"
    _finish(target, done, f"{_array(done)} written{lost}", quiet)
    sys.exit(1 if done.faults else 0)


@main.command(epilog=examples("compresso verify seg.cps", "compresso verify seg.cps -t 4 --quiet"))
@SOURCE
@THREADS
@LIMIT
@QUIET
@DEBUG
def verify(source: Path, threads: int, limit: int, quiet: bool) -> None:
    """Check a compressed file by decoding it.

    Exits with status 0 if the file is OK, 1 if it is damaged, and 2 if it could not be checked.
    """
    from compresso import files

    click.get_current_context().meta[cli.FAILURE] = 2
    _check_options(source, "limit")
    with progress_bar(quiet) as progress:
        done = files.verify_file(source, threads, limit, progress)
    for fault in done.faults:
        click.echo(f"{source}: {fault}")
    if done.faults:
        click.echo(f"{source}: damaged, {_array(done)}")
        sys.exit(1)
    unchecked = " (decoded; the format has no checksum)" if files.is_cpso(source) else ""
    if not quiet:
        click.echo(f"{source}: OK, {_array(done)}{unchecked}")


@main.command(epilog=examples("compresso info seg.cps", "compresso info seg.cps --labels --json"))
@SOURCE
@click.option("--labels", is_flag=True, help="Count the distinct labels, which decodes the file.")
@JSON
@THREADS
@DEBUG
def info(source: Path, labels: bool, as_json: bool, threads: int) -> None:
    """Show what a compressed file contains.

    Sizes are x, y, z. A ratio is the size of the uncompressed array divided by the size of the
    file.
    """
    from compresso import files, volumes

    with progress_bar(quiet=not labels) as progress:
        done = files.describe_file(source, labels, threads, progress)
    description, groups = done.description, len(done.description.groups)
    depth = min(description.depth, description.shape_zyx[0])
    if as_json:
        facts: dict[str, Any] = {"size": done.size}
        facts |= {"encoding": description.encoding, "compression": description.compression}
        facts |= {"groups": groups, "depth": depth, "metadata": description.metadata or {}}
        facts |= {"labels": done.labels} if labels else {}
        geometry = volumes.geometry_of(description.metadata or {})
        spacing = geometry and {"voxel_size": geometry.spacing[::-1], "unit": geometry.length}
        wide, own = _ratios(done)
        ratios = {"ratio_uint64": wide, "ratio_own_dtype": own}
        shape = description.shape[::-1]
        axes = {"file": str(source), "axes": "xyz"[: len(shape)], "shape": shape}
        facts |= {"dtype": done.dtype.name, **axes, **ratios, **(spacing or {})}
        click.echo(json.dumps(facts, indent=2))
        return
    lines = [
        f"{source}: {_array(done)}",
        f"codec: {method_name(description.encoding, description.compression)}",
        f"groups: {groups} of {counted(depth, 'slice')}" if groups else "groups: 0",
        f"size: {_sizes(done)}",
        volumes.summary(description.metadata or {}),
        f"labels: {done.labels:,}" if labels else "",
    ]
    click.echo("\n  ".join(filter(None, lines)))


@main.command(
    epilog=examples(
        "compresso convert precomputed://gs://bucket/seg seg.zarr",
        "compresso convert seg.h5:/labels seg.zarr -e compresso -c zstd --chunks 128,128,32",
        docs="docs/large-volumes.md",
    )
)
@click.argument("source")
@click.argument("target")
@ENCODING
@COMPRESSION
@cli.chunks("64x64x64", "Size of a chunk of the target.")
@click.option(
    "--shards",
    type=cli.voxels,
    metavar="X,Y,Z",
    help="Voxels stored as one object; a multiple of --chunks.",
)
@cli.threads(None, "Most tasks at once, within --memory.  [default: one per core]")
@cli.MEMORY
@click.option(
    "--scheduler",
    metavar="NAME",
    default="",
    show_default=False,
    help="threads:4, or with Dask processes:4 or tcp://host:8786.  [default: threads]",
)
@click.option("--strict", is_flag=True, help="Treat a missing chunk of the source as an error.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing array at TARGET.")
@click.option("--dry-run", is_flag=True, help="Show the tasks and their memory; write nothing.")
@QUIET
@DEBUG
def convert(
    threads: int | None, scheduler: str, quiet: bool, dry_run: bool, **options: Any
) -> None:
    """Convert a volume of any size to Zarr v3.

    The same command resumes an interrupted conversion, also after kill -9. Every chunk is decoded
    and compared with the source before it is written. Exits with status 1 if parts of the source
    could not be read; all other parts are written.
    """
    from compresso import convert as conversion
    from compresso.parallel import cores, open_scheduler

    if scheduler and threads is not None:
        raise click.UsageError("--scheduler states the number of tasks itself. Omit --threads.")

    chunks, shards = options.pop("chunks"), options.pop("shards")
    job = conversion.Job(**options, chunks=chunks[::-1], shards=shards and shards[::-1])
    unfinished = f"{job.target} is unfinished; the same command resumes it"
    plan = None if scheduler else conversion.make_plan(job, threads or cores(0), fewer=True)
    total = conversion.Done()
    with open_scheduler(scheduler if plan is None else f"threads:{plan.at_once}") as workers:
        plan = plan or conversion.make_plan(job, workers.slots_per_process)
        for line in plan.notes:
            complain(line)
        if dry_run:
            click.echo(
                f"{job.target}: {counted(len(plan), 'task')} of {extent(plan.task)} voxels, "
                f"{plan.at_once} at a time, {file_size(plan.task_nbytes)} each; "
                "nothing is written"
            )
            return
        with cli.on_interruption(unfinished), progress_bar(quiet, "task") as progress:
            progress(0, len(plan))
            tasks = conversion.convert(conversion.begin(plan), workers)
            for number, done in enumerate(tasks, 1):
                for line in done.problems[: max(0, MISSING - total.missing)]:
                    complain(line)
                total = total.plus(done)
                progress(number, len(plan))
        if total.missing > MISSING:
            complain(f"... and {total.missing - MISSING:,} more")
    if not quiet:
        click.echo(
            f"{job.target}: {total.written:,} written ({file_size(total.nbytes)}), "
            f"{total.kept:,} kept, {total.empty:,} empty, {total.missing:,} missing"
        )
    if total.missing:
        advice = "run the same command to try them again"
        if total.refused:
            advice = (
                f"{job.encoding} cannot hold the labels of {total.refused:,}: give --encoding cpso "
                "and --force"
            )
        complain(
            f"Error: {counted(total.missing, 'missing part')} of {job.target}, read as 0; {advice}"
        )
        sys.exit(1)


@main.command(epilog=examples("compresso codecs", "compresso codecs ristretto zstd"))
@click.argument("names", nargs=-1, metavar="[CODEC]...")
@JSON
@DEBUG
def codecs(names: tuple[str, ...], as_json: bool) -> None:
    """List encodings and compressors, with parameters.

    Write a codec as NAME or NAME:PARAMETER=VALUE,... The list shows the defaults. Give names to see
    what their parameters mean.
    """
    found = [_facts(codec) for codec in _codecs(names)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(len(facts["codec"]) for facts in found)
    for kind, those in itertools.groupby(found, lambda facts: facts["kind"]):
        click.echo(f"{kind.capitalize()}s:")
        for facts in those:
            summary, _, more = facts["description"].partition("\n")
            note = " (default)" if facts["name"] in (DEFAULT_ENCODING, DEFAULT_COMPRESSION) else ""
            if facts["missing"]:
                note = f" (missing; pip install {' '.join(facts['missing'])})"
            click.echo(f"  {facts['codec']:{width}}  {summary}{note}")
            if names:
                click.echo(textwrap.indent(more, "    "))


@main.command(epilog=examples("compresso warmup", "compresso warmup ristretto:effort=3"))
@click.argument("names", nargs=-1, metavar="[CODEC]...")
@QUIET
@DEBUG
def warmup(names: tuple[str, ...], quiet: bool) -> None:
    """Compile kernels now, so that later runs start fast.

    By default this is done for all encodings, for labels of 16, 32 and 64 bits. The compiled code
    is stored in the cache folder, which the environment variable NUMBA_CACHE_DIR can set.
    """
    from compresso.kernels._cache import folder

    chosen = _codecs(names)
    if not names:
        chosen = [c for c in chosen if isinstance(c, Encoding) and not c.missing()]
    with progress_bar(quiet, "codec") as progress:
        for done, codec in enumerate(chosen):
            progress(done, len(chosen))
            codec.warm()
    if not quiet:
        click.echo(f"compiled: {', '.join(map(str, chosen))}")
    click.echo(f"cache folder: {folder() or 'none, nothing is stored'}")


def _check_options(path: Path, *names: str) -> None:
    """Raise SpecError if one of these options is given for a stream of PyPI's package."""
    from compresso.files import is_cpso

    source = click.get_current_context().get_parameter_source
    given = [f"--{name}" for name in names if source(name) is ParameterSource.COMMANDLINE]
    if given and is_cpso(path):
        raise SpecError(f"{path}: a .cpso file has no options. Omit {', '.join(given)}.")


def _codecs(names: tuple[str, ...]) -> list[Any]:
    """The named encodings and compressors, or all of them; raises SpecError."""
    from compresso import compressors, encodings

    registries: tuple[Any, ...] = encodings, compressors
    known = [name for registry in registries for name in registry.names()]
    for text in names:
        name, _ = split_codec(text)
        if name not in known:
            hint = did_you_mean(name, known) or " List them with: compresso codecs"
            raise SpecError(f"no codec {text!r}.{hint}")
    return [
        registry.parse(text)
        for registry in registries
        for text in names or registry.names()
        if split_codec(text)[0] in registry.names()
    ]


def _facts(codec: Any) -> dict[str, Any]:
    """A codec's kind, string with all parameters, description, and missing packages."""
    parameters = {field.name: getattr(codec, field.name) for field in dataclasses.fields(codec)}
    text = ",".join(f"{name}={value}" for name, value in parameters.items())
    return {
        "kind": "encoding" if isinstance(codec, Encoding) else "compressor",
        "name": codec.name,
        "codec": f"{codec.name}:{text}" if text else codec.name,
        "parameters": {n: str(v) if isinstance(v, tuple) else v for n, v in parameters.items()},
        "description": inspect.getdoc(type(codec)),
        "missing": codec.missing(),
    }


def _array(done: Any) -> str:
    return f"{extent(done.description.shape)} {done.dtype.name}"


def _ratios(done: Any) -> tuple[float, float]:
    """How many times smaller a file is than the labels as uint64, and in their own dtype."""
    voxels = math.prod(done.description.shape)
    return 8 * voxels / done.size, done.dtype.itemsize * voxels / done.size


def _sizes(done: Any) -> str:
    size, (wide, own) = file_size(done.size), _ratios(done)
    if own < 1:
        return f"{size}, more than the labels as {done.dtype.name}"
    also = "" if done.dtype.itemsize == 8 else f" ({ratio_text(own)}x than {done.dtype.name})"
    return f"{size}, {ratio_text(wide)}x smaller than uint64{also}"


def _finish(target: Path, done: Any, line: str, quiet: bool) -> None:
    """Print notes, and a last line, on standard error if the target is standard output."""
    for note in done.notes:
        complain(note)
    if not quiet:
        click.echo(f"{target}: {line}", err=str(target) == "-")


if __name__ == "__main__":
    main(prog_name="python -m compresso")

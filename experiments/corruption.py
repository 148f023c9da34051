"""Damages streams at random and counts what decoding makes of them.

Run it: python -m experiments.corruption --count 3000

Each damaged input is decoded in a worker process, which is replaced when it dies or hangs, so that
a crash is counted and not fatal. With --peers PYTHON the same damage is done to other codecs there.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

TIMEOUT = 60.0  # seconds for one batch
BATCH = 200
ROOT = Path(__file__).resolve().parents[1]


def damaged(stream: bytes, count: int, random: np.random.Generator) -> Iterator[bytes]:
    """Yield ``count`` variants: a bit flipped, bytes replaced, cut off or out, doubled, swapped."""
    size = len(stream)
    for number in range(count):
        data = bytearray(stream)
        at, length = int(random.integers(size)), int(random.integers(1, 33))
        match number % 6:
            case 0:
                data[at] ^= 1 << int(random.integers(8))
            case 1:
                del data[at:]
            case 2:
                data[at : at + length] = random.bytes(length)
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = int(random.integers(size))
                data[at], data[other] = data[other], data[at]
        if bytes(data) != stream:
            yield bytes(data)


class Worker:
    """A process that decodes what it is sent."""

    def __init__(self, python: str, codec: str, volume: Path) -> None:
        self._command = [python, str(Path(__file__).with_name("victim.py")), codec, str(volume)]
        self._process: Any = None

    def stream(self) -> bytes:
        """The codec's own stream of the volume."""
        self._start()
        return self._first

    def decode(self, batch: list[bytes]) -> list[str]:
        """What became of each: same, refused, wrong, crash or hang."""
        results: list[str] = []
        while len(results) < len(batch):
            if self._process is None:
                self._start()
            try:
                results += self._ask(batch[len(results) :])
            except subprocess.TimeoutExpired:
                results.append("hang")
                self.stop()
        return results

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self._first = bytes.fromhex(json.loads(self._process.stdout.readline())["stream"])

    def _ask(self, batch: list[bytes]) -> list[str]:
        import selectors

        results: list[str] = []
        for data in batch:
            try:
                self._process.stdin.write(data.hex().encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                pass  # it died; reading finds out
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(TIMEOUT):
                    self.stop()
                    return [*results, "hang"]
            line = self._process.stdout.readline()
            if not line:
                self.stop()
                return [*results, "crash"]
            results.append(line.decode().strip())
        return results


@click.command()
@click.option("--count", default=3000, help="Damaged inputs for each codec.")
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@click.option("--seed", default=0)
@click.option("--only", help="Codecs whose names hold this.")
def main(count: int, peers: str | None, seed: int, only: str | None) -> None:
    """Count what damaged streams decode to, as a Markdown table."""
    import tempfile

    from compresso import compressors, encodings
    from compresso.plugins import Extent
    from experiments.datasets.phantom import Phantom

    labels = Phantom(Extent("64x64x4"), bits=32).load().labels
    frames = [f"frame {e} {c}" for e in encodings.names() for c in ("none", "zstd", "lzma")]
    frames += [f"frame compresso {c}" for c in compressors.names()]
    bare = [f"bare {e} none" for e in encodings.names()]
    jobs = [(sys.executable, name) for name in dict.fromkeys(frames + bare)]
    if peers:
        for name in ("compresso", "crackle", "compressed_segmentation"):
            jobs.append((peers, f"peer {name}"))
    failed = False
    click.echo("| codec | inputs | refused | same voxels | WRONG voxels | crash | hang |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.npy"
        np.save(path, labels)
        for python, name in jobs:
            if only and only not in name:
                continue
            worker = Worker(python, name, path)
            tally: Counter[str] = Counter()
            random = np.random.default_rng(seed)
            batch = list(damaged(worker.stream(), count, random))
            for result in worker.decode(batch):
                tally[result] += 1
            worker.stop()
            cells = [tally[key] for key in ("refused", "same", "wrong", "crash", "hang")]
            click.echo(f"| {name} | {len(batch)} | {' | '.join(map(str, cells))} |")
            bad = tally["crash"] + tally["hang"]
            failed |= not name.startswith("peer") and bad > 0
            failed |= name.startswith("frame") and tally["wrong"] > 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""A page with a section a machine: each keeps its own numbers beside those of the others."""

import os
import re
from pathlib import Path

from compresso.targets import replacing
from experiments import records
from experiments.bench.entries import SAME_COPY, Entry, Labels
from experiments.measure.surroundings import governor
from experiments.records.intervals import Interval, interval

CPUINFO = Path("/proc/cpuinfo")


def machine() -> str:
    """What this machine is called: its processor, and how many of them.

    Virtual machines hide the processor's name; its family and model tell its generation.
    """
    told = dict.fromkeys(("cpu family", "model"), "")
    try:
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in told:
                told[key.strip()] = value.strip()
    except OSError:
        pass  # no Linux
    kind = f", family {told['cpu family']} model {told['model']}" if all(told.values()) else ""
    return f"{records.cpu()}{kind}, {os.cpu_count()} cores"


def of_machine(labels: Labels, entries: list[Entry], threads: int, scaling: Interval) -> list[str]:
    """What the machine can do at all: move memory, and run threads."""
    (copy,) = (entry for entry in entries if entry.name == SAME_COPY)
    same, new = (
        interval(copy.values(stage)).over(labels.nbytes / 1e9).spelled(",.1f")
        for stage in ("decode_s", "decode_new_s")
    )
    lines = [
        f"Copying memory, GB/s of what is copied: {same} to memory that is there, {new} to new",
        f"memory. {threads} threads that share nothing do {scaling.spelled()} times the work of",
        "one.",
    ]
    if found := governor():
        lines.append(f"Frequency governor: {found}.")
    return lines


def write(path: Path, text: str) -> None:
    """Put this machine's section into a page, in place of the one that it had.

    Parameters
    ----------
    path : Path
        Of a Markdown file; made where there is none. Everything else in it stays.
    text : str
        The section without its heading; its own headings are of the third level or lower.
    """
    heading = f"## {machine()}"
    section = f"{heading}\n\n{text.strip()}\n"
    page = path.read_text(encoding="utf-8") if path.exists() else "# Performance\n"
    found = re.search(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    if found:
        behind = page[found.end() :]
        page = page[: found.start()] + section + ("\n" + behind if behind else "")
    else:
        page = page.rstrip("\n") + "\n\n" + section
    with replacing(path, force=True) as unfinished:
        unfinished.write_text(page, encoding="utf-8")

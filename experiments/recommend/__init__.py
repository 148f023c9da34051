"""Which cell to use for a volume: a sample, a race, the front, and an answer for each purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from compresso.boxes import Shape
from experiments.datasets import Dataset, Volume
from experiments.errors import HarnessError
from experiments.recommend.cells import sensible
from experiments.recommend.purposes import Choice, Purposes
from experiments.recommend.race import Race
from experiments.recommend.sample import Sample, draw, opened, plan
from experiments.recommend.standing import Standing
from experiments.recommend.tell import as_json, as_text
from experiments.records import Row

__all__ = ["Advice", "Question", "Standing", "as_json", "as_text", "recommend"]


@dataclass(frozen=True)
class Question:
    """How to look for an answer.

    Parameters
    ----------
    share : float, optional
        Of the volume that is sampled.
    chunk : (int, int, int), optional
        The shape of a chunk of the sample, z, y, x.
    seed : int
        Of the sample.
    runs : int
        Of each cell that reaches the end.
    """

    share: float | None = None
    chunk: Shape | None = None
    seed: int = 0
    runs: int = 5


@dataclass(frozen=True)
class Advice:
    """What was found out about a volume."""

    sample: Sample
    standing: Sequence[Standing]
    failed: Sequence[Standing]
    choices: dict[str, Choice]


def recommend(
    dataset: Dataset,
    question: Question,
    announce: Callable[[str], None],
    record: Callable[[Row], None],
    now: Callable[[], int] = perf_counter_ns,
) -> Advice:
    """Find the cells to use for a volume; raises DatasetError, FileError and HarnessError.

    ``announce`` is told what is being worked on, and ``record`` given each row once it is measured;
    ``now`` tells the time, in nanoseconds.
    """
    with opened(dataset) as (source, volume):
        wanted = plan(volume.shape, question.share, question.chunk, question.seed)
        sample = draw(volume, wanted, announce)
    nothing = np.empty((0, 0, 0), volume.dtype)
    described = Volume(dataset.name, source, dataset.group, nothing)
    found = list(Race(sample, described, question.runs, announce, record, now).run(sensible()))
    failed = [one for one in found if one.failed]
    standing = [one for one in found if not one.failed]
    if not standing:
        raise HarnessError(f"{dataset.name}: every cell failed, {failed[0].cell} first")
    purposes = Purposes(sample, described, standing, announce, record, now)
    choices = purposes.choose()
    return Advice(sample, standing, [*failed, *purposes.failed], choices)

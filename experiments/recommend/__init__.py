"""Which cell to use for a volume: a sample, a race, the front, and an answer for each purpose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compresso.volumes.volume import Shape
from experiments.datasets import Dataset, LoadedVolume
from experiments.recommend.cells import sensible
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import Choice, Purposes
from experiments.recommend.race import Race
from experiments.recommend.sample import Sample, draw, plan
from experiments.recommend.standing import Standing, sifted
from experiments.recommend.tell import as_json, as_text

__all__ = ["Advice", "Measurer", "Question", "Standing", "as_json", "as_text", "recommend"]


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
        On all of the sample, of each cell that a purpose may take.
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


def recommend(dataset: Dataset, question: Question, measurer: Measurer) -> Advice:
    """Find the cells to use for a volume; raises DatasetError, FileError and HarnessError."""
    with dataset.boxes() as (source, volume):
        wanted = plan(volume.shape, question.share, question.chunk, question.seed)
        sample = draw(volume, wanted, measurer.announce)
    nothing = np.empty((0, 0, 0), volume.dtype)
    described = LoadedVolume(dataset.name, source, dataset.group, nothing)
    race = Race(sample, described, question.runs, measurer)
    standing, failed = sifted(dataset.name, list(race.run(sensible())))
    purposes = Purposes(sample, described, standing, measurer)
    choices = purposes.choose()
    return Advice(sample, standing, [*failed, *purposes.failed], choices)

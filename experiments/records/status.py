"""What became of a run: how it ended, and why."""

import traceback
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from compresso.errors import CompressoError, LabelError, MissingPackageError
from experiments.errors import HarnessError


class Outcome(StrEnum):
    """How a run ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    CRASH = "crash"  # its process ended, and sent nothing
    UNAVAILABLE = "unavailable"  # a package is not installed
    REFUSED = "refused"  # a label that the encoding by definition cannot hold
    UNUSABLE = "unusable"  # a row whose numbers cannot be right; never written
    ERROR = "error"


@dataclass(frozen=True)
class Status:
    """An outcome and its reason; spelled ``ok`` or ``outcome: reason`` in the CSV."""

    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}" if self.reason else str(self.outcome)

    @classmethod
    def parse(cls, text: str) -> "Status":
        """The status that is spelled so; what no run is told by is an error of this text."""
        outcome, _, reason = text.partition(": ")
        try:
            return cls(Outcome(outcome), reason)
        except ValueError:
            return cls(Outcome.ERROR, text)

    @classmethod
    def of(cls, error: Exception) -> "Status":
        """The status of a run that raised ``error``; a bug is told with its place."""
        if isinstance(error, MissingPackageError):
            return cls(Outcome.UNAVAILABLE, str(error))
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            return cls(
                Outcome.UNAVAILABLE, f"{package} is not installed; run: pip install {package}"
            )
        if isinstance(error, LabelError):
            return cls(Outcome.REFUSED, str(error))
        if isinstance(error, CompressoError | HarnessError):
            return cls(Outcome.ERROR, str(error))
        if isinstance(error, MemoryError):
            return cls(Outcome.ERROR, str(error) or "out of memory")
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        for place in traceback.extract_tb(error.__traceback__)[-1:]:
            text += f" ({Path(place.filename).name}:{place.lineno})"
        return cls(Outcome.ERROR, text)


OK = Status(Outcome.OK)

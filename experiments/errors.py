"""The benchmark's own errors, each of which is printed as one line."""


class HarnessError(Exception):
    """Base class; the message names the file or argument and says what to do."""


class DatasetError(HarnessError):
    """A dataset is unknown, missing, unreadable, or not a label volume."""


class ResultsError(HarnessError):
    """The CSV of results cannot be read or extended."""

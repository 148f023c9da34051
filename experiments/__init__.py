"""The harness around ``compresso``: datasets, measurement, results, tables and figures."""

#: The default seed of orders, samples and bootstraps.
SEED = 2017


class HarnessError(Exception):
    """Base class; the message names the file or argument and says what to do."""


class DatasetError(HarnessError):
    """A dataset is unknown, missing, unreadable, or not a label volume."""


class ResultsError(HarnessError):
    """The CSV of results cannot be read or extended."""

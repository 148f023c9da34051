"""What the harness tells its user in one line."""


class HarnessError(Exception):
    """Base of the harness's own errors; its text names the file or argument and what to do."""


class DatasetError(HarnessError):
    """A dataset is unknown, missing, unreadable, or not a volume of labels."""


class ResultsError(HarnessError):
    """The CSV of results cannot be read or extended."""

"""The few exception types that a person is meant to read.

Each carries one paragraph: what was wrong, where (file, column, row count) and what to do about it. The
command line prints that paragraph and exits with a non-zero status; anything else is a bug and keeps its
traceback.
"""


class GogookuError(Exception):
    """Base of every error whose message is written for the person at the keyboard."""


class SettingsError(GogookuError):
    """A preset or an override that cannot be used: unknown key, wrong type, missing file."""


class SourceError(GogookuError):
    """Input data that cannot be used: missing file or column, wrong type, duplicates, impossible values."""


class DataError(GogookuError):
    """Data that arrived but cannot support what was asked of it: too few days, names or labels."""


class StoreError(GogookuError):
    """The artefact store is not as its manifests say: missing or altered files, inputs not materialised."""


class TrainingError(GogookuError):
    """Training had to stop: non-finite loss, degenerate predictions, shapes that do not match."""

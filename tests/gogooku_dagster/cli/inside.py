"""The command in the test's own process, on a storage root of one's own."""

import io
import os
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from gogooku_dagster.cli.main import main
from tests.gogooku_dagster.cli.bars import Result
from tests.gogooku_dagster.support import forget


def inside(home: Path, *arguments: str) -> Result:
    """The same command in this process, without the seconds of loading the libraries once more.

    For what a command does, prints and returns. What only a process of its own shows is left to ``installed``: noise
    of libraries on the real streams, locks, signals, the start itself.
    """
    out, err = io.StringIO(), io.StringIO()
    places = {"GOGOOKU_HOME": str(home), "GOGOOKU_CONFIG": "", "COLUMNS": "100"}
    forget()
    try:
        with (
            patch.dict(os.environ, places),
            chdir(home.parent),
            warnings.catch_warnings(),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main(arguments)
    except SystemExit as left:
        assert isinstance(left.code, int)
        return Result(left.code, out.getvalue(), err.getvalue())
    finally:
        forget()
    raise AssertionError("the command returned instead of leaving with a status")

"""The command inside the test's own process, on an empty storage root."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gogooku_dagster.cli.main import main
from tests.gogooku_dagster.cli.bars import Result

Command = Callable[..., Result]


@pytest.fixture
def gogooku(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``gogooku`` with these arguments in ``tmp_path``; for commands that start no Dagster run."""
    monkeypatch.setenv("GOGOOKU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GOGOOKU_CONFIG", "")
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "WARNING")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Result(left.value.code, shown.out, shown.err)

    return run

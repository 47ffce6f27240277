"""The whole graph without Dagster: stages computed in order, exactly those that are stale or missing."""

from pathlib import Path

import polars as pl
import pytest
from filelock import FileLock

from model.daily_quotes.sources.base import DayBatch
from model.daily_quotes.sources.source import open_source
from model.lineage.build import bring_up_to_date
from model.settings import presets
from model.settings.root import Settings
from model.store.store import Store
from tests.conftest import shared_folder
from tests.pipeline.support import TINY, TODAY, Build, Built, write_files


@pytest.fixture(scope="session")
def build() -> Build:
    """Bring a home up to date and say what was computed."""

    def run(home: Path, settings: Settings, without: frozenset[str] = frozenset()) -> list[Built]:
        return bring_up_to_date(Store(home), settings, TODAY, without=without)

    return run


@pytest.fixture(scope="session")
def market() -> DayBatch:
    """What the tiny market says on all its days."""
    source = open_source(presets.load(TINY), today=TODAY)
    return source.read(sorted(source.index().days))


@pytest.fixture(scope="session")
def bars(market: DayBatch) -> pl.DataFrame:
    """The tiny market's bars as a plain table, to be written as a file and edited."""
    return market.quotes.drop("KnownAt")


@pytest.fixture(scope="session")
def tables(market: DayBatch) -> dict[str, pl.DataFrame]:
    """The tables beside the bars."""
    return {name: rows for name, rows in market.beside.items() if name != "revisions"}


@pytest.fixture(scope="session")
def built(
    tmp_path_factory: pytest.TempPathFactory, bars: pl.DataFrame, tables: dict[str, pl.DataFrame], build: Build
) -> Path:
    """The tiny market in files, and ``home`` computed from them. Nobody changes it; test processes share it."""
    folder = shared_folder(tmp_path_factory, "built_without_dagster")
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            folder.mkdir()
            settings = write_files(folder, bars, tables)
            build(folder / "home", settings)
            (folder / "done").touch()
    return folder

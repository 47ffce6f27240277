"""The whole graph without Dagster: stages computed in order, exactly those that are stale or missing."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from model.daily_quotes.sources.base import DayBatch
from model.daily_quotes.sources.source import open_source
from model.daily_quotes.stage import ingest
from model.lineage.graph import STAGES
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage
from model.settings import presets
from model.settings.root import Settings
from model.store.stage import StageRun
from model.store.store import Store
from tests.pipeline.support import TINY, Build, Built


@pytest.fixture(scope="session")
def build() -> Build:
    """Bring a home up to date and say what was computed."""

    def run(home: Path, settings: Settings) -> list[Built]:
        store = Store(home)
        lineage = Lineage(store, settings, look_up(store, settings, date(2024, 1, 1)))
        computed: list[Built] = []
        for stage in STAGES:
            due = [each for each in lineage.partitions(stage.name) if lineage.judge(stage.name, each).state != "fresh"]
            if stage.name == "daily_quotes":
                list(
                    ingest(store, settings, {date.fromisoformat(str(d)): lineage.identity(stage.name, d) for d in due})
                )
            else:
                for each in due:
                    identity = lineage.identity(stage.name, each)
                    stage.materialise(StageRun(store, settings, identity, each))
            lineage.forget(stage.name)
            computed += [(stage.name, each) for each in due]
        return computed

    return run


@pytest.fixture(scope="session")
def market() -> DayBatch:
    """What the tiny market says on all its days."""
    source = open_source(presets.load(TINY), today=date(2024, 1, 1))
    return source.read(sorted(source.index().days))


@pytest.fixture(scope="session")
def bars(market: DayBatch) -> pl.DataFrame:
    """The tiny market's bars as a plain table, to be written as a file and edited."""
    return market.quotes.drop("KnownAt")


@pytest.fixture(scope="session")
def tables(market: DayBatch) -> dict[str, pl.DataFrame]:
    """The tables beside the bars."""
    return {name: rows for name, rows in market.beside.items() if name != "revisions"}

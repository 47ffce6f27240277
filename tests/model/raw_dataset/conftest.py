"""A small simulated market in a store, and a way to change one of its days."""

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.schema import ASSET, KEY, QUOTES
from model.daily_quotes.settings import CalendarSettings, SimulatedSource
from model.daily_quotes.sources.source import open_source
from model.quality_features.settings import FeatureSettings
from model.raw_dataset import stage
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.store.manifest import Identity, Manifest
from model.store.stage import StageRun
from model.store.store import Store
from tests.model.raw_dataset.synthetic import Market, make_market
from tests.model.raw_dataset.synthetic import build as build_from


@dataclass
class Installation:
    """A store with days in it, and the sections that the stage reads."""

    store: Store
    settings: Any

    def put(self, rows: pl.DataFrame) -> None:
        """Publish days as they are in ``rows``."""
        for (day,), quotes in rows.group_by("Date", maintain_order=True):
            assert isinstance(day, date)
            with self.store.writer(ASSET, day.isoformat(), Identity({}, "code", "settings")) as writer:
                writer.table(QUOTES, quotes, key=KEY)

    def change(self, day: str, damage: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Publish one day again with other content."""
        self.put(damage(self.store.read_table(ASSET, QUOTES, day)))

    def build(self, without: Collection[str] = ()) -> Manifest:
        """Bring raw_dataset up to date with every day in the store but those that the source no longer has."""
        days = [day for day in self.store.partitions(ASSET) if day not in without]
        inputs = {f"{ASSET}/{day}": self.store.require(ASSET, day).content_hash for day in days}
        identity = Identity(inputs, "code", self.settings.hash)
        return stage.materialise(StageRun(self.store, self.settings, identity))

    def afresh(self, home: Path) -> "Installation":
        """The same days in a store that has never seen a raw_dataset; files are shared, no writer changes one."""
        shutil.copytree(self.store.root / ASSET, home / "artifacts" / ASSET, copy_function=os.link)
        return Installation(Store(home), self.settings)


def sections(**keys: Any) -> Any:
    """The sections that these rooms read."""
    values = {
        "source": SimulatedSource(stocks=40, start=date(2020, 1, 6), end=date(2020, 7, 31), split_rate=0.01, seed=4),
        "calendar": CalendarSettings(),
        "quality": QualitySettings(),
        "universe": UniverseSettings(size=25, lookback_days=30, rebalance="monthly"),
        "features": FeatureSettings(groups=("returns", "volatility")),
        "hash": "settings",
        **keys,
    }
    return SimpleNamespace(**values)


@pytest.fixture(scope="session")
def market_rows() -> pl.DataFrame:
    source = open_source(sections())
    return source.read(list(source.index().days)).quotes


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory, market_rows: pl.DataFrame) -> Installation:
    made = Installation(Store(tmp_path_factory.mktemp("market")), sections())
    made.put(market_rows)
    return made


@pytest.fixture
def installation(tmp_path: Path, market: Installation) -> Installation:
    copy = market.afresh(tmp_path / "home")
    copy.settings = sections()
    return copy


@pytest.fixture(scope="session")
def handmade() -> Market:
    return make_market()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, handmade: Market) -> Store:
    store = Store(tmp_path_factory.mktemp("built"))
    handmade.publish(store)
    build_from(store)
    return store


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, handmade: Market) -> Store:
    """The days of the same market without anything beside the bars."""
    store = Store(tmp_path_factory.mktemp("bare"))
    Market(handmade.quotes, {}).publish(store)
    return store

"""The checks of one day against the stored day before it."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.beside import TABLES, empty_beside
from model.daily_quotes.checks import CHECKS
from model.daily_quotes.schema import ASSET, CANONICAL, KEY, QUOTES
from model.store.checks import CheckOutcome
from model.store.manifest import Identity
from model.store.store import Store

FRIDAY, MONDAY = date(2020, 1, 10), date(2020, 1, 13)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, day: date, names: int = 40, tables: tuple[str, ...] = (), **values: Any) -> None:
    row = dict.fromkeys(("Open", "High", "Low", "Close", "TurnoverValue"), 100.0)
    row |= {"Volume": 1000, "AdjustmentFactor": 1.0, "UpperLimit": False, "LowerLimit": False, "Sector": "Banks"}
    row |= {"Market": "Prime", "KnownAt": datetime(2020, 1, 14, tzinfo=UTC), **values}
    quotes = pl.DataFrame([{"Date": day, "Code": f"{code:04d}", **row} for code in range(names)], schema=CANONICAL)
    with store.writer(ASSET, day.isoformat(), Identity({}, "code", "settings")) as writer:
        writer.table(QUOTES, quotes, key=KEY)
        for name in tables:
            writer.table(TABLES[name].file, empty_beside(name), key=TABLES[name].key)


def check(store: Store, name: str, day: date) -> CheckOutcome:
    [found] = [each for each in CHECKS if each.name == name]
    return found.run(store, None, day.isoformat())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["names_against_day_before", "null_shares", "tables_beside"])
def test_the_first_day_and_a_like_one_pass(store: Store, name: str) -> None:
    put(store, FRIDAY, tables=("margin",))
    assert check(store, name, FRIDAY).passed
    put(store, MONDAY, tables=("margin",))
    assert check(store, name, MONDAY).passed


def test_a_day_of_half_the_rows_warns_and_says_which_day_it_was_held_against(store: Store) -> None:
    put(store, FRIDAY, names=40)
    put(store, MONDAY, names=20)
    outcome = check(store, "names_against_day_before", MONDAY)
    assert (outcome.passed, outcome.severity, outcome.summary) == (False, "warn", "20 rows; 40 on 2020-01-10.")
    assert outcome.metadata == {"rows": 20, "rows_day_before": 40, "share_of_day_before": 0.5}


def test_a_day_long_before_is_no_day_before(store: Store) -> None:
    put(store, date(2019, 12, 20), names=40)
    put(store, MONDAY, names=20)
    outcome = check(store, "names_against_day_before", MONDAY)
    assert outcome.passed and "no day before it is stored" in outcome.summary


def test_a_column_that_is_suddenly_empty_warns_once(store: Store) -> None:
    put(store, FRIDAY)
    put(store, MONDAY, TurnoverValue=None)
    outcome = check(store, "null_shares", MONDAY)
    assert not outcome.passed and outcome.metadata["emptied"] == ["TurnoverValue"]
    assert outcome.metadata["null_share_TurnoverValue"] == 1.0
    tuesday = date(2020, 1, 14)
    put(store, tuesday, TurnoverValue=None)
    assert check(store, "null_shares", tuesday).passed


def test_a_day_on_which_nothing_traded_is_an_outage_and_no_defect(store: Store) -> None:
    put(store, FRIDAY)
    put(store, MONDAY, Open=None, High=None, Low=None, Close=None, Volume=0, TurnoverValue=None)
    assert check(store, "null_shares", MONDAY).passed


def test_a_table_that_is_gone_warns(store: Store) -> None:
    put(store, FRIDAY, tables=("margin", "statements"))
    put(store, MONDAY, tables=("statements",))
    outcome = check(store, "tables_beside", MONDAY)
    assert not outcome.passed and outcome.severity == "warn"
    assert outcome.metadata == {"tables": 1, "gone": ["margin"], "rows_statements": 0}

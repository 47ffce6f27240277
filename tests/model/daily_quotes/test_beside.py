"""The tables beside the bars: judged at the door, cut by day, part of a day's hash and of its artefact."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.beside import TABLES, empty_beside, validate_beside
from model.daily_quotes.schema import ASSET, CANONICAL
from model.daily_quotes.sources.base import DayBatch, SourceIndex, batch_index, validate_batch
from model.daily_quotes.stage import ingest
from model.errors import SourceError
from model.raw_dataset.settings import QualitySettings
from model.store.manifest import Identity
from model.store.store import Store

DAYS = (date(2024, 1, 4), date(2024, 1, 5), date(2024, 1, 9))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=UTC)


def quotes(days: tuple[date, ...] = DAYS) -> pl.DataFrame:
    rows = [
        {"Date": day, "Code": code, "Close": 10.0, "AdjustmentFactor": 1.0, "UpperLimit": False, "LowerLimit": False}
        | {"KnownAt": datetime(day.year, day.month, day.day, 8, tzinfo=UTC)}
        for day in days
        for code in ("1301", "130A0")
    ]
    return pl.DataFrame(rows, schema=CANONICAL)


def statements(*rows: tuple[Any, ...]) -> pl.DataFrame:
    names = ("Date", "Code", "PublishedAt", "FiscalYearEnd", "Quarter", "Sales")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=TABLES["statements"].schema)


def margin(*rows: tuple[Any, ...]) -> pl.DataFrame:
    schema = TABLES["margin"].schema
    return pl.DataFrame([dict(zip(schema, row, strict=True)) for row in rows], schema=schema)


GOOD = statements(
    (DAYS[0], "1301", at(4, 6), date(2024, 3, 31), 3, 100.0),
    (DAYS[0], "1301", at(4, 9), date(2024, 3, 31), 3, 101.0),
    (DAYS[2], "1301", at(9, 6), date(2024, 3, 31), 3, None),
)


def batch(**beside: pl.DataFrame) -> DayBatch:
    return DayBatch(DAYS, quotes(), beside=beside)


def test_a_canonical_table_comes_back_as_it_is() -> None:
    assert validate_beside("statements", GOOD) is GOOD
    for name in TABLES:
        assert validate_beside(name, empty_beside(name)).is_empty()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.rename({"Sales": "Revenue"}), "Sales should be Float64; unknown columns Revenue"),
        (lambda f: f.with_columns(pl.col("Quarter").cast(pl.Int64)), "Quarter should be Int8"),
        (lambda f: f.select(sorted(f.columns)), "columns are out of order"),
        (lambda f: f.with_columns(Code=pl.lit(None, dtype=pl.String)), "nulls where none may be: Code in 3 rows"),
        (lambda f: f.with_columns(Sales=pl.lit(float("nan"))), "Sales that is no finite number in 3 rows"),
        (lambda f: f.with_columns(Quarter=pl.lit(5, dtype=pl.Int8)), "Quarter other than 1, 2, 3 or 4 in 3 rows"),
        (lambda f: f.with_columns(FiscalYearEnd=date(2204, 3, 31)), "FiscalYearEnd more than 18 months after .* in 3"),
        (lambda f: f.with_columns(FiscalYearEnd=date(1203, 3, 31)), "or 10 years before it, in 3 rows"),
        (lambda f: f.with_columns(SharesOutstanding=-5.0), "a negative SharesOutstanding in 3 rows. Correct it"),
        (lambda f: f.reverse(), "not sorted by Date, Code, PublishedAt"),
        (lambda f: pl.concat([f.head(1), f]), "or repeats them, in 1 rows"),
    ],
)
def test_what_is_not_canonical_is_refused_and_named(damage: Any, message: str) -> None:
    with pytest.raises(SourceError, match="The table statements of .*" + message):
        validate_beside("statements", damage(GOOD))


def test_margin_may_lack_its_time_of_publication_but_not_come_before_its_record() -> None:
    early, late = date(2024, 1, 5), date(2024, 1, 9)
    known = margin(
        (late, "1301", "daily", early, None, 5.0, None),
        (late, "1301", "weekly", early, None, 5.0, 2.0),
        (late, "1302", "weekly", early, at(9, 8), 5.0, 2.0),
    )
    assert validate_beside("margin", known) is known
    with pytest.raises(SourceError, match="RecordDate after the Date under which it lies in 1 rows"):
        validate_beside("margin", margin((early, "1301", "weekly", late, None, 5.0, 2.0)))
    with pytest.raises(SourceError, match="a Kind other than weekly and daily"):
        validate_beside("margin", margin((late, "1301", "monthly", early, None, 5.0, 2.0)))


@pytest.mark.parametrize("column", ["MarginLong", "MarginShort"])
def test_negative_balances_are_refused(column: str) -> None:
    rows = margin((date(2024, 1, 9), "1301", "weekly", date(2024, 1, 5), None, 5.0, 2.0))
    with pytest.raises(SourceError, match=f"a negative {column} in 1 rows"):
        validate_beside("margin", rows.with_columns(pl.lit(-3.0).alias(column)))


@pytest.mark.parametrize(("ratio", "right"), [(0.0, True), (1.05, True), (-0.1, False), (57.3, False)])
def test_a_share_of_short_sales_is_no_percentage(ratio: float, right: bool) -> None:
    row = (date(2024, 1, 9), "Banks", date(2024, 1, 9), at(9, 8), ratio)
    rows = pl.DataFrame([row], schema=TABLES["short_selling"].schema, orient="row")
    if right:
        assert validate_beside("short_selling", rows) is rows
    else:
        with pytest.raises(SourceError, match=r"a ShortRatio below 0 or above 2 in 1 rows. Write 0.4 for 40 percent"):
            validate_beside("short_selling", rows)


def test_an_unknown_table_and_rows_on_days_without_bars_are_refused() -> None:
    with pytest.raises(SourceError, match=r"no table 'news'.*statements, investor_flow"):
        validate_batch(batch(news=GOOD))
    weekend = GOOD.with_columns(Date=pl.lit(date(2024, 1, 6)))
    with pytest.raises(SourceError, match="3 of 3 rows on days without bars, the first being 2024-01-06"):
        validate_batch(batch(statements=weekend))


def test_each_day_gets_its_rows_and_an_empty_slice_where_it_has_none() -> None:
    split = list(batch(statements=GOOD).split())
    assert [day.day for day in split] == list(DAYS)
    assert [day.beside["statements"].height for day in split] == [2, 0, 1]
    assert split[1].beside["statements"].schema == TABLES["statements"].schema
    assert [day.quotes.height for day in split] == [2, 2, 2] and split[0].received is None
    chosen = batch(statements=GOOD).only([DAYS[2]])
    assert chosen.days == DAYS[2:] and chosen.beside["statements"].equals(GOOD[2:]) and chosen.quotes.height == 2


def changed(before: SourceIndex, after: SourceIndex) -> list[date]:
    return [day for day in DAYS if before.days[day] != after.days[day]]


def test_the_index_sees_a_change_in_any_table_on_its_day_alone() -> None:
    plain, rich = batch_index("f", batch()), batch_index("f", batch(statements=GOOD))
    assert changed(plain, rich) == list(DAYS)
    other = GOOD.with_columns(Sales=pl.when(pl.col("Sales") == 101.0).then(102.0).otherwise("Sales"))
    assert changed(rich, batch_index("f", batch(statements=other))) == [DAYS[0]]
    more = batch(statements=GOOD, indices=empty_beside("indices"))
    assert changed(rich, batch_index("f", more)) == list(DAYS)


class Fixed:
    """A source of one batch."""

    def index(self) -> SourceIndex:
        return batch_index("f", batch(statements=GOOD))

    def read(self, days: Any) -> DayBatch:
        return batch(statements=GOOD).only(days)


def test_a_day_is_published_with_every_table_that_the_source_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    settings: Any = SimpleNamespace(quality=QualitySettings(min_names=1))
    wanted = {day: Identity({}, "code", "settings") for day in DAYS}
    for day, manifest in ingest(store, settings, wanted, source=Fixed()):
        assert set(manifest.files) == {"quotes.parquet", "statements.parquet"} and manifest.rows == 2
        rows = store.read_table(ASSET, "statements.parquet", day.isoformat())
        assert rows.equals(GOOD.filter(pl.col("Date") == day))

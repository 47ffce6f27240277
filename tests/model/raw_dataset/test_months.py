"""Months that nothing reached are not read, a partial build equals one from nothing, and the past stays as it is."""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.settings import CalendarSettings
from model.errors import SourceError
from model.raw_dataset.market import MARKET
from model.raw_dataset.months import SOURCES
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.raw_dataset.slow import SLOW
from model.raw_dataset.stage import ASSET
from model.store.manifest import Manifest
from model.store.store import Store
from tests.model.raw_dataset import brute_force
from tests.model.raw_dataset.synthetic import (
    CALENDAR,
    CODES,
    DAYS,
    SECTORS,
    Market,
    build,
    contents,
    filed,
    linked,
    local,
    make_market,
    sections,
)

MONTHS = ["2024-09", "2024-10", "2024-11", "2024-12"]


def written(before: Manifest, after: Manifest) -> set[str]:
    """The chunks whose content differs."""
    one, other = contents(before), contents(after)
    return {name.removesuffix(".parquet") for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The days of a market that has nothing in common with the first."""
    store = Store(tmp_path_factory.mktemp("another"))
    make_market(7).publish(store)
    return store


@pytest.mark.parametrize("seed", [0, 7])
def test_every_value_is_what_a_search_through_all_that_is_known_finds(
    tmp_path: Path, seed: int, handmade: Market, built: Store, another: Store
) -> None:
    market, store = handmade, built
    if seed:
        market, store = make_market(seed), linked(another, tmp_path, only_days=True)
        build(store)
    slow, of_market = store.read_chunks(ASSET, "slow"), store.read_chunks(ASSET, "market")
    assert slow.schema == SLOW and of_market.schema == MARKET
    expected = brute_force.slow_table(market)
    assert slow.select("Date", "Code").equals(store.read_chunks(ASSET, "panel", columns=["Date", "Code"]))
    for column in SLOW:
        assert slow[column].equals(expected[column]), column
        assert column == "Date" or slow[column].count() > 8, column
    for column, values in brute_force.market_table(market).to_dict().items():
        assert of_market[column].equals(values), column


Change = Callable[[Market, "st.DataObject"], Market]


def price(market: Market, data: "st.DataObject") -> Market:
    row = data.draw(st.integers(0, market.quotes.height - 1))
    place = pl.int_range(pl.len()) == row
    columns = [pl.when(place).then(pl.col(name) * 1.01).otherwise(name).alias(name) for name in ("Open", "Close")]
    return market.with_quotes(market.quotes.with_columns(columns))


def split(market: Market, data: "st.DataObject") -> Market:
    row = data.draw(st.integers(0, market.quotes.height - 1))
    factor = pl.when(pl.int_range(pl.len()) == row).then(0.2).otherwise("AdjustmentFactor")
    return market.with_quotes(market.quotes.with_columns(AdjustmentFactor=factor))


def row_removed(market: Market, data: "st.DataObject") -> Market:
    row = data.draw(st.integers(0, market.quotes.height - 1))
    return market.with_quotes(market.quotes.filter(pl.int_range(pl.len()) != row))


def listing(market: Market, data: "st.DataObject") -> Market:
    first = data.draw(st.sampled_from(DAYS))
    new = market.quotes.filter((pl.col("Code") == CODES[0]) & (pl.col("Date") >= first))
    named = new.with_columns(Code=pl.lit("4444"), Sector=pl.lit(SECTORS[1]))
    return market.with_quotes(pl.concat([market.quotes.filter(pl.col("Code") != "4444"), named]))


def row_of_beside(market: Market, data: "st.DataObject") -> Market:
    """One value of one table changes where it lies, or its row goes away."""
    name = data.draw(st.sampled_from(sorted(market.beside)))
    rows = market.beside[name]
    place = pl.int_range(pl.len()) == data.draw(st.integers(0, rows.height - 1))
    if data.draw(st.booleans()):
        return market.with_table(name, rows.filter(~place))
    number = next(column for column, dtype in rows.schema.items() if dtype == pl.Float64)
    value = 0.75 if number == "ShortRatio" else 7.5  # a ratio above 2 is refused
    return market.with_table(name, rows.with_columns(pl.when(place).then(value).otherwise(number).alias(number)))


def late_correction(market: Market, data: "st.DataObject") -> Market:
    """A statement and a margin figure are published again, any number of days later."""
    for name in ("statements", "margin"):
        rows = market.beside[name]
        chosen = rows[data.draw(st.integers(0, rows.height - 1))].to_dicts()[0]
        later = chosen["PublishedAt"] + timedelta(days=data.draw(st.integers(1, 80)))
        numbers = {column: 3.5 for column, dtype in rows.schema.items() if dtype == pl.Float64}
        market = market.with_table(name, pl.concat([rows, filed(name, [{**chosen, **numbers, "PublishedAt": later}])]))
    return market


CHANGES: tuple[Change, ...] = (price, split, row_removed, listing, row_of_beside, late_correction)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_partial_build_equals_one_from_nothing_in_every_file(
    data: "st.DataObject", tmp_path_factory: pytest.TempPathFactory, handmade: Market, built: Store
) -> None:
    home = tmp_path_factory.mktemp("changed")
    store, market = linked(built, home / "kept"), handmade
    for change in data.draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=2)):
        after = change(market, data)
        after.publish(store, changed_days(market, after))
        market = after
        partial = build(store)
    fresh = build(linked(store, home / "fresh", only_days=True))
    assert contents(partial) == contents(fresh)


def changed_days(before: Market, after: Market) -> list[date]:
    pairs = [(before.quotes, after.quotes), *[(before.beside[name], after.beside[name]) for name in before.beside]]
    days = set()
    for one, other in pairs:
        gone, new = (
            one.join(other, on=one.columns, how="anti", nulls_equal=True),
            other.join(one, on=one.columns, how="anti", nulls_equal=True),
        )
        days |= set(gone["Date"]) | set(new["Date"])
    return sorted(days)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(12, len(DAYS) - 2), step=st.integers(5, 30))
def test_days_appended_one_after_the_other_give_what_all_of_them_give(
    cut: int, step: int, tmp_path_factory: pytest.TempPathFactory, built: Store
) -> None:
    store = linked(built, tmp_path_factory.mktemp("grown"), only_days=True)
    for last in [*DAYS[cut::step], DAYS[-1]]:
        build(store, until=last)
    assert contents(store.require(ASSET)) == contents(built.require(ASSET))


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(12, len(DAYS) - 2))
def test_nothing_that_is_published_later_moves_anything_dated_earlier(
    cut: int, tmp_path_factory: pytest.TempPathFactory, built: Store, another: Store
) -> None:
    store = linked(built, tmp_path_factory.mktemp("other_future"), only_days=True)
    for day in map(str, DAYS[cut + 1 :]):
        shutil.rmtree(store.directory(QUOTES_ASSET, day))
        shutil.copytree(another.directory(QUOTES_ASSET, day), store.directory(QUOTES_ASSET, day))
    build(store)
    for table in ("panel", "slow", "market"):
        one, two = (each.read_chunks(ASSET, table, end=DAYS[cut]) for each in (built, store))
        assert one.equals(two), table


def built_again(before: Manifest, now: Manifest) -> set[str]:
    """Files that are made from something else now, whether they say the same or not."""
    return {name for name, entry in now.files.items() if entry.input_hash != before.files[name].input_hash}


def test_a_price_fix_rewrites_the_panel_of_its_month_and_nothing_else(
    tmp_path: Path, handmade: Market, built: Store
) -> None:
    store = linked(built, tmp_path)
    before = store.require(ASSET)
    row = handmade.quotes.filter((pl.col("Date") == date(2024, 10, 16)) & (pl.col("Code") == "7203"))
    fixed = row.with_columns(pl.col("Open", "High", "Low", "Close") * 1.001)
    after = handmade.with_quotes(pl.concat([handmade.quotes.join(row, on=["Date", "Code"], how="anti"), fixed]))
    after.publish(store, [date(2024, 10, 16)])
    now = build(store)
    assert written(before, now) == {"panel/2024-10"} and now.extra["months_reused"] == 3
    # slow and market were taken over, not built again and found to be the same
    assert built_again(before, now) == {"panel/2024-10.parquet", "state/2024-10.parquet"}
    assert now.extra[SOURCES]["2024-10"]["index_days"] == before.extra[SOURCES]["2024-10"]["index_days"] > 0


def test_a_fix_beside_the_bars_leaves_the_panel_alone(tmp_path: Path, handmade: Market, built: Store) -> None:
    store = linked(built, tmp_path)
    before = store.require(ASSET)
    row = filed("statements", [{"Code": "7203", "FiscalYearEnd": date(2025, 3, 31), "Quarter": 1, "Sales": 12.0,
                                "PublishedAt": local(date(2024, 10, 16), 9)}])  # fmt: skip
    after = handmade.with_table("statements", pl.concat([handmade.beside["statements"], row]))
    after.publish(store, changed_days(handmade, after))
    now = build(store)
    rebuilt = {name.split("/")[0] for name in built_again(before, now)}
    assert {"slow", "carried_statements"} <= rebuilt
    assert not rebuilt & {"panel", "state", "market", "carried_investor_flow"}


def test_forecasts_that_begin_to_count_at_the_same_close_are_one(tmp_path: Path, handmade: Market) -> None:
    """Friday after the close and Monday before it: the first of the two was never in force."""
    year = {"Code": "7203", "FiscalYearEnd": date(2025, 3, 31), "Quarter": 2}
    friday, monday = next((a, b) for a, b in pairwise(DAYS) if (b - a).days == 3 and a > date(2024, 10, 8))
    said = [(date(2024, 10, 8), 10, 8.0), (friday, 16, 9.0), (monday, 14, 10.0)]
    forecasts = [{**year, "ForecastProfit": profit, "PublishedAt": local(day, hour)} for day, hour, profit in said]
    store = Store(tmp_path)
    Market(handmade.quotes, {}).with_table("statements", filed("statements", forecasts)).publish(store)
    build(store)
    slow = store.read_chunks(ASSET, "slow").filter((pl.col("Code") == "7203") & pl.col("Date").is_in([friday, monday]))
    assert slow.select("ForecastProfit", "ForecastProfitBefore").rows() == [(8.0, None), (10.0, 8.0)]


def test_the_forecasts_in_a_correction_of_an_older_period_never_count(tmp_path: Path, handmade: Market) -> None:
    """Nor in the months after, in which the report that it came after is gone."""
    said = [  # published, quarter, sales (None: a revision of forecasts), forecast
        (date(2024, 10, 8), 2, 10.0, 8.0),
        (date(2024, 11, 5), 3, 15.0, 9.0),
        (date(2024, 11, 12), 3, None, 9.5),
        (date(2024, 11, 19), 2, 11.0, 7.0),  # corrects the second quarter, after the third
        (date(2024, 11, 26), 3, 16.0, 10.0),
    ]
    year = {"Code": "7203", "FiscalYearEnd": date(2024, 12, 31)}
    rows = [
        {**year, "Quarter": quarter, "Sales": sales, "ForecastProfit": profit, "PublishedAt": local(day, 10)}
        for day, quarter, sales, profit in said
    ]
    store = Store(tmp_path)
    Market(handmade.quotes, {}).with_table("statements", filed("statements", rows)).publish(store)
    build(store)
    slow = store.read_chunks(ASSET, "slow").filter((pl.col("Code") == "7203") & pl.col("ForecastProfit").is_not_null())
    known = slow.select("Sales", "ForecastProfit", "ForecastProfitBefore")
    assert known.unique(maintain_order=True).rows() == [
        (10.0, 8.0, None),
        (15.0, 9.0, 8.0),
        (15.0, 9.5, 9.0),
        (16.0, 10.0, 9.5),
    ]


def test_a_day_found_late_in_a_long_gap_moves_what_a_month_hands_on(tmp_path: Path, handmade: Market) -> None:
    days = [day for day in DAYS if day <= date(2024, 9, 30) or day >= date(2024, 12, 9)]
    row = {"Date": date(2024, 9, 30), "Code": "7203", "Kind": "weekly", "RecordDate": date(2024, 9, 30),
           "PublishedAt": None, "MarginLong": 5.0, "MarginShort": 1.0}  # fmt: skip
    quotes = handmade.quotes.filter(pl.col("Date").is_in(days))
    margin = pl.DataFrame([row], schema_overrides={"PublishedAt": pl.Datetime("us", "UTC")})
    market = Market(quotes, {}).with_table("margin", margin)
    settings = sections(calendar=CalendarSettings(exchange="from_data", close="15:30"), universe=UniverseSettings())
    store = Store(tmp_path / "kept")
    market.publish(store)
    build(store, settings)
    late = quotes.filter(pl.col("Date") == date(2024, 12, 9)).with_columns(Date=date(2024, 12, 5))
    market.with_quotes(pl.concat([quotes, late])).publish(store, [date(2024, 12, 5)])
    partial = build(store, settings)
    assert contents(partial) == contents(build(linked(store, tmp_path / "fresh", only_days=True), settings))
    known = store.read_chunks(ASSET, "slow").filter(pl.col("MarginLong").is_not_null() & (pl.col("Code") == "7203"))
    assert known["Date"].min() == date(2024, 12, 10)


def test_a_corrected_statement_reaches_the_months_in_which_it_counts(tmp_path: Path, handmade: Market) -> None:
    quarter = {"Code": "7203", "FiscalYearEnd": date(2025, 3, 31), "Quarter": 2, "Sales": 10.0}
    original = {**quarter, "PublishedAt": local(date(2024, 10, 10), 16)}
    nine_months = {**quarter, "Quarter": 3, "PublishedAt": local(date(2024, 12, 10), 16)}
    with_both = Market(handmade.quotes, {}).with_table("statements", filed("statements", [original, nine_months]))
    store = Store(tmp_path)
    with_both.publish(store)
    before = build(store)
    corrected = [original, {**original, "Sales": 11.0, "PublishedAt": local(date(2024, 11, 5), 15, 29)}, nine_months]
    after = Market(handmade.quotes, {}).with_table("statements", filed("statements", corrected))
    after.publish(store, [date(2024, 11, 5)])
    now = build(store)
    assert written(before, now) == {
        "slow/2024-11",
        "slow/2024-12",
        "carried_statements/2024-11",
        "carried_statements/2024-12",
    }
    sales = store.read_chunks(ASSET, "slow").filter(pl.col("Code") == "7203").select("Date", "Sales")
    changes = sales.filter(pl.col("Sales").ne_missing(pl.col("Sales").shift(1))).rows()
    assert changes == [(date(2024, 10, 11), 10.0), (date(2024, 11, 5), 11.0), (date(2024, 12, 11), 10.0)]


def test_unchanged_months_are_never_read(tmp_path: Path, handmade: Market, built: Store) -> None:
    store = linked(built, tmp_path)
    read: list[str] = []
    original = Store.path

    def watched(self: Store, asset: str, file: str, partition: str | None = None) -> Path:
        read.append(f"{asset}/{partition or 'all'}/{file}")
        return original(self, asset, file, partition)

    row = handmade.quotes.filter(pl.col("Date") == DAYS[-1]).with_columns(Volume=pl.col("Volume") + 1)
    changed = handmade.with_quotes(pl.concat([handmade.quotes.filter(pl.col("Date") < DAYS[-1]), row]))
    changed.publish(store, DAYS[-1:])
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(Store, "path", watched)
        build(store)
    days = {name.split("/")[1] for name in read if name.startswith(f"{QUOTES_ASSET}/")}
    assert days and min(days) >= "2024-12"
    chunks = {name.removeprefix(f"{ASSET}/all/") for name in read if name.startswith(f"{ASSET}/")}
    assert chunks == {"universe.parquet", "quarantine.parquet", "calendar.parquet", "state/2024-11.parquet"}
    files = {name.split("/")[2] for name in read if name.startswith(f"{QUOTES_ASSET}/")}
    assert files == {"quotes.parquet"}  # what no price reaches is not read either


def test_a_source_without_these_tables_has_neither_slow_nor_market(
    tmp_path: Path, handmade: Market, bare: Store
) -> None:
    store = linked(bare, tmp_path, only_days=True)
    folders = {name.split("/")[0] for name in build(store).files if "/" in name}
    assert folders == {"panel", "state"}
    Market(handmade.quotes, {"margin": handmade.beside["margin"]}).publish(store, DAYS[-1:])
    manifest = build(store)
    slow, new = store.read_chunks(ASSET, "slow"), ("slow", "carried_margin", "carried_splits")
    assert {name.split("/")[0] for name in manifest.files if "/" in name} == {*folders, *new}
    assert slow.height == manifest.rows and slow["Sales"].count() == 0


def test_an_index_that_the_source_does_not_have_is_refused_with_those_it_has(tmp_path: Path, built: Store) -> None:
    store = linked(built, tmp_path, only_days=True)
    other = sections(quality=QualitySettings(min_names=2, min_days=5, max_quarantined_share=1.0, index="NIKKEI"))
    with pytest.raises(SourceError, match=r"hold no 'NIKKEI' \(quality\.index\)\. They are TOPIX, TOPIX-17"):
        build(store, other)


def test_a_day_found_late_is_counted_where_the_days_found_are_the_calendar(
    tmp_path: Path, handmade: Market, built: Store
) -> None:
    store = linked(built, tmp_path / "kept", only_days=True)
    settings = sections(calendar=CalendarSettings(exchange="from_data", close="15:30"))
    missed = DAYS[30].isoformat()
    silent = {name: rows.filter(pl.col("Date") != DAYS[30]) for name, rows in handmade.beside.items()}
    Market(handmade.quotes, silent).publish(store, [DAYS[30]])
    store.directory(QUOTES_ASSET, missed).rename(tmp_path / missed)
    build(store, settings)
    before = store.read_chunks(ASSET, "slow", start=date(2024, 12, 1))["DaysSinceStatement"]
    (tmp_path / missed).rename(store.directory(QUOTES_ASSET, missed))
    now = build(store, settings)
    assert contents(now) == contents(build(linked(store, tmp_path / "fresh", only_days=True), settings))
    after = store.read_chunks(ASSET, "slow", start=date(2024, 12, 1))["DaysSinceStatement"]
    assert set((after - before).drop_nulls()) == {0.0, 1.0}


def test_margin_counts_in_the_days_found_where_they_are_the_calendar(tmp_path: Path, handmade: Market) -> None:
    untold = (
        handmade.beside["margin"]
        .filter(pl.col("Kind") == "weekly")
        .with_columns(PublishedAt=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    )
    market = Market(handmade.quotes, {}).with_table("margin", untold)
    tables = []
    for name, calendar in (("listed", CALENDAR), ("found", CalendarSettings(exchange="from_data", close="15:30"))):
        store = Store(tmp_path / name)
        market.publish(store)
        for until in (DAYS[25], DAYS[-1]):
            build(store, sections(calendar=calendar), until=until)
        tables.append(store.read_chunks(ASSET, "slow").select("Date", "Code", "MarginLong", "DaysSinceMargin"))
    assert tables[0]["MarginLong"].count() > 8 and tables[0].equals(tables[1])

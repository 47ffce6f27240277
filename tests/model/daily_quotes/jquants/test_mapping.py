"""From the API's columns to the canonical tables, worked out by hand."""

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.availability import open_exchange, with_availability
from model.daily_quotes.sources.jquants.rows import to_frame
from model.daily_quotes.sources.jquants.tables import BARS, DAILY_MARGIN, MARGIN, STATEMENTS, opens_at, units
from model.errors import SourceError
from model.raw_dataset.statements import forecasts_in_force
from tests.model.daily_quotes.jquants.conftest import JPX, FakeClock, Open
from tests.model.daily_quotes.jquants.market import CODES, FakeMarket, alert, balance, bar, statement
from tests.model.daily_quotes.jquants.server import JQuantsServer

DAY = date(2024, 1, 17)


def read(open_days: Open, table: str, **keys: Any) -> pl.DataFrame:
    """A table of all days, of all that the API has; statements are fetched without the others."""
    source = open_days(**({"tables": ["statements"]} if table == "statements" else {}) | keys)
    return source.read(list(source.index().days)).beside[table]


def test_bars_keep_codes_as_text_and_leave_funds_out(open_days: Open, market: FakeMarket) -> None:
    source = open_days(tables=[])
    source.index()
    batch = source.read([DAY])
    assert batch.quotes["Code"].to_list() == ["13010", "130A0", "72030", "86970", "99840"]
    assert batch.received is not None and batch.received["Code"].to_list() == batch.quotes["Code"].to_list()
    everything = open_days(leave_out_markets=[], tables=[])
    assert everything.read([DAY]).quotes["Code"].to_list() == sorted(CODES)


def test_a_bar_is_mapped_field_by_field(open_days: Open, market: FakeMarket) -> None:
    market.bars[str(DAY), "72030"] |= {"UL": "1", "LL": "0", "AdjFactor": 0.5, "Vo": 1500.0, "Va": 1.5e6}
    source = open_days(tables=[])
    source.index()
    row = source.read([DAY]).quotes.row(by_predicate=pl.col("Code") == "72030", named=True)
    assert row == {
        "Date": DAY,
        "Code": "72030",
        "Open": 1203.0,
        "High": 1218.0,
        "Low": 1198.0,
        "Close": 1208.0,
        "Volume": 1500,
        "TurnoverValue": 1.5e6,
        "AdjustmentFactor": 0.5,
        "UpperLimit": True,
        "LowerLimit": False,
        "Sector": "Transportation Equipment",
        "Market": "Prime",
        "KnownAt": datetime(2024, 1, 17, 7, 30, tzinfo=UTC),
    }


def test_short_selling_names_its_sector_as_the_bars_do(open_days: Open) -> None:
    source = open_days()
    source.index()
    batch = source.read([DAY])
    assert set(batch.quotes["Sector"]) <= set(batch.beside["short_selling"]["Sector"])
    assert batch.beside["short_selling"]["ShortRatio"].unique().to_list() == [0.4]


def test_a_dash_is_a_missing_number(open_days: Open) -> None:
    rows = read(open_days, "margin").filter(pl.col("RecordDate") == date(2024, 1, 5))
    shown = dict(rows.select("Code", "MarginShort").rows())
    assert shown["130A0"] is None and shown["13010"] == 4100.0
    assert rows["Date"].unique().to_list() == [date(2024, 1, 10)]  # Friday, a holiday on Monday, then two trading days


def test_a_figure_that_cannot_be_is_missing_and_stops_nothing(open_days: Open, market: FakeMarket) -> None:
    record = date(2024, 1, 16)
    market.alerts.append(alert(DAY, "13010", record, -11.0, 676.0))
    market.shorts[:] = [row | {"SellExShortVa": -200.0} if row["Date"] == str(DAY) else row for row in market.shorts]
    source = open_days()
    beside = source.read(list(source.index().days)).beside
    daily = beside["margin"].filter(pl.col("Kind") == "daily")
    assert daily.select("MarginLong", "MarginShort").rows() == [(676.0, None)]
    ratios = beside["short_selling"]
    assert ratios.filter(pl.col("RecordDate") == DAY)["ShortRatio"].unique().to_list() == [None]
    assert ratios.filter(pl.col("RecordDate") != DAY)["ShortRatio"].unique().to_list() == [0.4]


def test_daily_balances_keep_a_correction_beside_what_it_corrects(open_days: Open, market: FakeMarket) -> None:
    record = date(2024, 1, 16)
    market.alerts += [alert(DAY, "13010", record, 11.0, 676.0), alert(date(2024, 1, 18), "13010", record, 12.0, 676.0)]
    rows = read(open_days, "margin").filter(pl.col("Kind") == "daily")
    assert rows.select("Date", "RecordDate", "MarginShort").rows() == [
        (DAY, record, 11.0),
        (date(2024, 1, 18), record, 12.0),
    ]
    assert rows["PublishedAt"].to_list()[0] == datetime(2024, 1, 17, 7, 30, tzinfo=UTC)


def test_the_topix_comes_once_whatever_the_plan(open_days: Open, server: JQuantsServer) -> None:
    both = read(open_days, "indices")
    assert both.filter(pl.col("Date") == DAY).select("IndexCode", "Close").rows() == [
        ("0040", 508.0),
        ("TOPIX", 2008.0),
    ]
    server.lacks = ("topix",)
    other = open_days(tables=["sector_indices"]).read([DAY]).beside["indices"]
    assert other["IndexCode"].to_list() == ["0040", "TOPIX"]


def figures(rows: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return rows.select(names).rows()


def test_a_quarterly_statement_is_mapped_with_the_forecast_of_its_own_year(open_days: Open, market: FakeMarket) -> None:
    given = {"Sales": "100", "OP": 10.0, "NP": "5", "TA": "1000", "Eq": "400", "FSales": "150", "FOP": "15", "FNP": "8"}
    market.statements.append(statement(DAY, "72030", "1", **given, ShOutFY="1000", TrShFY="50"))
    [row] = read(open_days, "statements").to_dicts()
    assert row == {
        "Date": DAY,
        "Code": "72030",
        "PublishedAt": datetime(2024, 1, 17, 6, 30, tzinfo=UTC),
        "FiscalYearEnd": date(2024, 3, 31),
        "Quarter": 3,
        "Sales": 100.0,
        "OperatingProfit": 10.0,
        "Profit": 5.0,
        "Assets": 1000.0,
        "Equity": 400.0,
        "SharesOutstanding": 950.0,
        "ForecastSales": 150.0,
        "ForecastOperatingProfit": 15.0,
        "ForecastProfit": 8.0,
    }


def test_a_full_year_statement_forecasts_the_next_year(open_days: Open, market: FakeMarket) -> None:
    kind = {"DocType": "FYFinancialStatements_Consolidated_IFRS", "CurPerType": "FY", "NxtFYEn": "2025-03-31"}
    market.statements.append(statement(DAY, "72030", "1", **kind, Sales="200", NxFSales="220", NxFNp="9"))
    rows = read(open_days, "statements")
    assert figures(rows, "FiscalYearEnd", "Quarter", "Sales", "ForecastSales", "ForecastProfit") == [
        (date(2024, 3, 31), 4, 200.0, 220.0, 9.0)
    ]


def test_forecasts_for_a_year_of_nine_months_lie_under_its_own_end(open_days: Open, market: FakeMarket) -> None:
    kind = {"DocType": "FYFinancialStatements_Consolidated_JP", "CurPerType": "FY", "CurFYEn": "2023-12-31"}
    irregular = kind | {"NxtFYEn": "2024-09-30", "Sales": "400", "NxFNp": "30"}
    market.statements += [
        statement(DAY, "72030", "1", **irregular),
        statement(DAY, "86970", "2", **irregular | {"NxtFYEn": "2034-12-31"}),  # no year is so long
        statement(date(2024, 1, 18), "72030", "3", CurPerType="1Q", CurFYEn="2024-09-30", Sales="110", FNP="20"),
    ]
    rows = read(open_days, "statements")
    assert figures(rows, "Code", "FiscalYearEnd", "Quarter", "Sales", "ForecastProfit") == [
        ("72030", date(2023, 12, 31), 4, 400.0, None),
        ("72030", date(2024, 9, 30), 1, None, 30.0),
        ("86970", date(2023, 12, 31), 4, 400.0, 30.0),
        ("72030", date(2024, 9, 30), 1, 110.0, 20.0),
    ]
    known = forecasts_in_force(with_availability("statements", rows, open_exchange(JPX)))
    assert figures(known.filter(pl.col("Code") == "72030"), "ForecastProfit", "ForecastProfitBefore") == [
        (30.0, None),
        (20.0, 30.0),
    ]


def test_a_revision_lies_under_the_year_that_it_forecasts(open_days: Open, market: FakeMarket) -> None:
    revision = {"DocType": "EarnForecastRevision", "CurPerType": "FY"}
    market.statements.append(statement(DAY, "72030", "1", **revision, FNP="8"))
    market.statements.append(statement(DAY, "86970", "2", **revision, NxFNp="9", NxtFYEn="2025-03-31"))
    rows = read(open_days, "statements")
    assert figures(rows, "Code", "FiscalYearEnd", "Quarter", "ForecastProfit", "Profit") == [
        ("72030", date(2024, 3, 31), 3, 8.0, None),
        ("86970", date(2025, 3, 31), 1, 9.0, None),
    ]


def test_a_statement_and_a_revision_of_the_same_minute_are_one_row(open_days: Open, market: FakeMarket) -> None:
    market.statements.append(statement(DAY, "72030", "2", DocType="EarnForecastRevision", CurPerType="3Q", FNP="9"))
    market.statements.append(statement(DAY, "72030", "1", Sales="100", FNP="8"))
    assert figures(read(open_days, "statements"), "Sales", "ForecastProfit") == [(100.0, 9.0)]


def test_non_consolidated_figures_count_only_in_non_consolidated_statements(
    open_days: Open, market: FakeMarket
) -> None:
    alone = {"DocType": "3QFinancialStatements_NonConsolidated_JP"}
    market.statements.append(statement(DAY, "13010", "1", **alone, NCSales="70", NP="3"))
    market.statements.append(statement(DAY, "72030", "2", Sales="100", NCSales="70", NCNP="4"))
    assert figures(read(open_days, "statements"), "Code", "Sales", "Profit") == [
        ("13010", 70.0, 3.0),
        ("72030", 100.0, None),
    ]


def test_dividend_announcements_are_no_statements(open_days: Open, market: FakeMarket) -> None:
    market.statements.append(statement(DAY, "72030", "1", DocType="DividendForecastRevision", FDivAnn="10"))
    assert read(open_days, "statements").height == 0


def test_quarters_of_irregular_years_are_left_out_and_counted_once_whatever_the_plan(
    open_days: Open, market: FakeMarket
) -> None:
    market.statements += [
        statement(DAY, "72030", "1", CurPerType="5Q", Sales="100"),
        statement(DAY, "86970", "2", CurPerType="4Q", FNP="100"),
        statement(DAY, "99840", "3", CurPerType="5Q", DocType="DividendForecastRevision"),
        statement(DAY, "13010", "4", Sales="100"),
    ]
    assert read(open_days, "statements", recheck_hours=0.0)["Code"].to_list() == ["13010"]
    assert open_days().coverage().left_out == {"statements": {str(DAY): 2}}
    market.statements.pop(0)
    open_days(plan="standard", recheck_hours=0.0).index()
    assert open_days().coverage().left_out == {"statements": {str(DAY): 1}}


def test_a_statement_under_a_year_that_cannot_be_is_left_out_and_counted(open_days: Open, market: FakeMarket) -> None:
    market.statements += [
        statement(DAY, "72030", "1", Sales="100", CurFYEn="2202-03-31"),
        statement(DAY, "86970", "2", Sales="200", ShOutFY="5", TrShFY="50"),
        statement(DAY, "13010", "3", DocType="EarnForecastRevision", CurPerType="FY", NxFNp="9", NxtFYEn="2502-03-31"),
    ]
    rows = read(open_days, "statements")
    assert figures(rows, "Code", "FiscalYearEnd", "Sales", "SharesOutstanding", "ForecastProfit") == [
        ("13010", date(2025, 3, 31), None, None, 9.0),
        ("86970", date(2024, 3, 31), 200.0, None, None),
    ]
    assert open_days().coverage().left_out == {"statements": {str(DAY): 1}}


@pytest.mark.parametrize(("told", "known"), [("14:59", 5 * 60 + 59), ("15:30:00", 6 * 60 + 30), ("", 14 * 60 + 59)])
def test_a_statement_counts_from_its_minute_and_at_the_end_of_the_day_where_none_is_given(
    open_days: Open, market: FakeMarket, told: str, known: int
) -> None:
    market.statements.append(statement(DAY, "72030", "1", Sales="100", DiscTime=told))
    [at] = read(open_days, "statements")["PublishedAt"].to_list()
    assert at.hour * 60 + at.minute == known


def test_since_september_2026_balances_of_the_days_between_are_daily(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    week = [date(2026, 10, day) for day in (5, 6, 7, 8, 9, 13)]
    other = FakeMarket(week)
    other.margin = [balance(week[2], "13010", week[3]), balance(week[4], "13010", week[5])]
    market.__dict__.update(other.__dict__)
    clock.at = datetime(2026, 10, 13, 9, 30, tzinfo=UTC)
    rows = read(open_days, "margin", start=week[0])
    assert rows.select("Date", "Kind", "RecordDate").rows() == [
        (week[3], "daily", week[2]),
        (week[5], "weekly", week[4]),
    ]
    assert rows["PublishedAt"].to_list()[0] == datetime(2026, 10, 8, 7, 0, tzinfo=UTC)
    assert units(MARGIN, week) == [str(day) for day in week]


def test_weekly_balances_are_asked_for_once_a_week_and_when_they_are_published() -> None:
    days = [date(2024, 1, day) for day in (4, 5, 9, 10, 11, 12, 15, 16)]
    assert units(MARGIN, days) == ["2024-01-05", "2024-01-12", "2024-01-16"]
    assert opens_at(MARGIN, "2024-01-05", days, JPX).isoformat() == "2024-01-10T16:00:00+09:00"
    assert opens_at(MARGIN, "2024-01-16", days, JPX).year == 9999
    assert units(STATEMENTS, days[:3]) == ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]


def test_rows_that_came_twice_count_once_in_any_order() -> None:
    rows = [bar(DAY, code, 100.0) for code in ("2", "1", "3")]
    frame = to_frame(BARS, [*rows, *reversed(rows)], str(DAY)).frame
    assert frame["Code"].to_list() == ["1", "2", "3"]
    assert frame.equals(to_frame(BARS, rows[::-1], str(DAY)).frame)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([bar(DAY, "1", 100.0), bar(DAY, "1", 101.0)], r"contradicts itself: 1 of 2 keys.*Code=1"),
        ([bar(date(2024, 1, 18), "1", 100.0)], r"1 of 1 rows have the Date 2024-01-18, which was not asked for"),
        ([bar(DAY, "1", 100.0) | {"C": "cheap"}], r"column 'C' holds 'cheap'"),
        ([bar(DAY, "1", 100.0), bar(DAY, "2", 100.0) | {"C": math.nan}], r"'C' holds 'nan'.* in 1 of 2 .*code 2"),
        ([bar(DAY, "1", 100.0) | {"AdjFactor": "inf"}], r"/equities/bars/daily for 2024.*'AdjFactor' holds 'inf'"),
        ([bar(DAY, "1", 100.0) | {"C": "-1e999"}], r"column 'C' holds '-1e999'"),
        ([bar(DAY, "1", 100.0) | {"AdjFactor": 0.0}], r"AdjFactor is not positive in 1 of 1 rows \(first: code 1\)"),
        ([bar(DAY, "1", 100.0), bar(DAY, "2", 100.0) | {"L": "-1"}], r"L is negative in 1 of 2 rows \(first: code 2\)"),
        ([bar(DAY, "1", 100.0) | {"Vo": 1e20}], r"column 'Vo' holds '1e\+20'"),
        ([bar(DAY, "1", 100.0) | {"Vo": 10**400}], r"column 'Vo' holds '1000.* in 1 of 1 rows"),
        ([{"Date": str(DAY), "Code": "1"}], r"has no column 'UL' in 1 of 1 rows"),
        ([bar(DAY, "1", 100.0) | {"Code": None}], r"Code is empty in 1 of 1 rows"),
    ],
)
def test_rows_that_cannot_be_right_are_refused(rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        to_frame(BARS, rows, str(DAY))


@pytest.mark.parametrize(("name", "value"), [("AdjFactor", math.nan), ("C", math.inf), ("Vo", 1e20)])
def test_a_bar_with_a_number_that_is_none_is_refused_before_it_is_kept(
    open_days: Open, market: FakeMarket, name: str, value: float
) -> None:
    right = market.bars[str(DAY), "72030"][name]
    market.bars[str(DAY), "72030"][name] = value
    with pytest.raises(SourceError, match=f"{name!r} holds.* in 1 of 6 rows .*code 72030"):
        open_days(tables=[]).index()
    assert open_days(offline=True).read([DAY]).quotes.height == 0
    market.bars[str(DAY), "72030"][name] = right
    assert DAY in open_days(tables=[]).index().days


def test_a_price_of_an_old_day_that_none_can_be_stops_nothing_once_it_is_served_right(
    open_days: Open, market: FakeMarket
) -> None:
    right = market.bars["2024-01-04", "72030"]
    market.bars["2024-01-04", "72030"] = right | {"C": -1.0}
    settings = {"recheck_days": 2, "sweep_days_per_sync": 0, "tables": []}
    with pytest.raises(SourceError, match=r"bars/daily for 2024-01-04: C is negative in 1 of 6 .*source\.empty_days"):
        open_days(**settings).index()
    market.bars["2024-01-04", "72030"] = right
    source = open_days(**settings)
    quotes = source.read(list(source.index().days)).quotes.filter(pl.col("Code") == "72030")
    assert quotes["Close"].to_list()[0] == right["C"] and quotes.height == len(market.days)


def test_the_key_of_a_daily_balance_lets_two_records_of_one_day_stand() -> None:
    rows = [alert(DAY, "1", date(2024, 1, day), 1.0, 1.0) for day in (15, 16)]
    assert to_frame(DAILY_MARGIN.endpoints[0], rows, str(DAY)).frame.height == 2

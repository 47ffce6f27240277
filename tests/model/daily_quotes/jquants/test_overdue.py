"""A row that an earlier ask did not find, though it was published, is dated from when it was first served."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket, alert, flow, statement
from tests.model.daily_quotes.jquants.server import Fault, JQuantsServer

DAY, NEXT, LAST = date(2024, 1, 17), date(2024, 1, 18), date(2024, 1, 19)
WEEK = date(2024, 1, 12)
"""A margin record that is served from the 16th on."""
LEDGER = "sources/jquants/ledger"


def evening(day: date) -> datetime:
    """18:30 in Tokyo."""
    return datetime(day.year, day.month, day.day, 9, 30, tzinfo=UTC)


def withheld(market: FakeMarket, table: str, chosen: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Take rows out of what is served; the table as it was."""
    rows: list[dict[str, Any]] = getattr(market, table)
    setattr(market, table, [row for row in rows if not chosen(row)])
    return rows


def test_a_first_load_dates_nothing_from_when_it_was_fetched(open_days: Open, tmp_path: Path) -> None:
    open_days().index()
    files = sorted(path for path in (tmp_path / "sources/jquants").rglob("*.parquet"))
    assert len(files) > 40
    assert all(pl.read_parquet(path)["_Seen"].null_count() == pl.read_parquet(path).height for path in files)


@pytest.mark.parametrize("lost", ["", f"{LEDGER}/margin/2024-01.json"])  # by a crash between the rows and the ledger
def test_a_balance_that_was_asked_for_in_vain_counts_from_when_it_was_served(
    open_days: Open, market: FakeMarket, clock: FakeClock, tmp_path: Path, lost: str
) -> None:
    balances = withheld(market, "margin", lambda row: row["Date"] == str(WEEK))
    clock.at = evening(date(2024, 1, 16))
    open_days().index()
    market.margin = balances
    if lost:
        (tmp_path / lost).unlink()
    clock.at = evening(LAST)
    source = open_days(recheck_days=250)
    rows = source.read(list(source.index().days)).beside["margin"].filter(RecordDate=WEEK)
    assert rows.select("Date", "PublishedAt").unique().rows() == [(LAST, clock.now())]


def test_a_balance_that_was_not_asked_for_yet_counts_from_its_usual_day(open_days: Open, clock: FakeClock) -> None:
    clock.at = evening(date(2024, 1, 15))
    open_days().index()
    clock.at = evening(LAST)
    source = open_days()
    rows = source.read(list(source.index().days)).beside["margin"].filter(RecordDate=WEEK)
    assert rows.select("Date", "PublishedAt").unique().rows() == [(date(2024, 1, 16), None)]


def test_short_selling_that_was_asked_for_in_vain_counts_from_when_it_was_served(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    shorts = withheld(market, "shorts", lambda row: row["Date"] == str(DAY) and row["S33"] != "0050")
    clock.at = evening(DAY)
    open_days().index()
    market.shorts = shorts
    clock.at = evening(LAST)
    source = open_days()
    rows = source.read(list(source.index().days)).beside["short_selling"].filter(RecordDate=DAY)
    fishery = pl.col("Sector") == "Fishery, Agriculture & Forestry"
    assert rows.filter(fishery)["PublishedAt"].to_list() == [datetime(2024, 1, 17, 7, 30, tzinfo=UTC)]
    assert rows.filter(~fishery).select("Date", "PublishedAt").unique().rows() == [(LAST, clock.now())]


def test_a_daily_balance_that_joins_those_of_its_day_later_counts_from_when_it_was_served(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.alerts = [alert(DAY, "13010", date(2024, 1, 16), 1.0, 2.0)]
    clock.at = evening(DAY)
    open_days().index()
    market.alerts.append(alert(DAY, "72030", date(2024, 1, 16), 3.0, 4.0))
    clock.at = evening(NEXT)
    source = open_days()
    rows = source.read(list(source.index().days)).beside["margin"].filter(Kind="daily")
    told = datetime(2024, 1, 17, 7, 30, tzinfo=UTC)
    assert rows.select("Code", "PublishedAt").rows() == [("13010", told), ("72030", clock.now())]


@pytest.mark.parametrize(("disclosed", "late"), [("15:30:00", True), ("18:30", True), ("19:00:00", False), ("", False)])
def test_a_statement_that_was_disclosed_before_an_ask_in_vain_counts_from_when_it_was_served(
    open_days: Open, market: FakeMarket, clock: FakeClock, disclosed: str, late: bool
) -> None:
    clock.at = evening(DAY)
    open_days().index()
    market.statements.append(statement(DAY, "72030", "7", Sales="100", DiscTime=disclosed))
    clock.at = evening(NEXT)
    source = open_days()
    [row] = source.read(list(source.index().days)).beside["statements"].to_dicts()
    assert row["Date"] == (NEXT if late else DAY)
    assert (row["PublishedAt"] == clock.now()) == late


def test_a_level_and_a_week_of_flow_that_were_missing_from_their_year_count_from_when_they_were_served(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.flows.append(flow(date(2024, 1, 5), DAY) | {"Section": "TSEStandard"})
    levels = withheld(market, "topix", lambda row: row["Date"] == str(DAY))
    flows = withheld(market, "flows", lambda row: row["Section"] == "TSEStandard")
    clock.at = evening(DAY)
    open_days().index()
    market.topix, market.flows = levels, flows
    clock.at = evening(NEXT)
    source = open_days()
    batch = source.read(list(source.index().days))
    topix = batch.beside["indices"].filter(pl.col("IndexCode") == "TOPIX", pl.col("Date") >= DAY)
    own = datetime(2024, 1, 18, 7, 30, tzinfo=UTC)
    assert topix.select("Date", "PublishedAt").rows() == [(DAY, clock.now()), (NEXT, own)]
    section = batch.beside["investor_flow"].filter(Section="TSEStandard")
    assert section.select("Date", "PublishedAt").rows() == [(NEXT, clock.now())]


@pytest.mark.parametrize("settings", [{"end": "2024-01-12"}, {"start": "2024-01-16"}])
def test_the_part_of_a_year_that_was_not_asked_for_counts_from_its_publication(
    open_days: Open, server: JQuantsServer, clock: FakeClock, settings: dict[str, str]
) -> None:
    server.window = ("2024-01-11", "2024-01-31")
    open_days(**settings).index()
    server.window = None
    clock.wait(hours=7)
    source = open_days(plan="standard")
    batch = source.read(list(source.index().days))
    topix = batch.beside["indices"].filter(IndexCode="TOPIX")
    assert topix["PublishedAt"].to_list() == batch.quotes["KnownAt"].unique().sort().to_list()
    assert topix["PublishedAt"].max() == datetime(2024, 1, 19, 7, 30, tzinfo=UTC)


def test_a_ledger_that_does_not_say_what_was_asked_of_a_year_dates_only_what_lies_between_its_rows(
    open_days: Open, market: FakeMarket, clock: FakeClock, tmp_path: Path
) -> None:
    levels = withheld(market, "topix", lambda row: row["Date"] in (str(DAY), str(LAST)))
    open_days().index()
    market.topix = levels
    book = tmp_path / LEDGER / "topix/2024.json"
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace('"span":["2024-01-01","2024-01-19"],', ""), encoding="utf-8")
    assert "span" in text and "span" not in book.read_text(encoding="utf-8")
    clock.wait(hours=7)
    source = open_days()
    levels_of = source.read(list(source.index().days)).beside["indices"].filter(IndexCode="TOPIX")
    dated = dict(levels_of.select("Date", "PublishedAt").iter_rows())
    assert (dated[DAY], dated[LAST]) == (clock.now(), datetime(2024, 1, 19, 7, 30, tzinfo=UTC))


@pytest.mark.parametrize("crash", [False, True])  # before the record of coverage was written
def test_the_bars_of_a_day_that_was_awaited_are_known_from_when_they_were_served(
    open_days: Open, market: FakeMarket, clock: FakeClock, tmp_path: Path, crash: bool
) -> None:
    late = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == str(LAST)}
    source = open_days()
    before = source.index().days
    assert max(before) == NEXT and list(source.coverage().awaited) == [str(LAST)]
    if crash:
        (tmp_path / "sources/jquants/coverage.json").unlink()
    assert source.index().days == before
    market.bars |= late
    clock.wait(hours=15)
    source = open_days()
    after = source.index().days
    assert {day: after[day] for day in before} == before
    batch = source.read([NEXT, LAST])
    known = batch.quotes.select("Date", "KnownAt").unique().sort("Date").rows()
    assert known == [(NEXT, datetime(2024, 1, 18, 7, 30, tzinfo=UTC)), (LAST, clock.now())]
    assert batch.beside["revisions"].height == 0


def test_an_ask_that_got_no_answer_dates_nothing(open_days: Open, server: JQuantsServer, clock: FakeClock) -> None:
    server.faults = [Fault("status", "short-ratio", times=99, status=500, date=str(DAY))]
    with pytest.raises(Exception, match="did not answer"):
        open_days().index()
    server.faults = []
    clock.wait(days=1)
    source = open_days(end=str(LAST))
    rows = source.read(list(source.index().days)).beside["short_selling"].filter(RecordDate=DAY)
    assert rows["PublishedAt"].unique().to_list() == [datetime(2024, 1, 17, 7, 30, tzinfo=UTC)]

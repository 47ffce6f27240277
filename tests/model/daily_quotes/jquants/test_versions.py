"""What was known when: corrections rewrite the days they touch and no others, and the older figures are kept."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.sources.jquants.tables import DAILY_MARGIN, QUOTES, Table
from model.daily_quotes.sources.jquants.versions import SEEN, UNTIL, current, first_versions, update
from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket, balance, bar, flow, listing, statement
from tests.model.daily_quotes.jquants.server import JQuantsServer

DAY, NEXT = date(2024, 1, 17), date(2024, 1, 18)


def changed(before: dict[date, str], after: dict[date, str]) -> list[date]:
    return sorted(day for day in before.keys() | after.keys() if before.get(day) != after.get(day))


def test_a_corrected_bar_rewrites_its_day_and_no_other_and_the_old_one_goes_to_the_revisions(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    before = open_days().index().days
    market.bars[str(DAY), "72030"] |= {"C": 1234.0}
    clock.wait(days=3)
    source = open_days()
    after = source.index().days
    assert changed(before, after) == [DAY]
    batch = source.read([DAY, NEXT])
    row = batch.quotes.row(by_predicate=(pl.col("Date") == DAY) & (pl.col("Code") == "72030"), named=True)
    assert (row["Close"], row["KnownAt"]) == (1234.0, clock.now())
    [old] = batch.beside["revisions"].to_dicts()
    assert (old["Date"], old["Code"], old["Close"]) == (DAY, "72030", 1208.0)
    assert (old["KnownAt"], old["SupersededAt"]) == (datetime(2024, 1, 17, 7, 30, tzinfo=UTC), clock.now())


def test_a_correction_taken_back_leaves_both_older_versions(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    open_days().index()
    right = market.bars[str(DAY), "72030"]
    for row in (right | {"C": 1.0}, right):
        clock.wait(hours=7)
        market.bars[str(DAY), "72030"] = row
        open_days().index()
    batch = open_days().read([DAY])
    assert batch.beside["revisions"]["Close"].to_list() == [right["C"], 1.0]
    assert batch.quotes.filter(pl.col("Code") == "72030")["Close"].to_list() == [right["C"]]


def test_a_correction_that_was_seen_while_the_clock_was_ahead_ends_with_the_next_one(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    settings = {"end": "2024-01-19", "tables": []}
    open_days(**settings).index()
    for days, close in ((9, 1234.0), (-8, 1300.0)):
        clock.wait(days=days)
        market.bars[str(DAY), "72030"] |= {"C": close}
        open_days(recheck_days=9, **settings).index()
    batch = open_days(**settings).read([DAY])
    row = batch.quotes.row(by_predicate=pl.col("Code") == "72030", named=True)
    assert (row["Close"], row["KnownAt"]) == (1300.0, clock.now())
    assert batch.beside["revisions"]["Close"].to_list() == [1208.0]


def test_a_bar_that_goes_away_or_comes_late_is_dated_from_when_it_was_seen(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    gone = market.bars.pop((str(DAY), "13010"))
    open_days().index()
    market.bars[str(DAY), "13010"] = gone
    del market.bars[str(NEXT), "130A0"]
    clock.wait(days=1)
    source = open_days()
    source.index()
    late = source.read([DAY]).quotes.filter(pl.col("Code") == "13010")
    assert late["KnownAt"].to_list() == [clock.now()]
    batch = source.read([NEXT])
    assert "130A0" not in batch.quotes["Code"].to_list()
    assert batch.beside["revisions"]["Code"].to_list() == ["130A0"]


def test_the_restated_history_after_a_split_changes_no_day_but_the_ex_date(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    clock.wait(days=-2)
    before = open_days(recheck_days=250).index().days
    adjusted = market.bars["2024-01-05", "72030"]["AdjC"]
    market.split("72030", date(2024, 1, 18), 0.5)
    assert market.bars["2024-01-05", "72030"]["AdjC"] == adjusted / 2
    clock.wait(days=2)
    source = open_days(recheck_days=250)
    after = source.index().days
    assert changed(before, after) == [date(2024, 1, 18), date(2024, 1, 19)]  # new days, and nothing else
    rows = source.read(list(after)).quotes.filter(pl.col("Code") == "72030").sort("Date")
    assert rows["AdjustmentFactor"].to_list() == [1.0] * 9 + [0.5, 1.0]
    assert rows["Close"].to_list()[-3:] == [1208.0, 1209.0 / 2, 1210.0 / 2]
    assert not any(name.startswith("Adj") and name != "AdjFactor" for name in source.read([DAY]).received.columns)


def test_a_changed_sector_is_a_new_version_of_the_bar(open_days: Open, market: FakeMarket, clock: FakeClock) -> None:
    open_days().index()
    market.master[str(DAY), "72030"]["S33"] = "3650"
    clock.wait(days=1)
    source = open_days()
    source.index()
    batch = source.read([DAY])
    assert batch.quotes.filter(pl.col("Code") == "72030")["Sector"].to_list() == ["Electric Appliances"]
    assert batch.beside["revisions"]["Sector"].to_list() == ["Transportation Equipment"]


def test_a_changed_statement_counts_from_when_it_was_seen_and_its_first_version_stays(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements.append(statement(DAY, "72030", "7", Sales="100", NP="10"))
    before = open_days().index().days
    market.statements[0]["NP"] = "12"
    clock.wait(days=3)  # Monday, 18:30
    market_day(market, date(2024, 1, 22))
    source = open_days()
    after = source.index().days
    assert changed(before, after) == [date(2024, 1, 22)]
    rows = source.read(list(after)).beside["statements"]
    assert rows.select("Date", "Profit").rows() == [(DAY, 10.0), (date(2024, 1, 22), 12.0)]
    assert rows["PublishedAt"].to_list() == [datetime(2024, 1, 17, 6, 30, tzinfo=UTC), clock.now()]


@pytest.mark.parametrize(("split", "shares"), [(NEXT, 4950.0), (date(2024, 1, 22), 4950.0), (DAY, 990.0)])
def test_a_statement_that_changes_after_a_split_counts_the_shares_of_the_day_of_the_change(
    open_days: Open, market: FakeMarket, clock: FakeClock, split: date, shares: float
) -> None:
    market.statements += [statement(DAY, code, code, NP="10", ShOutFY="1000", TrShFY="10") for code in market.codes[:3]]
    before = open_days().index().days
    for row in market.statements[1:3]:  # 130A0 and 72030; 13010 does not change
        row["NP"] = "12"
    clock.wait(days=3)  # Monday, 18:30
    market_day(market, date(2024, 1, 22))
    for code in ("72030", "13010"):
        market.bars[str(split), code]["AdjFactor"] = 0.2
    source = open_days(recheck_days=250)
    after = source.index().days
    assert changed(before, after) == sorted({split, date(2024, 1, 22)})
    rows = source.read(list(after)).beside["statements"]
    first = rows.filter(pl.col("Date") == DAY).select("Code", "SharesOutstanding").rows()
    assert first == [("13010", 990.0), ("130A0", 990.0), ("72030", 990.0)]
    late = rows.filter(pl.col("Date") == date(2024, 1, 22))
    assert late.select("Code", "SharesOutstanding", "Profit").rows() == [
        ("130A0", 990.0, 12.0),
        ("72030", shares, 12.0),
    ]
    assert source.read([date(2024, 1, 22)]).beside["statements"].equals(late)


def test_a_split_on_the_day_after_a_holiday_is_in_no_number_that_was_disclosed_on_the_holiday(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements.append(statement(date(2024, 1, 8), "72030", "7", NP="10", ShOutFY="1000"))
    market.bars["2024-01-09", "72030"]["AdjFactor"] = 0.5
    open_days().index()
    market.statements[0]["NP"] = "12"
    clock.wait(days=3)
    market_day(market, date(2024, 1, 22))
    source = open_days(recheck_days=250)
    rows = source.read(list(source.index().days)).beside["statements"]
    counted = rows.select("Date", "SharesOutstanding").rows()
    assert counted == [(date(2024, 1, 9), 1000.0), (date(2024, 1, 22), 2000.0)]


def test_a_change_that_was_seen_at_a_weekend_counts_no_split_of_the_monday(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements.append(statement(DAY, "72030", "7", NP="10", ShOutFY="1000"))
    open_days().index()
    market.statements[0]["NP"] = "12"
    clock.wait(days=1)
    open_days().index()
    clock.wait(days=2)
    market_day(market, date(2024, 1, 22))
    market.bars["2024-01-22", "72030"]["AdjFactor"] = 0.5
    source = open_days()
    late = source.read(list(source.index().days)).beside["statements"].filter(pl.col("Profit") == 12.0)
    assert late.select("Date", "SharesOutstanding").rows() == [(date(2024, 1, 22), 1000.0)]
    assert late["PublishedAt"].dt.date().to_list() == [date(2024, 1, 20)]


def test_a_split_that_is_corrected_later_makes_the_day_of_a_changed_statement_stale(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements.append(statement(DAY, "72030", "7", NP="10", ShOutFY="1000"))
    open_days().index()
    market.statements[0]["NP"] = "12"
    clock.wait(days=3)
    market_day(market, date(2024, 1, 22))
    before = open_days().index().days
    market.bars[str(NEXT), "72030"]["AdjFactor"] = 0.5
    clock.wait(hours=7)
    source = open_days()
    after = source.index().days
    assert changed(before, after) == [NEXT, date(2024, 1, 22)]
    rows = source.read(list(after)).beside["statements"]
    assert rows.select("Date", "SharesOutstanding").rows() == [(DAY, 1000.0), (date(2024, 1, 22), 2000.0)]


def test_a_correction_of_the_weekly_flow_is_a_row_of_its_own(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    before = open_days().index().days
    market_day(market, date(2024, 1, 22))
    market.flows.append(flow(date(2024, 1, 5), date(2024, 1, 22)) | {"FrgnBal": 300})
    clock.wait(days=3)
    source = open_days()
    after = source.index().days
    assert changed(before, after) == [date(2024, 1, 22)]
    flows = source.read(list(after)).beside["investor_flow"].filter(pl.col("PeriodEnd") == date(2024, 1, 5))
    assert flows.select("Date", "ForeignNet").rows() == [(date(2024, 1, 11), 250e3), (date(2024, 1, 22), 300e3)]


def test_a_corrected_margin_figure_does_not_touch_the_day_it_was_first_published(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    before = open_days(recheck_days=250).index().days
    market.margin[0] = balance(date(2024, 1, 5), "13010") | {"LongVol": 5.0}
    market_day(market, date(2024, 1, 22))
    clock.wait(days=3)
    source = open_days(recheck_days=250)
    after = source.index().days
    assert date(2024, 1, 10) not in changed(before, after)
    rows = source.read(list(after)).beside["margin"]
    mine = rows.filter((pl.col("Code") == "13010") & (pl.col("RecordDate") == date(2024, 1, 5)))
    assert mine.select("Date", "MarginLong").rows() == [(date(2024, 1, 10), 27600.0), (date(2024, 1, 22), 5.0)]
    assert mine["PublishedAt"].to_list() == [None, clock.now()]


def test_levels_of_the_days_of_a_pause_count_from_their_own_publication(open_days: Open, clock: FakeClock) -> None:
    clock.wait(days=-7)
    open_days(end="2024-01-19").index()
    clock.wait(days=7)
    source = open_days(end="2024-01-19")
    batch = source.read(list(source.index().days))
    for levels in batch.beside["indices"].partition_by("IndexCode"):
        assert levels["Date"].to_list() == batch.quotes["Date"].unique().sort().to_list()
        assert levels["PublishedAt"].to_list() == batch.quotes["KnownAt"].unique().sort().to_list()
    assert batch.quotes["KnownAt"].max() == datetime(2024, 1, 19, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(("code", "place"), [("TOPIX", "topix"), ("0040", "indices")])
def test_a_corrected_level_stays_beside_the_one_that_it_corrects(
    open_days: Open, market: FakeMarket, clock: FakeClock, code: str, place: str
) -> None:
    before = open_days().index().days
    rows = [row for row in getattr(market, place) if row["Date"] == str(DAY) and row.get("Code") != "0000"]
    rows[0]["C"] = 9999.0
    clock.wait(days=1)
    source = open_days()
    after = source.index().days
    assert changed(before, after) == [DAY]
    levels = source.read(list(after)).beside["indices"].filter(pl.col("IndexCode") == code, pl.col("Date") == DAY)
    assert levels["PublishedAt"].to_list() == [datetime(2024, 1, 17, 7, 30, tzinfo=UTC), clock.now()]
    assert levels["Close"][0] < 9999.0 == levels["Close"][1]


def test_a_level_of_a_day_that_is_still_being_made_up_counts_once_from_its_publication(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    clock.wait(hours=-2, minutes=-15)  # 16:15 in Tokyo
    open_days().index()
    market.topix[-1]["C"] = 9999.0
    clock.wait(minutes=10)
    open_days(recheck_hours=0.0).index()
    clock.wait(minutes=20)
    source = open_days()
    levels = source.read(list(source.index().days)).beside["indices"].filter(IndexCode="TOPIX", Date=date(2024, 1, 19))
    assert levels.select("Close", "PublishedAt").rows() == [(9999.0, datetime(2024, 1, 19, 7, 30, tzinfo=UTC))]


def test_a_level_that_is_served_no_more_and_comes_back_leaves_a_gap(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    open_days().index()
    every, times = market.indices, []
    for rows in ([row for row in every if (row["Date"], row["Code"]) != (str(DAY), "0040")], every):
        market.indices = rows
        clock.wait(days=1)
        source = open_days(end="2024-01-19")
        source.index()
        times.append(clock.now())
    levels = source.read([DAY]).beside["indices"].filter(IndexCode="0040")
    own = datetime(2024, 1, 17, 7, 30, tzinfo=UTC)
    assert levels.select("Close", "PublishedAt").rows() == [(508.0, own), (None, times[0]), (508.0, times[1])]
    assert levels.select("Open", "High", "Low").null_count().row(0) == (1, 1, 1)


def test_an_answer_that_was_cut_replaces_nothing(open_days: Open, market: FakeMarket, server: JQuantsServer) -> None:
    known = first_versions(bars({f"{code:05}": 1.0 for code in range(60)}))
    with pytest.raises(SourceError, match="cut answer"):
        update(QUOTES, "2024-01-17", known, bars({"00001": 1.0}), datetime(2024, 1, 18, tzinfo=UTC))


def market_day(market: FakeMarket, day: date) -> None:
    """Another trading day, with bars and master only."""
    market.days = [*market.days, day]
    for code in market.codes:
        market.bars[str(day), code] = bar(day, code, 1000.0)
        market.master[str(day), code] = listing(day, code)


def bars(closes: dict[str, float]) -> pl.DataFrame:
    rows = [{"Date": "2024-01-17", "Code": code, "C": close} for code, close in closes.items()]
    return pl.DataFrame(rows, schema=QUOTES.schema).sort("Code")


Closes = dict[str, float]
states = st.lists(
    st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from([1.0, 2.0, 3.0]), min_size=1), min_size=1, max_size=6
)


@given(states)
@settings(max_examples=25, deadline=None)
def test_any_past_state_of_a_day_can_be_read_back(answers: list[Closes]) -> None:
    start = datetime(2024, 1, 17, 9, tzinfo=UTC)
    versions = first_versions(bars(answers[0]))
    for place, answer in enumerate(answers[1:], start=1):
        versions = update(QUOTES, "2024-01-17", versions, bars(answer), start + timedelta(hours=place))
    for place, answer in enumerate(answers):
        at = start + timedelta(hours=place)
        seen = pl.col(SEEN).is_null() | (pl.col(SEEN) <= at)
        there = versions.filter(seen & (pl.col(UNTIL).is_null() | (pl.col(UNTIL) > at)))
        assert dict(there.select("Code", "C").rows()) == answer
    assert dict(current(versions).select("Code", "C").rows()) == answers[-1]


@given(states)
@settings(max_examples=25, deadline=None)
def test_published_figures_never_go_away(answers: list[Closes]) -> None:
    def alerts(closes: Closes) -> pl.DataFrame:
        rows = [{"PubDate": "2024-01-17", "Code": c, "AppDate": "2024-01-16", "LongOut": x} for c, x in closes.items()]
        return pl.DataFrame(rows, schema=DAILY_MARGIN.schema).sort("Code")

    versions, said = first_versions(alerts(answers[0])), set(answers[0].items())
    for place, answer in enumerate(answers[1:], start=1):
        now = datetime(2024, 1, 17, 9, tzinfo=UTC) + timedelta(hours=place)
        versions = update(DAILY_MARGIN, "2024-01-17", versions, alerts(answer), now)
        said |= set(answer.items())
    assert set(versions.select("Code", "LongOut").rows()) == said


def test_the_same_answer_again_changes_nothing() -> None:
    known: Any = first_versions(bars({"A": 1.0, "B": 2.0}))
    table: Table = QUOTES
    assert update(table, "2024-01-17", known, bars({"B": 2.0, "A": 1.0}), datetime(2024, 1, 18, tzinfo=UTC)) is known


def test_the_memory_is_read_back_as_it_was_written(open_days: Open, tmp_path: Path) -> None:
    index = open_days().index()
    assert open_days(offline=True).index() == index
    assert not list(tmp_path.rglob("*.tmp"))

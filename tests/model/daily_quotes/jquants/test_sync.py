"""What is asked for and kept: every day once, what may change again, and nothing lost when a run is cut off."""

import hashlib
from datetime import date
from pathlib import Path

import pytest

from model.daily_quotes.sources.access import Access
from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket, bar, listing, no_trade, statement
from tests.model.daily_quotes.jquants.server import KEY, Fault, JQuantsServer

BARS, MASTER = "/equities/bars/daily", "/equities/master"
FRIDAY = date(2024, 1, 19)


def asked_days(server: JQuantsServer, ending: str = BARS) -> list[str]:
    return [query["date"] for query in server.asked(ending)]


def files(root: Path) -> dict[str, str]:
    kept = sorted(path for path in root.rglob("*.parquet") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def test_the_first_sync_asks_once_for_every_trading_day(
    open_days: Open, server: JQuantsServer, market: FakeMarket
) -> None:
    index = open_days().index()
    assert list(index.days) == list(market.days)
    assert asked_days(server) == [str(day) for day in market.days] == asked_days(server, MASTER)
    assert {request.key for request in server.requests} == {KEY}


def test_the_estimate_is_told_before_anything_is_asked_and_the_time_left_afterwards(
    open_days: Open, server: JQuantsServer
) -> None:
    notes: list[tuple[int, int, str]] = []
    open_days(notes=notes, plan="free").index()
    requests = len(server.requests) - 1  # the calendar comes first
    assert notes[0] == (0, requests, f"{requests} requests to J-Quants, about 15 minutes")
    assert notes[-1][:2] == (requests, requests)
    places = [done for done, _, _ in notes]
    assert places == sorted(places)


def test_the_estimate_knows_that_statements_have_a_limit_of_their_own(open_days: Open, server: JQuantsServer) -> None:
    server.faults = [Fault("status", BARS, status=418)]
    notes: list[tuple[int, int, str]] = []
    with pytest.raises(SourceError, match="HTTP 418"):
        open_days(notes=notes, start=date(2023, 1, 4), tables=["statements"]).index()
    days, weekdays = 257, 273  # at 500 and at 60 a minute
    assert notes[0] == (0, 2 * days + weekdays, "787 requests to J-Quants, about 6 minutes")


def test_looking_again_soon_asks_for_nothing(open_days: Open, server: JQuantsServer, clock: FakeClock) -> None:
    first = open_days().index()
    sent = len(server.requests)
    clock.wait(minutes=30)
    assert open_days().index() == first and len(server.requests) == sent


def test_a_later_night_asks_for_the_new_day_and_the_newest_ones_again(
    open_days: Open, server: JQuantsServer, market: FakeMarket, clock: FakeClock
) -> None:
    clock.wait(days=-1)
    before = open_days(recheck_days=3).index()
    assert max(before.days) == date(2024, 1, 18)
    server.requests.clear()
    clock.wait(days=1)
    after = open_days(recheck_days=3).index()
    assert asked_days(server) == ["2024-01-16", "2024-01-17", "2024-01-18", "2024-01-19"]
    assert {day: after.days[day] for day in before.days} == before.days and max(after.days) == FRIDAY


def test_before_publication_the_newest_day_is_simply_not_there_yet(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    clock.wait(hours=-3)  # 15:30 in Tokyo
    assert max(open_days().index().days) == date(2024, 1, 18)
    assert "2024-01-19" not in asked_days(server)


def test_an_empty_day_that_later_days_have_overtaken_is_refused_until_it_is_explained(
    open_days: Open, market: FakeMarket
) -> None:
    for key in [key for key in market.bars if key[0] == "2024-01-10"]:
        del market.bars[key]
    with pytest.raises(SourceError, match=r"no bars on 1 trading days.*2024-01-10.*source.empty_days"):
        open_days().index()
    index = open_days(empty_days=["2024-01-10"]).index()
    assert date(2024, 1, 10) not in index.days and len(index.days) == len(market.days) - 1


@pytest.mark.parametrize("day", ["2024-01-10", "2024-01-18", "2024-01-19"])  # old, recent, and the newest
@pytest.mark.parametrize("sweep", [5, 0])
def test_an_empty_answer_for_a_day_on_record_is_a_cut_one_that_changes_nothing(
    open_days: Open, server: JQuantsServer, market: FakeMarket, clock: FakeClock, day: str, sweep: int
) -> None:
    settings = {"end": "2024-01-19", "sweep_days_per_sync": sweep, "recheck_days": 2, "tables": []}
    before = open_days(**settings).index()
    kept = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == day}
    clock.wait(days=40)
    notes: list[tuple[int, int, str]] = []
    server.requests.clear()
    for _ in range(6):  # until the sweep has come to the day
        clock.wait(hours=2)
        assert open_days(notes=notes, **settings).index() == before
    asked = asked_days(server).count(day)
    assert asked > 1 or (sweep == 0 and asked == 0 and day < "2024-01-18")
    said = {note for _, _, note in notes if "on record" in note}
    assert said == ({f"no rows of quotes {day}, and 6 on record: those were kept"} if asked else set())
    assert open_days(**settings).coverage().awaited == {}
    market.bars |= kept
    clock.wait(hours=2)
    assert open_days(**settings).index() == before
    assert open_days(offline=True, **settings).read([date.fromisoformat(day)]).quotes.height == 5


def test_an_old_day_that_stays_cut_is_kept_as_it_was_and_stops_no_later_night(
    open_days: Open, market: FakeMarket, server: JQuantsServer, clock: FakeClock
) -> None:
    fill(market, 40)
    settings = {"recheck_days": 2, "sweep_days_per_sync": 3, "tables": []}
    clock.wait(days=-1)
    before = open_days(**settings).index()
    kept = {key: market.bars.pop(key) for key in [key for key in market.bars if key[0] == "2024-01-04"][:40]}
    clock.wait(days=8)
    notes: list[tuple[int, int, str]] = []
    source = open_days(notes=notes, end="2024-01-19", **settings)
    after = source.index()
    assert max(after.days) == FRIDAY and {day: after.days[day] for day in before.days} == before.days
    told = "6 rows of quotes 2024-01-04, and 46 on record: those were kept"
    assert [note for _, _, note in notes if "on record" in note] == [told]
    assert source.coverage().cut["quotes"] == {"2024-01-04": 6}
    server.requests.clear()
    clock.wait(hours=2)
    assert open_days(end="2024-01-19", **settings).index() == after
    assert "2024-01-04" not in asked_days(server)  # it leaves their turn to the others
    market.bars |= kept
    clock.wait(days=8)
    assert open_days(end="2024-01-19", **(settings | {"sweep_days_per_sync": 50})).index() == after
    assert source.coverage().cut == {}


def test_a_cut_answer_for_the_day_itself_is_refused(open_days: Open, market: FakeMarket, clock: FakeClock) -> None:
    fill(market, 40)
    before = open_days().index()
    for key in [key for key in market.bars if key[0] == str(FRIDAY)][:40]:
        del market.bars[key]
    clock.wait(hours=1)
    with pytest.raises(SourceError, match="answered quotes for 2024-01-19 with 6 rows, where 46 are on record"):
        open_days(recheck_hours=0.0).index()
    assert open_days(offline=True).index() == before


def fill(market: FakeMarket, names: int) -> None:
    """More names on every day, so that an answer can be cut."""
    for day in market.days:
        for code in (f"{number}0" for number in range(2000, 2000 + names)):
            market.bars[str(day), code] = bar(day, code, 1000.0)
            market.master[str(day), code] = listing(day, "13010") | {"Code": code}


def test_a_day_on_record_that_was_once_taken_for_an_empty_one_is_awaited_no_more(
    open_days: Open, clock: FakeClock
) -> None:
    source = open_days(end="2024-01-19", sweep_days_per_sync=0)
    before = source.index()
    coverage = source.coverage()
    coverage.awaited["2024-01-10"] = "2024-01-19T09:30:00+00:00"
    source._cache().write_coverage(coverage)
    clock.wait(days=9)
    assert source.index() == before and source.coverage().awaited == {}


def test_a_year_that_comes_back_empty_is_asked_for_again_at_the_next_look(
    open_days: Open, server: JQuantsServer, market: FakeMarket, clock: FakeClock
) -> None:
    clock.wait(days=-1)
    open_days().index()
    levels, market.topix = market.topix, []
    clock.wait(days=1)
    open_days().index()
    market.topix = levels
    server.requests.clear()
    clock.wait(minutes=20)
    source = open_days()
    source.index()
    assert len(server.asked("topix")) == 1
    assert source.read([FRIDAY]).beside["indices"].filter(IndexCode="TOPIX")["Close"].to_list() == [2010.0]


def test_a_day_without_any_trading_is_a_day_like_others(open_days: Open, market: FakeMarket) -> None:
    outage = date(2024, 1, 10)  # as on 2020-10-01: every name is there, and no price
    for key in [key for key in market.bars if key[0] == str(outage)]:
        market.bars[key] = no_trade(market.bars[key])
    source = open_days()
    assert outage in source.index().days
    quotes = source.read([outage]).quotes
    assert quotes.height == 5 and quotes["Close"].null_count() == 5 and quotes["Volume"].null_count() == 5


def test_a_calendar_that_disagrees_with_ours_is_refused(open_days: Open, market: FakeMarket) -> None:
    market.closed.add(date(2024, 1, 10))
    with pytest.raises(SourceError, match=r"disagree on 1 days.*2024-01-10: closed at J-Quants"):
        open_days().index()


def test_a_sync_that_is_cut_off_goes_on_where_it_was(
    open_days: Open, server: JQuantsServer, clock: FakeClock, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    uncut = open_days()
    uncut.access = Access(whole, uncut.access.secrets)
    expected = uncut.index()
    server.requests.clear()
    broken = [Fault("status", times=99, status=500, date="2024-01-11")]
    server.faults = broken
    with pytest.raises(SourceError, match="did not answer"):
        open_days().index()
    done = asked_days(server)
    server.faults, server.requests = [], []
    assert open_days().index() == expected
    assert asked_days(server)[0] == "2024-01-11" and not set(asked_days(server)) & set(done[:-5])
    assert files(tmp_path / "sources") == files(whole / "sources")


def test_a_crash_between_the_rows_and_the_ledger_costs_one_request_and_changes_nothing(
    open_days: Open, server: JQuantsServer, tmp_path: Path
) -> None:
    first = open_days().index()
    before = files(tmp_path)
    (tmp_path / "sources/jquants/ledger/quotes/2024-01.json").unlink()
    server.requests.clear()
    assert open_days().index() == first
    assert files(tmp_path) == before and len(asked_days(server)) == len(first.days)


def test_a_key_that_expires_in_the_middle_keeps_what_was_fetched(
    open_days: Open, server: JQuantsServer, market: FakeMarket
) -> None:
    server.expires_after = 9
    with pytest.raises(SourceError, match=r"rejected the API key.*after 9 answers") as caught:
        open_days().index()
    assert KEY not in str(caught.value)
    server.expires_after, server.requests = None, []
    assert list(open_days().index().days) == list(market.days)
    assert asked_days(server)[0] == "2024-01-11"  # calendar, then four days of two requests each were there


def test_without_a_key_the_source_says_how_to_get_one(open_days: Open, server: JQuantsServer) -> None:
    with pytest.raises(SourceError, match="JQUANTS_API_KEY"):
        open_days(key="").index()
    assert server.requests == []


def test_offline_the_kept_days_are_used_without_key_or_network(open_days: Open, server: JQuantsServer) -> None:
    expected = open_days().index()
    server.requests.clear()
    source = open_days(key="", offline=True)
    assert source.index() == expected and source.read([FRIDAY]).quotes.height == 5
    assert server.requests == []


def test_what_the_plan_lacks_is_recorded_once_and_is_absent_from_the_days(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    server.lacks = ("short-ratio", "margin-interest", "margin-alert", "/indices/bars/daily")
    source = open_days(plan="light")
    source.index()
    states = {name: status.state for name, status in source.coverage().tables.items()}
    assert {name for name, state in states.items() if state == "absent"} == {
        "margin",
        "daily_margin",
        "short_selling",
        "sector_indices",
    }
    assert "not available" in source.coverage().status("margin").message
    assert set(source.read([FRIDAY]).beside) == {"revisions", "statements", "investor_flow", "indices"}
    assert len(server.asked("short-ratio")) == 1
    clock.wait(days=1)
    source.index()
    assert len(server.asked("short-ratio")) == 1


def test_a_better_plan_is_noticed_and_its_tables_join_in(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    server.lacks = ("short-ratio",)
    before = open_days(plan="light").index()
    server.lacks = ()
    after = open_days(plan="standard").index()
    assert "short_selling" in open_days(plan="standard").read([FRIDAY]).beside
    assert all(before.days[day] != after.days[day] for day in before.days)


def test_a_lesser_plan_keeps_what_the_better_one_had_served(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    before = open_days(plan="standard").index()
    server.lacks = ("short-ratio",)
    clock.wait(hours=12)
    source = open_days(plan="light")
    assert source.index() == before and source.coverage().status("short_selling").state == "absent"
    assert source.read([FRIDAY]).beside["short_selling"].height > 0


def test_a_year_is_asked_for_up_to_the_newest_day_and_again_when_a_day_is_added(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    clock.wait(days=-1)
    open_days().index()
    clock.wait(days=1)
    open_days().index()
    asked = [(query["from"], query["to"]) for query in server.asked("topix")]
    assert asked == [("2024-01-01", "2024-01-18"), ("2024-01-01", "2024-01-19")]


def test_bars_that_the_plan_lacks_are_an_error(open_days: Open, server: JQuantsServer) -> None:
    server.lacks = ("equities/bars/daily",)
    with pytest.raises(SourceError, match=r"lacks /equities/bars/daily.*which the source needs"):
        open_days().index()


def test_an_optional_table_that_fails_otherwise_fails_the_sync(open_days: Open, server: JQuantsServer) -> None:
    server.faults = [Fault("status", "short-ratio", times=99, status=500)]
    with pytest.raises(SourceError, match="did not answer /markets/short-ratio for 2024-01-04 in 5"):
        open_days().index()


def test_days_outside_the_plan_window_are_left_out_and_recorded(open_days: Open, server: JQuantsServer) -> None:
    server.window = ("2024-01-09", "2024-01-16")
    source = open_days()
    days = list(source.index().days)
    assert (days[0], days[-1]) == (date(2024, 1, 9), date(2024, 1, 16))
    assert source.coverage().status("calendar").window == ["2024-01-09", "2024-01-16"]
    assert set(asked_days(server)) == {str(day) for day in days}  # the calendar told: nothing was asked for in vain
    assert source.read(days).beside["indices"]["Date"].min() == date(2024, 1, 9)


def test_two_commands_do_not_fetch_at_the_same_time(open_days: Open) -> None:
    source = open_days()
    with source._cache().locked(), pytest.raises(SourceError, match="Another command is fetching"):
        source.index()


def test_a_statement_on_a_holiday_lies_under_the_next_trading_day(open_days: Open, market: FakeMarket) -> None:
    market.statements.append(statement(date(2024, 1, 8), "72030", "1", Sales="100"))  # a Monday, closed
    source = open_days()
    rows = source.read(list(source.index().days)).beside["statements"]
    assert rows["Date"].to_list() == [date(2024, 1, 9)]

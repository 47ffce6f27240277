"""A day that is not there yet, or not whole: it is awaited, and asked for again."""

from datetime import date

import pytest

from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket
from tests.model.daily_quotes.jquants.server import JQuantsServer
from tests.model.daily_quotes.jquants.test_sync import FRIDAY, asked_days, fill


def test_a_day_that_is_published_late_is_awaited_and_asked_for_again(
    open_days: Open, server: JQuantsServer, market: FakeMarket, clock: FakeClock
) -> None:
    late = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == "2024-01-19"}
    source = open_days()
    assert max(source.index().days) == date(2024, 1, 18) and list(source.coverage().awaited) == ["2024-01-19"]
    source.index()
    assert asked_days(server).count("2024-01-19") == 1
    market.bars |= late
    clock.wait(minutes=15)
    assert max(open_days().index().days) == FRIDAY and open_days().coverage().awaited == {}


def test_a_day_of_which_most_bars_are_not_there_yet_is_awaited(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    fill(market, 40)
    clock.wait(hours=-2)  # 16:30 in Tokyo
    late = {key: market.bars.pop(key) for key in [key for key in market.bars if key[0] == str(FRIDAY)][:30]}
    notes: list[tuple[int, int, str]] = []
    source = open_days(notes=notes, tables=[])
    assert max(source.index().days) == date(2024, 1, 18) and list(source.coverage().awaited) == [str(FRIDAY)]
    assert "16 of 46 codes have bars of 2024-01-19 yet: not complete" in [note for _, _, note in notes]
    market.bars |= late
    clock.wait(minutes=15)
    assert max(source.index().days) == FRIDAY
    quotes = source.read([FRIDAY]).quotes
    assert quotes.height == 45 and quotes["KnownAt"].unique().to_list() == [clock.now()]


def test_an_old_day_of_which_most_bars_are_missing_is_taken_as_it_is(open_days: Open, market: FakeMarket) -> None:
    fill(market, 40)
    for key in [key for key in market.bars if key[0] == "2024-01-10"][:30]:
        del market.bars[key]
    source = open_days(tables=[])
    assert date(2024, 1, 10) in source.index().days and source.read([date(2024, 1, 10)]).quotes.height == 16


def test_a_night_with_the_clock_far_ahead_holds_up_no_later_one(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    late = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == str(FRIDAY)}
    clock.wait(days=40)
    with pytest.raises(SourceError, match=r"no bars on .* trading days .*2024-01-19"):
        open_days(tables=[]).index()
    clock.wait(days=-40)
    market.bars |= late
    assert max(open_days(tables=[]).index().days) == FRIDAY

"""The slow sweep over older days: each has its turn, whatever comes of it."""

import contextlib
from datetime import date

import pytest

from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket
from tests.model.daily_quotes.jquants.server import Fault, JQuantsServer
from tests.model.daily_quotes.jquants.test_sync import BARS, asked_days


def test_an_older_day_is_asked_for_again_when_its_turn_comes(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    settings = {"recheck_days": 2, "sweep_days_per_sync": 3, "end": "2024-01-19", "tables": []}
    open_days(**settings).index()
    turns = []
    for _ in range(4):
        clock.wait(days=8)
        server.requests.clear()
        open_days(**settings).index()
        turns.append([day for day in asked_days(server) if day < "2024-01-18"])
    assert turns[0] == ["2024-01-04", "2024-01-05", "2024-01-09"]
    assert [len(turn) for turn in turns] == [3, 3, 3, 3]
    assert {day for turn in turns[:3] for day in turn} == {day for day in map(str, every_day()) if day < "2024-01-18"}


def test_days_that_left_the_window_of_the_plan_take_no_turn_of_the_others(
    open_days: Open, server: JQuantsServer, clock: FakeClock
) -> None:
    settings = {"recheck_days": 2, "sweep_days_per_sync": 2, "end": "2024-01-19", "tables": []}
    open_days(**settings).index()
    server.window = ("2024-01-12", "")  # five days have left it
    server.requests.clear()
    for _ in range(3):
        clock.wait(days=8)
        open_days(**settings).index()
    turns = [day for day in asked_days(server) if day < "2024-01-18"]
    assert turns == ["2024-01-12", "2024-01-15", "2024-01-16", "2024-01-17", "2024-01-12", "2024-01-15"]


@pytest.mark.parametrize("trouble", ["empty", "cut", "window", "refused"])
def test_a_day_that_is_asked_for_in_vain_has_had_its_turn(
    open_days: Open, server: JQuantsServer, market: FakeMarket, clock: FakeClock, trouble: str
) -> None:
    settings = {"recheck_days": 2, "sweep_days_per_sync": 2, "end": "2024-01-19", "tables": []}
    open_days(**settings).index()
    late = {str(day) for day in market.days[:3]}
    if trouble == "empty":
        server.shuffle = lambda rows: [row for row in rows if row["Date"] not in late]
    elif trouble == "cut":
        server.shuffle = lambda rows: [row for row in rows if row["Date"] not in late or "S33" not in row]
    elif trouble == "window":
        message = "Your subscription covers the following dates: 2024-01-10 ~ ."
        server.faults = [Fault("status", BARS, 99, 400, message=message, date=day) for day in late]
    else:
        server.faults = [Fault("status", BARS, 99, 418, date=day) for day in late]
    server.requests.clear()
    for _ in range(8):
        clock.wait(days=1 if server.requests else 8)
        with contextlib.suppress(SourceError):
            open_days(**settings).index()
    asked = set(asked_days(server))
    assert asked == {str(day) for day in every_day()}
    later = open_days(**settings)
    server.shuffle, server.faults = lambda rows: rows, []
    assert len(later.index().days) == len(market.days)


def every_day() -> list[date]:
    return [date(2024, 1, day) for day in (4, 5, 9, 10, 11, 12, 15, 16, 17, 18, 19)]

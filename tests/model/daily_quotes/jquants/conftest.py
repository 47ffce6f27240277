"""A market, a server for it, and a clock that does not wait."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model.daily_quotes import calendar
from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.access import Access, Secret
from model.daily_quotes.sources.jquants.client import KEY_NAME
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.source import JQuantsDays
from tests.model.daily_quotes.jquants.market import FakeMarket
from tests.model.daily_quotes.jquants.server import KEY, JQuantsServer

JPX = CalendarSettings()
START = date(2024, 1, 4)


class FakeClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.at = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def wait(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(calendar.trading_days(JPX, START, date(2024, 1, 19)))


@pytest.fixture
def server(market: FakeMarket) -> Iterator[JQuantsServer]:
    running = JQuantsServer(market)
    yield running
    running.close()


@pytest.fixture
def clock() -> FakeClock:
    """Friday 2024-01-19, 18:30 in Tokyo."""
    return FakeClock(datetime(2024, 1, 19, 9, 30, tzinfo=UTC))


Open = Callable[..., JQuantsDays]


@pytest.fixture
def open_days(server: JQuantsServer, clock: FakeClock, tmp_path: Path) -> Open:
    """Opens the source on the server; keywords are settings, ``key`` and ``notes`` (a list that hears progress)."""

    def opened(key: str = KEY, notes: list[tuple[int, int, str]] | None = None, **keys: Any) -> JQuantsDays:
        settings = {"base_url": server.url, "plan": "premium", "start": START, "attempts": 5, "timeout_seconds": 5.0}
        heard = [] if notes is None else notes
        access = Access(
            home=tmp_path,
            secrets={KEY_NAME: Secret(key)} if key else {},
            progress=lambda done, total, note="": heard.append((done, total, note)),
        )
        return JQuantsDays(
            JQuantsSource.model_validate(settings | keys),
            JPX,
            (clock.now() + timedelta(hours=9)).date(),
            access,
            clock=clock,
        )

    return opened

"""What a sync has to ask for: what is missing, what can still change, and a slow sweep over everything older."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.cache import Cache, Coverage
from model.daily_quotes.sources.jquants.rate import since
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.tables import TABLES, Table, first_day, last_day, opens_at, units

_ASK_AWAITED_AGAIN = timedelta(minutes=10)
_ASK_ABSENT_AGAIN = timedelta(days=7)
_SWEEP_AFTER = timedelta(days=7)
_YEAR_SETTLES = timedelta(days=31)
"""What a year's last week brought is published in January, and may be counted to either year."""


@dataclass(frozen=True)
class Ask:
    """One unit to ask for."""

    table: Table
    unit: str


@dataclass(frozen=True)
class Moment:
    """The state of the world at which a sync decides: the time, and the trading days up to it."""

    now: datetime
    days: tuple[date, ...]
    exchange: CalendarSettings


def wanted_tables(settings: JQuantsSource, coverage: Coverage, now: datetime) -> list[Table]:
    """The tables to ask for: what the settings name, without what the plan was lately found to lack."""
    tables = []
    for table in TABLES.values():
        status = coverage.status(table.name)
        lately = status.state == "absent" and since(datetime.fromisoformat(status.asked), now) < _ASK_ABSENT_AGAIN
        if table.required or (table.name in settings.tables and not lately):
            tables.append(table)
    return tables


def due(
    settings: JQuantsSource, cache: Cache, coverage: Coverage, at: Moment, left_out: Callable[[Ask], bool]
) -> list[Ask]:
    """The units to ask for now, table after table, oldest first; the sweep comes last.

    Args:
        left_out: whether the plan has nothing on a unit. The window moves on every day, and what has left it must not
            take up the sweep.
    """
    recent = timedelta(hours=settings.recheck_hours)
    asks: list[Ask] = []
    rest: list[tuple[datetime, Ask]] = []
    for table in wanted_tables(settings, coverage, at.now):
        known = cache.entries(table.name)
        unsettled = _unsettled_from(settings, list(known), at)
        for unit in units(table, at.days):
            ask, entry = Ask(table, unit), known.get(unit)
            if left_out(ask) or opens_at(table, unit, at.days, at.exchange) > at.now:
                continue
            if _lately_awaited(table, unit, coverage, at.now):
                continue
            if entry is None or _grown(table, unit, entry.asked, at) or not cache.whole(table, unit):
                asks.append(ask)
            elif since(entry.asked, at.now) >= recent:
                if last_day(unit) + (_YEAR_SETTLES if table.cadence == "year" else timedelta()) >= unsettled:
                    asks.append(ask)
                elif since(entry.asked, at.now) >= _SWEEP_AFTER:
                    rest.append((entry.tried or entry.asked, ask))
    swept = sorted(rest, key=lambda found: (found[0], found[1].unit))[: settings.sweep_days_per_sync]
    return asks + [ask for _, ask in swept if _may_sweep(coverage, at.now)]


def _unsettled_from(settings: JQuantsSource, known: Sequence[str], at: Moment) -> date:
    """The first of the newest trading days that are asked for again (the newest that there are, not that might be)."""
    if not settings.recheck_days:
        return date.max
    newest = last_day(max(known)) if known else date.max
    there = [day for day in at.days if day <= newest]
    return there[-settings.recheck_days :][0] if there else date.max


def _grown(table: Table, unit: str, asked: datetime, at: Moment) -> bool:
    """Whether a year has had a publication since it was asked for."""
    if table.cadence != "year":
        return False
    zone = ZoneInfo(at.exchange.timezone)
    hour, minute = (int(part) for part in at.exchange.publication.split(":"))
    clock = table.publishes.replace(tzinfo=zone) if table.publishes else None
    inside = [day for day in at.days if first_day(unit) <= day <= last_day(unit)]
    for day in reversed(inside):
        published = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        if clock is not None:
            published = published.replace(hour=clock.hour, minute=clock.minute)
        if published <= at.now:
            return asked < published.astimezone(UTC)
    return False


def _lately_awaited(table: Table, unit: str, coverage: Coverage, now: datetime) -> bool:
    asked = coverage.awaited.get(unit) if table.required else None
    return asked is not None and since(datetime.fromisoformat(asked), now) < _ASK_AWAITED_AGAIN


def _may_sweep(coverage: Coverage, now: datetime) -> bool:
    """At most one sweep in an hour, however often the source is looked up."""
    return not coverage.synced or since(datetime.fromisoformat(coverage.synced), now) >= timedelta(hours=1)

"""The trading days: our list of holidays, held against J-Quants' own calendar."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from jquantsapi.enums import BulkEndpoint

from model.daily_quotes.sources.jquants.cache import Cache, Coverage
from model.daily_quotes.sources.jquants.client import NotInPlanError, OutsideWindowError, PatientClient
from model.daily_quotes.sources.jquants.rate import Clock
from model.errors import SourceError

TABLE = "calendar"
_TRADING = ("1", "2")
"""Holiday divisions of trading days: whole and half. 0 is closed, 3 closed with derivatives trading."""
_ASK_AGAIN = timedelta(hours=12)


def refresh(cache: Cache, client: PatientClient, clock: Clock, coverage: Coverage, first: date, last: date) -> None:
    """Ask for J-Quants' calendar, at most twice a day; a plan without it is recorded.

    Raises:
        SourceError: the key was rejected, or the server did not give a usable answer.
    """
    now = clock.now()
    covered = coverage.calendar_span == [first.isoformat(), last.isoformat()]
    if covered and now - datetime.fromisoformat(coverage.status(TABLE).asked) < _ASK_AGAIN:
        return
    status = coverage.status(TABLE)
    status.window = [None, None]
    low, high = first, last
    while low <= high:
        try:
            rows = client.rows(BulkEndpoint.MKT_CALENDAR.value, {"from": low.isoformat(), "to": high.isoformat()})
        except NotInPlanError as error:
            status.state, status.message = "absent", str(error)
            break
        except OutsideWindowError as error:
            window = [day.isoformat() if day else None for day in (error.first, error.last)]
            if window == status.window:  # inside what the server says it covers, and refused all the same
                break
            status.window = window
            low, high = max(low, error.first or low), min(high, error.last or high)
        else:
            status.state, status.message = "present", ""
            coverage.calendar |= {str(row.get("Date")): str(row.get("HolDiv")) for row in rows}
            break
    status.asked = now.isoformat(timespec="seconds")
    coverage.calendar_span = [first.isoformat(), last.isoformat()]
    cache.write_coverage(coverage)


def window(coverage: Coverage) -> tuple[date | None, date | None]:
    """What the plan covers, as the calendar's answer told; open where it did not."""
    first, last = (date.fromisoformat(day) if day else None for day in coverage.status(TABLE).window)
    return first, last


def trading_days(coverage: Coverage, first: date, last: date) -> tuple[date, ...]:
    """The days of J-Quants' calendar with trading, half days included."""
    return tuple(day for day in _days(coverage, trading=True) if first <= day <= last)


def require_agreement(coverage: Coverage, listed: Sequence[date], first: date, last: date) -> None:
    """Our holidays and J-Quants' calendar must agree where both speak.

    Raises:
        SourceError: naming the first day that only one of them takes for a trading day.
    """
    ours = set(listed)
    more = [day for day in trading_days(coverage, first, last) if day not in ours]
    fewer = [day for day in _days(coverage, trading=False) if day in ours]
    if not more and not fewer:
        return
    day = min(more + fewer)
    theirs, mine = ("a trading day", "closed") if day in more else ("closed", "a trading day")
    raise SourceError(
        f"The list of holidays and J-Quants' calendar disagree on {len(more) + len(fewer)} days, the first being "
        f"{day}: {theirs} at J-Quants, {mine} in the list. Correct the list (assets_config/holidays/, or a file of "
        "your own in calendar.holidays)."
    )


def _days(coverage: Coverage, trading: bool) -> list[date]:
    found = (day for day, division in coverage.calendar.items() if (division in _TRADING) == trading)
    return sorted(date.fromisoformat(day) for day in found)

"""The trading days: our list of holidays, held against J-Quants' own calendar."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from jquantsapi.enums import BulkEndpoint

from model.daily_quotes.sources.jquants.cache import Cache, Coverage
from model.daily_quotes.sources.jquants.client import NotInPlanError, OutsideWindowError, PatientClient
from model.daily_quotes.sources.jquants.rate import Clock, since
from model.errors import SourceError

TABLE = "calendar"
_TRADING = ("1", "2")
"""Holiday divisions of trading days: whole and half. 0 is closed, 3 closed with derivatives trading."""
_FEW = 5
"""So many rows that say nothing, or half of the rows if those are more, are left out."""
_ASK_AGAIN = timedelta(hours=12)


def refresh(cache: Cache, client: PatientClient, clock: Clock, coverage: Coverage, first: date, last: date) -> None:
    """Ask for J-Quants' calendar, at most twice a day; a plan without it is recorded.

    Raises:
        SourceError: the key was rejected, or the server did not give a usable answer.
    """
    now = clock.now()
    covered = _forget_what_says_nothing(coverage) == 0 and coverage.calendar_span == [
        first.isoformat(),
        last.isoformat(),
    ]
    if covered and since(datetime.fromisoformat(coverage.status(TABLE).asked), now) < _ASK_AGAIN:
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
            said = _divisions(rows)
            coverage.calendar |= said
            coverage.note_left_out(TABLE, first.isoformat(), len(rows) - len(said))
            break
    status.asked = now.isoformat(timespec="seconds")
    coverage.calendar_span = [first.isoformat(), last.isoformat()]
    cache.write_coverage(coverage)


def _divisions(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Division by date, of the rows that have both; the few others are left out.

    Raises:
        SourceError: they are not few.
    """
    pairs = [(_day(row.get("Date")), _division(row.get("HolDiv"))) for row in rows]
    said = {day: division for day, division in pairs if day and division}
    odd = sum(not day or not division for day, division in pairs)
    if odd > max(_FEW, len(rows) // 2) or (rows and not said):
        raise SourceError(
            f"J-Quants {BulkEndpoint.MKT_CALENDAR.value} has no date in the column 'Date', or nothing in 'HolDiv', in "
            f"{odd} of {len(rows)} rows. Nothing of the calendar was kept: run the command again later; if it stays "
            "so, the interface may have changed: look for a newer version of this program."
        )
    return said


def _day(value: object) -> str:
    """A date as it is written here; empty where the value is none."""
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        return ""


def _division(value: object) -> str:
    """A holiday division as text, also where it came as a number; empty where there is none."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return str(whole) if whole is not None and str(whole).isascii() else ""


def _forget_what_says_nothing(coverage: Coverage) -> int:
    """Drop what an earlier version kept unseen, such as a row without a date; how many days that were."""
    odd = [day for day, division in coverage.calendar.items() if _day(day) != day or division in ("", "None")]
    for day in odd:
        del coverage.calendar[day]
    return len(odd)


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

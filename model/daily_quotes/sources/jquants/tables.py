"""What is asked for: each table's endpoints, columns, keys, the units in which it is asked for, and from when on.

A unit is one trading day, one calendar day of a week, one week or one year of one table: the smallest thing that is
asked for, kept and asked for again. Columns are named as the API names them (``jquantsapi.constants``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
from jquantsapi.enums import BulkEndpoint

from model.daily_quotes.settings import CalendarSettings

Cadence = Literal["trading_day", "weekday", "margin", "year"]

DAILY_MARGIN_FROM = date(2026, 9, 25)
"""First record date for which margin balances of every trading day are served; before, of the week's last day."""
_MARGIN_DELAY = 2
"""Weekly margin balances are published on the second trading day after their record date."""


@dataclass(frozen=True)
class Endpoint:
    """One address of the API and the columns that we keep of its rows.

    Args:
        texts: columns kept as text.
        numbers: columns kept as numbers; dashes and stars are missing.
        newer: columns that older answers lack; missing where they do.
        key: what tells one row from another.
        dated: the column that must hold the date asked for, where one date is asked for.
        strict: whether one odd row refuses the whole answer. Elsewhere an odd row is left out, an odd figure missing.
        spare: columns of the key that a row may lack.
        days: other columns that hold a date where they hold anything.
        ordered: two dates, of which the second is never before the first.
        positive: figures that are above zero where they are given.
        not_negative: figures that are not below zero where they are given.
        per_minute: requests a minute that the endpoint allows whatever the plan.
    """

    path: str
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    key: tuple[str, ...]
    dated: str
    newer: tuple[str, ...] = ()
    strict: bool = False
    spare: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    ordered: tuple[str, str] | None = None
    positive: tuple[str, ...] = ()
    not_negative: tuple[str, ...] = ()
    per_minute: int | None = None

    @property
    def schema(self) -> pl.Schema:
        """The columns kept."""
        return pl.Schema(
            {**dict.fromkeys(self.texts, pl.String()), **dict.fromkeys(self.numbers, pl.Float64())},
        )


@dataclass(frozen=True)
class Table:
    """One table as it is kept.

    Args:
        endpoints: where its rows come from; a second endpoint adds columns to the rows of the first.
        publishes: local time from which a unit's rows can be asked for; None for the calendar's publication time.
        replaces: whether a changed row takes the place of the old one (bars, index levels), or is a row of its own
            that became known when it was first seen (everything that has a publication time).
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    cadence: Cadence
    publishes: time | None = None
    replaces: bool = False
    required: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """What tells one row from another."""
        return self.endpoints[0].key

    @property
    def schema(self) -> pl.Schema:
        """The columns kept, in order."""
        return pl.Schema({name: dtype for endpoint in self.endpoints for name, dtype in endpoint.schema.items()})

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns kept."""
        return tuple(self.schema)

    @property
    def requests(self) -> int:
        """Requests for one unit, further pages not counted."""
        return len(self.endpoints)


BARS = Endpoint(
    BulkEndpoint.EQ_BARS_DAILY.value,
    texts=("Date", "Code", "UL", "LL"),
    numbers=("O", "H", "L", "C", "Vo", "Va", "AdjFactor"),
    key=("Code",),
    dated="Date",
    strict=True,
    positive=("AdjFactor",),
    not_negative=("O", "H", "L", "C", "Vo", "Va"),
)
"""The day's bars as traded. The adjusted columns (Adj…) are left out: J-Quants restates them for the whole history
after every split, while the raw ones and the day's own factor never change, and we adjust ourselves."""
MASTER = Endpoint(
    BulkEndpoint.EQ_MASTER.value,
    texts=("Date", "Code", "S33", "Mkt"),
    numbers=(),
    key=("Code",),
    dated="Date",
    strict=True,
)
QUOTES = Table("quotes", (BARS, MASTER), "trading_day", replaces=True, required=True)

_FIGURES = ("Sales", "OP", "NP", "TA", "Eq")
_FORECASTS = ("FSales", "FOP", "FNP", "NxFSales", "NxFOP", "NxFNp")
STATEMENTS = Table(
    "statements",
    (
        Endpoint(
            BulkEndpoint.FIN_SUMMARY.value,
            texts=("DiscDate", "DiscTime", "Code", "DiscNo", "DocType", "CurPerType", "CurFYEn", "NxtFYEn"),
            numbers=(
                *_FIGURES,
                *_FORECASTS,
                "ShOutFY",
                "TrShFY",
                *(f"NC{name}" for name in _FIGURES),
                *("FNCSales", "FNCOP", "FNCNP", "NxFNCSales", "NxFNCOP", "NxFNCNP"),
            ),
            key=("Code", "DiscNo", "DocType", "CurPerType", "CurFYEn"),
            dated="DiscDate",
            spare=("DiscNo", "DocType", "CurPerType", "CurFYEn"),
            per_minute=60,
        ),
    ),
    "weekday",
    publishes=time(18, 0),
)
INVESTOR_FLOW = Table(
    "investor_flow",
    (
        Endpoint(
            BulkEndpoint.EQ_INVESTOR_TYPES.value,
            texts=("PubDate", "StDate", "EnDate", "Section"),
            numbers=("FrgnBal", "IndBal", "TotTot"),
            key=("Section", "StDate", "EnDate", "PubDate"),
            dated="",
            days=("StDate", "EnDate", "PubDate"),
            ordered=("EnDate", "PubDate"),
        ),
    ),
    "year",
    publishes=time(18, 0),
)
MARGIN = Table(
    "margin",
    (
        Endpoint(
            BulkEndpoint.MKT_MARGIN_INTEREST.value,
            texts=("PubDate", "Date", "Code"),
            numbers=("ShrtVol", "LongVol"),
            key=("Code",),
            dated="Date",
            newer=("PubDate",),
            days=("PubDate",),
            ordered=("Date", "PubDate"),
        ),
    ),
    "margin",
    publishes=time(16, 0),
)
DAILY_MARGIN = Table(
    "daily_margin",
    (
        Endpoint(
            BulkEndpoint.MKT_MARGIN_ALERT.value,
            texts=("PubDate", "Code", "AppDate"),
            numbers=("ShrtOut", "LongOut"),
            key=("Code", "AppDate"),
            dated="PubDate",
            days=("AppDate",),
            ordered=("AppDate", "PubDate"),
        ),
    ),
    "trading_day",
)
SHORT_SELLING = Table(
    "short_selling",
    (
        Endpoint(
            BulkEndpoint.MKT_SHORT_RATIO.value,
            texts=("Date", "S33"),
            numbers=("SellExShortVa", "ShrtWithResVa", "ShrtNoResVa"),
            key=("S33",),
            dated="Date",
        ),
    ),
    "trading_day",
)
TOPIX = Table(
    "topix",
    (
        Endpoint(
            BulkEndpoint.IDX_BARS_DAILY_TOPIX.value,
            texts=("Date",),
            numbers=("O", "H", "L", "C"),
            key=("Date",),
            dated="",
            days=("Date",),
        ),
    ),
    "year",
    replaces=True,
)
SECTOR_INDICES = Table(
    "sector_indices",
    (
        Endpoint(
            BulkEndpoint.IDX_BARS_DAILY.value,
            texts=("Date", "Code"),
            numbers=("O", "H", "L", "C"),
            key=("Code",),
            dated="Date",
        ),
    ),
    "trading_day",
    replaces=True,
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        QUOTES,
        STATEMENTS,
        TOPIX,
        INVESTOR_FLOW,
        MARGIN,
        DAILY_MARGIN,
        SHORT_SELLING,
        SECTOR_INDICES,
    )
}
"""Every table, in the order in which they are fetched."""


def units(table: Table, days: Sequence[date]) -> list[str]:
    """The units of a table over these trading days, in order."""
    if not days:
        return []
    if table.cadence == "year":
        return [str(year) for year in range(days[0].year, days[-1].year + 1)]
    if table.cadence == "weekday":
        every = (days[0] + timedelta(days=offset) for offset in range((days[-1] - days[0]).days + 1))
        return [day.isoformat() for day in every if day.weekday() < 5]
    if table.cadence == "margin":
        ends = {day.isocalendar()[:2]: day for day in days}
        return [day.isoformat() for day in days if day >= DAILY_MARGIN_FROM or ends[day.isocalendar()[:2]] == day]
    return [day.isoformat() for day in days]


def opens_at(table: Table, unit: str, days: Sequence[date], exchange: CalendarSettings) -> datetime:
    """From when on a unit can be asked for; the end of time where its publication lies after the last day known."""
    zone = ZoneInfo(exchange.timezone)
    hour, minute = (int(part) for part in exchange.publication.split(":"))
    at = table.publishes or time(hour, minute)
    if table.cadence == "year":
        return datetime.combine(date(int(unit), 1, 1), at, zone)
    day = date.fromisoformat(unit)
    if table.cadence == "margin":
        delay = 1 if day >= DAILY_MARGIN_FROM else _MARGIN_DELAY
        later = [each for each in days if each > day][:delay]
        if len(later) < delay:
            return datetime.max.replace(tzinfo=UTC)
        day = later[-1]
    return datetime.combine(day, at, zone)


def last_day(unit: str) -> date:
    """The last calendar day that a unit speaks of."""
    return date(int(unit), 12, 31) if len(unit) == 4 else date.fromisoformat(unit)


def first_day(unit: str) -> date:
    """The first calendar day that a unit speaks of."""
    return date(int(unit), 1, 1) if len(unit) == 4 else date.fromisoformat(unit)


def margin_visible(day: date, days: Sequence[date]) -> date:
    """The trading day on which a margin balance without a publication date was served; its own where none follows."""
    later = [each for each in days if each > day][:_MARGIN_DELAY]
    return later[-1] if len(later) == _MARGIN_DELAY else day

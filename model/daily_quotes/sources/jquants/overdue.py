"""Which rows of an answer an earlier ask should have found.

A row counts from its publication as long as nobody has looked for it in vain: history that is asked for once stays
where it belongs. One that was published by its own account, or by the table's hour, when its unit was last asked for,
and was not in that answer, was not served then. It is dated from when it is seen, so that ``quality.as_of`` rebuilds
what a night had.
"""

from collections.abc import Sequence
from datetime import UTC, date, time

import polars as pl

from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.cache import VISIBLE, Entry
from model.daily_quotes.sources.jquants.due import Ask
from model.daily_quotes.sources.jquants.statements import disclosed
from model.daily_quotes.sources.jquants.tables import STATEMENTS, Table, opens_at
from model.daily_quotes.sources.jquants.versions import first_versions
from model.daily_quotes.sources.jquants.visible import visible


def overdue(
    ask: Ask,
    answer: pl.DataFrame,
    known: pl.DataFrame,
    entry: Entry | None,
    days: Sequence[date],
    exchange: CalendarSettings,
) -> pl.Series:
    """Whether each row of the answer was published when its unit was last asked for.

    Args:
        known: what is on record of the unit, with the day on which each row became visible.
        entry: the unit's line in the ledger. Where a crash lost it, the unit was asked for at some time since it can
            be asked for, and not less than that is known.
    """
    asked = opens_at(ask.table, ask.unit, days, exchange) if entry is None else entry.asked
    day = visible(ask.table, first_versions(answer), days, exchange)[VISIBLE]
    frame = pl.DataFrame({"day": day, "clock": _clock(ask.table, answer, exchange)})
    local = pl.col("day").dt.combine(pl.col("clock"), time_unit="us").dt.replace_time_zone(exchange.timezone)
    published = local.dt.convert_time_zone("UTC")
    inside = pl.lit(True)
    if ask.table.cadence == "year":
        inside = pl.col("day").is_between(*_asked_for(known, entry))
    return frame.select(overdue=(published <= asked.astimezone(UTC)) & inside)["overdue"]


def _asked_for(known: pl.DataFrame, entry: Entry | None) -> tuple[pl.Expr, pl.Expr]:
    """The first and the last day of a year that the last ask spoke of; at least what it found."""
    if entry is None or entry.span is None:
        return pl.lit(known[VISIBLE].min(), dtype=pl.Date), pl.lit(known[VISIBLE].max(), dtype=pl.Date)
    first, last = map(date.fromisoformat, entry.span)
    return pl.lit(first), pl.lit(last)


def _clock(table: Table, rows: pl.DataFrame, exchange: CalendarSettings) -> pl.Series:
    """The local time of each row's publication."""
    if table.name == STATEMENTS.name:
        return disclosed(rows)
    hour, minute = (int(part) for part in exchange.publication.split(":"))
    return pl.repeat(table.publishes or time(hour, minute), rows.height, dtype=pl.Time, eager=True)

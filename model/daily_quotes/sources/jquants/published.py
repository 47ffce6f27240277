"""When a version of a row became known: when it was seen to change or to come late, or else when it was published."""

from dataclasses import dataclass
from datetime import time

import polars as pl

from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.versions import SEEN
from model.daily_quotes.sources.jquants.visible import dates

PARTITION = "_Day"
"""The trading day under which a row lies."""


@dataclass(frozen=True)
class Context:
    """What the mappings need to know besides the rows."""

    exchange: CalendarSettings
    has_topix: bool


def published(rows: pl.DataFrame, column: str, context: Context, at: time | pl.Series | None = None) -> pl.Series:
    """When each version became known, in UTC; null where neither was it seen nor is its date given.

    Args:
        column: the date of publication.
        at: the local time of publication, one for all or one a row; that of the bars by default.
    """
    hour, minute = (int(part) for part in context.exchange.publication.split(":"))
    clock = (
        at if isinstance(at, pl.Series) else pl.repeat(at or time(hour, minute), rows.height, dtype=pl.Time, eager=True)
    )
    frame = pl.DataFrame({"day": dates(rows, column), "clock": clock, "seen": rows[SEEN]})
    local = pl.col("day").dt.combine(pl.col("clock"), time_unit="us").dt.replace_time_zone(context.exchange.timezone)
    return frame.select(at=pl.coalesce("seen", local.dt.convert_time_zone("UTC")))["at"]

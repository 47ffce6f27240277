"""From the kept rows of J-Quants to the canonical bars and their superseded versions.

AdjFactor is our AdjustmentFactor: 0.5 on the first day of a 2-for-1 split, 1 where nothing happened. Sector is the
English name of the master's 33 sectors, Market that of its segment; a code that the official client does not know
stays a code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
from jquantsapi.constants import MARKET_SEGMENT_DATA, SECTOR_33_DATA

from model.daily_quotes import calendar
from model.daily_quotes.beside import REVISIONS
from model.daily_quotes.schema import CANONICAL, validate_canonical
from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.published import PARTITION
from model.daily_quotes.sources.jquants.tables import QUOTES
from model.daily_quotes.sources.jquants.versions import SEEN, UNTIL
from model.daily_quotes.sources.jquants.visible import dates
from model.errors import SourceError

_SECTORS = {str(code): str(english) for code, _, english, *_ in SECTOR_33_DATA}
_MARKETS = {str(code): str(english) for code, _, english in MARKET_SEGMENT_DATA}
_FLAGS = {"1": True, "True": True, "true": True, "1.0": True}


@dataclass(frozen=True)
class Bars:
    """The bars of several days: canonical, as received, and what they superseded."""

    quotes: pl.DataFrame
    received: pl.DataFrame
    revisions: pl.DataFrame


def bars(versions: pl.DataFrame | None, exchange: CalendarSettings, leave_out: Sequence[str]) -> Bars:
    """The newest version of every row, and every older one that was ever known: not what ended before it began, which
    happens where the clock was set back in between.

    Args:
        versions: all kept versions of the days' rows.
        leave_out: market codes whose names are left out, of every version.

    Raises:
        SourceError: a factor is not positive, or a price or volume is negative.
    """
    if versions is None:
        versions = pl.DataFrame(
            schema={**QUOTES.schema, SEEN: pl.Datetime("us", "UTC"), UNTIL: pl.Datetime("us", "UTC")}
        )
    kept = versions.filter(pl.col("Mkt").is_null() | ~pl.col("Mkt").is_in(list(leave_out)))
    rows = _canonical(kept, exchange).with_columns(
        kept[UNTIL].alias("SupersededAt"), pl.Series("row", range(kept.height))
    )
    newest = rows.filter(pl.col("SupersededAt").is_null()).sort("Date", "Code")
    older = rows.filter(pl.col("SupersededAt") > pl.col("KnownAt")).sort(REVISIONS.key)
    return Bars(
        validate_canonical(newest.select(list(CANONICAL))),
        kept[newest["row"]].select(QUOTES.columns),
        older.select(list(REVISIONS.schema)),
    )


def sector_names(codes: pl.Expr) -> pl.Expr:
    """The names of 33-sector codes, by which bars and short selling are joined."""
    return codes.replace(_SECTORS)


def _canonical(rows: pl.DataFrame, exchange: CalendarSettings) -> pl.DataFrame:
    _refuse(rows, pl.col("AdjFactor") <= 0, "AdjFactor is not positive")
    for name in ("O", "H", "L", "C", "Vo", "Va"):
        _refuse(rows, pl.col(name) < 0, f"{name} is negative")
    frame = rows.select(
        dates(rows, "Date").alias("Date"),
        "Code",
        Open="O",
        High="H",
        Low="L",
        Close="C",
        Volume=pl.col("Vo").round().cast(pl.Int64),
        TurnoverValue="Va",
        AdjustmentFactor=pl.col("AdjFactor").fill_null(1.0),
        UpperLimit=_flag("UL"),
        LowerLimit=_flag("LL"),
        Sector=sector_names(pl.col("S33")),
        Market=pl.col("Mkt").replace(_MARKETS),
        seen=pl.col(SEEN),
    )
    published = calendar.known_at(exchange, pl.col("Date"))
    return frame.with_columns(KnownAt=pl.coalesce("seen", published).cast(CANONICAL["KnownAt"])).select(list(CANONICAL))


def _flag(name: str) -> pl.Expr:
    return pl.col(name).replace_strict(_FLAGS, default=False, return_dtype=pl.Boolean).fill_null(False)


def _refuse(rows: pl.DataFrame, wrong: pl.Expr, what: str) -> None:
    """Refuse what an earlier version kept; now such an answer is refused before it is kept."""
    found = rows.filter(wrong.fill_null(False) & pl.col(UNTIL).is_null())
    if found.height:
        first = found.row(0, named=True)
        raise SourceError(
            f"J-Quants sent bars whose {what} in {found.height} of {rows.height} rows, the first being code "
            f"{first['Code']} on {first['Date']}. No share has that: run the command again later, and report it to "
            "J-Quants if it stays so."
        )


def partition_days(visible: pl.Series, days: Sequence[date], exact: bool) -> pl.Series:
    """The first of ``days`` on or after each visible day, or that very day; null where there is none."""
    axis = pl.DataFrame({PARTITION: pl.Series(days, dtype=pl.Date)}).with_columns(pl.col(PARTITION).alias("day"))
    left = pl.DataFrame({"day": visible}).with_row_index("row").sort("day")
    placed = left.join(axis, on="day", how="left") if exact else left.join_asof(axis, on="day", strategy="forward")
    return placed.sort("row")[PARTITION]

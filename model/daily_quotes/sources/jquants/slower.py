"""From the kept rows of J-Quants to the canonical tables beside the bars.

A version that was seen to change or to come later became known when it was seen; everything else counts from its
publication.
"""

from collections.abc import Callable, Mapping

import polars as pl

from model.daily_quotes.beside import INDICES, INVESTOR_FLOW, MARGIN, SHORT_SELLING
from model.daily_quotes.beside_rules import no_share
from model.daily_quotes.sources.jquants import tables
from model.daily_quotes.sources.jquants.canonical import sector_names
from model.daily_quotes.sources.jquants.published import PARTITION, Context, published
from model.daily_quotes.sources.jquants.statements import statements
from model.daily_quotes.sources.jquants.versions import SEEN, UNTIL
from model.daily_quotes.sources.jquants.visible import dates

Mapped = Callable[[pl.DataFrame, Context], pl.DataFrame]

_THOUSAND = 1000.0
_TOPIX = "0000"


def investor_flow(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Weekly flow in yen (J-Quants gives thousands); Total is the traded value, half of sales plus purchases."""
    frame = rows.select(
        Date=PARTITION,
        Section="Section",
        PeriodStart=dates(rows, "StDate"),
        PeriodEnd=dates(rows, "EnDate"),
        PublishedAt=published(rows, "PubDate", context, tables.INVESTOR_FLOW.publishes),
        ForeignNet=pl.col("FrgnBal") * _THOUSAND,
        IndividualNet=pl.col("IndBal") * _THOUSAND,
        Total=_not_negative("TotTot") * (_THOUSAND / 2),
    )
    known = frame.filter(pl.col("PeriodEnd") <= pl.col("Date"))
    return _unique(known, INVESTOR_FLOW.key).select(list(INVESTOR_FLOW.schema))


def margin(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Balances of all issues: those of a week's last day are weekly; those of the days between (served since
    September 2026) are daily, and known by being published in the same week."""
    record, told = dates(rows, "Date"), dates(rows, "PubDate")
    same_week = (record.dt.week() == told.dt.week()) & (record.dt.iso_year() == told.dt.iso_year())
    kind = pl.select(pl.when(pl.lit(same_week.fill_null(False))).then(pl.lit("daily")).otherwise(pl.lit("weekly")))
    frame = rows.select(
        Date=PARTITION,
        Code="Code",
        Kind=kind.to_series(),
        RecordDate=record,
        PublishedAt=published(rows, "PubDate", context, tables.MARGIN.publishes),
        MarginLong=_not_negative("LongVol"),
        MarginShort=_not_negative("ShrtVol"),
    )
    return _newest_of_a_day(frame)


def daily_margin(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Balances of the issues under daily publication."""
    frame = rows.select(
        Date=PARTITION,
        Code="Code",
        Kind=pl.lit("daily"),
        RecordDate=dates(rows, "AppDate"),
        PublishedAt=published(rows, "PubDate", context),
        MarginLong=_not_negative("LongOut"),
        MarginShort=_not_negative("ShrtOut"),
    )
    return _newest_of_a_day(frame)


def short_selling(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Share of short sales in the value of all sales, by sector."""
    short = pl.col("ShrtWithResVa") + pl.col("ShrtNoResVa")
    total = short + pl.col("SellExShortVa")
    frame = rows.select(
        Date=PARTITION,
        Sector=sector_names(pl.col("S33")),
        RecordDate=dates(rows, "Date"),
        PublishedAt=published(rows, "Date", context),
        ShortRatio=pl.when((total > 0) & ~no_share(short / total)).then(short / total),
    )
    return _unique(frame, SHORT_SELLING.key).select(list(SHORT_SELLING.schema))


def topix(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """The TOPIX, whatever the plan."""
    return _levels(rows.with_columns(Code=pl.lit("TOPIX")), context)


def sector_indices(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """All indices by code; the TOPIX among them only where it does not come by itself."""
    chosen = rows.filter(pl.col("Code") != _TOPIX) if context.has_topix else rows
    return _levels(chosen.with_columns(pl.col("Code").replace(_TOPIX, "TOPIX")), context)


def _levels(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """All versions of the levels, and a row without levels from when one was served no more. Nothing counts from
    before the day's publication: a year may be asked for while its newest day is still being made up."""
    every = pl.concat([rows, _withdrawals(rows)]).sort("Date", "Code", SEEN, nulls_last=False, maintain_order=True)
    own = published(every.with_columns(pl.lit(None, every.schema[SEEN]).alias(SEEN)), "Date", context)
    known = published(every, "Date", context)
    frame = every.select(
        Date=PARTITION,
        IndexCode="Code",
        Open="O",
        High="H",
        Low="L",
        Close="C",
        PublishedAt=pl.max_horizontal(known, own),
    )
    return _unique(frame, INDICES.key).select(list(INDICES.schema))


def _withdrawals(rows: pl.DataFrame) -> pl.DataFrame:
    """A version without levels for each one that ended without another in its place."""
    ended = rows.filter(pl.col(UNTIL).is_not_null())
    gone = ended.join(rows, left_on=["Date", "Code", UNTIL], right_on=["Date", "Code", SEEN], how="anti")
    nothing = (pl.lit(None, rows.schema[name]).alias(name) for name in ("O", "H", "L", "C", UNTIL))
    return gone.with_columns(pl.col(UNTIL).alias(SEEN)).with_columns(nothing)


MAPPINGS: Mapping[str, tuple[str, Mapped]] = {
    "statements": ("statements", statements),
    "investor_flow": ("investor_flow", investor_flow),
    "margin": ("margin", margin),
    "daily_margin": ("margin", daily_margin),
    "short_selling": ("short_selling", short_selling),
    "topix": ("indices", topix),
    "sector_indices": ("indices", sector_indices),
}
"""Which canonical table each kept table becomes, and how."""


def _not_negative(column: str) -> pl.Expr:
    """A figure that cannot be negative, null where it is: one mistyped figure must not stop everything."""
    return pl.when(pl.col(column) >= 0).then(pl.col(column))


def _unique(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    return frame.unique(list(key), keep="last", maintain_order=True).sort(key)


def _newest_of_a_day(frame: pl.DataFrame) -> pl.DataFrame:
    """One row a key; a figure corrected before the day it lies under was over counts as corrected."""
    named = [name for name in MARGIN.key if name != "PublishedAt"]
    ordered = frame.filter(pl.col("RecordDate") <= pl.col("Date")).sort(*named, "PublishedAt", nulls_last=False)
    both = pl.col("PublishedAt").is_null() & (pl.len().over(named) > 1)
    return _unique(ordered.filter(~both), MARGIN.key).select(list(MARGIN.schema))

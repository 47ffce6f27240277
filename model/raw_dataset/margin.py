"""Margin balances and sector short selling as known on each day."""

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, as_of

BALANCES = ("MarginLong", "MarginShort")
_DATES = 1 << 24
"""More than there are dates: days since 1970 lie below it."""
_ORDER = (AVAILABLE_FROM, "PublishedAt", "Date", "RecordDate")


def margin_in_force(records: pl.DataFrame, kind: str) -> pl.DataFrame:
    """What counts from each day on, for one kind: Code, AvailableFrom, the balances of the latest record and of the
    record before it (``MarginLongBefore``, ``MarginShortBefore``), each in its latest version.

    ``RecordDate`` is the latest record's, ``MarginFrom`` the day from which its version counts.
    """
    versions = records.filter(pl.col("Kind") == kind).sort(*_ORDER)
    events = (
        _two_latest(versions.select("Code", AVAILABLE_FROM, "RecordDate"))
        .unique(["Code", AVAILABLE_FROM], keep="last", maintain_order=True)
        .rename({AVAILABLE_FROM: "Date"})
        .sort("Date")
    )
    values = versions.select("Code", "RecordDate", AVAILABLE_FROM, *BALANCES, MarginFrom=AVAILABLE_FROM)
    earlier = versions.select(
        "Code", AVAILABLE_FROM, *[pl.col(name).alias(f"{name}Before") for name in BALANCES], Earlier="RecordDate"
    )
    current = as_of(events, values, ["Code", "RecordDate"]).drop(AVAILABLE_FROM)
    compared = as_of(current, earlier, ["Code", "Earlier"])
    return compared.drop(AVAILABLE_FROM, "Earlier").rename({"Date": AVAILABLE_FROM})


def margin_still_needed(records: pl.DataFrame) -> pl.DataFrame:
    """Those of the ``records``, all of which count already, that can matter on a later day: the two latest records."""
    versions = records.sort(*_ORDER).unique(["Code", "Kind", "RecordDate"], keep="last", maintain_order=True)
    place = pl.col("RecordDate").rank("ordinal", descending=True).over("Code", "Kind")
    return versions.filter(place <= 2)


def short_selling_in_force(records: pl.DataFrame) -> pl.DataFrame:
    """What counts from each day on: Sector, AvailableFrom, ShortRatio of the latest record, ``ShortFrom``."""
    versions = records.sort(*_ORDER)
    events = (
        versions.select("Sector", AVAILABLE_FROM, pl.col("RecordDate").cum_max().over("Sector"))
        .unique(["Sector", AVAILABLE_FROM], keep="last", maintain_order=True)
        .rename({AVAILABLE_FROM: "Date"})
    )
    values = versions.select("Sector", "RecordDate", AVAILABLE_FROM, "ShortRatio", ShortFrom=AVAILABLE_FROM)
    joined = as_of(events, values, ["Sector", "RecordDate"])
    return joined.drop(AVAILABLE_FROM, "RecordDate").rename({"Date": AVAILABLE_FROM})


def short_selling_still_needed(records: pl.DataFrame) -> pl.DataFrame:
    """Those of the ``records``, all of which count already, that can matter on a later day."""
    versions = records.sort(*_ORDER)
    latest = versions.filter(pl.col("RecordDate") == pl.col("RecordDate").max().over("Sector"))
    return latest.unique("Sector", keep="last", maintain_order=True)


def _two_latest(versions: pl.DataFrame) -> pl.DataFrame:
    """``RecordDate`` and ``Earlier``: the latest and the second latest record date that each code has had so far.

    Rows are put in the order of their codes, and dates counted from a base of their own for each code that lies above
    all dates of the codes before: a running maximum over the whole column is then one within each code. Whenever a
    record comes that is not the latest, it is a candidate for the second place, and so is the latest when displaced.
    """
    ordered = versions.sort("Code", maintain_order=True)
    numbered = ordered.with_columns(base=pl.col("Code").rle_id().cast(pl.Int64) * _DATES)
    record = pl.col("base") + pl.col("RecordDate").to_physical().cast(pl.Int64)
    before = record.cum_max().shift(1)
    displaced = pl.when(before >= pl.col("base")).then(before)
    candidate = pl.when(record > displaced).then(displaced).when(record < displaced).then(record)
    second = candidate.fill_null(pl.col("base")).cum_max() - pl.col("base")
    latest = record.cum_max() - pl.col("base")
    return numbered.select(
        *versions.columns[:2],
        latest.cast(pl.Int32).cast(pl.Date).alias("RecordDate"),
        pl.when(second > 0).then(second).cast(pl.Int32).cast(pl.Date).alias("Earlier"),
    )

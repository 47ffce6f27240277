"""Bands: which columns of the features are stored together, by how far back they read.

A mended day changes a feature with a memory of 5 days in one month and one with a memory of 250 days in thirteen. If
all columns lay in one file a month, thirteen whole months would be copied for a handful of long columns. So columns of
similar memory share a file: many short ones, of which a fix reaches few months, and few long ones, of which it reaches
many. More files than these few cost more to open and check than they save. Market-wide features, one value a day, have
a band of their own with one row a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.quality_features.engine import reduced
from model.quality_features.read import KEY, TABLE
from model.quality_features.rows_panel import SLOW_COLUMNS
from model.quality_features.selection import VALIDITY_WINDOWS, describe, validity_names
from model.quality_features.settings import FeatureSettings

BANDS: tuple[tuple[str, int | None], ...] = (
    (TABLE, 25),
    (f"{TABLE}_quarter", 70),
    (f"{TABLE}_half_year", 140),
    (f"{TABLE}_long", None),
)
"""Table of each band and the longest lookback in it, in trading days (None: any)."""
MARKET = f"{TABLE}_market"
"""The band of the market-wide features, keyed by Date alone."""
REDUCTIONS = "reductions"
"""What market-wide features are made of (:mod:`model.quality_features.language.reductions`), keyed by Date alone. No
band: nothing but features reads it."""


@dataclass(frozen=True)
class Column:
    """A stored column: its name, its reach, and whether it has one value a day."""

    name: str
    lookback_days: int
    market: bool = False
    slow: bool = False
    """Whether it reads the slow table."""


@dataclass(frozen=True)
class Band:
    """A table of the artefact and its columns, in order."""

    table: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its features and flags."""
        return tuple(column.name for column in self.columns)

    @property
    def lookback_days(self) -> int:
        """Trading days that its rows read, their own included."""
        return max((column.lookback_days for column in self.columns), default=1)

    @property
    def key(self) -> tuple[str, ...]:
        """What its rows are sorted by and unique on."""
        return ("Date",) if self.table in (MARKET, REDUCTIONS) else KEY

    @property
    def head(self) -> tuple[str, ...]:
        """The columns before its features."""
        return (*KEY, "InUniverse") if self.table == TABLE else self.key


def bands(settings: FeatureSettings) -> tuple[Band, ...]:
    """The bands of the selected features; the first is always there, the others where they have columns."""
    held: dict[str, list[Column]] = {TABLE: []}
    for column in columns(settings):
        held.setdefault(_table(column), []).append(column)
    order = [table for table, _ in BANDS] + [MARKET]
    return tuple(Band(table, tuple(held[table])) for table in order if table in held)


def reduction_band(settings: FeatureSettings) -> Band:
    """The table of the reductions; it may have no columns."""
    return Band(
        REDUCTIONS,
        tuple(
            Column(
                each.name, each.lookback_days, market=True, slow=any(source in SLOW_COLUMNS for source in each.inputs)
            )
            for each in reduced(settings)
        ),
    )


def columns(settings: FeatureSettings) -> tuple[Column, ...]:
    """Every stored feature and flag, in the order of the catalogue."""
    features = [
        Column(
            entry["name"],
            entry["lookback_days"],
            market=entry["scope"] == "market",
            slow=any(source in SLOW_COLUMNS for source in entry["inputs"]),
        )
        for entry in describe(settings)
    ]
    flags = [Column(name, window) for name, window in zip(validity_names(), VALIDITY_WINDOWS, strict=True)]
    return (*features, *flags)


def catalogue_document(settings: FeatureSettings, layout: Sequence[Band]) -> list[Mapping[str, Any]]:
    """``catalogue.json``: the description of each feature, with the table that holds it under ``band``."""
    place = {name: band.table for band in layout for name in band.names}
    return [{**entry, "band": place[entry["name"]]} for entry in describe(settings)]


def _table(column: Column) -> str:
    if column.market:
        return MARKET
    return next(table for table, longest in BANDS if longest is None or column.lookback_days <= longest)

"""The feature engine: the settings' features for exactly the rows of a date range.

What the settings select is compiled once into a plan (see :mod:`model.quality_features.language.plan`) and run over the
panel. A row's bits depend on the rows dated up to it and on nothing else: not on later days, on other date ranges or
columns computed with it, on codes that appear later, or on the number of threads.
"""

from collections.abc import Collection, Sequence
from datetime import date
from functools import lru_cache

import polars as pl

from model.errors import SettingsError
from model.quality_features.language.columns import MEMBER
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import nearest
from model.quality_features.language.plan import Options, Plan, compile_plan
from model.quality_features.language.reductions import over_reductions, reductions
from model.quality_features.selection import VALIDITY_WINDOWS, feature_names, select, validity_names
from model.quality_features.settings import FeatureSettings
from model.quality_features.table import compute_table


def compute_features(
    panel: pl.DataFrame,
    settings: FeatureSettings,
    first: date,
    last: date,
    *,
    names: Sequence[str] | None = None,
    codes: Collection[str] | None = None,
    threads: int = 2,
    market: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Features of every panel row dated ``first`` to ``last``, both included.

    Args:
        panel: rows of raw_dataset's panel sorted by (Date, Code), with the columns of its slow table beside where
            features read them, reaching back the ``lookback_days`` of ``feature_plan(settings, names)`` including
            ``first`` itself, or to the beginning of the data. Its distinct dates are the trading days. Rows after
            ``last`` are not read; slow columns that it lacks are missing throughout.
        settings: what is selected, and the minimum shares.
        first: first date of the result.
        last: last date of the result.
        names: only these features, validity flags and reductions, in this order; None for all features and flags, in
            the order of the catalogue.
        codes: only these codes' rows; comparisons across names still see all the panel's.
        threads: blocks of codes or days computed at the same time; does not change a bit.
        market: raw_dataset's market table (Date and its columns, sorted by Date); None: missing throughout.

    Returns:
        Date, Code, InUniverse, the features (Float32, null where undefined), the validity flags (Boolean), the
        reductions (Float64, NaN where undefined).

    Raises:
        DataError: the panel lacks a column or is not sorted and unique.
        SettingsError: a name is not among the columns that the settings select.
    """
    plan = feature_plan(settings, None if names is None else tuple(names))
    frame = compute_table(panel, plan, first, last, codes=codes, threads=threads, market=market)
    return frame if names is None else frame.select("Date", "Code", MEMBER, *names)


def compute_market(
    days: Sequence[date], market: pl.DataFrame, settings: FeatureSettings, first: date, last: date, names: Sequence[str]
) -> pl.DataFrame:
    """Market-wide features from their reductions: the same bits as from the panel, without a name of it.

    Args:
        days: the trading days that ``market_plan(settings, names)`` looks back on before ``first``, to ``last``.
        market: Date, raw_dataset's market table and the reductions of these days, sorted.
        settings: what is selected, and the minimum shares.
        first: first date of the result.
        last: last date of the result.
        names: of market-wide features.

    Returns:
        As :func:`compute_features`, one row a day, whose Code is empty.
    """
    rows = pl.DataFrame({"Date": days}, schema={"Date": pl.Date}).with_columns(
        pl.lit("").alias("Code"), pl.lit(True).alias(MEMBER)
    )
    plan = market_plan(settings, tuple(names))
    return compute_table(rows, plan, first, last, market=market).select("Date", "Code", MEMBER, *names)


def feature_plan(settings: FeatureSettings, names: tuple[str, ...] | None = None) -> Plan:
    """The compiled plan of the selected features and validity flags, or of some of these and of the reductions.

    Raises:
        SettingsError: a name is not among the columns that the settings select.
    """
    return _plan(settings, None if names is None else tuple(sorted(set(names))))


@lru_cache(maxsize=64)
def _plan(settings: FeatureSettings, names: tuple[str, ...] | None) -> Plan:
    features, exact = select(settings), reduced(settings)
    flags = dict(zip(validity_names(), VALIDITY_WINDOWS, strict=True))
    if names is None:
        return compile_plan(features, _options(settings), flags)
    known = [*(feature.name for feature in features), *flags]
    for name in names:
        if name not in known and all(name != feature.name for feature in exact):
            raise SettingsError(f"The settings select no feature {name!r}.{nearest(name, known)}")
    features, exact = (tuple(each for each in listed if each.name in names) for listed in (features, exact))
    return compile_plan(features, _options(settings), {n: days for n, days in flags.items() if n in names}, exact)


@lru_cache(maxsize=64)
def market_plan(settings: FeatureSettings, names: tuple[str, ...]) -> Plan:
    """The compiled plan of some market-wide features over the reductions that they are made of."""
    features = [over_reductions(each, settings.market_index) for each in select(settings) if each.name in names]
    return compile_plan(features, _options(settings))


@lru_cache(maxsize=16)
def reduced(settings: FeatureSettings) -> tuple[Feature, ...]:
    """What the market-wide features are made of: see :mod:`model.quality_features.language.reductions`."""
    return reductions(select(settings), settings.market_index)


def _options(settings: FeatureSettings) -> Options:
    return Options(settings.minimum_share, settings.minimum_sector_names, settings.market_index)


def feature_schema(settings: FeatureSettings) -> pl.Schema:
    """Columns and types of the feature table."""
    columns: dict[str, pl.DataType] = {"Date": pl.Date(), "Code": pl.String(), MEMBER: pl.Boolean()}
    columns |= {name: pl.Float32() for name in feature_names(settings)}
    columns |= {name: pl.Boolean() for name in validity_names()}
    return pl.Schema(columns)
